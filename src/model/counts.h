// SPDX-License-Identifier: Apache-2.0
//
// What is counted of a listener, event by event, in the kernel. Names are the ids of the fields.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace listenq {

enum class Counter : std::uint8_t {
  syns,
  synacks,
  synack_retransmits,
  handshake_acks,
  accepts,
  overflows_syn,
  overflows_ack,
  drops,
  drops_syn_queue_full,
  drops_no_memory,
  drops_no_route,
  drops_max_syn_backlog,
  drops_defer_accept,
  drops_other,
  cookies_sent,
  cookies_valid,
  cookies_invalid,
  requests_expired,
  fastopen_overflows,
  closed_unaccepted,
  aborted_in_queue,
  count_,
};

inline constexpr std::size_t kCounters = static_cast<std::size_t>(Counter::count_);

/// The field id of a counter.
[[nodiscard]] std::string_view counter_name(Counter counter);

/// Times, in buckets that double: bucket i holds those of at most 2^i microseconds that are too
/// long for the one before; the last holds all longer ones too.
struct Histogram {
  static constexpr std::size_t kBuckets = 32;

  std::array<std::uint64_t, kBuckets> counts{};
  std::uint64_t sum_ns = 0;
  std::uint64_t max_ns = 0;

  /// Upper bound of a bucket in seconds; infinity for the last.
  [[nodiscard]] static double bound(std::size_t bucket);
  [[nodiscard]] std::uint64_t count() const;
  /// The time in seconds that `share` (0 to 1) of the values do not exceed, interpolated within its
  /// bucket and never above max_ns. Only for a histogram that holds something.
  [[nodiscard]] double quantile(double share) const;
};

/// Everything counted of one listener since the tool first saw it (or of one namespace).
struct ListenerCounts {
  std::array<std::uint64_t, kCounters> values{};
  /// The longest queues since the sample before, seen at what entered them; 0 when nothing did.
  std::uint32_t accept_queue_peak = 0;
  std::uint32_t syn_queue_peak = 0;
  Histogram accept_wait;
  Histogram handshake_time;

  [[nodiscard]] std::uint64_t operator[](Counter counter) const {
    return values[static_cast<std::size_t>(counter)];
  }
  [[nodiscard]] std::uint64_t& operator[](Counter counter) {
    return values[static_cast<std::size_t>(counter)];
  }
};

/// What this backend counts on this kernel; what it does not is absent, never 0.
struct Counting {
  std::uint32_t counters = 0;  ///< bit per Counter
  bool peaks = false;
  bool accept_wait = false;
  bool handshake_time = false;

  [[nodiscard]] bool counts(Counter counter) const {
    return ((counters >> static_cast<unsigned>(counter)) & 1U) != 0;
  }
  void add(Counter counter) { counters |= 1U << static_cast<unsigned>(counter); }
  bool operator==(const Counting&) const = default;
};

}  // namespace listenq
