// SPDX-License-Identifier: Apache-2.0
//
// Short Documents are sent as a whole, large ones by a callback that libmicrohttpd calls when the
// client has taken what there was before.
#include "web/answers.h"

#include <algorithm>
#include <cstdint>

#include "web/gzip.h"

namespace listenq::web {
namespace {

/// Below, a header costs more than gzip saves.
constexpr std::size_t kWorthCompressing = 1024;

/// libmicrohttpd's buffer for answers that it can't send in chunks.
constexpr std::size_t kBlock = 16384;

struct Source {
  std::unique_ptr<Stream> stream;
  std::uint64_t* progress = nullptr;
};

ssize_t read_source(void* closure, std::uint64_t /*position*/, char* buffer, std::size_t room) {
  auto& source = *static_cast<Source*>(closure);
  ++*source.progress;
  const ssize_t got = source.stream->read(buffer, room);
  if (got == Stream::kEnd) return MHD_CONTENT_READER_END_OF_STREAM;
  if (got == Stream::kCut) return MHD_CONTENT_READER_END_WITH_ERROR;
  return got;
}

void free_source(void* closure) {
  delete static_cast<Source*>(closure);
}

MHD_Response* whole(const Libraries& libraries, std::string_view text) {
  // It is copied; the older interface is without const.
  return libraries.MHD_create_response_from_buffer(text.size(), const_cast<char*>(text.data()),
                                                   MHD_RESPMEM_MUST_COPY);
}

MHD_Response* in_pieces(const Libraries& libraries, std::unique_ptr<Stream> stream,
                        const Asked& asked) {
  const std::uint64_t size = stream->size().value_or(MHD_SIZE_UNKNOWN);
  auto* const source = new Source{std::move(stream), asked.progress};
  MHD_Response* const response =
      libraries.MHD_create_response_from_callback(size, kBlock, &read_source, source, &free_source);
  if (response == nullptr) {
    free_source(source);
    return nullptr;
  }
  if (asked.head && size == MHD_SIZE_UNKNOWN) {
    // Else libmicrohttpd ends the chunks of a body that it has not sent.
    libraries.MHD_set_response_options(response, MHD_RF_HTTP_VERSION_1_0_ONLY, MHD_RO_END);
  }
  return response;
}

}  // namespace

std::unique_ptr<Answer> answer_text(const Libraries& libraries, const std::string& text) {
  auto answer = std::make_unique<Answer>(libraries, whole(libraries, text + '\n'));
  answer->add("Content-Type", "text/plain; charset=utf-8");
  return answer;
}

std::unique_ptr<Answer> answer_document(const Libraries& libraries, Pages& pages,
                                        std::shared_ptr<const Document> document, Asked asked) {
  const auto* const text = dynamic_cast<const TextDocument*>(document.get());
  const bool compressible = text == nullptr || text->text().size() >= kWorthCompressing;
  const bool gzip = compressible && accepts_gzip(asked.accept_encoding);
  const std::string content_type = document->content_type();
  MHD_Response* response = nullptr;
  if (text == nullptr) {
    response =
        in_pieces(libraries, pages.open(std::move(document), gzip, std::move(asked.on_cut)), asked);
  } else if (gzip) {
    const auto gzipped = Gzipped::of(*text);
    while (!gzipped->done()) (void)gzipped->from(gzipped->size());
    response = whole(libraries, gzipped->from(0));
  } else {
    response = whole(libraries, text->text());
  }
  auto answer = std::make_unique<Answer>(libraries, response);
  answer->add("Content-Type", content_type);
  if (gzip) answer->add("Content-Encoding", "gzip");
  if (compressible) answer->add("Vary", "Accept, Accept-Encoding");
  return answer;
}

}  // namespace listenq::web
