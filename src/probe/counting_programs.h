// SPDX-License-Identifier: Apache-2.0
//
// The BPF programs that count, attached in one of three ways: fentry, kprobe, portable. Beside
// bpf_programs.cpp the only code that knows libbpf. Everything it attaches hangs on descriptors of
// this process, so nothing stays attached when the process ends, however it ends.
#pragma once

#include <linux/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "listenq/abi.h"
#include "probe/plan.h"

namespace listenq {

class CountingPrograms {
 public:
  CountingPrograms() = default;
  CountingPrograms(const CountingPrograms&) = delete;
  CountingPrograms& operator=(const CountingPrograms&) = delete;
  virtual ~CountingPrograms() = default;

  /// Loads the programs of one way and attaches each by itself; writes into `facts` the way's own
  /// feature and its hooks. Hooks that `facts` deny already are left out. nullptr when the way
  /// can't be had: facts say why, and no hook of it is noted.
  [[nodiscard]] static std::unique_ptr<CountingPrograms> attach(BackendChoice way,
                                                                KernelFacts& facts);

  /// Ends the epoch of the peaks and returns its number.
  virtual std::uint32_t next_epoch() = 0;

  /// Portable: gives the losses of the last packet of each CPU to its listener. A CPU that is just
  /// at one is left for later.
  virtual void settle() = 0;

  using TakeCounts = std::function<void(const listenq_counted&, const listenq_counts&)>;
  using TakeClosed = std::function<void(const listenq_closed_record&)>;
  using TakeLeftover = std::function<void(std::uint32_t netns, const listenq_counts&)>;

  /// Every listener that has counts. The text of an error, or "".
  [[nodiscard]] virtual std::string read_counts(const TakeCounts& take) = 0;
  /// Listeners that closed since the last call; each is handed over once.
  virtual void read_closed(const TakeClosed& take) = 0;
  /// What was counted for no listener that is kept, by namespace, since the start.
  virtual void read_leftover(const TakeLeftover& take) = 0;

  /// Since the start, by listenq_lost_cause.
  [[nodiscard]] virtual std::array<std::uint64_t, LISTENQ_LOST_CAUSES> lost() const = 0;
  /// How many listeners, and how many namespaces for what no listener is kept for, the tables hold.
  struct Room {
    std::uint64_t listeners = 0;
    std::uint64_t namespaces = 0;
  };
  [[nodiscard]] virtual Room room() const = 0;

  virtual void list_programs(std::vector<RawProgram>& programs) const = 0;

  /// How often the kernel left a program out since the start, because the event came while the same
  /// program (kprobe: any program of a probe) was running on that CPU. What was left out need not
  /// have been about a listener. 0 before 5.12, which does not tell
  /// (bpf_prog_info.recursion_misses).
  [[nodiscard]] virtual std::uint64_t missed_runs() = 0;
};

}  // namespace listenq
