// SPDX-License-Identifier: Apache-2.0
//
// Whether what was counted explains what the kernel counted itself: our sums over a namespace
// against the growth of its counters. For the Deriver.
#pragma once

#include "model/snapshot.h"

namespace listenq {

/// The namespace in the first sample in which it had both.
struct CoverageStart {
  MibCounters mib;
  std::optional<MibCounters> mib_after;
  Counting counting;
  ListenerCounts counted;
};

struct Coverage {
  MibCounters counted_since_start;
  Residual residual;
  // Losses (ListenDrops) since the start. The kernel's: of those that it may have counted until
  // ours were read, what is nearest to ours.
  std::uint64_t counted_losses = 0;
  std::uint64_t kernel_losses = 0;
};

/// counted / kernel; nullopt when the kernel lost nothing.
[[nodiscard]] std::optional<double> coverage_ratio(std::uint64_t counted, std::uint64_t kernel);

/// `now.mib` must be there. `counted` is the sum of all that `counting` counts in the namespace.
[[nodiscard]] Coverage coverage_since(const CoverageStart& start, const RawNamespace& now,
                                      const Counting& counting, const ListenerCounts& counted);

}  // namespace listenq
