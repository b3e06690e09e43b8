// SPDX-License-Identifier: Apache-2.0
//
// A Sample: what was read at one moment, raw. The collector makes it, `record` stores it, `replay`
// gives it back, and derive() turns it into a Snapshot; nothing is computed before that, so that a
// field derived in a later version also works on old recordings.
//
// std::nullopt means that it could not be read. It never means 0.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/counts.h"
#include "util/types.h"

namespace listenq {

enum class Family : std::uint8_t {
  ipv4,
  ipv6,  ///< IPv6 only: bound to an IPv6 address, or IPV6_V6ONLY
  dual,  ///< an IPv6 wildcard socket that takes IPv4 too
};

/// One socket in TCP_LISTEN.
struct RawListener {
  NetnsId netns{};
  std::optional<SocketCookie> cookie;  ///< nullopt: no way to ask for it on this kernel
  std::uint64_t inode = 0;             ///< in sockfs; 0: the socket belongs to the kernel
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> address{};  ///< network byte order; IPv4 in the first four
  std::uint16_t port = 0;
  std::string interface;                         ///< SO_BINDTODEVICE; empty: any
  std::optional<std::uint32_t> uid;              ///< owner of the socket
  std::optional<std::uint64_t> cgroup_id;        ///< cgroup v2 that the socket was created in
  std::optional<std::string> cgroup;             ///< path of cgroup_id, when no owner was found
  std::uint32_t accept_queue_len = 0;            ///< sk_ack_backlog
  std::uint32_t accept_queue_limit = 0;          ///< sk_max_ack_backlog
  std::optional<std::uint32_t> syn_queue_len;    ///< icsk_accept_queue.qlen
  std::optional<std::uint32_t> syn_queue_young;  ///< of these, not yet retransmitted
  std::optional<std::uint32_t> fastopen_queue_len;
  std::optional<std::uint32_t> fastopen_queue_limit;  ///< 0: Fast Open is off
  std::optional<std::uint32_t> sk_drops;              ///< wraps at 2^32
  std::optional<std::uint64_t> oldest_wait_ns;  ///< of the head of the accept queue; 0: it is empty
  std::optional<std::int32_t> listen_requested;  ///< argument of the last listen() that was seen
  std::optional<std::uint32_t> counts;  ///< index in Sample::counts; nullopt: nothing has happened
                                        ///< to it that Sample::counting counts
};

/// The net.* settings of one namespace that decide what a full queue does.
struct Sysctls {
  std::optional<std::int64_t> somaxconn;
  std::optional<std::int64_t> tcp_max_syn_backlog;
  std::optional<std::int64_t> tcp_syncookies;
  std::optional<std::int64_t> tcp_abort_on_overflow;
  std::optional<std::int64_t> tcp_synack_retries;
  std::optional<std::int64_t> tcp_migrate_req;
};

using MibCounters = std::vector<std::pair<std::string, std::uint64_t>>;  ///< by the kernel's name

struct RawNamespace {
  NetnsId netns{};
  std::optional<std::string> name;  ///< of its bind mount, as `ip netns` shows it
  Sysctls sysctls;
  std::optional<MibCounters> mib;  ///< /proc/net/netstat and snmp; nullopt: not readable
  /// The same, read again after Sample::counts was: what was counted must lie between the two.
  /// nullopt: not read again, because nothing was lost since the sample before.
  std::optional<MibCounters> mib_after;
  /// Index in Sample::counts of the sum of all that was counted in the namespace: of its listeners,
  /// of those that closed, and of what could be given to no listener. nullopt: nothing yet.
  std::optional<std::uint32_t> counted;
  /// What may give packets another destination here before TCP sees them ("nftables", "iptables",
  /// "ipvs", joined by ", "), so that ports at the interface need not be those of the listeners.
  /// Empty: nothing does. nullopt: not looked for.
  std::optional<std::string> nat{};
  /// Every interface that brings packets into this namespace is watched: what its listeners got and
  /// no interface saw did not come from outside. nullopt: none is watched.
  std::optional<bool> nics_complete{};
};

/// How an interface is watched.
enum class NicMode : std::uint8_t { tc, xdp_generic, xdp };

/// As --nic-mode, JSON and recordings name it.
[[nodiscard]] std::string_view nic_mode_name(NicMode mode);

/// What an interface saw for one TCP port that has a listener, since the interface is watched and
/// the port known to it.
struct NicPort {
  std::uint16_t port = 0;
  std::uint64_t syn_in = 0;
  /// Of these, those that the kernel held a request or a connection of already: repeated ones, that
  /// no listener gets to see as a new SYN.
  std::uint64_t syn_known = 0;
  std::uint64_t synack_out = 0;
  std::uint64_t ack_in = 0;  ///< only those that end a handshake
  std::uint64_t rst_in = 0;
  Histogram handshake_time;  ///< from the SYN-ACK to that ACK; not of cookies, which keep no time
};

/// A network interface in a namespace that has listeners.
struct RawNic {
  NetnsId netns{};
  std::string interface;
  std::uint32_t ifindex = 0;
  std::optional<NicMode> mode;  ///< nullopt: it could not be watched, and `note` says why
  std::string note;             ///< a clause for people, such as who holds its XDP; may be empty
  std::uint64_t passed = 0;     ///< all frames that came in
  std::uint64_t malformed = 0;  ///< shorter than they claim, or with a header that cannot be
  std::uint64_t fragments = 0;
  std::optional<std::uint64_t> evictions;  ///< nullopt: no packet is remembered, so none forgotten
  bool handshake_times = false;            ///< this kernel lets them be measured here
  std::vector<NicPort> ports;              ///< ascending by port
};

/// A listener that closed, as it was then.
struct RawClosed {
  RawListener listener;
  std::uint64_t monotonic_ns = 0;  ///< when it closed
};

struct Process {
  std::string name;                   ///< comm of the thread group leader
  std::optional<std::string> cgroup;  ///< path from /proc/PID/cgroup
};

/// Who holds which socket. Read seldom, so that many samples share one.
struct OwnerTable {
  struct Range {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  std::vector<std::int32_t> pids;                     ///< ascending within each range
  std::unordered_map<std::uint64_t, Range> by_inode;  ///< socket inode -> range in pids
  std::unordered_map<std::int32_t, Process> processes;
};

/// What one thread did at the moment of the sample (/proc/PID/task/TID).
struct RawThread {
  std::int32_t tid = 0;
  std::string name;
  char state = '?';                         ///< as /proc/PID/stat has it: R, S, D, T, Z, ...
  std::optional<std::string> wait_channel;  ///< kernel function that it sleeps in; nullopt: it does
                                            ///< not sleep, or we may not know
  std::optional<std::string> system_call;  ///< that it is in, by name; nullopt: in none, or unknown
  std::optional<std::uint64_t> cpu_ns;     ///< used since its start
  std::optional<std::uint64_t> run_delay_ns;  ///< waited for a CPU since its start
};

/// A process that holds the socket.
struct RawSharer {
  std::int32_t pid = 0;
  std::string name;
  std::vector<RawThread> threads;   ///< ascending by tid; the first few
  std::uint32_t threads_total = 0;  ///< that it has
};

/// A CPU limit that applies to a sharer: of its cgroup, or of one above.
struct RawThrottling {
  std::string cgroup;
  std::uint64_t quota_ns = 0;  ///< CPU time in each period
  std::uint64_t period_ns = 0;
  std::uint64_t periods = 0;            ///< so far
  std::uint64_t throttled_periods = 0;  ///< of these
  std::uint64_t throttled_ns = 0;
};

/// A connection in the accept queue.
struct RawWaiting {
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> address{};  ///< of the peer; as RawListener::address
  std::uint16_t port = 0;                  ///< of the peer
  std::optional<std::uint64_t> received_bytes;
  std::optional<std::uint64_t> wait_ns;
};

/// One listener looked at from near: read only where somebody wants to see it, or it is in trouble.
struct RawCloseUp {
  NetnsId netns{};
  std::optional<SocketCookie> cookie;
  std::uint64_t inode = 0;
  std::vector<RawSharer> sharers;   ///< ascending by pid; the first few
  std::uint32_t sharers_total = 0;  ///< that hold it
  std::vector<RawThrottling> throttlings;
  std::optional<std::vector<RawWaiting>> waiting;  ///< the head first, and the first few; nullopt:
                                                   ///< nothing here reads them
};

/// A BPF program of ours.
struct RawProgram {
  std::string name;
  /// Since it was loaded, as far as the kernel's statistics were on (kernel.bpf_stats_enabled, or
  /// somebody who looks); nullopt: they are off.
  std::optional<std::uint64_t> runs;
  std::optional<std::uint64_t> run_ns;
};

/// A BPF map of ours that can be full.
struct RawMap {
  std::string name;
  std::uint64_t entries = 0;
  std::uint64_t max_entries = 0;
};

/// What the tool itself took and lost for this sample.
struct RawSelf {
  std::uint64_t sample_ns = 0;              ///< wall time of the sample
  std::uint64_t cpu_ns = 0;                 ///< CPU time of the process since its start
  std::uint64_t memory_bytes = 0;           ///< peak resident set
  std::uint64_t connection_hash_walks = 0;  ///< reads of iter/tcp since the start
  std::vector<std::pair<std::string, std::uint64_t>> lost;  ///< by cause, since the start
  std::vector<RawProgram> programs{};                       ///< empty: not read
  std::vector<RawMap> maps{};                               ///< empty: there are none
};

struct Sample {
  std::uint64_t wall_ns = 0;
  std::uint64_t monotonic_ns = 0;
  std::string host;
  std::string kernel;
  std::string backend;
  std::vector<RawListener> listeners;
  std::vector<RawNamespace> namespaces;
  std::shared_ptr<const OwnerTable> owners;  ///< nullptr: not read
  std::optional<Counting> counting;          ///< nullopt: nothing is counted
  std::vector<ListenerCounts> counts;
  std::vector<RawClosed> closed;  ///< since the sample before, seen closing in the kernel
  /// Read before `counts`, so that a packet under way is never taken for lost; ports first listed
  /// in this sample begin after `counts`, at 0. By netns, then ifindex.
  std::vector<RawNic> nics;
  std::vector<RawCloseUp> close_ups;
  RawSelf self;
};

}  // namespace listenq
