// SPDX-License-Identifier: Apache-2.0
//
// libmicrohttpd's options and callbacks.
#include "web/http_daemon.h"

#include <utility>

namespace listenq::web {
namespace {

/// libmicrohttpd wants a certificate or this; each session gets its own in TlsContext::attach().
int no_certificate(gnutls_session_t /*session*/, const gnutls_datum_t* /*names*/, int /*count*/,
                   const gnutls_pk_algorithm_t* /*algorithms*/, int /*algorithm_count*/,
                   gnutls_pcert_st** /*certificates*/, unsigned* /*length*/,
                   gnutls_privkey_t* /*key*/) {
  return -1;
}

}  // namespace

Result<std::unique_ptr<HttpDaemon>> HttpDaemon::start(const Libraries& libraries,
                                                      DaemonEvents& events,
                                                      const Options& options) {
  std::unique_ptr<HttpDaemon> daemon(new HttpDaemon(libraries, events));
  daemon->tls_ = options.tls;
  unsigned flags =
      MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
  MHD_OptionItem tls_options[] = {
      {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, reinterpret_cast<void*>(&no_certificate)},
      {MHD_OPTION_END, 0, nullptr}};
  if (options.tls) {
    flags |= MHD_USE_TLS;
  } else {
    tls_options[0] = tls_options[1];
  }
  void* const closure = daemon.get();
  // The logger goes first: the other options report to it.
  daemon->daemon_ = libraries.MHD_start_daemon(
      flags, 0, nullptr, nullptr, &HttpDaemon::on_access, closure, MHD_OPTION_EXTERNAL_LOGGER,
      &HttpDaemon::on_message, closure, MHD_OPTION_CONNECTION_LIMIT, options.connections,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, options.memory, MHD_OPTION_URI_LOG_CALLBACK,
      &HttpDaemon::on_uri, closure, MHD_OPTION_NOTIFY_COMPLETED, &HttpDaemon::on_completed, closure,
      MHD_OPTION_NOTIFY_CONNECTION, &HttpDaemon::on_connection, closure, MHD_OPTION_ARRAY,
      static_cast<MHD_OptionItem*>(tls_options), MHD_OPTION_END);
  if (daemon->daemon_ == nullptr) {
    return failure(ErrorKind::unsupported, "libmicrohttpd can't start");
  }
  const auto* const info = libraries.MHD_get_daemon_info(daemon->daemon_, MHD_DAEMON_INFO_EPOLL_FD);
  if (info == nullptr) {
    return failure(ErrorKind::unsupported, "libmicrohttpd has no epoll descriptor");
  }
  daemon->fd_ = info->epoll_fd;
  return daemon;
}

HttpDaemon::~HttpDaemon() {
  if (daemon_ != nullptr) libraries_.MHD_stop_daemon(daemon_);
}

void HttpDaemon::add(int socket, const sockaddr_storage& address, socklen_t length,
                     Client& client) {
  arriving_ = &client;
  client.fd = socket;
  client.progress = &progress_;
  client.tls_socket.fd = client.fd;
  client.tls_socket.progress = &progress_;
  // The descriptor is closed also when this fails.
  libraries_.MHD_add_connection(daemon_, socket, reinterpret_cast<const sockaddr*>(&address),
                                length);
  if (arriving_ != nullptr) events_.closed(*std::exchange(arriving_, nullptr));
}

void HttpDaemon::run() {
  progress_before_ = progress_;
  libraries_.MHD_run(daemon_);
}

HttpDaemon::Next HttpDaemon::next() const {
  MHD_UNSIGNED_LONG_LONG milliseconds = 0;
  if (libraries_.MHD_get_timeout(daemon_, &milliseconds) != MHD_YES) return Next::event;
  // libmicrohttpd takes a connection in the middle of a TLS handshake for one that can go on, also
  // when the client says nothing more: it would be run again and again, for nothing.
  return tls_ && progress_ == progress_before_ ? Next::later : Next::now;
}

void* HttpDaemon::on_uri(void* closure, const char* /*uri*/, MHD_Connection* connection) {
  auto& daemon = *static_cast<HttpDaemon*>(closure);
  ++daemon.progress_;
  const auto* const info =
      daemon.libraries_.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return &daemon.events_.begun(*static_cast<Client*>(info->socket_context), connection);
}

MHD_Result HttpDaemon::on_access(void* closure, MHD_Connection* /*connection*/, const char* url,
                                 const char* method, const char* version, const char* /*data*/,
                                 std::size_t* /*size*/, void** exchange) {
  auto& daemon = *static_cast<HttpDaemon*>(closure);
  ++daemon.progress_;
  return daemon.events_.handle(*static_cast<Exchange*>(*exchange), url, method, version);
}

void HttpDaemon::on_completed(void* closure, MHD_Connection* /*connection*/, void** exchange,
                              MHD_RequestTerminationCode code) {
  auto& daemon = *static_cast<HttpDaemon*>(closure);
  ++daemon.progress_;
  if (*exchange == nullptr) return;
  daemon.events_.completed(*static_cast<Exchange*>(std::exchange(*exchange, nullptr)),
                           code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
}

void HttpDaemon::on_connection(void* closure, MHD_Connection* connection, void** client,
                               MHD_ConnectionNotificationCode code) {
  auto& daemon = *static_cast<HttpDaemon*>(closure);
  ++daemon.progress_;
  if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
    daemon.events_.closed(*static_cast<Client*>(std::exchange(*client, nullptr)));
    return;
  }
  Client& arrived = *std::exchange(daemon.arriving_, nullptr);
  *client = &arrived;
  if (!daemon.tls_) return;
  const auto* const info =
      daemon.libraries_.MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  auto* const session = static_cast<gnutls_session_t>(info->tls_session);
  if (!arrived.tls->attach(session, arrived.tls_socket)) arrived.end();
}

void HttpDaemon::on_message(void* /*closure*/, const char* /*format*/, std::va_list /*arguments*/) {
  // What clients do wrong. libmicrohttpd would print it.
}

}  // namespace listenq::web
