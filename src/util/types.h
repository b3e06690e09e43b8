// SPDX-License-Identifier: Apache-2.0
//
// Numbers that must not be mixed up: each is a type of its own.
#pragma once

#include <cstdint>

namespace listenq {

/// Inode number of a network namespace, as in `readlink /proc/PID/ns/net`.
enum class NetnsId : std::uint32_t {};

/// sock_gen_cookie() of a socket: never reused while the machine is up.
enum class SocketCookie : std::uint64_t {};

[[nodiscard]] constexpr std::uint32_t number(NetnsId id) {
  return static_cast<std::uint32_t>(id);
}
[[nodiscard]] constexpr std::uint64_t number(SocketCookie cookie) {
  return static_cast<std::uint64_t>(cookie);
}

}  // namespace listenq
