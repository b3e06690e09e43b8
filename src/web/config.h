// SPDX-License-Identifier: Apache-2.0
//
// The file of --web.config.file: Prometheus' web configuration (tls_server_config,
// http_server_config, basic_auth_users), as its own programs read it. A key that this server can't
// honour is an error, never ignored: who writes one relies on it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/result.h"

namespace listenq::web {

/// client_auth_type, by the names of Go's crypto/tls.
enum class ClientAuth : std::uint8_t {
  none,             ///< NoClientCert
  request,          ///< RequestClientCert
  require_any,      ///< RequireAnyClientCert
  verify_if_given,  ///< VerifyClientCertIfGiven
  require,          ///< RequireAndVerifyClientCert
};

struct TlsConfig {
  std::string certificates;  ///< PEM: `cert`, or the contents of cert_file
  std::string key;           ///< PEM: `key`, or the contents of key_file
  std::string client_cas;    ///< PEM: `client_ca`, or of client_ca_file; empty: none
  ClientAuth client_auth = ClientAuth::none;
  std::vector<std::string> client_allowed_sans;  ///< one of them must match; empty: any
  /// GnuTLS' words for versions, cipher suites and curves; empty: there is no suite left.
  std::string priorities;      ///< with a certificate whose key is not RSA
  std::string priorities_rsa;  ///< with one whose key is
};

struct WebConfig {
  std::optional<TlsConfig> tls;              ///< nullopt: plain HTTP
  std::map<std::string, std::string> users;  ///< name -> bcrypt hash; empty: anybody may ask
  std::vector<std::pair<std::string, std::string>> headers;  ///< added to every answer
};

/// A file that is read again when it, or a file that it names, has changed.
class WebConfigFile {
 public:
  explicit WebConfigFile(std::string path) : path_(std::move(path)) {}

  /// Of kind usage for a file with mistakes (naming file, line and key), of kind unsupported for
  /// one that can't be read.
  [[nodiscard]] Result<WebConfig> read();

  /// Whether a file has changed (by inode, size or time) since read(), also by one that failed.
  [[nodiscard]] bool changed() const;

 private:
  struct Seen {
    std::string path;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const Seen&) const = default;
  };
  [[nodiscard]] static Seen look_at(const std::string& path);

  std::string path_;
  std::vector<Seen> seen_;
};

}  // namespace listenq::web
