// SPDX-License-Identifier: Apache-2.0
//
// Makes libmicrohttpd's answers: from a Document, in pieces and compressed where the client takes
// that, or from a word. Used by server.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "web/document.h"
#include "web/libraries.h"
#include "web/pages.h"

namespace listenq::web {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// An MHD_Response and the reference to it.
class Answer {
 public:
  Answer(const Libraries& libraries, MHD_Response* response)
      : libraries_(libraries), response_(response) {}
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() {
    if (response_ != nullptr) libraries_.MHD_destroy_response(response_);
  }

  void add(const char* name, const std::string& value) {
    if (response_ != nullptr) libraries_.MHD_add_response_header(response_, name, value.c_str());
  }
  /// MHD_NO, which closes the connection, also when there was no memory for the answer.
  [[nodiscard]] MHD_Result queue(MHD_Connection* connection, unsigned status) {
    if (response_ == nullptr) return MHD_NO;
    return libraries_.MHD_queue_response(connection, status, response_);
  }

 private:
  const Libraries& libraries_;
  MHD_Response* response_;
};

/// How a Document is asked for.
struct Asked {
  std::string_view accept_encoding;
  bool head = false;                  ///< only the header is wanted
  std::uint64_t* progress = nullptr;  ///< one more for each piece that is read
  std::function<void()> on_cut;       ///< see Pages::open()
};

/// "Not Found\n" and the like.
[[nodiscard]] std::unique_ptr<Answer> answer_text(const Libraries& libraries,
                                                  const std::string& text);

[[nodiscard]] std::unique_ptr<Answer> answer_document(const Libraries& libraries, Pages& pages,
                                                      std::shared_ptr<const Document> document,
                                                      Asked asked);

}  // namespace listenq::web
