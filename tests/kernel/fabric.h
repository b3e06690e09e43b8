// SPDX-License-Identifier: Apache-2.0
// A client namespace and servers, each joined to it by a veth pair, IPv4 and IPv6. What the client
// sends may come from any address: the servers send their answers back to it, where those to
// addresses it does not have vanish without RST or ICMP. For the tests of counters, where every
// segment must have been meant.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "netns.h"
#include "packets.h"

namespace lqtest {

using HardwareAddress = std::array<uint8_t, 6>;

class Fabric {
 public:
  Fabric(const std::string& label, size_t servers);

  [[nodiscard]] Netns& client() { return *client_; }
  [[nodiscard]] Netns& server(size_t i) { return *servers_.at(i); }
  [[nodiscard]] size_t servers() const { return servers_.size(); }

  // Of the server, and of the client on the wire to it.
  [[nodiscard]] static std::string server_address(size_t i, bool v6);
  [[nodiscard]] static std::string client_address(size_t i, bool v6);
  // Where the client sends to reach server i.
  [[nodiscard]] int client_interface(size_t i) const { return interfaces_.at(i); }
  [[nodiscard]] static HardwareAddress server_hardware(size_t i);

 private:
  void join(size_t i);

  std::unique_ptr<Netns> client_;
  std::vector<std::unique_ptr<Netns>> servers_;
  std::vector<int> interfaces_;
};

}  // namespace lqtest
