// SPDX-License-Identifier: Apache-2.0
//
// See nic_frames.h.
#include "nic_frames.h"

#include <initializer_list>
#include <utility>

namespace listenq::bench {
namespace {

constexpr std::size_t kIpv4Bytes = 20;
constexpr std::size_t kTcpBytes = 20;
constexpr std::size_t kUdpBytes = 8;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

void put(Frame& frame, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) frame.push_back(static_cast<std::uint8_t>(byte));
}

void put16(Frame& frame, std::size_t value) {
  put(frame, {static_cast<unsigned>(value >> 8U & 0xffU), static_cast<unsigned>(value & 0xffU)});
}

void put32(Frame& frame, std::uint32_t value) {
  put16(frame, value >> 16U);
  put16(frame, value & 0xffffU);
}

void put_address(Frame& frame, std::uint32_t address, bool ipv6) {
  if (ipv6) {
    put32(frame, 0xfd00004dU);
    put32(frame, 0);
    put32(frame, 0);
  }
  put32(frame, ipv6 && address == kNicServer ? 1 : address);
}

std::uint32_t sum_of(const Frame& frame, std::size_t from, std::size_t to) {
  std::uint32_t sum = 0;
  for (std::size_t i = from; i < to; ++i) {
    sum += (i - from) % 2 == 0 ? static_cast<std::uint32_t>(frame[i]) << 8U : frame[i];
  }
  return sum;
}

void set_checksum(Frame& frame, std::size_t at, std::uint32_t sum) {
  while (sum >> 16U != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  frame[at] = static_cast<std::uint8_t>(~sum >> 8U & 0xffU);
  frame[at + 1] = static_cast<std::uint8_t>(~sum & 0xffU);
}

void put_ethernet(Frame& frame, const Segment& segment) {
  for (int i = 0; i < 2; ++i) put(frame, {2, 0, 0, 0, kHardwareEnd, 1});
  for (int i = segment.tags; i > 0; --i) {
    put16(frame, i == 1 ? 0x8100U : 0x88a8U);
    put16(frame, 100U + static_cast<unsigned>(i));
  }
  put16(frame, segment.ipv6 ? 0x86ddU : 0x0800U);
}

// Returns where its addresses begin.
std::size_t put_ip(Frame& frame, const Segment& segment, std::size_t inner) {
  const std::uint8_t protocol = segment.udp ? kUdp : kTcp;
  const std::size_t start = frame.size();
  if (segment.ipv6) {
    put32(frame, 0x60000000U);
    put16(frame, inner);
    put(frame, {protocol, 64});
  } else {
    put(frame, {0x45, 0});
    put16(frame, kIpv4Bytes + inner);
    put(frame, {0, 0, 0x40, 0, 64, protocol, 0, 0});
  }
  const std::size_t addresses = frame.size();
  std::uint32_t from = segment.client;
  std::uint32_t to = kNicServer;
  if (segment.outgoing) std::swap(from, to);
  put_address(frame, from, segment.ipv6);
  put_address(frame, to, segment.ipv6);
  if (!segment.ipv6) set_checksum(frame, start + 10, sum_of(frame, start, frame.size()));
  return addresses;
}

}  // namespace

Frame frame_of(const Segment& segment) {
  Frame frame;
  put_ethernet(frame, segment);
  const std::size_t inner = (segment.udp ? kUdpBytes : kTcpBytes) + segment.payload;
  const std::size_t addresses = put_ip(frame, segment, inner);
  const std::size_t start = frame.size();
  put16(frame, segment.outgoing ? segment.server_port : segment.client_port);
  put16(frame, segment.outgoing ? segment.client_port : segment.server_port);
  if (segment.udp) {
    put16(frame, inner);
    put16(frame, 0);
  } else {
    put32(frame, segment.seq);
    put32(frame, segment.ack);
    put(frame, {0x50, segment.flags});
    put16(frame, 64240);
    put32(frame, 0);
  }
  frame.resize(frame.size() + segment.payload, 'x');
  const auto rest = static_cast<std::uint32_t>(inner) + (segment.udp ? kUdp : kTcp);
  set_checksum(frame, start + (segment.udp ? 6 : 16),
               sum_of(frame, addresses, frame.size()) + rest + (segment.wrong_checksum ? 1 : 0));
  return frame;
}

}  // namespace listenq::bench
