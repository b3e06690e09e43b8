// SPDX-License-Identifier: Apache-2.0
// Ethernet frames as bytes: see frames.h.
#include "frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace lqtest {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kTag = 4;
constexpr size_t kIpv4 = 20;
constexpr size_t kIpv6 = 40;
constexpr size_t kTcpHeader = 20;
constexpr size_t kMaxTags = 2;
constexpr size_t kMaxExtensions = 8;
constexpr size_t kMaxOffset = 511;

void append16(Bytes& to, size_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8U & 0xffU));
  to.push_back(static_cast<uint8_t>(value & 0xffU));
}

void append(Bytes& to, std::span<const uint8_t> what) {
  to.insert(to.end(), what.begin(), what.end());
}

void write16(Bytes& at, size_t offset, size_t value) {
  at.at(offset) = static_cast<uint8_t>(value >> 8U & 0xffU);
  at.at(offset + 1) = static_cast<uint8_t>(value & 0xffU);
}

void write_checksum(Bytes& at, size_t offset, const Checksum& sum) {
  const uint16_t value = sum.value();  // in network byte order
  std::copy_n(reinterpret_cast<const uint8_t*>(&value), sizeof(value), &at.at(offset));
}

// A segment of to_packet() with options put in, and the checksum anew.
Bytes tcp_part(const FrameSpec& spec) {
  const Bytes packet = to_packet(spec.segment);
  const size_t at = layout_of(spec.segment.source.v6).tcp;
  Bytes tcp(packet.begin() + static_cast<std::ptrdiff_t>(at), packet.end());
  if (spec.tcp_options == 0) return tcp;
  if (spec.tcp_options % 4 != 0 || spec.tcp_options > 40) throw std::runtime_error("TCP options");
  tcp.insert(tcp.begin() + kTcpHeader, spec.tcp_options, 1);  // no operation
  tcp[12] = static_cast<uint8_t>((kTcpHeader + spec.tcp_options) / 4 << 4U);
  write16(tcp, 16, 0);
  Checksum sum;
  sum.add(spec.segment.source.bytes.data(), spec.segment.source.size());
  sum.add(spec.segment.target.bytes.data(), spec.segment.target.size());
  Bytes rest{0, kTcp};
  append16(rest, tcp.size());
  sum.add(rest.data(), rest.size());
  sum.add(tcp.data(), tcp.size());
  write_checksum(tcp, 16, sum);
  return tcp;
}

Bytes ipv4_packet(const FrameSpec& spec, const Bytes& contents) {
  const size_t header = kIpv4 + spec.ip_options;
  Bytes packet(header, 1);  // options: no operation
  packet[0] = static_cast<uint8_t>(0x40U | header / 4);
  packet[1] = 0;
  write16(packet, 2, header + contents.size());
  write16(packet, 4, 0x4711);
  const Piece piece = spec.piece.value_or(Piece{});
  write16(packet, 6, (piece.more ? 0x2000U : 0U) | piece.offset);
  packet[8] = 64;
  packet[9] = spec.protocol;
  write16(packet, 10, 0);
  std::copy_n(spec.segment.source.bytes.begin(), 4, &packet[12]);
  std::copy_n(spec.segment.target.bytes.begin(), 4, &packet[16]);
  Checksum sum;
  sum.add(packet.data(), header);
  write_checksum(packet, 10, sum);
  append(packet, contents);
  return packet;
}

// One header of IPv6 with what comes after it; `contents` begins with the next.
Bytes extension(uint8_t kind, uint8_t next, size_t size, const Piece& piece) {
  Bytes header{next};
  if (kind == kFragment) {
    header.push_back(0);
    append16(header, static_cast<size_t>(piece.offset) << 3U | (piece.more ? 1U : 0U));
    append(header, Bytes{0x12, 0x34, 0x56, 0x78});
    return header;
  }
  if (kind == kAuthentication) {
    header.push_back(static_cast<uint8_t>(24 / 4 - 2));
    header.resize(24);
    return header;
  }
  header.push_back(static_cast<uint8_t>(size / 8 - 1));
  if (kind == kRouting) {
    append(header, Bytes{253, 0});  // a type nobody knows, no segments left
    header.resize(size);
    return header;
  }
  header.resize(size);  // options: Pad1
  return header;
}

