// SPDX-License-Identifier: Apache-2.0
// The oracle: what ss (iproute2) says about a network namespace, as data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "netns.h"

namespace lqtest {

struct SsUser {
  std::string name;
  int pid = 0;
  bool operator==(const SsUser&) const = default;
  auto operator<=>(const SsUser&) const = default;
};

struct SsListener {
  // As the tool writes it: no brackets, `*` as "::", `%device` at the end.
  std::string address;
  uint16_t port = 0;
  std::string family;  // "ipv4", "ipv6", "dual"; of a mapped address ss says no more than "ipv6"
  uint64_t cookie = 0;
  uint64_t accept_queue_len = 0;
  uint64_t accept_queue_limit = 0;
  uint64_t inode = 0;
  uint64_t uid = 0;
  uint64_t drops = 0;
  std::vector<SsUser> users;  // sorted; one entry a process, however many descriptors it has

  bool operator==(const SsListener&) const = default;
};

// Throws when a row cannot be understood: an oracle that drops rows proves nothing.
SsListener parse_listener(const std::string& row);

// By cookie.
std::map<uint64_t, SsListener> ss_listeners(const Netns& netns);

// Half-open requests by local port: their local address is that of the SYN, not of the listener.
std::map<uint16_t, uint64_t> ss_half_open(const Netns& netns);

}  // namespace lqtest
