// SPDX-License-Identifier: Apache-2.0
//
// See coverage.h. Our sums and the kernel's counters can't be read in one instant, and the kernel
// counts on meanwhile. So its counters are read before ours and after, and ours are right when they
// lie between the two; the same holds for the first sample, from which both are counted.
#include "model/coverage.h"

#include <algorithm>

namespace listenq {
namespace {

/// A counter of the kernel and those of ours that add up to it.
struct Sum {
  std::string_view name;
  Counter first;
  Counter second;     ///< the same: it is one alone
  bool has_residual;  ///< one of those that tell whether all was seen
};

constexpr std::string_view kLosses = "ListenDrops";

constexpr auto kSums = std::to_array<Sum>({
    {"ListenOverflows", Counter::overflows_syn, Counter::overflows_ack, true},
    {kLosses, Counter::drops, Counter::drops, true},
    {"TCPReqQFullDrop", Counter::drops_syn_queue_full, Counter::drops_syn_queue_full, true},
    {"SyncookiesSent", Counter::cookies_sent, Counter::cookies_sent, true},
    {"SyncookiesRecv", Counter::cookies_valid, Counter::cookies_valid, false},
    {"SyncookiesFailed", Counter::cookies_invalid, Counter::cookies_invalid, false},
    {"TCPFastOpenListenOverflow", Counter::fastopen_overflows, Counter::fastopen_overflows, false},
    {"TCPDeferAcceptDrop", Counter::drops_defer_accept, Counter::drops_defer_accept, false},
});

bool counts(const Sum& sum, const Counting& counting) {
  return counting.counts(sum.first) && counting.counts(sum.second);
}

std::uint64_t value(const Sum& sum, const ListenerCounts& counted) {
  return sum.first == sum.second ? counted[sum.first] : counted[sum.first] + counted[sum.second];
}

std::optional<std::uint64_t> find(const MibCounters& counters, std::string_view name) {
  const auto found = std::find_if(counters.begin(), counters.end(),
                                  [&](const auto& counter) { return counter.first == name; });
  if (found == counters.end()) return std::nullopt;
  return found->second;
}

/// What a counter of the kernel was while ours were read lies between the two.
struct Bracket {
  std::uint64_t low;
  std::uint64_t high;
};

std::optional<Bracket> bracket(const MibCounters& mib, const std::optional<MibCounters>& mib_after,
                               std::string_view name) {
  const auto before = find(mib, name);
  if (!before) return std::nullopt;
  if (!mib_after) return Bracket{*before, *before};
  const auto after = find(*mib_after, name);
  if (!after || *after < *before) return std::nullopt;
  return Bracket{*before, *after};
}

std::uint64_t gain(std::uint64_t now, std::uint64_t before) {
  return now > before ? now - before : 0;
}

}  // namespace

std::optional<double> coverage_ratio(std::uint64_t counted, std::uint64_t kernel) {
  if (kernel == 0) return std::nullopt;
  return static_cast<double>(counted) / static_cast<double>(kernel);
}

Coverage coverage_since(const CoverageStart& start, const RawNamespace& now,
                        const Counting& counting, const ListenerCounts& counted) {
  Coverage result;
  for (const Sum& sum : kSums) {
    if (!counts(sum, counting) || !counts(sum, start.counting)) continue;
    const std::uint64_t before = value(sum, start.counted);
    const std::uint64_t after = value(sum, counted);
    if (after < before) continue;  // counted anew
    const std::uint64_t ours = after - before;
    result.counted_since_start.emplace_back(sum.name, ours);
    const auto first = bracket(start.mib, start.mib_after, sum.name);
    const auto last = bracket(*now.mib, now.mib_after, sum.name);
    if (!sum.has_residual || !first || !last || last->high < first->low) continue;
    // The least and the most that it can have gained from our first look to this one.
    const std::uint64_t kernel =
        std::clamp(ours, gain(last->low, first->high), last->high - first->low);
    result.residual.emplace_back(sum.name, static_cast<std::int64_t>(kernel - ours));
    if (sum.name != kLosses) continue;
    result.counted_losses = ours;
    result.kernel_losses = kernel;
  }
  return result;
}

}  // namespace listenq
