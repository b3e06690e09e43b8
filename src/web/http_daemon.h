// SPDX-License-Identifier: Apache-2.0
//
// One daemon of libmicrohttpd, polled by its caller, that gets its connections handed over. Turns
// libmicrohttpd's callbacks into calls of DaemonEvents. Used by server.cpp.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "util/result.h"
#include "web/client.h"
#include "web/libraries.h"

namespace listenq::web {

class DaemonEvents {
 public:
  DaemonEvents() = default;
  DaemonEvents(const DaemonEvents&) = delete;
  DaemonEvents& operator=(const DaemonEvents&) = delete;
  virtual ~DaemonEvents() = default;

  /// The request line is there: the Exchange of what follows, which is the client's.
  virtual Exchange& begun(Client& client, MHD_Connection* connection) = 0;
  virtual MHD_Result handle(Exchange& exchange, const char* url, const char* method,
                            const char* version) = 0;
  /// `whole`: the answer was sent to its end.
  virtual void completed(Exchange& exchange, bool whole) = 0;
  virtual void closed(Client& client) = 0;
};

class HttpDaemon {
 public:
  struct Options {
    bool tls = false;
    unsigned connections = 0;
    std::size_t memory = 0;  ///< of each connection
  };

  [[nodiscard]] static Result<std::unique_ptr<HttpDaemon>> start(const Libraries& libraries,
                                                                 DaemonEvents& events,
                                                                 const Options& options);
  HttpDaemon(const HttpDaemon&) = delete;
  HttpDaemon& operator=(const HttpDaemon&) = delete;
  /// Closes its connections; none of them may be suspended.
  ~HttpDaemon();

  /// Takes over `socket`, and closes it. `client` lives until events.closed(), which comes at once
  /// when there is no memory for the connection.
  void add(int socket, const sockaddr_storage& address, socklen_t length, Client& client);

  [[nodiscard]] int fd() const { return fd_; }
  void run();

  enum class Next : std::uint8_t {
    event,  ///< nothing to do before fd() is readable
    now,    ///< run() again at once, when others had their turn
    later,  ///< run() would do nothing but look at what waits for its clients, or nearly so
  };
  [[nodiscard]] Next next() const;

  [[nodiscard]] std::uint64_t* progress() { return &progress_; }

 private:
  HttpDaemon(const Libraries& libraries, DaemonEvents& events)
      : libraries_(libraries), events_(events) {}

  static void* on_uri(void* closure, const char* uri, MHD_Connection* connection);
  static MHD_Result on_access(void* closure, MHD_Connection* connection, const char* url,
                              const char* method, const char* version, const char* data,
                              std::size_t* size, void** exchange);
  static void on_completed(void* closure, MHD_Connection* connection, void** exchange,
                           MHD_RequestTerminationCode code);
  static void on_connection(void* closure, MHD_Connection* connection, void** client,
                            MHD_ConnectionNotificationCode code);
  static void on_message(void* closure, const char* format, std::va_list arguments);

  const Libraries& libraries_;
  DaemonEvents& events_;
  MHD_Daemon* daemon_ = nullptr;
  int fd_ = -1;
  bool tls_ = false;
  Client* arriving_ = nullptr;  ///< handed over, libmicrohttpd has not told of it yet
  std::uint64_t progress_ = 0;
  std::uint64_t progress_before_ = 0;  ///< the last run()
};

}  // namespace listenq::web
