// SPDX-License-Identifier: Apache-2.0
//
// HTTP and HTTPS for the exporter: libmicrohttpd in the caller's own epoll loop. Everything that a
// client may do wrong ends here, and costs nobody else anything: the handler sees only GET requests
// of clients that may ask. Knows nothing of listeners.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "util/fd.h"
#include "util/result.h"
#include "web/config.h"
#include "web/document.h"

namespace listenq::web {

struct Request {
  std::string_view path;  ///< without the query
  std::string_view
      accept;  ///< the header, joined by "," where it came more than once; may be empty
};

struct Response {
  unsigned status = 200;
  std::shared_ptr<const Document> document;  ///< never null
};

/// Must not throw and must not wait.
using Handler = std::function<Response(const Request&)>;

/// What bounds the memory and the time that clients take.
struct ServerLimits {
  unsigned connections = 512;     ///< over all addresses; more wait in the accept queue, unless one
                                  ///< that never said anything can make room
  unsigned request_seconds = 10;  ///< from the first byte of a request to the end of its header
  unsigned response_seconds = 60;  ///< from then to the end of the answer
  unsigned idle_seconds = 300;     ///< between two requests of a connection that had a good one
  unsigned documents = 4;          ///< large ones being read at once: slow readers keep them
                                   ///< alive; when one more comes, those of the oldest are cut off
  std::size_t header_bytes = 32768;  ///< request line and header; more is answered 431
  unsigned password_checks = 64;     ///< waiting for their turn; more are answered 503
};

class Server {
 public:
  /// `sockets` listen already; they are non-blocking from here on. `log` gets one sentence about
  /// what a person should know (a certificate that can't be used, a client refused is none).
  /// An error when libmicrohttpd is not installed or the config can't be applied.
  [[nodiscard]] static Result<std::unique_ptr<Server>> create(
      std::vector<Fd> sockets, WebConfig config, Handler handler,
      std::function<void(const std::string&)> log, const ServerLimits& limits = {});

  Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  /// Ends all connections.
  virtual ~Server() = default;

  /// Readable when run() has something to do; for an epoll set.
  [[nodiscard]] virtual int fd() const = 0;

  /// Does what can be done without waiting, and not for long.
  virtual void run() = 0;

  /// From now on; requests under way end with what they began with. An error, and nothing has
  /// changed, when it can't be used.
  [[nodiscard]] virtual Result<void> apply(WebConfig config) = 0;
};

}  // namespace listenq::web