Bytes ipv6_packet(const FrameSpec& spec, const Bytes& contents) {
  std::vector<uint8_t> kinds = spec.extensions;
  if (spec.piece) kinds.push_back(kFragment);
  Bytes headers;
  for (size_t i = 0; i < kinds.size(); ++i) {
    const uint8_t next = i + 1 < kinds.size() ? kinds[i + 1] : spec.protocol;
    const bool last = i + 1 == kinds.size();
    const Piece piece = last ? spec.piece.value_or(Piece{}) : Piece{};
    append(headers, extension(kinds[i], next, spec.extension_size, piece));
  }
  Bytes packet{0x60, 0, 0, 0};
  append16(packet, headers.size() + contents.size());
  packet.push_back(kinds.empty() ? spec.protocol : kinds.front());
  packet.push_back(64);
  append(packet, spec.segment.source.bytes);
  append(packet, spec.segment.target.bytes);
  append(packet, headers);
  append(packet, contents);
  return packet;
}

// --- the reference parser

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> frame) : frame_(frame) {}

  [[nodiscard]] bool has(size_t at, size_t size) const { return at + size <= frame_.size(); }
  [[nodiscard]] size_t size() const { return frame_.size(); }
  [[nodiscard]] uint8_t byte(size_t at) const { return frame_[at]; }
  [[nodiscard]] uint16_t word(size_t at) const {
    return static_cast<uint16_t>(frame_[at] << 8U | frame_[at + 1]);
  }
  [[nodiscard]] IpAddress address(size_t at, bool v6) const {
    IpAddress address;
    address.v6 = v6;
    std::copy_n(&frame_[at], address.size(), address.bytes.begin());
    return address;
  }

 private:
  std::span<const uint8_t> frame_;
};

Parsed just(Verdict verdict) {
  Parsed parsed;
  parsed.verdict = verdict;
  return parsed;
}

// `end`: of the IP packet.
Parsed read_tcp(const Reader& in, size_t at, size_t end) {
  if (at > kMaxOffset) return just(Verdict::other);
  if (at + kTcpHeader > end) return just(Verdict::malformed);
  const size_t header = static_cast<size_t>(in.byte(at + 12) >> 4U) * 4;
  if (header < kTcpHeader || at + header > end) return just(Verdict::malformed);
  Parsed parsed = just(Verdict::tcp);
  parsed.source_port = in.word(at);
  parsed.target_port = in.word(at + 2);
  parsed.flags = in.byte(at + 13);
  parsed.tcp_at = at;
  return parsed;
}

Parsed read_ipv4(const Reader& in, size_t at) {
  if (!in.has(at, kIpv4) || in.byte(at) >> 4U != 4) return just(Verdict::malformed);
  const size_t header = static_cast<size_t>(in.byte(at) & 15U) * 4;
  const size_t length = in.word(at + 2);
  if (header < kIpv4 || length < header || !in.has(at, length)) return just(Verdict::malformed);
  if ((in.word(at + 6) & 0x3fffU) != 0) return just(Verdict::fragment);
  if (in.byte(at + 9) != kTcp) return just(Verdict::other);
  Parsed parsed = read_tcp(in, at + header, at + length);
  parsed.source = in.address(at + 12, false);
  parsed.target = in.address(at + 16, false);
  parsed.ip_at = at;
  return parsed;
}

bool is_extension(uint8_t next) {
  return next == kHopByHop || next == kRouting || next == kFragment || next == kAuthentication ||
         next == kDestination;
}

