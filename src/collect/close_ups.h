// SPDX-License-Identifier: Apache-2.0
//
// Single listeners looked at from near, within a sample. Called by the collector where somebody
// asked for it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/sample.h"
#include "procmap/throttling.h"

namespace listenq {

/// A listener to be looked at from near: see RawCloseUp.
struct CloseUpRequest {
  NetnsId netns{};
  std::optional<SocketCookie> cookie;
  std::uint64_t inode = 0;  ///< where there is no cookie
};

/// So many requests are heard, and so many holders of a listener read.
inline constexpr std::size_t kMostCloseUps = 64;
inline constexpr std::size_t kSharersRead = 16;

/// One for each request whose listener is in the sample, in the order of the requests; each
/// listener once.
[[nodiscard]] std::vector<RawCloseUp> find_close_ups(const std::vector<RawListener>& listeners,
                                                     std::span<const CloseUpRequest> requests);

/// Fills in who holds them, what the threads of these do, and their CPU limits.
void add_sharers(const std::string& proc, const OwnerTable& owners, CpuLimits& limits,
                 std::vector<RawCloseUp>& close_ups);

}  // namespace listenq
