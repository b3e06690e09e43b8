// SPDX-License-Identifier: Apache-2.0
// The SYN flood: see flood.h.
#include "flood.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "process.h"

namespace lqtest {
namespace {

constexpr size_t kBatch = 32;
constexpr size_t kSequence = 4;  // in the TCP header
constexpr size_t kChecksum = 16;

sockaddr_ll link_address(Fabric& fabric, size_t server, bool v6) {
  const HardwareAddress hardware = Fabric::server_hardware(server);
  sockaddr_ll there{};
  there.sll_family = AF_PACKET;
  there.sll_protocol = htons(v6 ? ETH_P_IPV6 : ETH_P_IP);
  there.sll_ifindex = fabric.client_interface(server);
  there.sll_halen = static_cast<uint8_t>(hardware.size());
  std::memcpy(there.sll_addr, hardware.data(), hardware.size());
  return there;
}

// 11.0.0.0/8 upwards, one such network a generator, or the end of 2001:db8:f00::/48. An odd factor
// spreads the numbers over all of it without ever giving one address twice, and keeps the last four
// bits 0 where they are: answer_some() knows its addresses by them.
void write_source(uint8_t* at, bool v6, unsigned generator, uint64_t number) {
  if (v6) at += 12;
  number *= 11'400'715U;
  at[0] = static_cast<uint8_t>(11U + generator);
  at[1] = static_cast<uint8_t>(number >> 16U & 0xffU);
  at[2] = static_cast<uint8_t>(number >> 8U & 0xffU);
  at[3] = static_cast<uint8_t>(number & 0xffU);
}

// Classic BPF over a packet that starts at its IP header: a SYN-ACK to a source whose number ends
// in four zero bits.
void take_only_answerable(int socket) {
  std::array<sock_filter, 15> code{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 5, 0),
      // IPv4 (the server sends no IP options)
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 19),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x0f, 9, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 33),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn | kAck, 6, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn | kAck | 0x40, 5, 6),
      // IPv6
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 39),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x0f, 4, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 53),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn | kAck, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn | kAck | 0x40, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
    throw_errno("SO_ATTACH_FILTER");
}

}  // namespace

Flood::Flood(Fabric& fabric, std::vector<FloodTarget> targets, unsigned number)
    : fabric_(fabric), number_(number) {
  for (const FloodTarget& target : targets) {
    Template form;
    form.target = target;
    Segment segment{
        .source = IpAddress::parse(target.v6 ? "2001:db8:f00::" : "0.0.0.0"),
        .target = IpAddress::parse(Fabric::server_address(target.server, target.v6)),
        .source_port = static_cast<uint16_t>(30000U + number),
        .target_port = target.port,
        .flags = kSyn,
    };
    form.packet = to_packet(segment);
    const PacketLayout layout = layout_of(target.v6);
    std::memset(&form.packet[layout.tcp + kChecksum], 0, 2);
    Checksum sum;
    sum.add(&form.packet[layout.source], 2 * segment.source.size());
    const std::array<uint8_t, 4> rest{0, IPPROTO_TCP, 0,
                                      static_cast<uint8_t>(form.packet.size() - layout.tcp)};
    sum.add(rest.data(), rest.size());
    sum.add(&form.packet[layout.tcp], form.packet.size() - layout.tcp);
    form.sum = sum.sum();
    templates_.push_back(std::move(form));
  }
  fabric_.client().run([&] {
    socket_ = Fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));  // 0: it receives nothing
    if (!socket_.valid()) throw_errno("packet socket");
  });
}

