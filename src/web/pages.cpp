// SPDX-License-Identifier: Apache-2.0
//
// Streams, and who reads what.
#include "web/pages.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace listenq::web {
namespace {

/// Compressed pages kept: one for each format of the same numbers.
constexpr std::size_t kKept = 2;

}  // namespace

Stream::Stream(Pages& pages, std::shared_ptr<const Document> document, bool gzip,
               std::function<void()> on_cut)
    : pages_(pages), document_(std::move(document)), on_cut_(std::move(on_cut)) {
  if (gzip) {
    gzipped_ = Gzipped::of(*document_);
  } else {
    reader_ = document_->open();
  }
}

Stream::~Stream() {
  let_go();
}

void Stream::let_go() {
  if (document_ == nullptr) return;
  pages_.leave(*this);
  pages_.keep(*this);
  reader_.reset();
  gzipped_.reset();
  document_.reset();
  piece_ = {};
}

std::optional<std::size_t> Stream::size() const {
  if (gzipped_ == nullptr || !gzipped_->done()) return std::nullopt;
  return gzipped_->size();
}

ssize_t Stream::read(char* buffer, std::size_t room) {
  if (cut_) return kCut;
  if (document_ == nullptr) return kEnd;
  std::string_view ready;
  if (gzipped_ != nullptr) {
    ready = gzipped_->from(offset_);
  } else {
    if (offset_ == piece_.size()) {
      piece_.clear();
      offset_ = 0;
      reader_->read(piece_);
    }
    ready = std::string_view(piece_).substr(offset_);
  }
  if (ready.empty()) {
    let_go();
    return kEnd;
  }
  ready = ready.substr(0, room);
  std::memcpy(buffer, ready.data(), ready.size());
  offset_ += ready.size();
  return static_cast<ssize_t>(ready.size());
}

std::unique_ptr<Stream> Pages::open(std::shared_ptr<const Document> document, bool gzip,
                                    std::function<void()> on_cut) {
  std::unique_ptr<Stream> stream(new Stream(*this, std::move(document), gzip, std::move(on_cut)));
  join(*stream);
  return stream;
}

void Pages::join(Stream& stream) {
  const Document* const document = stream.document_.get();
  const auto known = std::find_if(pages_.begin(), pages_.end(),
                                  [&](const Page& page) { return page.document == document; });
  if (known != pages_.end()) {
    known->readers.push_back(&stream);
    return;
  }
  while (!pages_.empty() && pages_.size() >= limit_) cut_off_oldest();
  pages_.push_back({document, {&stream}});
}

void Pages::leave(const Stream& stream) {
  const auto page = std::find_if(pages_.begin(), pages_.end(), [&](const Page& each) {
    return each.document == stream.document_.get();
  });
  if (page == pages_.end()) return;
  std::erase(page->readers, &stream);
  if (page->readers.empty()) pages_.erase(page);
}

void Pages::cut_off_oldest() {
  // let_go() takes each out of the page, and the page with the last.
  const std::vector<Stream*> readers = pages_.front().readers;
  for (Stream* reader : readers) {
    reader->cut_ = true;
    reader->let_go();
    reader->on_cut_();
  }
}

void Pages::keep(const Stream& stream) {
  if (stream.cut_ || stream.gzipped_ == nullptr || !stream.gzipped_->done()) return;
  tidy();
  const auto same = [&](const Kept& each) { return each.gzipped == stream.gzipped_; };
  if (std::any_of(kept_.begin(), kept_.end(), same)) return;
  if (kept_.size() == kKept) kept_.erase(kept_.begin());
  kept_.push_back({stream.document_, stream.gzipped_});
}

void Pages::tidy() {
  std::erase_if(kept_, [](const Kept& each) { return each.document.expired(); });
}

}  // namespace listenq::web
