// SPDX-License-Identifier: Apache-2.0
//
// Go's names of TLS versions, cipher suites and curves, which Prometheus' web configuration uses,
// in GnuTLS' words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace listenq::web {

struct TlsWishes {
  int min_version = 2;  ///< 0 to 3: TLS 1.0 to 1.3
  int max_version = 3;
  std::vector<std::string> cipher_suites;  ///< known ones; empty: GnuTLS' choice
  std::vector<std::string> curves;         ///< known ones; empty: GnuTLS' choice
  bool prefer_server = true;
};

/// "TLS12" -> 2; -1: no such version.
[[nodiscard]] int tls_version(std::string_view name);
[[nodiscard]] bool knows_cipher_suite(std::string_view name);
[[nodiscard]] bool knows_curve(std::string_view name);

/// "TLS10, TLS11, ...", for messages.
[[nodiscard]] std::string known_tls_versions();
[[nodiscard]] std::string known_cipher_suites();
[[nodiscard]] std::string known_curves();

/// GnuTLS' priority string with a certificate of that kind of key; empty when no suite is left.
[[nodiscard]] std::string gnutls_priorities(const TlsWishes& wishes, bool rsa);

}  // namespace listenq::web
