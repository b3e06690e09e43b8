// SPDX-License-Identifier: Apache-2.0
//
// A Document as gzip, compressed once for all who read it so, and whether a client wants that.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "web/document.h"

namespace listenq::web {

/// Of the Accept-Encoding header (RFC 9110, 12.5.3); none, or one that can't be read: no.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

class Gzipped {
 public:
  /// The one of `document`, for as long as somebody holds it. It reads `document`, which must not
  /// go before done().
  [[nodiscard]] static std::shared_ptr<Gzipped> of(const Document& document);

  Gzipped(const Gzipped&) = delete;
  Gzipped& operator=(const Gzipped&) = delete;
  ~Gzipped();

  /// What is behind `offset`, of which there is at least one byte, compressing on where nobody has
  /// done so; empty: that was all. Valid until the next call.
  [[nodiscard]] std::string_view from(std::size_t offset);

  /// Everything is compressed; the Document is not needed any more.
  [[nodiscard]] bool done() const { return reader_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return out_.size(); }

 private:
  explicit Gzipped(const Document& document);
  void compress_on();
  void deflate_piece(int flush);

  std::unique_ptr<Reader> reader_;  ///< null: done
  std::string piece_;
  std::string out_;
  z_stream stream_{};
};

}  // namespace listenq::web
