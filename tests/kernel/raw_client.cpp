// SPDX-License-Identifier: Apache-2.0
// A TCP client made of single segments: see raw_client.h.
#include "raw_client.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <stdexcept>

namespace lqtest {
namespace {

constexpr size_t kSeenKept = 4096;

// None ends in four zero bits: those belong to answer_some() of the flood.
IpAddress next_source(bool v6) {
  static std::atomic<uint32_t> next{0};
  const uint32_t number = next++;
  return IpAddress::parse(v6 ? "2001:db8:1::" : "10.30.0.0")
      .plus(number / 15 * 16 + 1 + number % 15);
}

}  // namespace

RawWire::RawWire(Fabric& fabric, size_t server)
    : interface_(fabric.client_interface(server)), hardware_(Fabric::server_hardware(server)) {
  fabric.client().run([&] {
    socket_ = Fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    if (!socket_.valid()) throw_errno("packet socket");
    sockaddr_ll here{};
    here.sll_family = AF_PACKET;
    here.sll_protocol = htons(ETH_P_ALL);
    here.sll_ifindex = interface_;
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&here), sizeof(here)) != 0)
      throw_errno("bind a packet socket");
  });
}

void RawWire::send(const Segment& segment) {
  const std::vector<uint8_t> packet = to_packet(segment);
  sockaddr_ll there{};
  there.sll_family = AF_PACKET;
  there.sll_protocol = htons(segment.source.v6 ? ETH_P_IPV6 : ETH_P_IP);
  there.sll_ifindex = interface_;
  there.sll_halen = static_cast<uint8_t>(hardware_.size());
  std::memcpy(there.sll_addr, hardware_.data(), hardware_.size());
  if (::sendto(socket_.get(), packet.data(), packet.size(), 0,
               reinterpret_cast<const sockaddr*>(&there), sizeof(there)) < 0)
    throw_errno("send a segment");
}

void RawWire::receive(std::chrono::milliseconds wait) {
  pollfd polled{socket_.get(), POLLIN, 0};
  if (::poll(&polled, 1, static_cast<int>(wait.count())) <= 0) return;
  std::array<uint8_t, 4096> buffer{};
  sockaddr_ll from{};
  socklen_t size = sizeof(from);
  const ssize_t got = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0,
                                 reinterpret_cast<sockaddr*>(&from), &size);
  if (got <= 0 || from.sll_pkttype == PACKET_OUTGOING) return;
  std::optional<Segment> segment = parse_packet(buffer.data(), static_cast<size_t>(got));
  if (!segment) return;
  seen_.push_back(std::move(*segment));
  if (seen_.size() > kSeenKept) seen_.pop_front();
}

std::optional<Segment> RawWire::await(const std::function<bool(const Segment&)>& wanted,
                                      std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto found = std::find_if(seen_.begin(), seen_.end(), wanted);
    if (found != seen_.end()) {
      Segment segment = std::move(*found);
      seen_.erase(found);
      return segment;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    receive(left);
  }
}

RawConnection::RawConnection(RawWire& wire, const std::string& server, uint16_t port)
    : RawConnection(wire, next_source(IpAddress::parse(server).v6), server, port) {}

RawConnection::RawConnection(RawWire& wire, const IpAddress& source, const std::string& server,
                             uint16_t port)
    : wire_(&wire) {
  out_.source = source;
  out_.target = IpAddress::parse(server);
  out_.source_port = 40000;
  out_.target_port = port;
  out_.seq = 0x01000000U;
}

void RawConnection::send(uint8_t flags, const std::string& payload, uint32_t off) {
  Segment segment = out_;
  segment.flags = flags;
  segment.payload = payload;
  segment.ack = (flags & kAck) != 0 ? out_.ack + off : 0;
  wire_->send(segment);
}

void RawConnection::send_syn(const std::string& payload) {
  Segment segment = out_;
  segment.seq = 0x01000000U;
  segment.ack = 0;
  segment.flags = kSyn;
  segment.payload = payload;
  wire_->send(segment);
  out_.seq = segment.seq + 1;
}

bool RawConnection::await_flags(uint8_t flags, std::chrono::milliseconds limit) {
  const auto segment = wire_->await(
      [&](const Segment& in) {
        return in.source == out_.target && in.target == out_.source &&
               in.source_port == out_.target_port && in.target_port == out_.source_port &&
               (in.flags & flags) == flags;
      },
      limit);
  if (segment && flags == (kSyn | kAck)) {
    out_.ack = segment->seq + 1;
    out_.seq = segment->ack;  // with Fast Open it acknowledges data, too
  }
  return segment.has_value();
}

bool RawConnection::await_synack(std::chrono::milliseconds limit) {
  return await_flags(kSyn | kAck, limit);
}

bool RawConnection::await_reset(std::chrono::milliseconds limit) {
  return await_flags(kRst, limit);
}

void RawConnection::send_ack(uint32_t off) {
  send(kAck, "", off);
}

void RawConnection::send_data(const std::string& payload) {
  send(kAck | kPsh, payload);
  out_.seq += static_cast<uint32_t>(payload.size());
}

void RawConnection::send_fin() {
  send(kFin | kAck);
  ++out_.seq;
}

void RawConnection::send_reset() {
  send(kRst | kAck);
}

void RawConnection::establish() {
  send_syn();
  if (!await_synack()) throw std::runtime_error("no SYN-ACK from " + out_.target.text());
  send_ack();
}

}  // namespace lqtest
