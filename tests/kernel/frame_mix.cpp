// SPDX-License-Identifier: Apache-2.0
// Frames of every kind: see frame_mix.h.
#include "frame_mix.h"

#include <algorithm>
#include <array>
#include <utility>

namespace lqtest {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kIpv4 = 20;
constexpr size_t kIpv6 = 40;
constexpr uint8_t kUrg = 0x20;
constexpr uint8_t kEce = 0x40;
constexpr uint8_t kCwr = 0x80;

struct FlagKind {
  const char* name;
  uint8_t flags;
  bool data;
  Counted counted;
};

constexpr std::array<FlagKind, 16> kFlagKinds{{
    {"SYN", kSyn, false, Counted::syn},
    {"SYN with data", kSyn, true, Counted::syn},
    {"SYN that asks for ECN", kSyn | kEce | kCwr, false, Counted::syn},
    {"SYN and PSH", kSyn | kPsh, true, Counted::syn},
    {"ACK", kAck, false, Counted::nothing},
    {"data", kAck | kPsh, true, Counted::nothing},
    {"data without PSH", kAck, true, Counted::nothing},
    {"RST", kRst, false, Counted::reset},
    {"RST and ACK", kRst | kAck, false, Counted::reset},
    {"FIN and ACK", kFin | kAck, false, Counted::nothing},
    {"FIN", kFin, false, Counted::nothing},
    {"SYN and FIN", kSyn | kFin, false, Counted::nothing},
    {"SYN and RST", kSyn | kRst, false, Counted::reset},
    {"SYN and ACK", kSyn | kAck, false, Counted::nothing},
    {"no flag", 0, false, Counted::nothing},
    {"all flags", kSyn | kAck | kRst | kFin | kPsh | kUrg, false, Counted::reset},
}};

MadeFrame made(Bytes bytes, std::string kind, Verdict verdict) {
  MadeFrame frame;
  frame.bytes = std::move(bytes);
  frame.kind = std::move(kind);
  frame.verdict = verdict;
  return frame;
}

void write16(Bytes& at, size_t offset, size_t value) {
  at.at(offset) = static_cast<uint8_t>(value >> 8U & 0xffU);
  at.at(offset + 1) = static_cast<uint8_t>(value & 0xffU);
}

}  // namespace

FrameMix::FrameMix(MixTarget target, uint64_t seed, size_t largest)
    : target_(target), random_(seed), largest_(largest) {}

uint64_t FrameMix::below(uint64_t limit) {
  return random_() % limit;
}

// Each is used once in 16 million frames.
IpAddress FrameMix::next_source(bool v6) {
  const IpAddress first = IpAddress::parse(v6 ? "2001:db8:f00::" : "11.0.0.0");
  return first.plus(++made_ * 11'400'715U & 0xffffffU);
}

IpAddress FrameMix::pick_target(bool v6) {
  const uint64_t number = below(16);
  if (number == 0) return v6 ? target_.foreign6 : target_.foreign4;
  if (number < 4) return v6 ? target_.other6 : target_.other4;
  return v6 ? target_.given6 : target_.given4;
}

uint16_t FrameMix::pick_port() {
  const std::array ports{target_.any, target_.any4, target_.any6, target_.given, target_.none};
  return ports.at(below(ports.size()));
}

std::string FrameMix::pick_payload() {
  // Room for the largest headers that the mix makes.
  const size_t most = largest_ > 1500 && one_in(2) ? largest_ - 1000 : 400;
  std::string payload(1 + below(most), '\0');
  for (char& one : payload) one = static_cast<char>(random_() & 0x7fU);
  return payload;
}

bool FrameMix::is_listened(const Segment& segment) const {
  const bool v6 = segment.target.v6;
  if (segment.target == (v6 ? target_.foreign6 : target_.foreign4)) return false;
  if (segment.target_port == target_.any) return true;
  if (segment.target_port == target_.any4) return !v6;
  if (segment.target_port == target_.any6) return v6;
  if (segment.target_port == target_.given)
    return segment.target == (v6 ? target_.given6 : target_.given4);
  return false;
}

