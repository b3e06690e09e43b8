// SPDX-License-Identifier: Apache-2.0
//
// A short page in one piece.
#include "web/document.h"

namespace listenq::web {
namespace {

class TextReader final : public Reader {
 public:
  explicit TextReader(const std::string& text) : text_(text) {}

  bool read(std::string& out) override {
    if (done_ || text_.empty()) return false;
    out += text_;
    done_ = true;
    return true;
  }

 private:
  const std::string& text_;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Reader> TextDocument::open() const {
  return std::make_unique<TextReader>(text_);
}

}  // namespace listenq::web
