// SPDX-License-Identifier: Apache-2.0
//
// Lists that the kernel gives by netlink: one call asks, reads to the end and hands over each
// message. Used by nic/ for what changes seldom; the backend for sock_diag has its own loop, tuned
// for a hundred thousand messages a second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "util/result.h"

namespace listenq {

struct NetlinkMessage {
  std::uint16_t type = 0;
  std::span<const std::byte> payload;  ///< after the nlmsghdr; valid during the call only
};

struct NetlinkDump {
  int protocol = 0;                 ///< NETLINK_ROUTE, ...
  std::uint16_t type = 0;           ///< of the request
  std::span<const std::byte> body;  ///< the family's header and attributes behind it
  std::string_view subject;         ///< for the message of an error: "interfaces"
};

/// Calls `read` for each message until it returns false (enough) or the list ends. false: the
/// list changed meanwhile (NLM_F_DUMP_INTR), entries may be missing or there twice. That nothing
/// of the kind exists (ENOENT) is an empty list. In the namespace of the calling thread.
[[nodiscard]] Result<bool> netlink_dump(const NetlinkDump& dump,
                                        const std::function<bool(const NetlinkMessage&)>& read);

/// `netlink_dump` into a T, begun anew once when the list changed meanwhile.
template <class T>
[[nodiscard]] Result<T> netlink_collect(const NetlinkDump& dump,
                                        const std::function<bool(const NetlinkMessage&, T&)>& add) {
  for (bool again = false;; again = true) {
    T result{};
    const auto whole =
        netlink_dump(dump, [&](const NetlinkMessage& message) { return add(message, result); });
    if (!whole) return tl::unexpected<Error>(whole.error());
    if (*whole || again) return result;
  }
}

/// Attributes (nlattr and rtattr are the same) behind each other; stops where a length is wrong.
/// The type comes without the flags for nesting and byte order.
void for_each_attribute(
    std::span<const std::byte> attributes,
    const std::function<void(std::uint16_t type, std::span<const std::byte> value)>& visit);

/// The T at the start of `bytes`; nullopt when they are too few.
template <class T>
[[nodiscard]] std::optional<T> netlink_value(std::span<const std::byte> bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

/// A string attribute, without the NUL that may end it.
[[nodiscard]] std::string_view netlink_string(std::span<const std::byte> bytes);

}  // namespace listenq
