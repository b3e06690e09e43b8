// SPDX-License-Identifier: Apache-2.0
// Ethernet frames as bytes: made of any mix of tags, options, extension headers and pieces, and
// read back by a parser written from the rules of docs/internals.md, not from the BPF programs. For
// the tests of what is counted at an interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fabric.h"
#include "packets.h"

namespace lqtest {

using Bytes = std::vector<uint8_t>;

inline constexpr uint16_t kTypeIpv4 = 0x0800;
inline constexpr uint16_t kTypeArp = 0x0806;
inline constexpr uint16_t kTypeIpv6 = 0x86dd;
inline constexpr uint16_t kTypeTag = 0x8100;         // 802.1Q
inline constexpr uint16_t kTypeServiceTag = 0x88a8;  // 802.1ad

// Next-header numbers of IPv6; the protocols are IPv4's, too.
inline constexpr uint8_t kHopByHop = 0;
inline constexpr uint8_t kTcp = 6;
inline constexpr uint8_t kUdp = 17;
inline constexpr uint8_t kRouting = 43;
inline constexpr uint8_t kFragment = 44;
inline constexpr uint8_t kEsp = 50;
inline constexpr uint8_t kAuthentication = 51;
inline constexpr uint8_t kDestination = 60;

// A piece of an IP packet.
struct Piece {
  uint16_t offset = 0;  // in units of 8 bytes
  bool more = false;
};

struct FrameSpec {
  HardwareAddress source{};
  HardwareAddress target{};
  std::vector<uint16_t> tags{};  // their types, the outermost first
  Segment segment{};             // its addresses say which IP
  uint8_t protocol = kTcp;  // any other: the payload of `segment` follows the IP header as it is
  size_t ip_options = 0;    // IPv4, bytes: a multiple of 4, at most 40
  std::vector<uint8_t> extensions{};  // IPv6, in this order
  size_t extension_size = 8;          // of those that have a choice: a multiple of 8
  size_t tcp_options = 0;             // bytes: a multiple of 4, at most 40
  // IPv4: in the header itself. IPv6: a fragment header after all `extensions`. What follows is
  // not cut to fit: nobody puts these pieces together.
  std::optional<Piece> piece{};
  size_t padding = 0;  // after the IP packet
};

// Checksums are right.
Bytes to_frame(const FrameSpec& spec);
// Any ethertype, any contents.
Bytes to_frame(const HardwareAddress& source, const HardwareAddress& target, uint16_t type,
               const Bytes& contents);

enum class Verdict : uint8_t {
  tcp,
  other,      // not TCP, or too deep to look at
  fragment,   // a piece of an IP packet
  malformed,  // shorter than it claims, or with a header that cannot be
};
std::string name_of(Verdict verdict);

struct Parsed {
  Verdict verdict = Verdict::other;
  // Of TCP only.
  IpAddress source{};
  IpAddress target{};
  uint16_t source_port = 0;
  uint16_t target_port = 0;
  uint8_t flags = 0;
  size_t ip_at = 0;
  size_t tcp_at = 0;

  // Not with FIN: no listener takes that for a SYN.
  [[nodiscard]] bool is_syn() const;
  [[nodiscard]] bool is_synack() const;
  [[nodiscard]] bool is_reset() const;
};

// The reference.
Parsed classify(std::span<const uint8_t> frame);

std::string hex(std::span<const uint8_t> bytes);

}  // namespace lqtest
