// SPDX-License-Identifier: Apache-2.0
// TCP segments as bytes: see packets.h.
#include "packets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include <cstring>
#include <stdexcept>

namespace lqtest {
namespace {

void put16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8U);
  at[1] = static_cast<uint8_t>(value & 0xffU);
}

std::vector<uint8_t> ip_header(const Segment& segment, size_t tcp_size) {
  if (segment.source.v6) {
    ip6_hdr header{};
    header.ip6_flow = htonl(6U << 28U);
    header.ip6_plen = htons(static_cast<uint16_t>(tcp_size));
    header.ip6_nxt = IPPROTO_TCP;
    header.ip6_hlim = 64;
    std::memcpy(&header.ip6_src, segment.source.bytes.data(), sizeof(header.ip6_src));
    std::memcpy(&header.ip6_dst, segment.target.bytes.data(), sizeof(header.ip6_dst));
    std::vector<uint8_t> bytes(sizeof(header));
    std::memcpy(bytes.data(), &header, sizeof(header));
    return bytes;
  }
  iphdr header{};
  header.version = 4;
  header.ihl = 5;
  header.tot_len = htons(static_cast<uint16_t>(sizeof(header) + tcp_size));
  header.ttl = 64;
  header.protocol = IPPROTO_TCP;
  std::memcpy(&header.saddr, segment.source.bytes.data(), sizeof(header.saddr));
  std::memcpy(&header.daddr, segment.target.bytes.data(), sizeof(header.daddr));
  Checksum sum;
  sum.add(&header, sizeof(header));
  header.check = sum.value();
  std::vector<uint8_t> bytes(sizeof(header));
  std::memcpy(bytes.data(), &header, sizeof(header));
  return bytes;
}

}  // namespace

IpAddress IpAddress::parse(const std::string& text) {
  IpAddress address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) return address;
  address.v6 = true;
  if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) != 1)
    throw std::runtime_error("bad address " + text);
  return address;
}

IpAddress IpAddress::plus(uint64_t offset) const {
  IpAddress result = *this;
  const size_t first = v6 ? 8 : 0;
  for (size_t i = size(); i-- > first && offset != 0;) {
    offset += result.bytes[i];
    result.bytes[i] = static_cast<uint8_t>(offset & 0xffU);
    offset >>= 8U;
  }
  return result;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), buffer.data(), buffer.size());
  return buffer.data();
}

void Checksum::add(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  for (size_t i = 0; i < size; i += 2) {
    const unsigned high = bytes[i];
    const unsigned low = i + 1 < size ? bytes[i + 1] : 0U;
    sum_ += (high << 8U) | low;
  }
}

uint16_t Checksum::value() const {
  uint32_t sum = sum_;
  while ((sum >> 16U) != 0) sum = (sum & 0xffffU) + (sum >> 16U);
  return htons(static_cast<uint16_t>(~sum & 0xffffU));
}

PacketLayout layout_of(bool v6) {
  if (v6) return {offsetof(ip6_hdr, ip6_src), offsetof(ip6_hdr, ip6_dst), sizeof(ip6_hdr)};
  return {offsetof(iphdr, saddr), offsetof(iphdr, daddr), sizeof(iphdr)};
}

std::vector<uint8_t> to_packet(const Segment& segment) {
  tcphdr header{};
  header.source = htons(segment.source_port);
  header.dest = htons(segment.target_port);
  header.seq = htonl(segment.seq);
  header.ack_seq = htonl(segment.ack);
  header.doff = sizeof(header) / 4;
  header.window = htons(65535);
  std::vector<uint8_t> tcp(sizeof(header) + segment.payload.size());
  std::memcpy(tcp.data(), &header, sizeof(header));
  tcp[13] = segment.flags;
  std::memcpy(tcp.data() + sizeof(header), segment.payload.data(), segment.payload.size());

  Checksum sum;
  sum.add(segment.source.bytes.data(), segment.source.size());
  sum.add(segment.target.bytes.data(), segment.target.size());
  std::array<uint8_t, 4> rest{0, IPPROTO_TCP, 0, 0};
  put16(rest.data() + 2, static_cast<uint16_t>(tcp.size()));
  sum.add(rest.data(), rest.size());
  sum.add(tcp.data(), tcp.size());
  const uint16_t check = sum.value();
  std::memcpy(tcp.data() + offsetof(tcphdr, check), &check, sizeof(check));

  std::vector<uint8_t> packet = ip_header(segment, tcp.size());
  packet.insert(packet.end(), tcp.begin(), tcp.end());
  return packet;
}

std::optional<Segment> parse_packet(const uint8_t* data, size_t size) {
  if (size < sizeof(iphdr)) return std::nullopt;
  Segment segment;
  size_t tcp_at = 0;
  size_t end = 0;
  if ((data[0] >> 4U) == 6) {
    ip6_hdr header{};
    if (size < sizeof(header)) return std::nullopt;
    std::memcpy(&header, data, sizeof(header));
    if (header.ip6_nxt != IPPROTO_TCP) return std::nullopt;
    segment.source.v6 = segment.target.v6 = true;
    tcp_at = sizeof(header);
    end = tcp_at + ntohs(header.ip6_plen);
  } else {
    iphdr header{};
    std::memcpy(&header, data, sizeof(header));
    if (header.protocol != IPPROTO_TCP) return std::nullopt;
    tcp_at = header.ihl * 4U;
    end = ntohs(header.tot_len);
  }
  tcphdr tcp{};
  if (end > size || tcp_at + sizeof(tcp) > end) return std::nullopt;
  const PacketLayout layout = layout_of(segment.source.v6);
  std::memcpy(segment.source.bytes.data(), data + layout.source, segment.source.size());
  std::memcpy(segment.target.bytes.data(), data + layout.target, segment.target.size());
  std::memcpy(&tcp, data + tcp_at, sizeof(tcp));
  segment.source_port = ntohs(tcp.source);
  segment.target_port = ntohs(tcp.dest);
  segment.seq = ntohl(tcp.seq);
  segment.ack = ntohl(tcp.ack_seq);
  segment.flags = data[tcp_at + 13];
  const size_t payload = tcp_at + tcp.doff * 4U;
  if (payload < end)
    segment.payload.assign(reinterpret_cast<const char*>(data) + payload, end - payload);
  return segment;
}

}  // namespace lqtest
