// SPDX-License-Identifier: Apache-2.0
//
// The addresses of a network namespace: a packet to one of them is for a listener here, any other
// to the same port only passes through. The programs at the interfaces hold packets against them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "util/result.h"

namespace listenq {

/// The programs' table has twice as many places, so that a search in it stays short.
inline constexpr std::size_t kMostAddresses = 128;

struct LocalAddresses {
  using Address = std::array<std::uint8_t, 16>;  ///< network byte order, IPv4 as ::ffff:a.b.c.d
  /// They can't be listed: too many, or whole networks are local. `addresses` is empty then.
  bool all = false;
  std::vector<Address> addresses;  ///< ascending, each once, without 127.0.0.0/8
};

/// Of the calling thread's namespace.
[[nodiscard]] Result<LocalAddresses> local_addresses();

}  // namespace listenq
