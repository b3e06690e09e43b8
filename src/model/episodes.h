// SPDX-License-Identifier: Apache-2.0
//
// Bouts of losses, from the interval in which a listener first lost something until it has lost
// nothing for a while. Kept by the Deriver, which shows it every listener of every sample.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "model/snapshot.h"

namespace listenq {

/// The Deriver calls, for each Snapshot: begin(); see() for every row; see_closed() for every
/// listener that the kernel told to have closed; once waterfalls are there, lose_before_tcp() for
/// those of ports_losing_before_tcp(); finish().
///
/// Which step a loss belongs to: overflows_ack is at the ACK; what else `drops` holds is at the
/// SYN. (drops_other can have been at either, and nothing tells; drops_defer_accept is no loss.)
class Episodes {
 public:
  /// How the listener came to be known.
  enum class Known : std::uint8_t {
    appeared,        ///< in this sample, and was not there before: all that it lost is new
    first_sample,    ///< in this sample, perhaps long after it came: what it lost is of any age
    first_interval,  ///< in the sample before, in that way
    longer,
  };
  using Id = std::uint64_t;  ///< of the episode that goes on; 0: none

  void restart();
  void begin(Snapshot& snapshot, const Snapshot* previous);
  /// `before`: the same listener in the sample before, or null. `id` is kept with the listener.
  void see(const ListenerRow& row, const ListenerRow* before, Known known, Id& id) {
    const Gain gain = gained(row, before, known);
    if (id != 0 || gain.any()) note(row, before, known, gain, id);
  }
  /// `row` is one that see() was called for.
  void lose_before_tcp(const ListenerRow& row, std::uint64_t lost, Known known, Id& id);
  /// `last`: as the Deriver knew it, from this sample where `is_listed`; null: it came and went
  /// since the sample before.
  void see_closed(const ListenerRow& closed, const ListenerRow* last, bool is_listed);
  /// Gives the Snapshot its episodes, and its rows those that go on.
  void finish();

  /// The port lost SYNs on the way to TCP since the sample before, so many.
  struct LosingPort {
    const ListenerRow* row = nullptr;  ///< the listener that they are put down to
    std::uint64_t lost = 0;
  };
  /// Interfaces know ports, not listeners, so one of the port's listeners stands for all: the one
  /// that did in its episode that goes on, else the one that got most SYNs so far, else the first.
  [[nodiscard]] std::vector<LosingPort> ports_losing_before_tcp() const;

  /// Lost something already though it is new: one that was merely missed would bring all of its
  /// past as a loss of this interval, so the Deriver must make sure.
  [[nodiscard]] static bool brings_losses(const ListenerRow& row);

 private:
  /// What counters gained. Drops can be read before the overflow that is one of them.
  struct Gain {
    std::uint64_t drops = 0;
    std::uint64_t overflows_syn = 0;
    std::uint64_t overflows_ack = 0;
    std::uint64_t unknown = 0;
    [[nodiscard]] bool any() const { return (drops | unknown) != 0; }
  };
  /// More about an episode that goes on.
  struct Open {
    Episode episode;
    Gain sum;
    std::uint64_t last_loss_ns = 0;  ///< monotonic
    std::uint64_t sample = 0;        ///< number of the last sample that held the listener
    std::uint32_t row = 0;           ///< there
    bool changed = true;
    // Since the last loss: only if there is another one was the episode going on then.
    std::uint32_t accept_queue_peak = 0;
    std::optional<std::uint32_t> syn_queue_peak;
  };
  struct Entry {
    Id id = 0;
    std::shared_ptr<const Episode> shown;
    std::unique_ptr<Open> open;  ///< null: it ended
    std::uint64_t missed_since =
        0;  ///< number of the sample in which it ended without its listener
  };

  [[nodiscard]] static Gain gained(const ListenerRow& row, const ListenerRow* before, Known known);
  [[nodiscard]] static Gain gained(const Counting& now, const ListenerCounts& counts,
                                   const Counting& then, const ListenerCounts* counts_before);
  void note(const ListenerRow& row, const ListenerRow* before, Known known, const Gain& gain,
            Id& id);
  [[nodiscard]] Entry* find(Id id);
  [[nodiscard]] Entry* latest_of(const RawListener& raw);
  Entry& start(const ListenerRow& row, Known known);
  static void reopen(Entry& entry);
  void add(Open& open, const ListenerRow& row, const Gain& gain) const;
  [[nodiscard]] bool is_over(const Open& open) const;
  void trim();

  std::uint64_t samples_ = 0;
  Snapshot* snapshot_ = nullptr;
  const Snapshot* previous_ = nullptr;
  Id last_id_ = 0;
  std::deque<Entry> entries_;  ///< by id, which is by start
};

}  // namespace listenq
