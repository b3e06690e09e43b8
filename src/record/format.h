// SPDX-License-Identifier: Apache-2.0
//
// What Recorder and Player share of the file format: the header, the frame around each sample, the
// bounds that keep a hostile file from exhausting memory. docs/recording.md describes it in words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace listenq::recording {

using Bytes = std::vector<std::uint8_t>;

/// The line end and the end-of-text byte reveal a file that went through a text conversion.
inline constexpr std::array<std::uint8_t, 8> kMagic{'L', 'Q', 'R', 'E', 'C', '\r', '\n', 0x1a};
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = kMagic.size() + 4;
inline constexpr std::size_t kFrameHeadBytes = 8;

/// 10,000 listeners with their owners take about 4 MiB before compression and 0.3 million values.
inline constexpr std::size_t kMaxPayloadBytes = std::size_t{32} << 20;
inline constexpr std::size_t kMaxInflatedBytes = std::size_t{128} << 20;
inline constexpr std::size_t kMaxValues = 4'000'000;
inline constexpr std::size_t kMaxDepth = 8;

/// Little endian.
void put_u32(Bytes& out, std::uint32_t value);
[[nodiscard]] std::uint32_t get_u32(std::span<const std::uint8_t, 4> bytes);

/// Magic and version.
[[nodiscard]] Bytes file_header();

/// Of the length and the payload: with the length inside, a frame of zeros (what a file system may
/// leave after a power loss) has no valid checksum.
[[nodiscard]] std::uint32_t frame_checksum(std::span<const std::uint8_t> payload);

/// nullopt when `plain` or the result is longer than its bound.
[[nodiscard]] std::optional<Bytes> deflate_payload(std::span<const std::uint8_t> plain);

/// nullopt when `payload` is not exactly one zlib stream, or holds more than kMaxInflatedBytes.
[[nodiscard]] std::optional<Bytes> inflate_payload(std::span<const std::uint8_t> payload);

/// Whether `cbor` is one item made of what the encoder writes: definite lengths; integers, text,
/// bytes, arrays, maps, booleans and null; at most kMaxDepth deep and kMaxValues many. The JSON
/// library parses nested items by recursion without a limit, so nothing else may reach it.
[[nodiscard]] bool is_bounded_cbor(std::span<const std::uint8_t> cbor);

}  // namespace listenq::recording