void Flood::write_next(const Template& form, std::vector<uint8_t>& packet) {
  const PacketLayout layout = layout_of(form.target.v6);
  packet = form.packet;
  const uint64_t number = sent_++;
  uint8_t* source = &packet[layout.source];
  write_source(source, form.target.v6, number_, number);
  const auto sequence = htonl(static_cast<uint32_t>(number) * 2654435761U);
  std::memcpy(&packet[layout.tcp + kSequence], &sequence, sizeof(sequence));
  // The template's source is 0 where this one is not.
  Checksum sum;
  sum.add(form.target.v6 ? source + 12 : source, 4);
  sum.add(&sequence, sizeof(sequence));
  uint32_t total = form.sum + sum.sum();
  while ((total >> 16U) != 0) total = (total & 0xffffU) + (total >> 16U);
  const uint16_t check = htons(static_cast<uint16_t>(~total & 0xffffU));
  std::memcpy(&packet[layout.tcp + kChecksum], &check, sizeof(check));
  if (form.target.v6) return;
  Checksum header;
  std::memset(&packet[10], 0, 2);
  header.add(packet.data(), layout.tcp);
  const uint16_t header_check = header.value();
  std::memcpy(&packet[10], &header_check, sizeof(header_check));
}

void Flood::send(uint64_t count) {
  std::array<std::vector<uint8_t>, kBatch> packets;
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
  while (count > 0) {
    const Template& form = templates_[next_target_++ % templates_.size()];
    sockaddr_ll there = link_address(fabric_, form.target.server, form.target.v6);
    const auto batch = static_cast<unsigned>(std::min<uint64_t>(count, kBatch));
    for (unsigned i = 0; i < batch; ++i) {
      write_next(form, packets[i]);
      parts[i] = {packets[i].data(), packets[i].size()};
      messages[i].msg_hdr = {};
      messages[i].msg_hdr.msg_name = &there;
      messages[i].msg_hdr.msg_namelen = sizeof(there);
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (unsigned done = 0; done < batch;) {
      const int sent = ::sendmmsg(socket_.get(), &messages[done], batch - done, 0);
      if (sent < 0 && errno != ENOBUFS && errno != EAGAIN) throw_errno("sendmmsg");
      if (sent > 0) done += static_cast<unsigned>(sent);
    }
    count -= batch;
  }
}

uint64_t answer_some(Fabric& fabric, size_t server, const std::atomic<bool>& stop) {
  Fd socket;
  fabric.client().run([&] {
    socket = Fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) throw_errno("packet socket");
    take_only_answerable(socket.get());
    sockaddr_ll here{};
    here.sll_family = AF_PACKET;
    here.sll_protocol = htons(ETH_P_ALL);
    here.sll_ifindex = fabric.client_interface(server);
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&here), sizeof(here)) != 0)
      throw_errno("bind a packet socket");
  });
  uint64_t acks = 0;
  std::array<uint8_t, 2048> buffer{};
  while (!stop) {
    pollfd polled{socket.get(), POLLIN, 0};
    if (::poll(&polled, 1, 50) <= 0) continue;
    sockaddr_ll from{};
    socklen_t size = sizeof(from);
    const ssize_t got = ::recvfrom(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
    const auto synack = parse_packet(buffer.data(), static_cast<size_t>(got));
    if (!synack) continue;
    Segment answer{.source = synack->target,
                   .target = synack->source,
                   .source_port = synack->target_port,
                   .target_port = synack->source_port,
                   .seq = synack->ack,
                   .ack = synack->seq + 1,
                   .flags = kAck};
    // Every fourth of them gives up at once.
    const bool gives_up = (synack->target.bytes[synack->target.size() - 1] & 0x30U) == 0;
    for (int i = 0; i < (gives_up ? 2 : 1); ++i) {
      const std::vector<uint8_t> packet = to_packet(answer);
      const sockaddr_ll there = link_address(fabric, server, answer.source.v6);
      if (::sendto(socket.get(), packet.data(), packet.size(), 0,
                   reinterpret_cast<const sockaddr*>(&there), sizeof(there)) > 0 &&
          i == 0)
        ++acks;
      answer.flags = kRst | kAck;
    }
  }
  return acks;
}

}  // namespace lqtest
