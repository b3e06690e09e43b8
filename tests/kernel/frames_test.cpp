// SPDX-License-Identifier: Apache-2.0
// The frames that other tests send are what their makers say, by the word of the reference parser;
// and that parser does what its rules say, by frames written down here.
#include "frames.h"

#include <gtest/gtest.h>

#include <map>

#include "frame_mix.h"

namespace lqtest {
namespace {

constexpr HardwareAddress kHere{2, 0, 0, 0, 0, 1};
constexpr HardwareAddress kThere{2, 0, 0, 0, 0, 2};

FrameSpec syn(bool v6) {
  return {.source = kThere,
          .target = kHere,
          .segment = {.source = IpAddress::parse(v6 ? "2001:db8::1" : "192.0.2.1"),
                      .target = IpAddress::parse(v6 ? "2001:db8::2" : "192.0.2.2"),
                      .source_port = 1234,
                      .target_port = 80,
                      .seq = 1,
                      .flags = kSyn}};
}

Verdict verdict_of(const FrameSpec& spec) {
  return classify(to_frame(spec)).verdict;
}

void expect_tcp(const FrameSpec& spec, size_t tcp_at) {
  const Parsed parsed = classify(to_frame(spec));
  EXPECT_EQ(parsed.verdict, Verdict::tcp) << name_of(parsed.verdict);
  EXPECT_EQ(parsed.source, spec.segment.source);
  EXPECT_EQ(parsed.target, spec.segment.target);
  EXPECT_EQ(parsed.source_port, 1234);
  EXPECT_EQ(parsed.target_port, 80);
  EXPECT_EQ(parsed.tcp_at, tcp_at);
  EXPECT_TRUE(parsed.is_syn());
}

// A frame as bytes of its own: "-" and blanks are passed over.
Bytes bytes_of(const std::string& text) {
  Bytes bytes;
  std::string digits;
  for (const char one : text)
    if (std::isxdigit(static_cast<unsigned char>(one)) != 0) digits += one;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

// Written down by hand: the SYN of a connect(), with the options that kernels send.
TEST(Frames, OneWrittenByHand) {
  const Bytes frame = bytes_of(
      "02 00 00 00 00 01 02 00 00 00 00 02 08 00"
      "45 00 00 3c 1c 46 40 00 40 06 9a 71 c0 00 02 01 c0 00 02 02"
      "04 d2 00 50 00 00 00 01 00 00 00 00 a0 02 fa f0 00 00 00 00"
      "02 04 05 b4 04 02 08 0a 00 00 00 01 00 00 00 00 01 03 03 07");
  const Parsed parsed = classify(frame);
  EXPECT_EQ(parsed.verdict, Verdict::tcp);
  EXPECT_TRUE(parsed.is_syn());
  EXPECT_EQ(parsed.source, IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(parsed.target_port, 80);
  for (size_t size = 0; size < frame.size(); ++size)
    EXPECT_EQ(classify(std::span(frame).first(size)).verdict, Verdict::malformed) << size;
}

TEST(Frames, HeadersOfAllKinds) {
  FrameSpec spec = syn(false);
  expect_tcp(spec, 34);
  spec.ip_options = 40;
  spec.tcp_options = 40;
  spec.padding = 9;
  expect_tcp(spec, 74);
  spec.tags = {kTypeServiceTag, kTypeTag};
  expect_tcp(spec, 82);
  spec.tags.push_back(kTypeTag);
  EXPECT_EQ(verdict_of(spec), Verdict::other);
  FrameSpec six = syn(true);
  expect_tcp(six, 54);
  six.extensions = {kHopByHop, kRouting, kAuthentication, kDestination};
  expect_tcp(six, 54 + 8 + 8 + 24 + 8);
  six.extensions.assign(8, kDestination);
  expect_tcp(six, 54 + 64);
  six.extensions.push_back(kDestination);
  EXPECT_EQ(verdict_of(six), Verdict::other);
  six.extensions.assign(3, kRouting);
  six.extension_size = 152;
  expect_tcp(six, 54 + 456);  // 510: the last but one
  six.tags = {kTypeTag};
  EXPECT_EQ(verdict_of(six), Verdict::other);
}

TEST(Frames, Pieces) {
  for (const bool v6 : {false, true}) {
    FrameSpec spec = syn(v6);
    spec.piece = Piece{.offset = 0, .more = true};
    EXPECT_EQ(verdict_of(spec), Verdict::fragment);
    spec.piece = Piece{.offset = 1, .more = false};
    EXPECT_EQ(verdict_of(spec), Verdict::fragment);
    spec.piece = Piece{.offset = 0x1fff, .more = true};
    EXPECT_EQ(verdict_of(spec), Verdict::fragment);
    spec.piece = Piece{};
    expect_tcp(spec, v6 ? 62 : 34);
  }
}

TEST(Frames, WhatCannotBe) {
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6);
    FrameSpec spec = syn(v6);
    spec.segment.payload = "some";
    Bytes frame = to_frame(spec);
    const size_t tcp = v6 ? 54 : 34;
    frame[tcp + 12] = 0x60;  // 24 bytes: payload taken for options
    EXPECT_EQ(classify(frame).verdict, Verdict::tcp);
    frame[tcp + 12] = 0x70;
    EXPECT_EQ(classify(frame).verdict, Verdict::malformed);
    frame[tcp + 12] = 0x40;
    EXPECT_EQ(classify(frame).verdict, Verdict::malformed);
    frame = to_frame(spec);
    frame[14] ^= 0x20;
    EXPECT_EQ(classify(frame).verdict, Verdict::malformed);
    spec.protocol = kUdp;  // what is in it is not looked at
    EXPECT_EQ(verdict_of(spec), Verdict::other);
  }
  EXPECT_EQ(classify(to_frame(kHere, kThere, kTypeTag, {0, 1, 8})).verdict, Verdict::malformed);
  EXPECT_EQ(classify(to_frame(kHere, kThere, kTypeArp, {})).verdict, Verdict::other);
  EXPECT_EQ(classify(Bytes(13)).verdict, Verdict::malformed);
}

TEST(Frames, WhatIsMadeIsWhatIsSaid) {
  MixTarget target{.source = kThere,
                   .target = kHere,
                   .given4 = IpAddress::parse("192.0.2.1"),
                   .given6 = IpAddress::parse("2001:db8::1"),
                   .other4 = IpAddress::parse("192.0.2.2"),
                   .other6 = IpAddress::parse("2001:db8::2"),
                   .foreign4 = IpAddress::parse("192.0.2.3"),
                   .foreign6 = IpAddress::parse("2001:db8::3"),
                   .any = 1,
                   .any4 = 2,
                   .any6 = 3,
                   .given = 4,
                   .none = 5};
  FrameMix mix(target, 1);
  std::map<std::string, size_t> kinds;
  for (int i = 0; i < 100'000; ++i) {
    const MadeFrame frame = mix.next();
    ++kinds[frame.kind];
    const Parsed parsed = classify(frame.bytes);
    ASSERT_EQ(parsed.verdict, frame.verdict) << frame.kind << hex(frame.bytes);
    ASSERT_LE(frame.bytes.size(), 1514U) << frame.kind;
    if (frame.counted == Counted::nothing) continue;
    ASSERT_EQ(parsed.target_port, frame.port) << frame.kind << hex(frame.bytes);
    ASSERT_EQ(parsed.is_syn(), frame.counted == Counted::syn) << frame.kind << hex(frame.bytes);
    ASSERT_EQ(parsed.is_reset(), frame.counted == Counted::reset) << frame.kind;
    ASSERT_NE(frame.port, target.none);
  }
  EXPECT_GE(kinds.size(), 15U);
  for (const auto& [kind, count] : kinds) EXPECT_GE(count, 100U) << kind;
}

}  // namespace
}  // namespace lqtest
