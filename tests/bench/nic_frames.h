// SPDX-License-Identifier: Apache-2.0
//
// Frames as bytes, for test runs and for the wire: invented clients on one side, the server of
// NicWire on the other. Called by nic.cpp and nic_wire.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace listenq::bench {

using Frame = std::vector<std::uint8_t>;

constexpr std::uint32_t kNicServer = 0x0a4d0001U;  // 10.77.0.1; fd00:4d::1
constexpr std::uint32_t kNicClient = 0x0a4d0002U;  // 10.77.0.2, which is really there
constexpr std::uint8_t kHardwareEnd = 0x4d;        // of the hardware address at both ends

enum Flag : std::uint8_t { kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10 };

struct Segment {
  std::uint32_t client = kNicClient;  // in IPv6: the lowest bits of its address
  std::uint16_t client_port = 40000;
  std::uint16_t server_port = 0;
  std::uint8_t flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::size_t payload = 0;
  int tags = 0;  // of VLANs
  bool ipv6 = false;
  bool udp = false;
  bool outgoing = false;        // from the server to the client
  bool wrong_checksum = false;  // so that the kernel drops it and answers nothing
};

Frame frame_of(const Segment& segment);

}  // namespace listenq::bench
