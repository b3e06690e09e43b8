// SPDX-License-Identifier: Apache-2.0
//
// Sample after Sample in, Snapshot after Snapshot out: rates, fills, which limit applies and what
// set it, groups, what was closed meanwhile. Knows nothing of the kernel; live and replay use it
// alike.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include "model/coverage.h"
#include "model/episodes.h"
#include "model/snapshot.h"

namespace listenq {

/// Container id and pod uid found in a cgroup path; empty when there is none.
struct CgroupNames {
  std::string_view container;  ///< into the path
  std::string pod;             ///< with dashes, as Kubernetes prints it
};
[[nodiscard]] CgroupNames names_in_cgroup(std::string_view path);

class Deriver {
 public:
  /// Never fails. Samples must come in the order of their monotonic time and from one machine; one
  /// that does not (a recording put together from two) starts the rates anew.
  [[nodiscard]] std::shared_ptr<const Snapshot> derive(std::shared_ptr<const Sample> sample);

 private:
  enum class Identity : std::uint8_t { cookie, inode, address };
  struct Key {
    std::uint64_t id = 0;  ///< of the kind that the kernel gave
    std::uint32_t netns = 0;
    std::uint16_t port = 0;  ///< an inode number can come again with another socket
    Identity identity = Identity::cookie;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct History {
    std::uint64_t sample = 0;        ///< number of the last sample that held it
    std::uint64_t first_sample = 0;  ///< of the first
    Episodes::Id episode = 0;
    std::uint32_t row = 0;                       ///< in the Snapshot of that sample
    bool closed_since = false;                   ///< in that sample, and seen closing in it too
    std::optional<std::uint64_t> first_seen_ns;  ///< monotonic; nullopt: was there when we came
    std::optional<std::uint32_t> sk_drops;       ///< the last that could be read
    std::uint64_t sk_drops_ns = 0;               ///< monotonic, when that was
    std::optional<std::uint32_t> clamped_limit;  ///< seen with this limit == somaxconn
  };
  struct NamespaceHistory {
    std::uint64_t sample = 0;              ///< number of the last sample that held it
    bool seen_before = false;              ///< in an earlier sample than that
    std::size_t row = 0;                   ///< in the Snapshot of that sample
    const NamespaceRow* before = nullptr;  ///< in the sample before; null: not in that one
    std::optional<MibCounters> first_mib;
    std::optional<CoverageStart> coverage_start;
  };
  struct Unread {
    std::shared_ptr<const Snapshot> last;  ///< the last that held the namespace
    std::uint64_t wall_ns = 0;             ///< of the first sample that did not
  };

  /// Owners are read seldom, so what their cgroup paths say is found once for many samples.
  struct OwnerNames {
    std::shared_ptr<const OwnerTable> owners;
    std::unordered_map<const Process*, CgroupNames> names;
  };

  static Key key_of(const RawListener& raw);
  [[nodiscard]] bool continues(const Sample& sample) const;
  void restart();
  void derive_namespaces(Snapshot& snapshot);
  void derive_coverage(NamespaceRow& row, NamespaceHistory& history, Snapshot& snapshot);
  void derive_totals(Snapshot& snapshot) const;
  static void add_rates(Snapshot& snapshot, const NamespaceRow& row, const NamespaceRow& before);
  void derive_listeners(Snapshot& snapshot);
  void derive_cgroup(ListenerRow& row, const ListenerRow* before, Snapshot& snapshot);
  void derive_waterfalls(Snapshot& snapshot);
  void derive_episodes(Snapshot& snapshot);
  void derive_history(std::size_t index, bool seen_netns_before, Snapshot& snapshot);
  [[nodiscard]] bool holds(NetnsId netns) const;
  [[nodiscard]] Episodes::Known known_as(const History& history, const ListenerRow& row) const;
  // closing.cpp
  struct LastSeen {
    const ListenerRow* row = nullptr;  ///< null: it was never in a sample
    bool is_listed = false;            ///< it is in this one
  };
  [[nodiscard]] LastSeen last_seen(const RawClosed& closed, const Snapshot& snapshot);
  [[nodiscard]] bool closed_before(const Key& key) const;
  [[nodiscard]] bool is_missing(const ListenerRow& row) const;
  [[nodiscard]] std::shared_ptr<const ClosedListener>* guess_of(
      const std::unordered_map<Key, std::uint64_t, KeyHash>& guesses, const Key& key);
  [[nodiscard]] const ListenerRow* last_row(const History& history, const RawClosed& closed,
                                            const Snapshot& snapshot) const;
  void close_seen(Snapshot& snapshot);
  void close_seen(const RawClosed& closed, bool is_kept, Snapshot& snapshot);
  void close_unlisted(const RawClosed& closed, std::uint64_t wall_ns, Snapshot& snapshot);
  void close_missing(const Snapshot& snapshot);
  void close_guessed(const ListenerRow& row, std::uint64_t wall_ns);
  void push_closed(std::shared_ptr<const ClosedListener> closed);

  std::uint64_t samples_ = 0;
  std::size_t seen_ = 0;  ///< entries of history_ that the newest sample holds
  std::shared_ptr<const Snapshot> previous_;
  std::unordered_map<Key, History, KeyHash> history_;
  std::unordered_map<std::uint32_t, NamespaceHistory> namespaces_;
  std::map<NetnsId, Unread> unread_;
  std::shared_ptr<OwnerNames> owner_names_;
  Waterfalls waterfalls_;
  Episodes episodes_;
  std::deque<std::shared_ptr<const ClosedListener>> closed_;
  std::uint64_t closed_count_ = 0;  ///< ever; the newest is at the back of closed_
  /// Those that were only found missing, by their place in that count, of this sample and the one
  /// before: the word of the kernel may come a sample late.
  std::unordered_map<Key, std::uint64_t, KeyHash> guessed_;
  std::unordered_map<Key, std::uint64_t, KeyHash> guessed_before_;
};

/// What was counted at this index of the sample: all zero when there is none, null where the sample
/// counts nothing.
[[nodiscard]] const ListenerCounts* counts_at(const Sample& sample,
                                              std::optional<std::uint32_t> index);

/// Fill, limits and peaks of a row, from its `raw`, its namespace and its counts; `before` is the
/// same listener in the sample before, or null.
void set_queues(ListenerRow& row, const ListenerRow* before);

/// listen() cuts the backlog to somaxconn once; a later change of somaxconn leaves the limit alone.
/// So equality tells what cut it, where the call was not seen, and `clamped` remembers that it was
/// equal once.
void set_limit_origin(ListenerRow& row, std::optional<std::uint32_t>& clamped);

void set_owner(ListenerRow& row, const OwnerTable& owners);

/// The number of request sockets at which a further SYN is refused or answered by a cookie, by the
/// settings of the listener's namespace (inet_csk_reqsk_queue_is_full(), tcp_conn_request()).
/// nullopt: the queue is not used (tcp_syncookies = 2) or the settings are not known.
[[nodiscard]] std::optional<std::uint32_t> applying_syn_queue_limit(std::uint32_t limit,
                                                                    const Sysctls& sysctls);

}  // namespace listenq
