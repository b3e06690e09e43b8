// SPDX-License-Identifier: Apache-2.0
// A TCP client made of single segments, so that a test decides what is sent, and when: it may leave
// a SYN-ACK unanswered, answer it late, or with a wrong number. It uses addresses that its
// namespace does not have, so the kernel there stays out of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "fabric.h"
#include "fd.h"
#include "packets.h"
#include "process.h"

namespace lqtest {

// The wire to one server, as seen from the client.
class RawWire {
 public:
  RawWire(Fabric& fabric, size_t server);

  void send(const Segment& segment);
  // The first segment from the server for which `wanted` holds, also of those that came earlier and
  // nobody took; nothing when the time is over.
  std::optional<Segment> await(const std::function<bool(const Segment&)>& wanted,
                               std::chrono::milliseconds limit = std::chrono::seconds(20));

 private:
  void receive(std::chrono::milliseconds wait);

  Fd socket_;
  int interface_;
  HardwareAddress hardware_;
  std::deque<Segment> seen_;
};

// One connection, as far as its test takes it. Every one has its own source address.
class RawConnection {
 public:
  RawConnection(RawWire& wire, const std::string& server, uint16_t port);
  // From a given source.
  RawConnection(RawWire& wire, const IpAddress& source, const std::string& server, uint16_t port);

  void send_syn(const std::string& payload = "");
  // Takes the next SYN-ACK and its sequence number; false when none comes.
  bool await_synack(std::chrono::milliseconds limit = std::chrono::seconds(20));
  // `off` is added to what it acknowledges.
  void send_ack(uint32_t off = 0);
  void send_data(const std::string& payload);
  void send_fin();
  void send_reset();
  bool await_reset(std::chrono::milliseconds limit = std::chrono::seconds(20));

  // SYN, SYN-ACK, ACK; throws when the SYN-ACK does not come.
  void establish();

 private:
  void send(uint8_t flags, const std::string& payload = "", uint32_t off = 0);
  bool await_flags(uint8_t flags, std::chrono::milliseconds limit);

  RawWire* wire_;
  Segment out_{};
};

}  // namespace lqtest
