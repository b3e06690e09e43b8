// SPDX-License-Identifier: Apache-2.0
//
// What the server remembers of a client's connection, and of the request that is on it.
// libmicrohttpd keeps the pointers to both.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "web/answers.h"
#include "web/libraries.h"
#include "web/tls.h"

namespace listenq::web {

struct Exchange {
  struct Client& client;
  MHD_Connection* connection;
  std::shared_ptr<const Headers> headers;  ///< of the config when it began
  bool header_seen = false;
  std::optional<bool> let_in{};  ///< by that check
  unsigned status = 0;           ///< of the answer
};

struct Client {
  enum class Phase : std::uint8_t {
    waiting,    ///< for a request; in a TLS handshake also
    reading,    ///< the request line was there
    answering,  ///< the header was there
  };

  int fd = -1;                        ///< libmicrohttpd's, which closes it
  std::uint64_t* progress = nullptr;  ///< of its daemon: one more for all that is done
  Phase phase = Phase::waiting;
  std::uint64_t since_ns = 0;  ///< when `phase` began; a first request counts from accept()
  bool had_request = false;
  bool had_good_request = false;
  bool outdated = false;  ///< the config has changed: no further request
  bool ended = false;     ///< shut down, libmicrohttpd has yet to notice
  std::shared_ptr<const TlsContext> tls;
  TlsSocket tls_socket;
  std::unique_ptr<Exchange> exchange;  ///< null between two requests

  /// Nothing more is sent or received. libmicrohttpd sees that as the client's doing, later.
  void end() {
    if (!ended) ::shutdown(fd, SHUT_RDWR);
    ended = true;
  }
};

}  // namespace listenq::web
