// SPDX-License-Identifier: Apache-2.0
//
// Names of counters, and what a histogram of times tells.
#include "model/counts.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace listenq {
namespace {

constexpr std::array<std::string_view, kCounters> kNames = {
    "syns",
    "synacks",
    "synack_retransmits",
    "handshake_acks",
    "accepts",
    "overflows_syn",
    "overflows_ack",
    "drops",
    "drops_syn_queue_full",
    "drops_no_memory",
    "drops_no_route",
    "drops_max_syn_backlog",
    "drops_defer_accept",
    "drops_other",
    "cookies_sent",
    "cookies_valid",
    "cookies_invalid",
    "requests_expired",
    "fastopen_overflows",
    "closed_unaccepted",
    "aborted_in_queue",
};
static_assert(!kNames.back().empty(), "each counter needs its name");
static_assert(kCounters <= 32, "Counting has 32 bits");

}  // namespace

std::string_view counter_name(Counter counter) {
  return kNames[static_cast<std::size_t>(counter)];
}

double Histogram::bound(std::size_t bucket) {
  if (bucket + 1 >= kBuckets) return std::numeric_limits<double>::infinity();
  return static_cast<double>(std::uint64_t{1} << bucket) / 1e6;
}

std::uint64_t Histogram::count() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

double Histogram::quantile(double share) const {
  const double longest = static_cast<double>(max_ns) / 1e9;
  const double rank = share * static_cast<double>(count());
  double before = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (counts[i] == 0 || before + here < rank) {
      before += here;
      continue;
    }
    const double lower = i == 0 ? 0 : bound(i - 1);
    const double upper = std::min(bound(i), longest);
    return std::min(lower + std::max(upper - lower, 0.0) * (rank - before) / here, longest);
  }
  return longest;
}

}  // namespace listenq
