// SPDX-License-Identifier: Apache-2.0
//
// GnuTLS' credentials, priorities and callbacks. Client certificates are judged during the
// handshake, as Go's crypto/tls does for Prometheus' own programs.
#include "web/tls.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "util/clock.h"

namespace listenq::web {
namespace {

ssize_t push(gnutls_transport_ptr_t transport, const void* data, std::size_t size) {
  const auto& socket = *static_cast<const TlsSocket*>(transport);
  const ssize_t sent = ::send(socket.fd, data, size, MSG_NOSIGNAL);
  if (sent >= 0) ++*socket.progress;
  return sent;
}

ssize_t pull(gnutls_transport_ptr_t transport, void* data, std::size_t size) {
  const auto& socket = *static_cast<const TlsSocket*>(transport);
  const ssize_t got = ::recv(socket.fd, data, size, 0);
  if (got >= 0 || errno != EAGAIN) ++*socket.progress;
  return got;
}

/// Never waits: sockets here are looked at when they are ready.
int pull_timeout(gnutls_transport_ptr_t transport, unsigned /*milliseconds*/) {
  pollfd one{static_cast<const TlsSocket*>(transport)->fd, POLLIN, 0};
  return ::poll(&one, 1, 0);
}

gnutls_datum_t datum(const std::string& text) {
  // GnuTLS only reads it.
  auto* const bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  return {bytes, static_cast<unsigned>(text.size())};
}

gnutls_certificate_request_t request_of(ClientAuth auth) {
  switch (auth) {
    case ClientAuth::none:
      return GNUTLS_CERT_IGNORE;
    case ClientAuth::request:
    case ClientAuth::verify_if_given:
      return GNUTLS_CERT_REQUEST;
    case ClientAuth::require_any:
    case ClientAuth::require:
      break;
  }
  return GNUTLS_CERT_REQUIRE;
}

std::string address_text(const std::string& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if (bytes.size() != 4 && bytes.size() != 16) return {};
  return inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr ? "" : text.data();
}

/// A certificate that frees itself.
class Certificate {
 public:
  Certificate(const Libraries& libraries, const gnutls_datum_t& data, gnutls_x509_crt_fmt_t format)
      : libraries_(libraries) {
    error_ = libraries_.gnutls_x509_crt_init(&certificate_);
    if (error_ == 0) error_ = libraries_.gnutls_x509_crt_import(certificate_, &data, format);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate() {
    if (certificate_ != nullptr) libraries_.gnutls_x509_crt_deinit(certificate_);
  }

  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] gnutls_x509_crt_t get() const { return certificate_; }

