// SPDX-License-Identifier: Apache-2.0
//
// The table of fields itself; how its values are written is in values.cpp, how lists of fields and
// sort orders are read in columns.cpp.
#include "model/fields.h"

#include <algorithm>
#include <array>
#include <optional>

namespace listenq {
namespace {

template <class T>
Value as_number(const std::optional<T>& value) {
  return value ? Value(static_cast<std::uint64_t>(*value)) : Value();
}

Value as_number(const std::optional<double>& value) {
  return value ? Value(*value) : Value();
}

Value as_text(std::string_view text) {
  return text.empty() ? Value() : Value(text);
}

template <Counter counter>
Value counted_of(const ListenerRow& row) {
  return as_number(counted(row, counter));
}

template <Counter counter>
Value rate_of(const ListenerRow& row) {
  return as_number(per_second(row, counter));
}

struct AcceptWait {
  static const Histogram* of(const ListenerRow& row) {
    return row.counts != nullptr && row.counting->now.accept_wait ? &row.counts->accept_wait
                                                                  : nullptr;
  }
};

struct HandshakeTime {
  static const Histogram* of(const ListenerRow& row) {
    return row.counts != nullptr && row.counting->now.handshake_time ? &row.counts->handshake_time
                                                                     : nullptr;
  }
};

template <class Times>
Value histogram_of(const ListenerRow& row) {
  const Histogram* const times = Times::of(row);
  return times != nullptr ? Value(times) : Value();
}

template <class Times, int percent>
Value quantile_of(const ListenerRow& row) {
  const Histogram* const times = Times::of(row);
  if (times == nullptr || times->count() == 0) return {};
  return times->quantile(percent / 100.0);
}

template <class Times>
Value longest_of(const ListenerRow& row) {
  const Histogram* const times = Times::of(row);
  if (times == nullptr || times->count() == 0) return {};
  return static_cast<double>(times->max_ns) / 1e9;
}

Value oldest_wait_of(const ListenerRow& row) {
  if (!row.raw->oldest_wait_ns) return {};
  return static_cast<double>(*row.raw->oldest_wait_ns) / 1e9;
}

/// As it was given: the kernel takes -1 for the largest backlog.
Value requested_of(const ListenerRow& row) {
  const auto& requested = row.raw->listen_requested;
  if (!requested) return {};
  if (*requested < 0) return static_cast<double>(*requested);
  return static_cast<std::uint64_t>(*requested);
}

Value netns_name_of(const ListenerRow& row) {
  const std::optional<std::string>& name = row.netns->raw->name;
  return name ? as_text(*name) : Value();
}

Value family_of(const ListenerRow& row) {
  switch (row.raw->family) {
    case Family::ipv4:
      return std::string_view("ipv4");
    case Family::ipv6:
      return std::string_view("ipv6");
    case Family::dual:
      return std::string_view("dual");
  }
  return {};
}

Value limit_set_by_of(const ListenerRow& row) {
  switch (row.limit_set_by) {
    case LimitSetBy::application:
      return std::string_view("application");
    case LimitSetBy::somaxconn:
      return std::string_view("somaxconn");
    case LimitSetBy::unknown:
      break;
  }
  return std::string_view("unknown");
}

Value pid_of(const ListenerRow& row) {
  if (row.pids.empty()) return {};
  return static_cast<std::uint64_t>(row.pids.front());
}

Value raised_of(const ListenerRow& row) {
  return row.somaxconn_raised_since ? Value(*row.somaxconn_raised_since) : Value();
}

Value somaxconn_of(const ListenerRow& row) {
  const auto& somaxconn = row.netns->raw->sysctls.somaxconn;
  if (!somaxconn || *somaxconn < 0) return {};
  return static_cast<std::uint64_t>(*somaxconn);
}

/// A metric of this field alone.
constexpr Metric told(std::string_view name, Across across = Across::sum) {
  return {name, {}, {}, across};
}
/// One of several fields under one name; without a value, the field is a label of it.
constexpr Metric told(std::string_view name, std::string_view label, std::string_view value = {}) {
  return {name, label, value, Across::sum};
}

// A counter and its rate: the two always come together.
#define LISTENQ_COUNTER(id_, title_, need_, help_, get_, get_rate_, metric_)                \
  {id_, title_, Kind::counter, Type::number, Unit::count, need_, help_, get_, metric_}, {   \
    id_ "_per_second", title_ "/s", Kind::rate, Type::number, Unit::per_second, need_,      \
        "Rate of " id_ " over the last interval; absent in the first sample and where " id_ \
        " is.",                                                                             \
        get_rate_                                                                           \
  }

// Counted in the kernel, event by event: the counter's name is the field's.
#define LISTENQ_EVENTS(counter_, title_, metric_, help_)                                      \
  LISTENQ_COUNTER(#counter_, title_, Need::counters,                                          \
                  help_                                                                       \
                  " Since the listener was first seen; absent where nothing counts it here.", \
                  counted_of<Counter::counter_>, rate_of<Counter::counter_>, metric_)

// A number that stands for a histogram in a table.
#define LISTENQ_OF_TIMES(id_, title_, help_, get_) \
  { id_, title_, Kind::gauge, Type::number, Unit::seconds, Need::latency, help_, get_ }

// A histogram and the three numbers that stand for it.
#define LISTENQ_LATENCY(id_, title_, times_, metric_, help_)                             \
  {id_,                                                                                  \
   title_,                                                                               \
   Kind::histogram,                                                                      \
   Type::histogram,                                                                      \
   Unit::seconds,                                                                        \
   Need::latency,                                                                        \
   help_ " A histogram in seconds, bounds and counts; absent where no hook times it.",   \
   histogram_of<times_>,                                                                 \
   metric_},                                                                             \
      LISTENQ_OF_TIMES(id_ "_p50", title_ "-P50",                                        \
                       "Half of the values of " id_                                      \
                       " are at most this, in seconds; absent until there is one.",      \
                       (quantile_of<times_, 50>)),                                       \
      LISTENQ_OF_TIMES(id_ "_p99", title_ "-P99",                                        \
                       "99 of 100 values of " id_                                        \
                       " are at most this, in seconds; absent until there is one.",      \
                       (quantile_of<times_, 99>)),                                       \
      LISTENQ_OF_TIMES(id_ "_max", title_ "-MAX",                                        \
                       "The longest of " id_ ", in seconds; absent until there is one.", \
                       longest_of<times_>)

constexpr auto kFields = std::to_array<Field>({
    // --- identity
    {"netns", "NETNS-ID", Kind::label, Type::number, Unit::none, Need::listener,
     "Inode number of the network namespace, as `readlink /proc/PID/ns/net` shows it.",
     [](const ListenerRow& row) -> Value {
       return static_cast<std::uint64_t>(number(row.raw->netns));
     }},
    {"netns_name", "NETNS", Kind::label, Type::text, Unit::none, Need::listener,
     "Name of the network namespace, as `ip netns` shows it; absent when it has none, as the "
     "machine's own and those of most containers.",
     netns_name_of, told("listener_info", "netns_name")},
    {"address", "ADDRESS", Kind::label, Type::text, Unit::none, Need::listener,
     "Local address, 0.0.0.0 or :: for any; %DEVICE follows when it is bound to one "
     "(SO_BINDTODEVICE).",
     [](const ListenerRow& row) -> Value { return address_text(*row.raw); }},
    {"port", "PORT", Kind::label, Type::number, Unit::none, Need::listener, "Local TCP port.",
     [](const ListenerRow& row) -> Value { return std::uint64_t{row.raw->port}; }},
    {"family", "FAMILY", Kind::label, Type::text, Unit::none, Need::listener,
     "ipv4, ipv6 (only that), or dual: an IPv6 wildcard socket that takes IPv4 too.", family_of},
    {"cookie", "COOKIE", Kind::label, Type::number, Unit::none, Need::listener,
     "The kernel's number of the socket (SO_COOKIE), never used again while the machine is up; "
     "absent where the kernel does not tell it.",
     [](const ListenerRow& row) { return as_number(row.raw->cookie); }},
    {"inode", "INODE", Kind::label, Type::number, Unit::none, Need::listener,
     "Inode number of the socket, as in the links of /proc/PID/fd; absent for a socket of the "
     "kernel itself.",
     [](const ListenerRow& row) -> Value {
       return row.raw->inode != 0 ? Value(row.raw->inode) : Value();
     }},
    {"uid", "UID", Kind::label, Type::number, Unit::none, Need::listener,
     "User that owns the socket.", [](const ListenerRow& row) { return as_number(row.raw->uid); }},
    {"pid", "PID", Kind::label, Type::number, Unit::none, Need::owner,
     "The lowest pid of the processes that hold the socket, usually the one that opened it; "
     "absent when none is known (not permitted, or the kernel's own socket).",
     pid_of, told("listener_info", "pid")},
    {"process", "PROCESS", Kind::label, Type::text, Unit::none, Need::owner,
     "Name of that process (comm, at most 15 bytes); absent where pid is.",
     [](const ListenerRow& row) { return row.process ? as_text(row.process->name) : Value(); },
     told("listener_info", "process")},
    {"pids", "PIDS", Kind::label, Type::list, Unit::none, Need::owner,
     "All processes that hold the socket, ascending: any of them can call accept(); absent where "
     "pid is.",
     [](const ListenerRow& row) -> Value { return row.pids.empty() ? Value() : Value(row.pids); }},
    {"cgroup", "CGROUP", Kind::label, Type::text, Unit::none, Need::cgroup,
     "cgroup of that process, else the cgroup v2 that the socket was created in; absent when "
     "neither is known.",
     [](const ListenerRow& row) { return row.cgroup ? as_text(*row.cgroup) : Value(); },
     told("listener_info", "cgroup")},
    {"container", "CONTAINER", Kind::label, Type::text, Unit::none, Need::cgroup,
     "Id of the container, read from the cgroup path; absent outside of one.",
     [](const ListenerRow& row) { return as_text(row.container); },
     told("listener_info", "container")},
    {"pod", "POD", Kind::label, Type::text, Unit::none, Need::cgroup,
     "uid of the Kubernetes pod, read from the cgroup path; absent outside of one.",
     [](const ListenerRow& row) { return as_text(row.pod); }, told("listener_info", "pod")},
    {"reuseport", "REUSEPORT", Kind::label, Type::number, Unit::count, Need::listener,
     "Listeners that share this namespace, address and port (SO_REUSEPORT), this one included.",
     [](const ListenerRow& row) -> Value { return std::uint64_t{row.reuseport}; }},
    {"state_age_seconds", "AGE", Kind::gauge, Type::number, Unit::seconds, Need::watching,
     "Seconds since the listener appeared; absent for those that were there before the watching "
     "began.",
     [](const ListenerRow& row) { return as_number(row.state_age_seconds); }},
    // --- queues now
    {"accept_queue_len", "ACCEPTQ", Kind::gauge, Type::number, Unit::count, Need::listener,
     "Connections established and not yet accepted (sk_ack_backlog; Recv-Q of `ss -tl`).",
     [](const ListenerRow& row) -> Value { return std::uint64_t{row.raw->accept_queue_len}; },
     told("accept_queue_length")},
    {"accept_queue_limit", "LIMIT", Kind::gauge, Type::number, Unit::count, Need::listener,
     "min(backlog of listen(), somaxconn at that moment) (sk_max_ack_backlog; Send-Q of `ss -tl`); "
     "the queue holds one more than this.",
     [](const ListenerRow& row) -> Value { return std::uint64_t{row.raw->accept_queue_limit}; },
     told("accept_queue_limit")},
    {"accept_queue_fill", "FILL", Kind::ratio, Type::number, Unit::ratio, Need::listener,
     "accept_queue_len / (accept_queue_limit + 1): at 1 the queue is full and connections are "
     "refused.",
     [](const ListenerRow& row) -> Value { return row.accept_queue_fill; }},
    {"accept_queue_peak", "PEAK", Kind::gauge, Type::number, Unit::count, Need::counters,
     "The longest that the accept queue was since the sample before, seen at every connection that "
     "entered it; absent without counting in the kernel.",
     [](const ListenerRow& row) { return as_number(row.accept_queue_peak); },
     told("accept_queue_peak", Across::window_max)},
    {"syn_queue_len", "SYNQ", Kind::gauge, Type::number, Unit::count, Need::syn_queue,
     "Handshakes begun and not complete (icsk_accept_queue.qlen); absent without BPF: sock_diag "
     "does not tell it.",
     [](const ListenerRow& row) { return as_number(row.raw->syn_queue_len); },
     told("syn_queue_length")},
    {"syn_queue_young", "YOUNG", Kind::gauge, Type::number, Unit::count, Need::syn_queue,
     "Of these, how many never needed a second SYN-ACK (icsk_accept_queue.young); absent without "
     "BPF.",
     [](const ListenerRow& row) { return as_number(row.raw->syn_queue_young); }},
    {"syn_queue_limit", "SYN-LIMIT", Kind::gauge, Type::number, Unit::count, Need::sysctl,
     "SYN queue length from which SYNs are refused or answered by cookies: accept_queue_limit, and "
     "with tcp_syncookies = 0 also 3/4 of tcp_max_syn_backlog; absent with tcp_syncookies = 2 "
     "(queue not used) and where the sysctls can't be read.",
     [](const ListenerRow& row) { return as_number(row.syn_queue_limit); },
     told("syn_queue_limit")},
    {"syn_queue_peak", "SYN-PEAK", Kind::gauge, Type::number, Unit::count, Need::counters,
     "The longest that the SYN queue was since the sample before, seen at every request that "
     "entered "
     "it; absent without counting in the kernel.",
     [](const ListenerRow& row) { return as_number(row.syn_queue_peak); },
     told("syn_queue_peak", Across::window_max)},
    {"fastopen_queue_len", "TFOQ", Kind::gauge, Type::number, Unit::count, Need::syn_queue,
     "TCP Fast Open connections whose handshake is not complete (fastopenq.qlen); absent without "
     "BPF.",
     [](const ListenerRow& row) { return as_number(row.raw->fastopen_queue_len); }},
    {"fastopen_queue_limit", "TFO-LIMIT", Kind::gauge, Type::number, Unit::count, Need::syn_queue,
     "The most of these (argument of TCP_FASTOPEN; fastopenq.max_qlen), 0: Fast Open is off; "
     "absent "
     "without BPF.",
     [](const ListenerRow& row) { return as_number(row.raw->fastopen_queue_limit); }},
    {"oldest_wait_seconds", "OLDEST", Kind::gauge, Type::number, Unit::seconds, Need::syn_queue,
     "Seconds that the connection at the head of the accept queue has waited, 0 when the queue is "
     "empty: it grows while nobody calls accept(); absent without BPF.",
     oldest_wait_of, told("accept_oldest_wait_seconds", Across::max)},
    // --- limits
    {"listen_requested", "REQUESTED", Kind::gauge, Type::number, Unit::count, Need::listen_call,
     "Backlog that the application gave to listen(), before somaxconn cut it; a negative one asks "
     "for the most; absent unless the call was seen.",
     requested_of},
    {"somaxconn", "SOMAXCONN", Kind::gauge, Type::number, Unit::count, Need::sysctl,
     "net.core.somaxconn of the listener's namespace now; takes effect at the next listen(); "
     "absent "
     "where it can't be read.",
     somaxconn_of},
    {"limit_set_by", "SET-BY", Kind::label, Type::text, Unit::none, Need::sysctl,
     "What decides accept_queue_limit: application (listen() got what it asked for), somaxconn "
     "(that "
     "was more), or unknown. Where listen() was not seen, a limit equal to somaxconn counts as "
     "cut.",
     limit_set_by_of, told("listener_info", "limit_set_by")},
    {"somaxconn_raised_since", "RAISED", Kind::label, Type::boolean, Unit::none, Need::sysctl,
     "Whether somaxconn was raised since listen(), so that a restart would give a longer queue; "
     "absent where that is not known.",
     raised_of},
    // --- counters
    LISTENQ_EVENTS(syns, "SYNS", told("syns_total"),
                   "SYNs that reached the listener, repeated ones included."),
    LISTENQ_EVENTS(synacks, "SYNACKS", told("synacks_total"),
                   "First SYN-ACKs sent, cookies included."),
    LISTENQ_EVENTS(synack_retransmits, "RETRANS", told("synack_retransmits_total"),
                   "SYN-ACKs sent again because no ACK came, or was dropped."),
    LISTENQ_EVENTS(handshake_acks, "HS-ACKS", told("handshake_acks_total"),
                   "ACKs that reached the listener and complete a handshake, those refused because "
                   "the accept queue was full included."),
    LISTENQ_EVENTS(accepts, "ACCEPTS", told("accepts_total"),
                   "Connections that accept() returned."),
    LISTENQ_EVENTS(overflows_syn, "OVF-SYN", told("overflows_total", "step", "syn"),
                   "SYNs refused because the accept queue was full (of ListenOverflows)."),
    LISTENQ_EVENTS(overflows_ack, "OVF-ACK", told("overflows_total", "step", "ack"),
                   "Final ACKs refused because the accept queue was full (of ListenOverflows)."),
    LISTENQ_EVENTS(drops, "DROPS", Metric{},
                   "Everything that the listener refused, overflows included (as ListenDrops "
                   "counts)."),
    LISTENQ_COUNTER(
        "sk_drops", "SK-DROPS", Need::sk_drops,
        "The socket's own drop counter since it was opened (sk_drops; wraps at 2^32): a sign of "
        "loss, not a count of connections, since a final ACK lost to a full queue adds 2; absent "
        "where it can't be read.",
        [](const ListenerRow& row) { return as_number(row.raw->sk_drops); },
        [](const ListenerRow& row) { return as_number(row.sk_drops_per_second); },
        told("sk_drops_total")),
    LISTENQ_EVENTS(drops_syn_queue_full, "D-SYNQ", told("drops_total", "reason", "syn_queue_full"),
                   "SYNs refused because the SYN queue was full and cookies are off "
                   "(TCPReqQFullDrop)."),
    LISTENQ_EVENTS(drops_no_memory, "D-MEMORY", told("drops_total", "reason", "no_memory"),
                   "Refused because memory for the request or the connection was lacking."),
    LISTENQ_EVENTS(
        drops_no_route, "D-ROUTE", told("drops_total", "reason", "no_route"),
        "SYNs refused because there is no route back to the sender, or a security module "
        "forbade it."),
    LISTENQ_EVENTS(
        drops_max_syn_backlog, "D-MAXSYN", told("drops_total", "reason", "max_syn_backlog"),
        "SYNs refused because, with cookies off, 3/4 of tcp_max_syn_backlog were in use."),
    LISTENQ_EVENTS(drops_defer_accept, "D-DEFER", Metric{},
                   "Final ACKs without data ignored for TCP_DEFER_ACCEPT (TCPDeferAcceptDrop): the "
                   "connection waits for its data and is not lost, so drops leaves them out."),
    LISTENQ_EVENTS(drops_other, "D-OTHER", told("drops_total", "reason", "other"),
                   "Refused for a reason that has no field of its own."),
    LISTENQ_EVENTS(
        cookies_sent, "CK-SENT", told("syncookies_total", "result", "sent"),
        "SYN cookies sent instead of queueing (SyncookiesSent); a cookie is not a drop."),
    LISTENQ_EVENTS(cookies_valid, "CK-VALID", told("syncookies_total", "result", "valid"),
                   "ACKs that brought a valid SYN cookie back (SyncookiesRecv)."),
    LISTENQ_EVENTS(cookies_invalid, "CK-INVALID", told("syncookies_total", "result", "invalid"),
                   "ACKs that brought none or a wrong one (SyncookiesFailed)."),
    LISTENQ_EVENTS(
        requests_expired, "EXPIRED", told("requests_expired_total"),
        "Handshakes given up: the last SYN-ACK was not answered, or, earlier, room had to "
        "be made in a SYN queue that fills up."),
    LISTENQ_EVENTS(fastopen_overflows, "TFO-OVF", told("fastopen_overflows_total"),
                   "Fast Open SYNs that found fastopen_queue_limit reached "
                   "(TCPFastOpenListenOverflow)."),
    LISTENQ_EVENTS(closed_unaccepted, "UNACCEPTED", told("closed_unaccepted_total"),
                   "Connections thrown away in the accept queue when the listener closed."),
    LISTENQ_EVENTS(aborted_in_queue, "ABORTED", told("aborted_in_queue_total"),
                   "Connections that the client had reset or closed by the time that accept() "
                   "returned them; counted when they leave the queue."),
    // --- latency
    LISTENQ_LATENCY("accept_wait", "WAIT", AcceptWait, told("accept_wait_seconds"),
                    "Time from entering the accept queue to accept() returning the connection."),
    LISTENQ_LATENCY("handshake_time", "HANDSHAKE", HandshakeTime, told("handshake_seconds"),
                    "Time from the SYN to the ACK that completes the handshake, with the client's "
                    "round trip."),
    // --- at the interface
    {"waterfall", "WATERFALL", Kind::waterfall, Type::waterfall, Unit::count, Need::nic,
     "How many got how far on the way from the interface to accept(), over all listeners of the "
     "port and since the port is watched: SYNs at the interfaces, SYNs at the listener, SYN-ACKs, "
     "handshake ACKs, connections queued and accepted; JSON has what is lost at each step and "
     "lost_at, the step that loses most; absent where nothing is counted.",
     [](const ListenerRow& row) -> Value {
       return row.waterfall != nullptr ? Value(row.waterfall) : Value();
     }},
});

#undef LISTENQ_LATENCY
#undef LISTENQ_OF_TIMES
#undef LISTENQ_EVENTS
#undef LISTENQ_COUNTER

}  // namespace

std::span<const Field> fields() {
  return kFields;
}

const Field* find_field(std::string_view id) {
  const auto* const found =
      std::find_if(kFields.begin(), kFields.end(), [&](const Field& f) { return f.id == id; });
  return found == kFields.end() ? nullptr : found;
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::label:
      return "label";
    case Kind::gauge:
      return "gauge";
    case Kind::counter:
      return "counter";
    case Kind::rate:
      return "rate";
    case Kind::ratio:
      return "ratio";
    case Kind::histogram:
      return "histogram";
    case Kind::waterfall:
      break;
  }
  return "waterfall";
}

std::string_view unit_name(Unit unit) {
  switch (unit) {
    case Unit::none:
      return "none";
    case Unit::count:
      return "count";
    case Unit::per_second:
      return "per second";
    case Unit::seconds:
      return "seconds";
    case Unit::ratio:
      break;
  }
  return "ratio";
}

}  // namespace listenq
