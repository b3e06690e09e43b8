// SPDX-License-Identifier: Apache-2.0
//
// Brings what the kernel counted into a Sample: finds the listener that each count belongs to,
// keeps the sums of those that closed, and derives what a way does not see by itself.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/sample.h"
#include "probe/backend.h"
#include "probe/plan.h"

struct listenq_counted;
struct listenq_counts;
struct listenq_closed_record;

namespace listenq {

class CountingPrograms;

class EventCounter {
 public:
  EventCounter(std::unique_ptr<CountingPrograms> programs, const Plan& plan);
  EventCounter(const EventCounter&) = delete;
  EventCounter& operator=(const EventCounter&) = delete;
  ~EventCounter();

  /// Once a sample, after its listeners and namespaces were read. Listeners that closed are taken
  /// from all namespaces, or only from those of the sample. Leaves the thread in any of them.
  void add_to(Sample& sample, bool all_namespaces, const Backend::Enter& enter);

  void list_programs(std::vector<RawProgram>& programs) const;

 private:
  /// An entry of the kernel's table (a listener from its first event on): when it was made, and the
  /// network namespace.
  using Identity = std::pair<std::uint64_t, std::uint32_t>;
  struct Life {
    ListenerCounts counts;
    std::uint64_t cookie = 0;
    /// Connections in the queue before the first that was counted; see queued_before().
    std::int64_t queued_before = 0;
    std::optional<std::int32_t> listen_requested;
    std::string interface;     ///< as the last sample named it
    std::uint64_t sample = 0;  ///< number of the last sample that saw it
  };

  void read_lives(std::uint32_t epoch);
  void take(const listenq_counted& head, const listenq_counts& counts, std::uint32_t epoch);
  void take_closed(const listenq_closed_record& record, Sample& sample, bool all_namespaces,
                   const Backend::Enter& enter);
  void forget_missing();
  void join(Sample& sample);
  void sum_up(Sample& sample);
  void account(RawSelf& self) const;
  [[nodiscard]] std::int64_t queued_before(const listenq_counts& counts, std::uint64_t cookie,
                                           std::uint32_t in_queue) const;
  [[nodiscard]] ListenerCounts convert(const listenq_counts& counts, std::int64_t queued_before,
                                       std::uint32_t in_queue) const;

  std::unique_ptr<CountingPrograms> programs_;
  Counting counting_;
  std::uint64_t samples_ = 0;
  std::uint64_t first_sample_ns_ = 0;
  std::map<Identity, Life> lives_;
  std::unordered_map<std::uint64_t, std::uint32_t> first_queues_;  ///< by cookie; only those not 0
  std::map<std::uint32_t, ListenerCounts> closed_;                 ///< sums, by namespace
  std::uint64_t entries_ = 0;    ///< of the kernel's table of listeners, in the last sample
  std::uint64_t leftovers_ = 0;  ///< of that of namespaces
  std::uint64_t read_errors_ = 0;
};

}  // namespace listenq
