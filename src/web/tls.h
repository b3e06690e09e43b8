// SPDX-License-Identifier: Apache-2.0
//
// What GnuTLS is told of a connection: certificates, versions and ciphers, which clients are let
// in. One TlsContext for each config; connections keep theirs when another one comes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "util/result.h"
#include "web/config.h"
#include "web/libraries.h"

namespace listenq::web {

/// The socket below a TLS session. libmicrohttpd runs a handshake that waits for its client again
/// and again; by `progress` one can tell whether that did anything.
struct TlsSocket {
  int fd = -1;
  std::uint64_t* progress = nullptr;  ///< one more for each call that did not have to wait
  const class TlsContext* context = nullptr;
};

class TlsContext {
 public:
  /// An error for what GnuTLS doesn't take.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> create(const Libraries& libraries,
                                                                        const TlsConfig& config);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  /// Sets up a new session over `socket`, which must live as long as it.
  [[nodiscard]] bool attach(gnutls_session_t session, TlsSocket& socket) const;

  /// "" while the certificate is good; else a sentence.
  [[nodiscard]] std::string complaint(std::int64_t now_seconds) const;

 private:
  explicit TlsContext(const Libraries& libraries) : libraries_(libraries) {}
  [[nodiscard]] Result<void> load(const TlsConfig& config);
  [[nodiscard]] Result<void> read_certificate(const TlsConfig& config);
  [[nodiscard]] static int verify_client(gnutls_session_t session);
  [[nodiscard]] bool lets_in(gnutls_session_t session) const;
  [[nodiscard]] bool has_allowed_san(const gnutls_datum_t& certificate) const;

  const Libraries& libraries_;
  gnutls_certificate_credentials_t credentials_ = nullptr;
  gnutls_priority_t priorities_ = nullptr;
  ClientAuth client_auth_ = ClientAuth::none;
  std::vector<std::string> allowed_sans_;
  bool rsa_ = false;
  std::int64_t valid_from_ = 0;
  std::int64_t valid_until_ = 0;
};

}  // namespace listenq::web
