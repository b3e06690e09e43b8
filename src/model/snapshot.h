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
#include <utility>
#include <vector>

#include "model/sample.h"
#include "model/waterfall.h"

namespace listenq {

enum class LimitSetBy : std::uint8_t { unknown, application, somaxconn };

struct NamespaceRow;

/// One bout of losses of a listener: from the interval in which it first lost something until it
/// has lost nothing for a while. Kept by the Deriver; a new copy in each Snapshot that changes it.
struct Episode {
  RawListener listener;  ///< as it was last seen
  std::optional<std::string> netns_name;
  std::string process;   ///< of the owner with the lowest pid; empty: none known
  std::int32_t pid = 0;  ///< 0: none known

  std::uint64_t start_wall_ns = 0;  ///< the sample before the first that saw a loss
  /// It may have begun earlier: the first interval in which the listener was watched had losses.
  bool may_be_older = false;
  std::uint64_t last_wall_ns = 0;  ///< the last sample that saw a loss
  bool ended = false;              ///< at last_wall_ns

  // What was lost, by step of the handshake. They don't overlap.
  std::uint64_t lost_before_tcp = 0;  ///< seen by an interface, never by the listener
  std::uint64_t lost_at_syn = 0;
  std::uint64_t lost_at_ack = 0;
  std::uint64_t lost_unknown = 0;  ///< by sk_drops, where nothing else is counted
  std::uint64_t overflows = 0;     ///< of these: refused because the accept queue was full

  // The queues at their worst.
  std::uint32_t accept_queue_peak = 0;
  std::uint32_t accept_queue_limit = 0;
  std::optional<std::uint32_t> syn_queue_peak;
  std::optional<std::uint32_t> syn_queue_limit;

  [[nodiscard]] std::uint64_t lost() const {
    return lost_before_tcp + lost_at_syn + lost_at_ack + lost_unknown;
  }
};

/// What all rows of a Snapshot with counts have in common.
struct CountingPeriod {
  Counting now;
  Counting before;     ///< of the sample before; nothing where there is none
  double seconds = 0;  ///< between the two
};

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
  // The three are null where nothing is counted. Values and rates: counted() and per_second().
  const CountingPeriod* counting = nullptr;
  const ListenerCounts* counts = nullptr;          ///< all zero until something happens to it
  const ListenerCounts* counts_before = nullptr;   ///< in the sample before; null: not in that one
  std::optional<std::uint32_t> accept_queue_peak;  ///< the most since the sample before
  std::optional<std::uint32_t> syn_queue_peak;
  const Waterfall* waterfall = nullptr;  ///< of its port; null: nothing is counted
  const Episode* episode = nullptr;      ///< the one that goes on; null: it loses nothing
};

/// nullopt where it is not counted.
[[nodiscard]] std::optional<std::uint64_t> counted(const ListenerRow& row, Counter counter);

/// nullopt where it is not counted, in the listener's first sample, and when it went backwards.
[[nodiscard]] std::optional<double> per_second(const ListenerRow& row, Counter counter);

/// What the listener refuses per second, and in all: drops or, where these are not counted,
/// overflows; else what the socket's own counter tells.
[[nodiscard]] std::optional<double> losses_per_second(const ListenerRow& row);
[[nodiscard]] std::optional<std::uint64_t> losses(const ListenerRow& row);

/// What the kernel's counter gained and nothing that was counted explains, by the kernel's name. 0:
/// all is explained; negative: more was counted than the kernel did.
using Residual = std::vector<std::pair<std::string_view, std::int64_t>>;

struct NamespaceRow {
  const RawNamespace* raw = nullptr;           ///< never null
  std::optional<MibCounters> mib_since_start;  ///< nullopt in its first sample
  /// Our sums for the kernel's counters, since the first sample with both; nullopt in that one and
  /// where nothing is counted.
  std::optional<MibCounters> counted_since_start;
  std::optional<Residual> residual;  ///< nullopt where counted_since_start is
  /// Counted losses / those of the kernel (ListenDrops); 1.0: every loss has an owner. nullopt when
  /// nothing was lost.
  std::optional<double> coverage;
  std::uint64_t counted_losses = 0;  ///< what coverage is the ratio of
  std::uint64_t kernel_losses = 0;
};

/// The counters of a namespace as they were last read.
[[nodiscard]] inline const std::optional<MibCounters>& latest_mib(const RawNamespace& raw) {
  return raw.mib_after ? raw.mib_after : raw.mib;
}

/// Events that our sums and the kernel's do not agree on, in one of its counters.
struct Unexplained {
  std::string_view name;
  std::uint64_t not_attributed = 0;  ///< the kernel counted them, we did not
  std::uint64_t not_in_kernel = 0;   ///< we counted them, the kernel did not
};

/// Sums over all listeners and namespaces of one Snapshot; nullopt where none of them knows.
struct Totals {
  std::size_t in_trouble = 0;
  std::optional<double> sk_drops_per_second;
  // Counted, in the namespaces that the sample before held too.
  std::optional<double> syns_per_second;
  std::optional<double> accepts_per_second;
  std::optional<double> overflows_per_second;
  std::optional<double> drops_per_second;
  // The kernel's own counters.
  std::optional<double> listen_overflows_per_second;
  std::optional<double> listen_drops_per_second;
  std::optional<std::uint64_t> listen_overflows_since_start;
  std::optional<std::uint64_t> listen_drops_since_start;
  std::optional<double> coverage;        ///< as of a namespace
  std::vector<Unexplained> unexplained;  ///< only where something is
  std::uint64_t lost_events = 0;         ///< by the tool
};

/// A listener that is gone, with a copy of all that its row points into, except the counters of its
/// namespace: a thousand copies of those would outweigh everything else.
struct ClosedListener {
  ClosedListener(const ListenerRow& last, std::uint64_t closed_at_wall_ns);
  ClosedListener(const ClosedListener&) = delete;
  ClosedListener& operator=(const ClosedListener&) = delete;
  ~ClosedListener() = default;

  std::uint64_t closed_wall_ns =
      0;            ///< as the kernel told; else of the first sample that missed it
  ListenerRow row;  ///< as it was last seen; without rates

 private:
  RawListener raw_;
  RawNamespace raw_namespace_;
  NamespaceRow namespace_;
  CountingPeriod counting_;
  std::unique_ptr<const ListenerCounts> counts_;
  std::unique_ptr<const Waterfall> waterfall_;
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
  std::vector<std::shared_ptr<const Episode>> episodes;  ///< the latest 1,000, by start, newest
                                                         ///< last
  Totals totals;

  // What rows point into and the Sample does not hold.
  std::shared_ptr<const Sample> before;  ///< null: this is the first one
  CountingPeriod counting;
  std::vector<Waterfall> waterfalls;  ///< one a port
  std::deque<RawNamespace> unlisted_namespaces;
  std::deque<std::string> pods;                 ///< of rows without an owner
  std::shared_ptr<const void> names_of_owners;  ///< pods of the others

  /// A listener whose losses grow now, in itself or on the way to it, or whose accept queue is
  /// full.
  [[nodiscard]] static bool in_trouble(const ListenerRow& row) {
    return is_losing(row) || row.accept_queue_fill >= 1.0;
  }
  [[nodiscard]] static bool is_losing(const ListenerRow& row) {
    return losses_per_second(row).value_or(0) > 0 ||
           (row.waterfall != nullptr && row.waterfall->loses_before_tcp());
  }
};

}  // namespace listenq