Segment FrameMix::segment() {
  const bool v6 = one_in(2);
  const FlagKind& kind = kFlagKinds.at(below(kFlagKinds.size()));
  Segment segment{.source = next_source(v6),
                  .target = pick_target(v6),
                  .source_port = static_cast<uint16_t>(1024 + below(60'000)),
                  .target_port = pick_port(),
                  .seq = static_cast<uint32_t>(random_()),
                  .ack = (kind.flags & kAck) != 0 ? static_cast<uint32_t>(random_()) : 0U,
                  .flags = kind.flags};
  if (kind.data) segment.payload = pick_payload();
  return segment;
}

FrameSpec FrameMix::plain() {
  return {.source = target_.source, .target = target_.target, .segment = segment()};
}

void FrameMix::dress(FrameSpec& spec) {
  const bool v6 = spec.segment.source.v6;
  if (one_in(3)) spec.tcp_options = 4 * (1 + below(10));
  if (!v6 && one_in(4)) spec.ip_options = 4 * (1 + below(10));
  if (v6 && one_in(4)) spec.extensions.assign(1 + below(3), kDestination);
  if (one_in(8)) spec.padding = 1 + below(20);
}

MadeFrame FrameMix::with_counts(const FrameSpec& spec, const std::string& kind) const {
  MadeFrame frame = made(to_frame(spec), kind, Verdict::tcp);
  frame.port = spec.segment.target_port;
  for (const FlagKind& one : kFlagKinds) {
    if (one.flags != spec.segment.flags || !is_listened(spec.segment)) continue;
    frame.counted = one.counted;
    break;  // the same flags with and without data are counted alike
  }
  return frame;
}

MadeFrame FrameMix::tcp() {
  FrameSpec spec = plain();
  dress(spec);
  return with_counts(spec, "TCP");
}

// Lost at the checksum, behind the interface.
MadeFrame FrameMix::wrong_checksum() {
  const FrameSpec spec = plain();
  MadeFrame frame = with_counts(spec, "TCP with a wrong checksum");
  frame.bytes.at(kEthernet + (spec.segment.source.v6 ? kIpv6 : kIpv4) + 16) ^= 0x55U;
  return frame;
}

MadeFrame FrameMix::tagged() {
  FrameSpec spec = plain();
  dress(spec);
  const size_t count = 1 + below(2);
  for (size_t i = 0; i < count; ++i) spec.tags.push_back(one_in(2) ? kTypeTag : kTypeServiceTag);
  return with_counts(spec, "TCP with tags");
}

MadeFrame FrameMix::ipv6_extended() {
  FrameSpec spec = plain();
  while (!spec.segment.source.v6) spec.segment = segment();
  constexpr std::array<uint8_t, 4> kKinds{kRouting, kDestination, kAuthentication, kDestination};
  if (one_in(2)) spec.extensions.push_back(kHopByHop);
  const size_t count = 1 + below(8 - spec.extensions.size());
  for (size_t i = 0; i < count; ++i) spec.extensions.push_back(kKinds.at(below(kKinds.size())));
  spec.extension_size = 8 * (1 + below(3));
  return with_counts(spec, "TCP behind extension headers");
}

MadeFrame FrameMix::too_deep() {
  FrameSpec spec = plain();
  spec.segment.flags = kSyn;
  spec.segment.payload.clear();
  if (one_in(2)) {
    spec.tags = {kTypeServiceTag, kTypeTag, kTypeTag};
    return made(to_frame(spec), "three tags", Verdict::other);
  }
  while (!spec.segment.source.v6) spec.segment = segment();
  spec.segment.payload.clear();
  if (one_in(2)) {
    spec.extensions.assign(9, kDestination);
    return made(to_frame(spec), "nine extension headers", Verdict::other);
  }
  spec.extensions.assign(4, kDestination);
  spec.extension_size = 128;
  return made(to_frame(spec), "TCP header beyond what is looked at", Verdict::other);
}

MadeFrame FrameMix::piece() {
  FrameSpec spec = plain();
  if (one_in(3)) spec.tags = {kTypeTag};
  const bool first = one_in(2);
  spec.piece = Piece{.offset = static_cast<uint16_t>(first ? 0 : 1 + below(8000)),
                     .more = first || one_in(2)};
  return made(to_frame(spec), "a piece", Verdict::fragment);
}

MadeFrame FrameMix::whole_with_fragment_header() {
  FrameSpec spec = plain();
  while (!spec.segment.source.v6) spec.segment = segment();
  spec.piece = Piece{};
  return with_counts(spec, "whole, with a fragment header");
}

// The address of an IPv4 host in an IPv6 header is nobody's on the wire.
MadeFrame FrameMix::mapped_address() {
  FrameSpec spec = plain();
  while (!spec.segment.source.v6) spec.segment = segment();
  IpAddress& target = spec.segment.target;
  target.bytes = {};
  target.bytes[10] = target.bytes[11] = 0xff;
  for (size_t i = 0; i < 4; ++i) target.bytes.at(12 + i) = target_.given4.bytes.at(i);
  return made(to_frame(spec), "to a mapped address", Verdict::tcp);
}

MadeFrame FrameMix::not_tcp() {
  constexpr std::array<uint8_t, 4> kProtocols{kUdp, kEsp, 132, 47};
  FrameSpec spec = plain();
  spec.protocol = kProtocols.at(below(kProtocols.size()));
  // The ports of UDP are where a listener's would be.
  std::string contents{'\x12', '\x34', static_cast<char>(target_.any >> 8U),
                       static_cast<char>(target_.any & 0xffU)};
  const std::string payload = pick_payload();
  contents += static_cast<char>((payload.size() + 8) >> 8U);
  contents += static_cast<char>((payload.size() + 8) & 0xffU);
  contents.append(2, '\0');  // no checksum
  spec.segment.payload = contents + payload;
  return made(to_frame(spec), "another protocol", Verdict::other);
}

MadeFrame FrameMix::not_ip() {
  constexpr std::array<uint16_t, 4> kTypes{kTypeArp, 0x88b5, 0x0026, 0x88b6};
  const uint16_t type = kTypes.at(below(kTypes.size()));
  Bytes contents(46);
  for (uint8_t& one : contents) one = static_cast<uint8_t>(random_());
  if (type == kTypeArp) {
    // Somebody asks for an address that nobody has.
    constexpr std::array<uint8_t, 8> kAsk{0, 1, 8, 0, 6, 4, 0, 1};
    contents.assign(28, 0);
    std::copy(kAsk.begin(), kAsk.end(), contents.begin());
    std::copy(target_.source.begin(), target_.source.end(), contents.begin() + 8);
    std::copy_n(next_source(false).bytes.begin(), 4, contents.begin() + 14);
    std::copy_n(target_.foreign4.bytes.begin(), 4, contents.begin() + 24);
  }
  return made(to_frame(target_.source, target_.target, type, contents), "not IP", Verdict::other);
}

// Somewhere in the IP packet. A frame that ends within its tag never gets past the driver's layer,
// so only those are cut that have none.
MadeFrame FrameMix::cut() {
  FrameSpec spec = plain();
  dress(spec);
  spec.padding = 0;
  Bytes bytes = to_frame(spec);
  bytes.resize(kEthernet + below(bytes.size() - kEthernet));
  return made(std::move(bytes), "cut off", Verdict::malformed);
}

MadeFrame FrameMix::impossible() {
  FrameSpec spec = plain();
  Bytes bytes = to_frame(spec);
  const bool v6 = spec.segment.source.v6;
  const size_t tcp = kEthernet + (v6 ? kIpv6 : kIpv4);
  switch (below(5)) {
    case 0:  // another version than the ethertype says
      bytes[kEthernet] = static_cast<uint8_t>((v6 ? 0x50U : 0x60U) | (bytes[kEthernet] & 15U));
      break;
    case 1:  // longer than the frame
      write16(bytes, kEthernet + (v6 ? 4 : 2), bytes.size() - kEthernet + 1 + below(1000));
      break;
    case 2:  // too short for its TCP header
      write16(bytes, kEthernet + (v6 ? 4 : 2), (v6 ? 0 : kIpv4) + below(20));
      break;
    case 3:  // a TCP header of less than 5 words
      bytes[tcp + 12] = static_cast<uint8_t>(below(5) << 4U);
      break;
    default:  // IPv4: a header of less than 5 words; IPv6: one that leads out of the packet
      if (v6) {
        bytes[kEthernet + 6] = kDestination;
        bytes[kEthernet + kIpv6 + 1] = 0xff;
      } else {
        bytes[kEthernet] = static_cast<uint8_t>(0x40U | below(5));
      }
  }
  if (bytes.size() > 2000) {
    // Where data follows, an extension header of 2048 bytes may well fit.
    const Verdict verdict = classify(bytes).verdict;
    return made(std::move(bytes), "impossible, or nearly", verdict);
  }
  return made(std::move(bytes), "impossible", Verdict::malformed);
}

// What this is, nobody knows before it is read.
MadeFrame FrameMix::garbage() {
  constexpr std::array<uint16_t, 3> kTypes{kTypeIpv4, kTypeIpv6, 0x4242};
  Bytes contents(below(200));
  for (uint8_t& one : contents) one = static_cast<uint8_t>(random_());
  const uint16_t type = kTypes.at(below(kTypes.size()));
  if (!contents.empty() && type != 0x4242 && one_in(2))
    contents[0] = type == kTypeIpv4 ? 0x45 : 0x60;
  Bytes bytes = to_frame(target_.source, target_.target, type, contents);
  const Verdict verdict = classify(bytes).verdict;
  return made(std::move(bytes), "garbage", verdict);
}

MadeFrame FrameMix::next() {
  const uint64_t number = below(32);
  if (number < 12) return tcp();
  if (number < 16) return tagged();
  if (number < 19) return ipv6_extended();
  if (number < 22) return piece();
  if (number < 24) return cut();
  if (number < 26) return impossible();
  switch (number) {
    case 26:
      return not_tcp();
    case 27:
      return not_ip();
    case 28:
      return garbage();
    case 29:
      return too_deep();
    case 30:
      return whole_with_fragment_header();
    default:
      return one_in(2) ? wrong_checksum() : mapped_address();
  }
}

}  // namespace lqtest
