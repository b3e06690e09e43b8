// SPDX-License-Identifier: Apache-2.0
//
// What this host can do (facts, found by trying), and what follows (the plan, pure). Every field
// needs something (Need in model/fields.h); the plan says what feeds it here, or why nothing does.
// `--explain` prints it, the tests make it over invented facts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/fields.h"
#include "util/result.h"

namespace listenq {

/// Ways of reading that may be missing, each by itself. The names are those of --no-feature.
enum class Feature : std::uint8_t {
  sock_diag,           ///< NETLINK_SOCK_DIAG answers for TCP
  bpf,                 ///< bpf() may be called and the kernel has BTF
  light_skeleton,      ///< the kernel relocates our programs itself (5.17): starts faster
  cookie_helper,       ///< bpf_get_socket_cookie() in iterators (5.12)
  iter_tcp,            ///< iter/tcp loads
  iter_task_file,      ///< iter/task_file with bpf_sock_from_file() loads (5.11)
  iter_sk_storage,     ///< iter/bpf_sk_storage_map and marks on sockets load (5.11)
  init_pid_namespace,  ///< process ids of iter/task_file are the ones we see
  namespaces,          ///< setns() into other network namespaces is allowed
  // Ways to count events, and in each the hooks; a hook that is missing costs its fields alone.
  fentry,           ///< BPF trampolines attach to kernel functions
  kprobe,           ///< BPF programs attach to kprobes
  portable,         ///< the root cgroup's socket filter and tracepoints suffice
  hook_syn,         ///< tcp_conn_request()
  hook_route,       ///< tcp_v4_route_req(), tcp_v6_route_req()
  hook_synack,      ///< tcp_make_synack()
  hook_ack,         ///< tcp_check_req()
  hook_cookie,      ///< cookie_v4_check(), cookie_v6_check()
  hook_icmp_error,  ///< tcp_req_err()
  hook_queue,       ///< inet_csk_reqsk_queue_add(), inet_csk_complete_hashdance()
  hook_accept,      ///< inet_csk_accept(); kprobe: tcp_v4_reqsk_destructor() and v6
  hook_retransmit,  ///< tracepoint tcp_retransmit_synack
  hook_timeout,     ///< reqsk_timer_handler()
  hook_close,       ///< inet_csk_listen_stop()
  hook_listen,      ///< __sys_listen()
  tcx,              ///< links for tc programs (6.6); tried with --nic
  count_,
};

inline constexpr std::size_t kFeatures = static_cast<std::size_t>(Feature::count_);
inline constexpr std::size_t kNeeds = static_cast<std::size_t>(Need::count_);

[[nodiscard]] std::string_view feature_name(Feature feature);

/// By its name, or the group name "iter" for all that the iter backend stands on.
[[nodiscard]] Result<std::vector<Feature>> parse_features(std::string_view list);

struct Fact {
  bool have = false;
  std::string why_not;   ///< a clause: "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)"
  std::string detail{};  ///< what a library said of it, for bug reports: only --explain shows it
};

struct KernelFacts {
  std::array<Fact, kFeatures> features;

  [[nodiscard]] const Fact& operator[](Feature feature) const {
    return features[static_cast<std::size_t>(feature)];
  }
  [[nodiscard]] Fact& operator[](Feature feature) {
    return features[static_cast<std::size_t>(feature)];
  }
};

/// What the type of a tracepoint begins with in the kernel's BTF.
inline constexpr std::string_view kTracepointInBtf = "btf_trace_";

/// Why a program has nothing to hang on: a kernel function, or a tracepoint as BTF names it.
[[nodiscard]] std::string kernel_lacks(std::string_view hook);

/// Why the portable way can't be had where BPF lacks what its programs are made of.
[[nodiscard]] std::string no_compare_and_swap(bool has_data_ready);

enum class BackendChoice : std::uint8_t { automatic, fentry, kprobe, portable, iter, diag };

[[nodiscard]] Result<BackendChoice> parse_backend(std::string_view name);

struct Feed {
  std::string from;     ///< the hook or file; empty: nothing
  std::string why_not;  ///< when nothing does
};

struct Plan {
  BackendChoice backend = BackendChoice::diag;  ///< the name of all of it: what counts, else reads
  BackendChoice reader = BackendChoice::diag;   ///< iter or diag: how the queues are read
  std::string why_not_better;  ///< of an automatic choice: why the reader is no more than diag
  bool owners_from_bpf = false;
  std::optional<Counting> counting;  ///< nullopt: nothing counts
  std::array<Feed, kNeeds> feeds;
  std::array<Feed, kCounters> counter_feeds;
  Feed peaks;
  Feed accept_wait;
  Feed handshake_time;

  [[nodiscard]] const Feed& feed(Need need) const { return feeds[static_cast<std::size_t>(need)]; }
  [[nodiscard]] const Feed& feed(const Field& field) const;
};

/// Pure. An error when the forced backend can't be had. Not `counting_wanted`: no backend that
/// counts is chosen automatically.
[[nodiscard]] Result<Plan> make_plan(const KernelFacts& facts, BackendChoice choice,
                                     bool counting_wanted = true);

[[nodiscard]] std::string_view backend_name(BackendChoice choice);

/// Whether the backend counts events: fentry, kprobe and portable do.
[[nodiscard]] bool counts_events(BackendChoice choice);

}  // namespace listenq
