// SPDX-License-Identifier: Apache-2.0
//
// Large Documents on their way to clients. Bounds how many are alive because somebody reads them
// slowly: beyond that, those who read the oldest one lose it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "web/document.h"
#include "web/gzip.h"

namespace listenq::web {

class Pages;

/// One answer from a large Document.
class Stream {
 public:
  static constexpr ssize_t kEnd = 0;
  static constexpr ssize_t kCut = -1;  ///< the Document was needed for others

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  /// At least one byte and at most `room`, kEnd or kCut.
  [[nodiscard]] ssize_t read(char* buffer, std::size_t room);

  /// Of the whole answer, where it is known already.
  [[nodiscard]] std::optional<std::size_t> size() const;

 private:
  friend class Pages;
  Stream(Pages& pages, std::shared_ptr<const Document> document, bool gzip,
         std::function<void()> on_cut);
  void let_go();

  Pages& pages_;
  std::shared_ptr<const Document> document_;  ///< first: its readers go before it
  std::shared_ptr<Gzipped> gzipped_;
  std::unique_ptr<Reader> reader_;  ///< one of this and gzipped_ is set
  std::string piece_;               ///< of reader_
  std::size_t offset_ = 0;          ///< in piece_, or in what is compressed
  bool cut_ = false;
  std::function<void()> on_cut_;
};

/// Outlives its Streams.
class Pages {
 public:
  explicit Pages(unsigned limit) : limit_(limit) {}

  /// `on_cut` is called when the answer is cut off, in the middle of somebody else's open().
  [[nodiscard]] std::unique_ptr<Stream> open(std::shared_ptr<const Document> document, bool gzip,
                                             std::function<void()> on_cut);

  /// Compressed pages are kept for who comes next, while the Document itself is alive. This lets go
  /// of the others.
  void tidy();

 private:
  friend class Stream;

  struct Page {
    const Document* document = nullptr;
    std::vector<Stream*> readers;
  };
  struct Kept {
    std::weak_ptr<const Document> document;
    std::shared_ptr<Gzipped> gzipped;
  };

  void join(Stream& stream);
  void leave(const Stream& stream);
  void cut_off_oldest();
  void keep(const Stream& stream);

  unsigned limit_;
  std::list<Page> pages_;  ///< the oldest first
  std::vector<Kept> kept_;
};

}  // namespace listenq::web
