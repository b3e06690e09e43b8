// SPDX-License-Identifier: Apache-2.0
// TCP segments as bytes, IPv4 and IPv6: made and read back. For the raw client, the flood and
// sockets.cpp, which all talk to a listener without a TCP socket of their own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lqtest {

// In network byte order; IPv4 in the first four bytes.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};
  bool v6 = false;

  static IpAddress parse(const std::string& text);
  // `offset` further on, in the last eight (IPv4: four) bytes.
  [[nodiscard]] IpAddress plus(uint64_t offset) const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] size_t size() const { return v6 ? 16 : 4; }
  bool operator==(const IpAddress&) const = default;
};

inline constexpr uint8_t kFin = 0x01;
inline constexpr uint8_t kSyn = 0x02;
inline constexpr uint8_t kRst = 0x04;
inline constexpr uint8_t kPsh = 0x08;
inline constexpr uint8_t kAck = 0x10;

struct Segment {
  IpAddress source{};
  IpAddress target{};
  uint16_t source_port = 0;
  uint16_t target_port = 0;
  uint32_t seq = 0;
  uint32_t ack = 0;
  uint8_t flags = 0;
  std::string payload{};
};

// From the IP header on, checksums set. No TCP options.
std::vector<uint8_t> to_packet(const Segment& segment);
// Nothing if it is no TCP segment, or a cut one. Options are passed over.
std::optional<Segment> parse_packet(const uint8_t* data, size_t size);

// Where to change a packet of to_packet() in place; the checksum is then the reader's business.
struct PacketLayout {
  size_t source = 0;
  size_t target = 0;
  size_t tcp = 0;
};
PacketLayout layout_of(bool v6);

// Internet checksum, added up piece by piece. Only the last piece may have an odd length.
class Checksum {
 public:
  void add(const void* data, size_t size);
  // The ones' complement sum so far, not inverted.
  [[nodiscard]] uint32_t sum() const { return sum_; }
  // In network byte order.
  [[nodiscard]] uint16_t value() const;

 private:
  uint32_t sum_ = 0;
};

}  // namespace lqtest