 private:
  const Libraries& libraries_;
  gnutls_x509_crt_t certificate_ = nullptr;
  int error_ = 0;
};

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::create(const Libraries& libraries,
                                                             const TlsConfig& config) {
  std::shared_ptr<TlsContext> context(new TlsContext(libraries));
  if (auto loaded = context->load(config); !loaded) return tl::unexpected<Error>(loaded.error());
  return context;
}

TlsContext::~TlsContext() {
  if (credentials_ != nullptr) libraries_.gnutls_certificate_free_credentials(credentials_);
  if (priorities_ != nullptr) libraries_.gnutls_priority_deinit(priorities_);
}

Result<void> TlsContext::load(const TlsConfig& config) {
  const auto refused = [&](const std::string& what, int error) {
    return failure(ErrorKind::usage, what + ": " + libraries_.gnutls_strerror(error));
  };
  client_auth_ = config.client_auth;
  allowed_sans_ = config.client_allowed_sans;
  if (auto read = read_certificate(config); !read) return read;

  int error = libraries_.gnutls_certificate_allocate_credentials(&credentials_);
  if (error < 0) return refused("TLS", error);
  const gnutls_datum_t certificates = datum(config.certificates);
  const gnutls_datum_t key = datum(config.key);
  error = libraries_.gnutls_certificate_set_x509_key_mem2(credentials_, &certificates, &key,
                                                          GNUTLS_X509_FMT_PEM, nullptr, 0);
  if (error < 0) return refused("the TLS certificate and its key can't be used", error);
  if (!config.client_cas.empty()) {
    const gnutls_datum_t cas = datum(config.client_cas);
    error =
        libraries_.gnutls_certificate_set_x509_trust_mem(credentials_, &cas, GNUTLS_X509_FMT_PEM);
    if (error < 0) return refused("the certificates of client_ca_file can't be used", error);
    if (error == 0) {
      return failure(ErrorKind::usage, "there is no certificate in client_ca_file");
    }
  }

  const std::string& priorities = rsa_ ? config.priorities_rsa : config.priorities;
  if (priorities.empty()) {
    return failure(ErrorKind::usage,
                   std::string("cipher_suites has none for a certificate with an ") +
                       (rsa_ ? "RSA" : "ECDSA") + " key");
  }
  error = libraries_.gnutls_priority_init2(&priorities_, priorities.c_str(), nullptr, 0);
  if (error < 0) {
    return refused("GnuTLS doesn't take these TLS versions and ciphers (" + priorities + ")",
                   error);
  }
  return {};
}

Result<void> TlsContext::read_certificate(const TlsConfig& config) {
  const Certificate first(libraries_, datum(config.certificates), GNUTLS_X509_FMT_PEM);
  if (first.error() < 0) {
    return failure(ErrorKind::usage, std::string("the TLS certificate can't be used: ") +
                                         libraries_.gnutls_strerror(first.error()));
  }
  const int algorithm = libraries_.gnutls_x509_crt_get_pk_algorithm(first.get(), nullptr);
  rsa_ = algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS;
  valid_from_ = libraries_.gnutls_x509_crt_get_activation_time(first.get());
  valid_until_ = libraries_.gnutls_x509_crt_get_expiration_time(first.get());
  return {};
}

bool TlsContext::attach(gnutls_session_t session, TlsSocket& socket) const {
  socket.context = this;
  libraries_.gnutls_session_set_ptr(session, &socket);
  libraries_.gnutls_transport_set_ptr2(session, &socket, &socket);
  libraries_.gnutls_transport_set_push_function(session, &push);
  libraries_.gnutls_transport_set_pull_function(session, &pull);
  libraries_.gnutls_transport_set_pull_timeout_function(session, &pull_timeout);
  if (libraries_.gnutls_priority_set(session, priorities_) < 0) return false;
  if (libraries_.gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_) < 0) {
    return false;
  }
  libraries_.gnutls_certificate_server_set_request(session, request_of(client_auth_));
  if (client_auth_ != ClientAuth::none) {
    libraries_.gnutls_session_set_verify_function(session, &TlsContext::verify_client);
  }
  return true;
}

int TlsContext::verify_client(gnutls_session_t session) {
  // The libraries are loaded, or nobody could call this.
  const Libraries& libraries = **load_libraries();
  const auto* const socket =
      static_cast<const TlsSocket*>(libraries.gnutls_session_get_ptr(session));
  return socket->context->lets_in(session) ? 0 : -1;
}

bool TlsContext::lets_in(gnutls_session_t session) const {
  unsigned count = 0;
  const gnutls_datum_t* const chain = libraries_.gnutls_certificate_get_peers(session, &count);
  if (chain == nullptr || count == 0) {
    return client_auth_ == ClientAuth::request || client_auth_ == ClientAuth::verify_if_given;
  }
  if (client_auth_ == ClientAuth::verify_if_given || client_auth_ == ClientAuth::require) {
    std::string purpose = GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st wanted{};
    wanted.type = GNUTLS_DT_KEY_PURPOSE_OID;
    wanted.data = reinterpret_cast<unsigned char*>(purpose.data());
    unsigned status = 0;
    const int error = libraries_.gnutls_certificate_verify_peers(session, &wanted, 1, &status);
    if (error < 0 || status != 0) return false;
  }
  return allowed_sans_.empty() || has_allowed_san(chain[0]);
}

bool TlsContext::has_allowed_san(const gnutls_datum_t& data) const {
  const Certificate certificate(libraries_, data, GNUTLS_X509_FMT_DER);
  if (certificate.error() < 0) return false;
  std::array<char, 1024> name{};
  for (unsigned i = 0;; ++i) {
    std::size_t size = name.size();
    const int type = libraries_.gnutls_x509_crt_get_subject_alt_name(certificate.get(), i,
                                                                     name.data(), &size, nullptr);
    if (type == GNUTLS_E_SHORT_MEMORY_BUFFER) continue;  // longer than any that could be allowed
    if (type < 0) return false;
    std::string text(name.data(), size);
    if (type == GNUTLS_SAN_IPADDRESS) text = address_text(text);
    const bool of_these = type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME ||
                          type == GNUTLS_SAN_URI || type == GNUTLS_SAN_IPADDRESS;
    if (of_these &&
        std::find(allowed_sans_.begin(), allowed_sans_.end(), text) != allowed_sans_.end()) {
      return true;
    }
  }
}

std::string TlsContext::complaint(std::int64_t now_seconds) const {
  const auto day = [](std::int64_t seconds) {
    return rfc3339(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)) * 1'000'000'000U)
        .substr(0, std::string_view("2026-01-31").size());
  };
  if (valid_until_ >= 0 && now_seconds >= valid_until_) {
    return "the TLS certificate expired on " + day(valid_until_);
  }
  if (valid_from_ >= 0 && now_seconds < valid_from_) {
    return "the TLS certificate is not valid before " + day(valid_from_);
  }
  return {};
}

}  // namespace listenq::web
