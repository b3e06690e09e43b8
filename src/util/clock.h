// SPDX-License-Identifier: Apache-2.0
//
// The two clocks: the wall clock says when, the monotonic one how long.
#pragma once

#include <cstdint>
#include <string>

namespace listenq {

/// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] std::uint64_t monotonic_ns();

/// CLOCK_REALTIME in nanoseconds since 1970.
[[nodiscard]] std::uint64_t wall_ns();

/// RFC 3339 in UTC with milliseconds: 2026-01-31T23:59:59.123Z.
[[nodiscard]] std::string rfc3339(std::uint64_t wall_ns);

}  // namespace listenq
