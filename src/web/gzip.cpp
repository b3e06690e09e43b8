// SPDX-License-Identifier: Apache-2.0
//
// zlib, level 1: pages of numbers shrink to a tenth at three times the speed of level 6.
#include "web/gzip.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <new>
#include <optional>

#include "util/text.h"

namespace listenq::web {
namespace {

/// Text rendered in one go, so that other clients get their turn.
constexpr std::size_t kTextAtOnce = 256UL * 1024;

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

/// Whether the weight among `parameters` ("q=0.5") is more than zero; nullopt: it is no weight.
std::optional<bool> wanted(std::string_view parameters) {
  bool more = true;
  for (std::string_view parameter : split(parameters, ';')) {
    parameter = trimmed(parameter);
    if (parameter.size() < 2 || !same_name(parameter.substr(0, 2), "q=")) continue;
    const std::string_view value = trimmed(parameter.substr(2));
    const bool number = !value.empty() && (value[0] == '0' || value[0] == '1') &&
                        (value.size() == 1 || value[1] == '.') && value.size() <= 5 &&
                        std::all_of(value.begin() + (value.size() > 1 ? 2 : 1), value.end(),
                                    [](char c) { return c >= '0' && c <= '9'; });
    if (!number) return std::nullopt;
    more = value.find_first_of("123456789") != std::string_view::npos;
  }
  return more;
}

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<bool> named;
  std::optional<bool> any;
  for (const std::string_view element : split(accept_encoding, ',')) {
    const std::size_t end = element.find(';');
    const std::string_view coding = trimmed(element.substr(0, end));
    const auto more =
        end == std::string_view::npos ? std::optional(true) : wanted(element.substr(end + 1));
    if (!more) continue;
    if (same_name(coding, "gzip") || same_name(coding, "x-gzip")) named = *more;
    if (coding == "*") any = *more;
  }
  return named.value_or(any.value_or(false));
}

std::shared_ptr<Gzipped> Gzipped::of(const Document& document) {
  std::shared_ptr<Gzipped> gzipped = document.gzipped_.lock();
  if (gzipped == nullptr) {
    gzipped.reset(new Gzipped(document));
    document.gzipped_ = gzipped;
  }
  return gzipped;
}

Gzipped::Gzipped(const Document& document) : reader_(document.open()) {
  constexpr int kLevel = 1;
  constexpr int kGzipHeader = 16;
  constexpr int kMemory = 8;
  if (deflateInit2(&stream_, kLevel, Z_DEFLATED, MAX_WBITS + kGzipHeader, kMemory,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
}

Gzipped::~Gzipped() {
  deflateEnd(&stream_);
}

std::string_view Gzipped::from(std::size_t offset) {
  while (offset >= out_.size() && !done()) compress_on();
  return std::string_view(out_).substr(std::min(offset, out_.size()));
}

void Gzipped::compress_on() {
  const std::size_t before = out_.size();
  for (std::size_t rendered = 0; rendered < kTextAtOnce && out_.size() == before;) {
    piece_.clear();
    if (!reader_->read(piece_)) {
      deflate_piece(Z_FINISH);
      deflateEnd(&stream_);
      stream_ = {};
      reader_.reset();
      piece_ = {};
      out_.shrink_to_fit();
      return;
    }
    rendered += piece_.size();
    deflate_piece(Z_NO_FLUSH);
  }
  // zlib gives nothing out before its own buffer is full; the caller must get at least a byte.
  piece_.clear();
  if (out_.size() == before) deflate_piece(Z_SYNC_FLUSH);
}

void Gzipped::deflate_piece(int flush) {
  std::array<char, 16384> block{};
  // zlib's older interface is without const; it only reads.
  stream_.next_in = reinterpret_cast<Bytef*>(piece_.data());
  stream_.avail_in = static_cast<uInt>(piece_.size());
  do {
    stream_.next_out = reinterpret_cast<Bytef*>(block.data());
    stream_.avail_out = static_cast<uInt>(block.size());
    deflate(&stream_, flush);
    out_.append(block.data(), block.size() - stream_.avail_out);
  } while (stream_.avail_out == 0);
}

}  // namespace listenq::web
