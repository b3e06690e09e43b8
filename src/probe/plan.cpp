// SPDX-License-Identifier: Apache-2.0
//
// See plan.h.
#include "probe/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "util/text.h"

namespace listenq {
namespace {

constexpr std::array<std::string_view, kFeatures> kFeatureNames = {
    "sock_diag",
    "bpf",
    "light_skeleton",
    "cookie_helper",
    "iter_tcp",
    "iter_task_file",
    "iter_sk_storage",
    "init_pid_namespace",
    "namespaces",
    "fentry",
    "kprobe",
    "portable",
    "hook_syn",
    "hook_route",
    "hook_synack",
    "hook_ack",
    "hook_cookie",
    "hook_icmp_error",
    "hook_queue",
    "hook_accept",
    "hook_retransmit",
    "hook_timeout",
    "hook_close",
    "hook_listen",
    "tcx",
};

constexpr std::array kIterGroup = {Feature::iter_tcp, Feature::iter_task_file,
                                   Feature::iter_sk_storage};

constexpr std::array<std::string_view, 6> kBackendNames = {"auto",     "fentry", "kprobe",
                                                           "portable", "iter",   "diag"};

/// One way to feed a need. For each need the first row wins whose backend is the chosen one and
/// whose features are all there.
struct Way {
  Need need;
  std::vector<BackendChoice> backends;  ///< empty: any
  std::vector<Feature> features;
  std::string_view feeds;
};

const std::vector<Way>& ways() {
  using enum Feature;
  constexpr auto kIter = BackendChoice::iter;
  constexpr auto kDiag = BackendChoice::diag;
  static const std::vector<Way> table = {
      {Need::listener, {kIter}, {sock_diag}, "sock_diag, state LISTEN alone; lengths from BPF"},
      {Need::listener, {kIter}, {iter_tcp}, "BPF iter/tcp, up to the first connection"},
      {Need::listener, {kDiag}, {sock_diag}, "sock_diag, state LISTEN alone"},
      {Need::sk_drops, {kIter}, {}, "struct sock sk_drops, by BPF"},
      {Need::sk_drops, {kDiag}, {sock_diag}, "sock_diag INET_DIAG_SKMEMINFO"},
      {Need::syn_queue,
       {kIter},
       {iter_sk_storage},
       "icsk_accept_queue, by BPF iter/bpf_sk_storage_map over marked listeners"},
      {Need::syn_queue, {kIter}, {iter_tcp}, "icsk_accept_queue, by BPF iter/tcp"},
      {Need::owner, {kIter}, {iter_task_file, init_pid_namespace}, "BPF iter/task_file"},
      {Need::owner, {}, {}, "/proc/PID/fd of the processes that we may look into"},
      {Need::cgroup, {}, {}, "/proc/PID/cgroup of the owner; else the socket's own cgroup"},
      {Need::sysctl, {}, {}, "/proc/sys/net of the namespace"},
      {Need::watching, {}, {}, "two samples or more (-b, or the screen)"},
  };
  return table;
}

std::string_view nothing_feeds(Need need) {
  switch (need) {
    case Need::syn_queue:
      return "sock_diag does not tell the SYN queue";
    default:
      return "nothing here reads it";
  }
}

Feed feed_for(Need need, BackendChoice reader, const KernelFacts& facts) {
  std::string missing;
  for (const Way& way : ways()) {
    const bool applies = way.backends.empty() || std::find(way.backends.begin(), way.backends.end(),
                                                           reader) != way.backends.end();
    if (way.need != need || !applies) continue;
    const auto lacking = std::find_if(way.features.begin(), way.features.end(),
                                      [&](Feature feature) { return !facts[feature].have; });
    if (lacking == way.features.end()) return {std::string(way.feeds), ""};
    missing = fmt::format("{}: {}", feature_name(*lacking), facts[*lacking].why_not);
  }
  return {"", missing.empty() ? std::string(nothing_feeds(need)) : missing};
}

constexpr std::array kTiers = {BackendChoice::fentry, BackendChoice::kprobe,
                               BackendChoice::portable};

Feature tier_feature(BackendChoice tier) {
  switch (tier) {
    case BackendChoice::fentry:
      return Feature::fentry;
    case BackendChoice::kprobe:
      return Feature::kprobe;
    default:
      return Feature::portable;
  }
}

/// What a counted thing is counted by: the hooks it takes, and in which words to say so.
struct Counted {
  std::vector<Feature> hooks;
  std::string_view functions;  ///< fentry, kprobe
  std::string_view portable;   ///< empty: the portable way can't tell
  std::string_view kprobe{};   ///< where it is not that of fentry
};

constexpr std::string_view kPackets =
    "root cgroup's socket filter (runs on every packet of every socket), MIB of the CPU";
constexpr std::string_view kAroundSyn = "MIB of the CPU around tcp_conn_request()";
constexpr std::string_view kAroundCookie =
    "MIB of the CPU around cookie_v4_check(), cookie_v6_check()";
constexpr std::string_view kSynackAgain = "tracepoint tcp_retransmit_synack";
constexpr std::string_view kLeftQueue = "entered the accept queue, less what is in it";
constexpr std::string_view kAcceptReturns =
    "tracepoints sys_exit_accept, sys_exit_accept4 (not for io_uring)";

const Counted& counted(Counter counter) {
  using enum Feature;
  static const std::array<Counted, kCounters> table = {{
      {{hook_syn, hook_ack}, "tcp_conn_request(), tcp_check_req()", kPackets},
      {{hook_syn, hook_synack}, "tcp_make_synack() in tcp_conn_request()", kPackets},
      {{hook_retransmit}, kSynackAgain, kSynackAgain},
      {{hook_queue, hook_ack, hook_cookie},
       "inet_csk_reqsk_queue_add(), tcp_check_req(), cookie_v4_check(), cookie_v6_check()",
       "tracepoint sk_data_ready, and the socket filter"},
      {{hook_queue, hook_close}, kLeftQueue, kLeftQueue},
      {{hook_syn}, kAroundSyn, kPackets},
      {{hook_ack, hook_cookie},
       "MIB of the CPU around tcp_check_req(), cookie_v4_check(), cookie_v6_check()",
       kPackets},
      {{hook_syn, hook_ack, hook_cookie, hook_icmp_error},
       "MIB of the CPU around tcp_conn_request(), tcp_check_req(), cookie_v4_check(), "
       "cookie_v6_check(), tcp_req_err()",
       kPackets},
      {{hook_syn}, kAroundSyn, kPackets},
      {{hook_syn, hook_route}, "tcp_conn_request() dropped, and asked for no route", ""},
      {{hook_syn, hook_route}, "tcp_v4_route_req(), tcp_v6_route_req() found none", ""},
      {{hook_syn},
       "tcp_conn_request() dropped, and 3/4 of tcp_max_syn_backlog were in use",
       "socket filter: dropped, and 3/4 of tcp_max_syn_backlog were in use"},
      {{hook_ack}, "MIB of the CPU around tcp_check_req()", kPackets},
      {{hook_syn, hook_ack, hook_cookie, hook_icmp_error},
       "the rest of what tcp_conn_request(), tcp_check_req() and the others dropped",
       "the rest of what the MIB of the CPU counted: memory, routes and all others"},
      {{hook_syn}, kAroundSyn, kPackets},
      {{hook_cookie}, kAroundCookie, kPackets},
      {{hook_cookie}, kAroundCookie, kPackets},
      {{hook_timeout},
       "reqsk_timer_handler()",
       "tracepoints timer_expire_entry, timer_expire_exit (run at every timer)"},
      {{hook_syn}, kAroundSyn, kPackets},
      {{hook_close},
       "inet_csk_listen_stop()",
       "tracepoint inet_sock_set_state (runs at every change of a socket's state)"},
      {{hook_accept},
       "state of the connection that inet_csk_accept() returns",
       kAcceptReturns,
       "state of the connection when accept() frees its request: tcp_v4_reqsk_destructor(), "
       "tcp_v6_reqsk_destructor()"},
  }};
  return table[static_cast<std::size_t>(counter)];
}

std::string_view words_for(const Counted& what, BackendChoice tier) {
  if (tier == BackendChoice::portable) return what.portable;
  return tier == BackendChoice::kprobe && !what.kprobe.empty() ? what.kprobe : what.functions;
}

Feed feed_of(const Counted& what, BackendChoice tier, const KernelFacts& facts) {
  const std::string_view name = words_for(what, tier);
  if (name.empty()) return {"", "only tracing the kernel's functions tells (fentry, kprobe)"};
  for (const Feature hook : what.hooks) {
    if (facts[hook].have) continue;
    return {"", fmt::format("{}: {}", feature_name(hook),
                            facts[hook].why_not.empty() ? "not tried" : facts[hook].why_not)};
  }
  return {fmt::format("{}: {}", backend_name(tier), name), ""};
}

void plan_counting(Plan& plan, BackendChoice tier, const KernelFacts& facts) {
  Counting counting;
  for (std::size_t i = 0; i < kCounters; ++i) {
    const auto counter = static_cast<Counter>(i);
    Feed& feed = plan.counter_feeds[i];
    feed = feed_of(counted(counter), tier, facts);
    if (!feed.from.empty()) counting.add(counter);
  }
  using enum Feature;
  plan.peaks = feed_of({{hook_syn, hook_queue},
                        "tcp_conn_request(), inet_csk_reqsk_queue_add()",
                        "socket filter, tracepoint sk_data_ready"},
                       tier, facts);
  plan.accept_wait = feed_of({{hook_accept},
                              "inet_csk_accept(), rcvq_space.time of the connection",
                              kAcceptReturns,
                              "tcp_v4_reqsk_destructor(), tcp_v6_reqsk_destructor(), "
                              "rcvq_space.time of the connection"},
                             tier, facts);
  plan.handshake_time = feed_of({{hook_queue},
                                 "inet_csk_reqsk_queue_add(), snt_synack of the request",
                                 "tracepoint sk_data_ready, snt_synack of the request"},
                                tier, facts);
  counting.peaks = !plan.peaks.from.empty();
  counting.accept_wait = !plan.accept_wait.from.empty();
  counting.handshake_time = !plan.handshake_time.from.empty();
  plan.counting = counting;
  plan.feeds[static_cast<std::size_t>(Need::listen_call)] =
      feed_of({{hook_listen}, "__sys_listen()", "tracepoint sys_exit_listen (not for io_uring)"},
              tier, facts);
  plan.feeds[static_cast<std::size_t>(Need::nic)] = {
      fmt::format("{}: the listener's counters; packets at the interfaces that are watched",
                  backend_name(tier)),
      ""};
}

/// Why nothing counts, for all fields that would need it.
void plan_no_counting(Plan& plan, const std::string& why_not) {
  const Feed none{"", why_not};
  plan.counter_feeds.fill(none);
  plan.peaks = plan.accept_wait = plan.handshake_time = none;
  plan.feeds[static_cast<std::size_t>(Need::listen_call)] = none;
  plan.feeds[static_cast<std::size_t>(Need::nic)] = none;
}

/// Why a backend that stands on this feature of BPF can't be had; empty: it can.
std::string impossible(Feature feature, const KernelFacts& facts) {
  if (!facts[Feature::bpf].have) return facts[Feature::bpf].why_not;
  const Fact& fact = facts[feature];
  if (fact.have) return "";
  return fact.why_not.empty() ? "it was not tried" : fact.why_not;
}

std::string tier_impossible(BackendChoice tier, const KernelFacts& facts) {
  return impossible(tier_feature(tier), facts);
}

std::optional<BackendChoice> best_tier(const KernelFacts& facts) {
  for (const BackendChoice tier : kTiers) {
    if (tier_impossible(tier, facts).empty()) return tier;
  }
  return std::nullopt;
}

std::string no_tier_because(const KernelFacts& facts, bool wanted) {
  if (!wanted)
    return "counting takes time to pass: not in a single sample, nor where no field asks";
  if (!facts[Feature::bpf].have) return facts[Feature::bpf].why_not;
  std::string text;
  for (const BackendChoice tier : kTiers) {
    if (!text.empty()) text += "; ";
    text += fmt::format("{}: {}", backend_name(tier), tier_impossible(tier, facts));
  }
  return text;
}

}  // namespace

std::string_view feature_name(Feature feature) {
  return kFeatureNames[static_cast<std::size_t>(feature)];
}

std::string_view backend_name(BackendChoice choice) {
  return kBackendNames[static_cast<std::size_t>(choice)];
}

std::string kernel_lacks(std::string_view hook) {
  if (!hook.starts_with(kTracepointInBtf)) {
    return fmt::format("the kernel has no function {}()", hook);
  }
  hook.remove_prefix(kTracepointInBtf.size());
  return fmt::format("the kernel has no tracepoint {}{}", hook,
                     hook == "sk_data_ready" ? " (new in Linux 6.3)" : "");
}

std::string no_compare_and_swap(bool has_data_ready) {
  std::string text = "BPF has no compare-and-swap in this kernel (new in Linux 5.12)";
  if (!has_data_ready) text += "; besides, " + kernel_lacks("btf_trace_sk_data_ready");
  return text;
}

Result<std::vector<Feature>> parse_features(std::string_view list) {
  std::vector<Feature> features;
  for (const std::string_view name : split(list, ',')) {
    if (name == "iter") {
      features.insert(features.end(), kIterGroup.begin(), kIterGroup.end());
      continue;
    }
    const auto found = std::find(kFeatureNames.begin(), kFeatureNames.end(), name);
    if (found == kFeatureNames.end()) {
      return failure(ErrorKind::usage,
                     fmt::format("--no-feature: there is no feature '{}'; choose from iter, {}",
                                 printable(name), fmt::join(kFeatureNames, ", ")));
    }
    features.push_back(static_cast<Feature>(std::distance(kFeatureNames.begin(), found)));
  }
  return features;
}

Result<BackendChoice> parse_backend(std::string_view name) {
  const auto found = std::find(kBackendNames.begin(), kBackendNames.end(), name);
  if (found == kBackendNames.end()) {
    return failure(ErrorKind::usage,
                   fmt::format("--backend: there is no backend '{}'; choose from {}",
                               printable(name), fmt::join(kBackendNames, ", ")));
  }
  return static_cast<BackendChoice>(std::distance(kBackendNames.begin(), found));
}

bool counts_events(BackendChoice choice) {
  return std::find(kTiers.begin(), kTiers.end(), choice) != kTiers.end();
}

const Feed& Plan::feed(const Field& field) const {
  std::string_view id = field.id;
  constexpr std::string_view kRate = "_per_second";
  if (id.ends_with(kRate)) id.remove_suffix(kRate.size());
  for (std::size_t i = 0; i < kCounters; ++i) {
    if (id == counter_name(static_cast<Counter>(i))) return counter_feeds[i];
  }
  if (id.ends_with("_peak")) return peaks;
  if (id.starts_with("accept_wait")) return accept_wait;
  if (id.starts_with("handshake_time")) return handshake_time;
  return feed(field.need);
}

Result<Plan> make_plan(const KernelFacts& facts, BackendChoice choice, bool counting_wanted) {
  const std::string no_iter = impossible(Feature::iter_tcp, facts);
  Plan plan;
  std::optional<BackendChoice> tier;
  plan.reader = no_iter.empty() ? BackendChoice::iter : BackendChoice::diag;
  switch (choice) {
    case BackendChoice::fentry:
    case BackendChoice::kprobe:
    case BackendChoice::portable:
      if (const std::string why = tier_impossible(choice, facts); !why.empty()) {
        return failure(ErrorKind::unsupported,
                       fmt::format("backend {} can't be used: {}; --backend auto takes what there "
                                   "is, and --explain says what that would be",
                                   backend_name(choice), why));
      }
      tier = choice;
      break;
    case BackendChoice::iter:
      if (!no_iter.empty()) {
        return failure(
            ErrorKind::unsupported,
            fmt::format("backend iter can't be used: {}; --backend diag needs none of it",
                        no_iter));
      }
      break;
    case BackendChoice::automatic:
      if (counting_wanted) tier = best_tier(facts);
      plan.why_not_better = no_iter;
      break;
    case BackendChoice::diag:
      plan.reader = BackendChoice::diag;
      break;
  }
  plan.backend = tier.value_or(plan.reader);
  if (plan.reader == BackendChoice::diag && !facts[Feature::sock_diag].have) {
    return failure(
        ErrorKind::unsupported,
        no_iter.empty() || choice == BackendChoice::diag
            ? fmt::format("backend diag can't be used: {}", facts[Feature::sock_diag].why_not)
            : fmt::format("no way to read listeners here: iter: {}; diag: {}", no_iter,
                          facts[Feature::sock_diag].why_not));
  }
  for (std::size_t i = 0; i < kNeeds; ++i) {
    plan.feeds[i] = feed_for(static_cast<Need>(i), plan.reader, facts);
  }
  if (tier) {
    plan_counting(plan, *tier, facts);
  } else if (choice == BackendChoice::automatic) {
    plan_no_counting(plan, no_tier_because(facts, counting_wanted));
  } else {
    plan_no_counting(plan, fmt::format("backend {} does not count", backend_name(choice)));
  }
  plan.owners_from_bpf = plan.reader == BackendChoice::iter &&
                         facts[Feature::iter_task_file].have &&
                         facts[Feature::init_pid_namespace].have;
  return plan;
}

}  // namespace listenq
