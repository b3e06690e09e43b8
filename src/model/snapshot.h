// SPDX-License-Identifier: Apache-2.0
//
// A Snapshot: one Sample with everything that follows from it and from those before it. All that a
// view may see. It owns its Sample; rows point into it and live as long as the Snapshot does.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/sample.h"

namespace listenq {

enum class LimitSetBy : std::uint8_t { unknown, application, somaxconn };

struct NamespaceRow;

struct ListenerRow {
  const RawListener* raw = nullptr;        ///< never null
  const NamespaceRow* netns = nullptr;     ///< never null
  const Process* process = nullptr;        ///< the owner with the lowest pid; null: none known
  std::span<const std::int32_t> pids;      ///< ascending; empty: none known
  std::optional<std::string_view> cgroup;  ///< of the process; else of the socket
  std::string_view container;              ///< id from the cgroup path, into `cgroup`; empty: none
  std::string_view pod;                    ///< uid from the cgroup path; empty: none
  std::uint32_t reuseport = 1;             ///< listeners that share netns, address and port
  double accept_queue_fill = 0;            ///< len / (limit + 1); 1.0 = full; can exceed 1 after a
                                           ///< smaller second listen()
  std::optional<std::uint32_t> syn_queue_limit;  ///< the one that applies now
  std::optional<double> syn_queue_fill;          ///< len / limit; nullopt when either is
  LimitSetBy limit_set_by = LimitSetBy::unknown;
  std::optional<bool> somaxconn_raised_since;
  std::optional<double> state_age_seconds;    ///< known for listeners that appeared while watching
  std::optional<double> sk_drops_per_second;  ///< nullopt in its first sample
};

struct NamespaceRow {
  const RawNamespace* raw = nullptr;           ///< never null
  std::optional<MibCounters> mib_since_start;  ///< nullopt in its first sample
};

/// A listener that is gone, with a copy of all that its row points into, except the counters of its
/// namespace: a thousand copies of those would outweigh everything else.
struct ClosedListener {
  ClosedListener(const ListenerRow& last, std::uint64_t closed_at_wall_ns);
  ClosedListener(const ClosedListener&) = delete;
  ClosedListener& operator=(const ClosedListener&) = delete;
  ~ClosedListener() = default;

  std::uint64_t closed_wall_ns = 0;  ///< of the first sample that missed it
  ListenerRow row;                   ///< as it was last seen

 private:
  RawListener raw_;
  RawNamespace raw_namespace_;
  NamespaceRow namespace_;
  Process process_;
  std::vector<std::int32_t> pids_;
  std::string pod_;
};

struct Snapshot {
  std::shared_ptr<const Sample> sample;    ///< never null
  std::optional<double> interval_seconds;  ///< since the sample before; nullopt in the first
  std::vector<ListenerRow> listeners;      ///< in the order of the sample
  std::vector<NamespaceRow> namespaces;    ///< in the order of the sample; then those that it
                                           ///< names with a listener only
  std::vector<std::shared_ptr<const ClosedListener>> closed;  ///< the latest 1,000, newest last

  // What rows point into and the Sample does not hold.
  std::deque<RawNamespace> unlisted_namespaces;
  std::deque<std::string> pods;                 ///< of rows without an owner
  std::shared_ptr<const void> names_of_owners;  ///< pods of the others

  /// A listener whose losses grow now, or whose accept queue is full.
  [[nodiscard]] static bool in_trouble(const ListenerRow& row) {
    return row.sk_drops_per_second.value_or(0) > 0 || row.accept_queue_fill >= 1.0;
  }
};

}  // namespace listenq
