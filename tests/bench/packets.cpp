// SPDX-License-Identifier: Apache-2.0
//
// See packets.h.
#include "packets.h"

#include <arpa/inet.h>

#include <cstddef>

namespace listenq::bench {
namespace {

std::uint32_t add_words(std::uint32_t sum, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  }
  return sum;
}

std::uint16_t checksum(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<std::uint16_t>(~sum));
}

}  // namespace

Packet client_packet(std::uint32_t source, const sockaddr_in& target, bool reset) {
  Packet packet{};
  packet.ip.version = 4;
  packet.ip.ihl = 5;
  packet.ip.tot_len = htons(sizeof(packet));
  packet.ip.ttl = 64;
  packet.ip.protocol = IPPROTO_TCP;
  packet.ip.saddr = htonl(source);
  packet.ip.daddr = target.sin_addr.s_addr;
  packet.ip.check = checksum(add_words(0, &packet.ip, sizeof(packet.ip)));
  packet.tcp.source = htons(40000);
  packet.tcp.dest = target.sin_port;
  packet.tcp.seq = htonl(reset ? source + 1 : source);
  packet.tcp.doff = 5;
  packet.tcp.syn = reset ? 0 : 1;
  packet.tcp.rst = reset ? 1 : 0;
  packet.tcp.window = htons(64240);
  const std::uint32_t sum = add_words(0, &packet.ip.saddr, 8) + IPPROTO_TCP + sizeof(packet.tcp);
  packet.tcp.check = checksum(add_words(sum, &packet.tcp, sizeof(packet.tcp)));
  return packet;
}

}  // namespace listenq::bench
