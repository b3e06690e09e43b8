// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a request once its header is there: refused, put off until its password is
// checked, or answered by the handler. Used by server.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "web/client.h"
#include "web/libraries.h"
#include "web/pages.h"
#include "web/passwords.h"
#include "web/server.h"

namespace listenq::web {

class Requests {
 public:
  Requests(const Libraries& libraries, std::unique_ptr<Passwords> passwords, Handler handler,
           const ServerLimits& limits)
      : libraries_(libraries),
        handler_(std::move(handler)),
        limits_(limits),
        pages_(limits.documents),
        passwords_(std::move(passwords)) {}

  /// Called by libmicrohttpd when the header is there, then when all of the request is, then again
  /// after a password check. MHD_NO closes the connection.
  [[nodiscard]] MHD_Result handle(Exchange& exchange, const char* url, const char* method,
                                  const char* version);

  /// Lets go on who waited for a check that is done.
  void resume_checked();
  [[nodiscard]] int checked_fd() const { return passwords_->fd(); }

  /// Before libmicrohttpd's daemons are stopped: ends the checks. Nothing is answered afterwards.
  void stop();

  void set_users(std::map<std::string, std::string> users) {
    passwords_->set_users(std::move(users));
  }
  void tidy() { pages_.tidy(); }

 private:
  enum class Entry : std::uint8_t { open, closed, later, busy };

  [[nodiscard]] MHD_Result refuse(Exchange& exchange, unsigned status, const char* name,
                                  const char* value);
  [[nodiscard]] MHD_Result refuse(Exchange& exchange, unsigned status) {
    return refuse(exchange, status, nullptr, nullptr);
  }
  /// The status of what is wrong with the header; 0: nothing.
  [[nodiscard]] unsigned mistake(const Exchange& exchange, const char* version) const;
  [[nodiscard]] Entry let_in(Exchange& exchange);
  [[nodiscard]] MHD_Result respond(Exchange& exchange, const char* url, bool head);
  [[nodiscard]] MHD_Result send(Exchange& exchange, Answer& answer, unsigned status);
  [[nodiscard]] std::string header(const Exchange& exchange, const char* name,
                                   unsigned* times = nullptr) const;

  const Libraries& libraries_;
  const Handler handler_;
  const ServerLimits limits_;
  Pages pages_;
  std::unique_ptr<Passwords> passwords_;
  std::unordered_map<std::uint64_t, Exchange*> suspended_;  ///< by their numbers
  std::uint64_t numbers_ = 0;
};

}  // namespace listenq::web
