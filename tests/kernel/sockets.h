// SPDX-License-Identifier: Apache-2.0
// Sockets of the test world: listeners of every kind, clients, and raw SYNs that nobody answers.
// All of it acts in the network namespace of the calling thread.
#pragma once

#include <cstdint>
#include <string>

#include "fd.h"

namespace lqtest {

struct ListenerSpec {
  std::string address = "0.0.0.0";
  uint16_t port = 0;
  int backlog = 128;
  bool v6only = false;
  bool reuseport = false;
  std::string device{};  // SO_BINDTODEVICE
  int fastopen = 0;      // TCP_FASTOPEN
  bool mptcp = false;
};

Fd open_listener(const ListenerSpec& spec);
// The same without listen(): a socket that must not be shown.
Fd open_bound(const ListenerSpec& spec);
[[nodiscard]] bool kernel_has_mptcp();

// A finished handshake; the listener's accept queue has one more, unless it was full.
Fd connect_to(const std::string& address, uint16_t port);
// The same as an MPTCP connection.
Fd connect_mptcp(const std::string& address, uint16_t port);
// Without waiting for the far end.
Fd start_connect(const std::string& address, uint16_t port);
Fd accept_from(const Fd& listener);

// Raw SYNs, each from its own source behind silent0 (see netns.h), so that each is a new
// half-open request whose SYN-ACK goes nowhere. `payload` makes each a Fast Open request.
struct SynFlow {
  std::string address{};
  uint16_t port = 0;
  int count = 0;
  std::string payload{};
};
void send_syns(const SynFlow& flow);

}  // namespace lqtest
