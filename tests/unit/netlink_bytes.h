// SPDX-License-Identifier: Apache-2.0
//
// Invented netlink messages for the tests of what reads them.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace listenq::test {

using Bytes = std::vector<std::byte>;

template <class T>
Bytes bytes_of(const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

inline Bytes text_bytes(std::string_view text) {
  Bytes bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  bytes.push_back(std::byte{0});
  return bytes;
}

inline Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// With its header, padded to four bytes.
inline Bytes attribute(std::uint16_t type, const Bytes& value) {
  nlattr header{};
  header.nla_len = static_cast<std::uint16_t>(sizeof(header) + value.size());
  header.nla_type = type;
  Bytes all = joined({bytes_of(header), value});
  all.resize((all.size() + 3) / 4 * 4);
  return all;
}

}  // namespace listenq::test
