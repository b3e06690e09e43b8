// SPDX-License-Identifier: Apache-2.0
//
// Sample after Sample in, Snapshot after Snapshot out: rates, fills, which limit applies and what set
// it, groups, what was closed meanwhile. Knows nothing of the kernel; live and replay use it alike.
#pragma once

#include <deque>
#include <memory>
#include <unordered_map>

#include "model/snapshot.h"

namespace listenq {

class Deriver {
 public:
  /// Never fails. Samples must come in the order of their monotonic time; one that does not (a
  /// recording put together from two) starts the rates anew.
  [[nodiscard]] std::shared_ptr<const Snapshot> derive(std::shared_ptr<const Sample> sample);

 private:
  struct History;
  struct Key {
    std::uint32_t netns = 0;
    std::uint64_t id = 0;  ///< cookie; inode where the kernel gave no cookie
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct History {
    std::optional<double> first_seen_seconds;  ///< monotonic; nullopt: was there when we came
    std::size_t row = 0;                       ///< in the previous Snapshot
    std::uint64_t sample = 0;                  ///< number of the last sample that held it
    bool clamped = false;                      ///< seen with limit == somaxconn
    std::uint32_t clamped_limit = 0;
  };

  static Key key_of(const RawListener& raw);
  void derive_listener(ListenerRow& row, const RawListener& raw, std::size_t index);
  void close_missing(Snapshot& snapshot);
  void derive_namespaces(Snapshot& snapshot);

  std::uint64_t samples_ = 0;
  std::shared_ptr<const Snapshot> previous_;
  std::unordered_map<Key, History, KeyHash> history_;
  std::unordered_map<std::uint32_t, MibCounters> first_mib_;
  std::deque<std::shared_ptr<const ClosedListener>> closed_;
};

/// The number of request sockets at which a further SYN is refused or answered by a cookie, by the
/// settings of the listener's namespace (inet_csk_reqsk_queue_is_full(), tcp_conn_request()).
/// nullopt: the queue is not used (tcp_syncookies = 2) or the settings are not known.
[[nodiscard]] std::optional<std::uint32_t> applying_syn_queue_limit(std::uint32_t limit,
                                                                    const Sysctls& sysctls);

/// Container id and pod uid found in a cgroup path; empty when there is none.
struct CgroupNames {
  std::string_view container;  ///< 64 or more hex digits, into the path
  std::string pod;             ///< with dashes, as Kubernetes prints it
};
[[nodiscard]] CgroupNames names_in_cgroup(std::string_view path);

}  // namespace listenq
