// SPDX-License-Identifier: Apache-2.0
//
// See format.h.
#include "record/format.h"

#include <zlib.h>

#include <algorithm>

namespace listenq::recording {

void put_u32(Bytes& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift & 0xffU));
  }
}

std::uint32_t get_u32(std::span<const std::uint8_t, 4> bytes) {
  return std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8U | std::uint32_t{bytes[2]} << 16U |
         std::uint32_t{bytes[3]} << 24U;
}

Bytes file_header() {
  Bytes header(kMagic.begin(), kMagic.end());
  put_u32(header, kVersion);
  return header;
}

std::uint32_t frame_checksum(std::span<const std::uint8_t> payload) {
  Bytes length;
  put_u32(length, static_cast<std::uint32_t>(payload.size()));
  const uLong of_length = crc32(0, length.data(), static_cast<uInt>(length.size()));
  return static_cast<std::uint32_t>(
      crc32(of_length, payload.data(), static_cast<uInt>(payload.size())));
}

std::optional<Bytes> deflate_payload(std::span<const std::uint8_t> plain) {
  if (plain.size() > kMaxInflatedBytes) return std::nullopt;
  // The fastest level: keys repeat so much that the better ones gain little and cost a multiple.
  uLongf length = compressBound(static_cast<uLong>(plain.size()));
  Bytes payload(length);
  if (compress2(payload.data(), &length, plain.data(), static_cast<uLong>(plain.size()),
                Z_BEST_SPEED) != Z_OK ||
      length > kMaxPayloadBytes) {
    return std::nullopt;
  }
  payload.resize(length);
  return payload;
}

std::optional<Bytes> inflate_payload(std::span<const std::uint8_t> payload) {
  if (payload.size() > kMaxPayloadBytes) return std::nullopt;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  stream.next_in = const_cast<Bytef*>(payload.data());  // zlib does not write to it
  stream.avail_in = static_cast<uInt>(payload.size());

  Bytes plain;
  int status = Z_OK;
  while (status == Z_OK && plain.size() < kMaxInflatedBytes) {
    const std::size_t done = plain.size();
    plain.resize(std::min(kMaxInflatedBytes, std::max<std::size_t>(done * 2, 64 << 10)));
    stream.next_out = plain.data() + done;
    stream.avail_out = static_cast<uInt>(plain.size() - done);
    status = inflate(&stream, Z_NO_FLUSH);
    plain.resize(plain.size() - stream.avail_out);
  }
  const bool whole = status == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (!whole) return std::nullopt;
  return plain;
}

namespace {

enum class Major : std::uint8_t { positive, negative, bytes, text, array, map, tag, simple };

struct Head {
  Major major{};
  std::uint8_t info = 0;
  std::uint64_t value = 0;
};

/// Takes one item's head off the front; nullopt when it is cut off or of indefinite length.
std::optional<Head> take_head(std::span<const std::uint8_t>& rest) {
  if (rest.empty()) return std::nullopt;
  Head head{static_cast<Major>(rest[0] >> 5U), static_cast<std::uint8_t>(rest[0] & 0x1fU), 0};
  rest = rest.subspan(1);
  if (head.info < 24) {
    head.value = head.info;
    return head;
  }
  if (head.info > 27) return std::nullopt;
  const std::size_t bytes = std::size_t{1} << (head.info - 24U);
  if (rest.size() < bytes) return std::nullopt;
  for (std::size_t i = 0; i < bytes; ++i) head.value = head.value << 8U | rest[i];
  rest = rest.subspan(bytes);
  return head;
}

}  // namespace

bool is_bounded_cbor(std::span<const std::uint8_t> cbor) {
  std::array<std::uint64_t, kMaxDepth + 1> open{1};  // items still to come, per level
  std::size_t depth = 0;
  for (std::size_t values = 0;; ++values) {
    while (open.at(depth) == 0) {
      if (depth == 0) return cbor.empty();
      --depth;
    }
    --open.at(depth);
    const std::optional<Head> head = take_head(cbor);
    if (!head || values == kMaxValues) return false;
    switch (head->major) {
      case Major::positive:
        break;
      case Major::negative:  // -1 - value must fit int64
        if (head->value > INT64_MAX) return false;
        break;
      case Major::bytes:
      case Major::text:
        if (head->value > cbor.size()) return false;
        cbor = cbor.subspan(static_cast<std::size_t>(head->value));
        break;
      case Major::array:
      case Major::map:
        if (head->value > kMaxValues || depth == kMaxDepth) return false;
        open.at(++depth) = head->major == Major::map ? head->value * 2 : head->value;
        break;
      case Major::tag:
        return false;
      case Major::simple:  // false, true, null; anything else, floats too, is not written
        if (head->info < 20 || head->info > 22) return false;
        break;
    }
  }
}

}  // namespace listenq::recording
