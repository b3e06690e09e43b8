// SPDX-License-Identifier: Apache-2.0
// The test world: network namespaces with listeners of every kind, their owners, queues filled to
// known lengths, and what must be true of each listener. Made once for all tests that only look;
// tests that change something make their own namespace.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "netns.h"
#include "owner.h"
#include "sockets.h"

namespace lqtest {

// What is known about the listeners of one (address, port), by construction: one listener, or the
// members of a SO_REUSEPORT group, over which the kernel spreads connections as it likes.
struct Expected {
  std::string address{};
  uint16_t port = 0;
  std::string family{};
  uint64_t members = 1;
  uint64_t limit = 0;         // of each member
  uint64_t accept_queue = 0;  // sum over the members, as the following
  uint64_t syn_queue = 0;
  uint64_t drops = 0;
  std::optional<uint64_t> fastopen_limit{};
  uint64_t fastopen_queue = 0;
  std::vector<std::string> processes{};  // who holds it, sorted; empty: nobody
  uint64_t uid = 0;
};

// What to do to one port, to make its queues what they shall be.
struct Traffic {
  int connects = 0;   // finished handshakes nobody accepts
  int lost_syns = 0;  // SYNs after the accept queue is full
  int half_open = 0;  // SYNs whose SYN-ACK is never answered
  int fastopen = 0;   // SYNs with data
  std::string address = "10.77.0.1";
};

struct Listener {
  ListenerSpec spec{};
  Traffic traffic{};
};

class WorldNamespace {
 public:
  WorldNamespace(std::string name, Netns space) : label(std::move(name)), netns(std::move(space)) {}

  std::string label;
  Netns netns;
  std::vector<Owner> owners;
  std::vector<Fd> clients;
  std::vector<Expected> expected;

  // A process with these listeners, then the traffic; `expected` grows by them.
  void add(const std::string& process, const std::vector<Listener>& listeners, uid_t uid = 0);
  // The same for a SO_REUSEPORT group with one process a member.
  void add_group(const std::string& process, int members, const Listener& listener);
  void add_expected(const Listener& listener, const std::vector<std::string>& processes,
                    uint64_t members = 1, uint64_t uid = 0);
  void apply_traffic(const std::vector<Listener>& listeners);
};

struct World {
  std::vector<std::unique_ptr<WorldNamespace>> namespaces;
  bool has_mptcp = false;

  [[nodiscard]] WorldNamespace& at(const std::string& label) const;
};

// The one world; made at the first call, gone before main() ends (end_world). Throws when it does
// not become what was planned, by the word of ss.
World& world();
void end_world();

// The listeners of one (address, port) as ss or the tool show them, summed.
struct Observed {
  uint64_t members = 0;
  uint64_t limit = 0;
  uint64_t accept_queue = 0;
  std::optional<uint64_t> syn_queue{};
  uint64_t drops = 0;
};
// Empty when they are what was planned.
std::string difference(const Expected& expected, const Observed& observed);
// Differences between ss and the plan, over all namespaces of the world.
std::string world_difference(const World& world);

}  // namespace lqtest
