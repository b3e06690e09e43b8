// SPDX-License-Identifier: Apache-2.0
//
// What the web server sends: a Document is one page at one moment, read in pieces, so that a page
// of many megabytes is never in memory as a whole. Made by the handler, sent by Server.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace listenq::web {

class Gzipped;

/// One reader's place in a Document.
class Reader {
 public:
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  virtual ~Reader() = default;

  /// Appends the next piece, some 64 KiB, and at least one byte; false: there was nothing left.
  virtual bool read(std::string& out) = 0;
};

/// Never changes. Many may read one Document at once, all from one thread.
class Document {
 public:
  explicit Document(std::string content_type) : content_type_(std::move(content_type)) {}
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  virtual ~Document() = default;

  /// From the start. The Document outlives its readers.
  [[nodiscard]] virtual std::unique_ptr<Reader> open() const = 0;

  [[nodiscard]] const std::string& content_type() const { return content_type_; }

 private:
  friend class Gzipped;

  std::string content_type_;
  /// Compressed once, as far as somebody has read it, for all who read it compressed.
  mutable std::weak_ptr<Gzipped> gzipped_;
};

/// A short page: sent as a whole, with its length.
class TextDocument final : public Document {
 public:
  TextDocument(std::string content_type, std::string text)
      : Document(std::move(content_type)), text_(std::move(text)) {}

  [[nodiscard]] std::unique_ptr<Reader> open() const override;

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace listenq::web