Parsed read_ipv6(const Reader& in, size_t ip_at) {
  if (!in.has(ip_at, kIpv6) || in.byte(ip_at) >> 4U != 6) return just(Verdict::malformed);
  const size_t end = ip_at + kIpv6 + in.word(ip_at + 4);
  if (end > in.size()) return just(Verdict::malformed);
  uint8_t next = in.byte(ip_at + 6);
  size_t at = ip_at + kIpv6;
  for (size_t count = 0; is_extension(next); ++count) {
    if (count == kMaxExtensions || at > kMaxOffset) return just(Verdict::other);
    if (at + 8 > end) return just(Verdict::malformed);
    if (next == kFragment && (in.word(at + 2) & 0xfff9U) != 0) return just(Verdict::fragment);
    const size_t units = in.byte(at + 1);
    size_t size = (units + 1) * 8;
    if (next == kFragment) size = 8;
    if (next == kAuthentication) size = (units + 2) * 4;
    if (at + size > end) return just(Verdict::malformed);
    next = in.byte(at);
    at += size;
  }
  if (next != kTcp) return just(Verdict::other);
  Parsed parsed = read_tcp(in, at, end);
  parsed.source = in.address(ip_at + 8, true);
  parsed.target = in.address(ip_at + 24, true);
  parsed.ip_at = ip_at;
  return parsed;
}

}  // namespace

Bytes to_frame(const FrameSpec& spec) {
  Bytes contents;
  if (spec.protocol == kTcp)
    contents = tcp_part(spec);
  else
    contents.assign(spec.segment.payload.begin(), spec.segment.payload.end());
  const bool v6 = spec.segment.source.v6;
  const Bytes packet = v6 ? ipv6_packet(spec, contents) : ipv4_packet(spec, contents);
  Bytes inner;
  for (size_t i = 0; i < spec.tags.size(); ++i) {
    append16(inner, 0x0064U + i);  // VLAN 100, 101
    append16(inner, i + 1 < spec.tags.size() ? spec.tags[i + 1] : v6 ? kTypeIpv6 : kTypeIpv4);
  }
  append(inner, packet);
  inner.resize(inner.size() + spec.padding);
  const uint16_t ip_type = v6 ? kTypeIpv6 : kTypeIpv4;
  return to_frame(spec.source, spec.target, spec.tags.empty() ? ip_type : spec.tags.front(), inner);
}

Bytes to_frame(const HardwareAddress& source, const HardwareAddress& target, uint16_t type,
               const Bytes& contents) {
  Bytes frame;
  frame.reserve(kEthernet + contents.size());
  append(frame, target);
  append(frame, source);
  append16(frame, type);
  append(frame, contents);
  return frame;
}

std::string name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::tcp:
      return "tcp";
    case Verdict::other:
      return "other";
    case Verdict::fragment:
      return "fragment";
    case Verdict::malformed:
      return "malformed";
  }
  return "?";
}

bool Parsed::is_syn() const {
  return verdict == Verdict::tcp && (flags & (kSyn | kAck | kRst | kFin)) == kSyn;
}

bool Parsed::is_synack() const {
  return verdict == Verdict::tcp && (flags & (kSyn | kAck | kRst)) == (kSyn | kAck);
}

bool Parsed::is_reset() const {
  return verdict == Verdict::tcp && (flags & kRst) != 0;
}

Parsed classify(std::span<const uint8_t> frame) {
  const Reader in(frame);
  if (!in.has(0, kEthernet)) return just(Verdict::malformed);
  uint16_t type = in.word(12);
  size_t at = kEthernet;
  for (size_t tags = 0; type == kTypeTag || type == kTypeServiceTag; ++tags) {
    if (tags == kMaxTags) return just(Verdict::other);
    if (!in.has(at, kTag)) return just(Verdict::malformed);
    type = in.word(at + 2);
    at += kTag;
  }
  if (type == kTypeIpv4) return read_ipv4(in, at);
  if (type == kTypeIpv6) return read_ipv6(in, at);
  return just(Verdict::other);
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i)
    text += fmt::format("{}{:02x}", i % 16 == 0 ? "\n  " : " ", bytes[i]);
  return text;
}

}  // namespace lqtest
