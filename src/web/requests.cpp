// SPDX-License-Identifier: Apache-2.0
//
// The checks on a request, in the order of what they cost.
#include "web/requests.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "web/answers.h"

namespace listenq::web {
namespace {

const char* text_of(unsigned status) {
  switch (status) {
    case MHD_HTTP_BAD_REQUEST:
      return "Bad request";
    case MHD_HTTP_UNAUTHORIZED:
      return "Unauthorized";
    case MHD_HTTP_METHOD_NOT_ALLOWED:
      return "Method not allowed";
    case MHD_HTTP_CONTENT_TOO_LARGE:
      return "A request has no body here";
    case MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE:
      return "Request header too large";
    case MHD_HTTP_SERVICE_UNAVAILABLE:
      return "Too many passwords to check";
    default:
      return "Error";
  }
}

/// All values of one header, joined by ",".
struct Wanted {
  std::string_view name;
  std::string value;
  unsigned times = 0;
};

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

MHD_Result collect(void* closure, MHD_ValueKind /*kind*/, const char* name, const char* value) {
  auto& wanted = *static_cast<Wanted*>(closure);
  if (!same_name(name, wanted.name)) return MHD_YES;
  if (wanted.times++ > 0) wanted.value += ',';
  if (value != nullptr) wanted.value += value;
  return MHD_YES;
}

/// Without scheme and host, which a request through a proxy has.
std::string_view path_of(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme)) continue;
    const std::size_t path = url.find('/', scheme.size());
    return path == std::string_view::npos ? "/" : url.substr(path);
  }
  return url;
}

}  // namespace

MHD_Result Requests::handle(Exchange& exchange, const char* url, const char* method,
                            const char* version) {
  if (!exchange.header_seen) {
    exchange.header_seen = true;
    const unsigned status = mistake(exchange, version);
    // An answer at this point ends the connection: what else comes is not read.
    return status == 0 ? MHD_YES : refuse(exchange, status);
  }
  switch (let_in(exchange)) {
    case Entry::open:
      break;
    case Entry::closed:
      return refuse(exchange, MHD_HTTP_UNAUTHORIZED, "WWW-Authenticate",
                    "Basic realm=\"listenq-top\"");
    case Entry::later:
      return MHD_YES;
    case Entry::busy:
      return refuse(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "Retry-After", "5");
  }
  const bool head = std::string_view(method) == "HEAD";
  if (!head && std::string_view(method) != "GET") {
    return refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "Allow", "GET, HEAD");
  }
  return respond(exchange, url, head);
}

unsigned Requests::mistake(const Exchange& exchange, const char* version) const {
  const auto* const size = libraries_.MHD_get_connection_info(
      exchange.connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  if (size != nullptr && size->header_size > limits_.header_bytes) {
    return MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
  }
  unsigned hosts = 0;
  (void)header(exchange, "Host", &hosts);
  if (hosts > 1 || (hosts == 0 && std::string_view(version) == "HTTP/1.1")) {
    return MHD_HTTP_BAD_REQUEST;
  }
  unsigned lengths = 0;
  unsigned encodings = 0;
  const std::string length = header(exchange, "Content-Length", &lengths);
  (void)header(exchange, "Transfer-Encoding", &encodings);
  // Two lengths: where one of them says that the request ends, the other may not.
  if (lengths > 1 || (lengths > 0 && encodings > 0)) return MHD_HTTP_BAD_REQUEST;
  const bool body = encodings > 0 || length.find_first_not_of('0') != std::string::npos;
  return body ? MHD_HTTP_CONTENT_TOO_LARGE : 0;
}

Requests::Entry Requests::let_in(Exchange& exchange) {
  if (exchange.let_in) return *exchange.let_in ? Entry::open : Entry::closed;
  if (!passwords_->needed()) return Entry::open;
  const auto credentials = basic_credentials(header(exchange, "Authorization"));
  if (!credentials) return Entry::closed;
  const std::uint64_t number = ++numbers_;
  switch (passwords_->check(*credentials, number)) {
    case Passwords::Answer::right:
      return Entry::open;
    case Passwords::Answer::wrong:
      return Entry::closed;
    case Passwords::Answer::busy:
      return Entry::busy;
    case Passwords::Answer::later:
      break;
  }
  suspended_[number] = &exchange;
  libraries_.MHD_suspend_connection(exchange.connection);
  return Entry::later;
}

void Requests::resume_checked() {
  for (const auto& [number, right] : passwords_->finished()) {
    const auto waiting = suspended_.extract(number);
    if (waiting.empty()) continue;
    Exchange& exchange = *waiting.mapped();
    exchange.let_in = right;
    libraries_.MHD_resume_connection(exchange.connection);
  }
}

void Requests::stop() {
  passwords_.reset();
  for (const auto& [number, exchange] : suspended_) {
    libraries_.MHD_resume_connection(exchange->connection);
  }
  suspended_.clear();
}

MHD_Result Requests::respond(Exchange& exchange, const char* url, bool head) {
  const std::string accept = header(exchange, "Accept");
  const std::string accept_encoding = header(exchange, "Accept-Encoding");
  Response response = handler_({path_of(url), accept});
  Client& client = exchange.client;
  Asked asked;
  asked.accept_encoding = accept_encoding;
  asked.head = head;
  asked.progress = client.progress;
  asked.on_cut = [&client] {
    // A client that is told of no length must not take this for the end: reset, not closed.
    const linger at_once{1, 0};
    ::setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    client.end();
  };
  const auto answer =
      answer_document(libraries_, pages_, std::move(response.document), std::move(asked));
  return send(exchange, *answer, response.status);
}

MHD_Result Requests::refuse(Exchange& exchange, unsigned status, const char* name,
                            const char* value) {
  const auto answer = answer_text(libraries_, text_of(status));
  if (name != nullptr) answer->add(name, value);
  return send(exchange, *answer, status);
}

MHD_Result Requests::send(Exchange& exchange, Answer& answer, unsigned status) {
  exchange.status = status;
  for (const auto& [name, value] : *exchange.headers) answer.add(name.c_str(), value);
  if (exchange.client.outdated) answer.add("Connection", "close");
  return answer.queue(exchange.connection, status);
}

std::string Requests::header(const Exchange& exchange, const char* name, unsigned* times) const {
  Wanted wanted{name, {}, 0};
  libraries_.MHD_get_connection_values(exchange.connection, MHD_HEADER_KIND, &collect, &wanted);
  if (times != nullptr) *times = wanted.times;
  return std::move(wanted.value);
}

}  // namespace listenq::web
