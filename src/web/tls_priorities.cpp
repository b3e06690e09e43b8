// SPDX-License-Identifier: Apache-2.0
//
// The tables of names. Go's list of suites is for TLS 1.0 to 1.2; what TLS 1.3 uses can't be chosen
// there. GnuTLS has one list of ciphers for all versions, and takes each with each kind of key: so
// the list is made for the kind that the certificate has, and nothing is on that was not named.
#include "web/tls_priorities.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace listenq::web {
namespace {

constexpr std::array<std::string_view, 4> kVersions = {"TLS10", "TLS11", "TLS12", "TLS13"};

enum class Key : std::uint8_t { rsa, ecdsa, any };

struct Suite {
  std::string_view name;
  std::string_view cipher;  ///< GnuTLS'; empty: one of TLS 1.3, which is on anyway
  Key key;
  bool aead;
};

constexpr Suite kSuites[] = {
    {"TLS_AES_128_GCM_SHA256", "", Key::any, true},
    {"TLS_AES_256_GCM_SHA384", "", Key::any, true},
    {"TLS_CHACHA20_POLY1305_SHA256", "", Key::any, true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "AES-128-CBC", Key::ecdsa, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "AES-256-CBC", Key::ecdsa, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "AES-128-CBC", Key::rsa, false},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "AES-256-CBC", Key::rsa, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", Key::ecdsa, true},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", Key::ecdsa, true},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", Key::rsa, true},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", Key::rsa, true},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", Key::rsa, true},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", Key::ecdsa, true},
};

struct Curve {
  std::string_view name;
  std::string_view group;
};

constexpr Curve kCurves[] = {{"CurveP256", "GROUP-SECP256R1"},
                             {"CurveP384", "GROUP-SECP384R1"},
                             {"CurveP521", "GROUP-SECP521R1"},
                             {"X25519", "GROUP-X25519"}};

template <class Table>
std::string names_of(const Table& table) {
  std::string names;
  for (const auto& each : table) {
    if (!names.empty()) names += ", ";
    names += each.name;
  }
  return names;
}

template <class Table>
auto find_name(const Table& table, std::string_view name) {
  return std::find_if(std::begin(table), std::end(table),
                      [&](const auto& each) { return each.name == name; });
}

/// GnuTLS' ciphers of the suites that go with such a key, in their order.
struct Ciphers {
  std::vector<std::string_view> names;
  bool aead = false;
};

Ciphers ciphers_of(const std::vector<std::string>& suites, bool rsa) {
  Ciphers ciphers;
  for (const std::string& name : suites) {
    const auto* const suite = find_name(kSuites, name);
    if (suite == std::end(kSuites) || suite->cipher.empty()) continue;
    if (suite->key != (rsa ? Key::rsa : Key::ecdsa)) continue;
    ciphers.names.push_back(suite->cipher);
    ciphers.aead |= suite->aead;
  }
  return ciphers;
}

}  // namespace

int tls_version(std::string_view name) {
  const auto found = std::find(kVersions.begin(), kVersions.end(), name);
  return found == kVersions.end() ? -1 : static_cast<int>(found - kVersions.begin());
}

bool knows_cipher_suite(std::string_view name) {
  return find_name(kSuites, name) != std::end(kSuites);
}

bool knows_curve(std::string_view name) {
  return find_name(kCurves, name) != std::end(kCurves);
}

std::string known_tls_versions() {
  std::string names;
  for (const std::string_view version : kVersions) {
    if (!names.empty()) names += ", ";
    names += version;
  }
  return names;
}

std::string known_cipher_suites() {
  return names_of(kSuites);
}

std::string known_curves() {
  return names_of(kCurves);
}

std::string gnutls_priorities(const TlsWishes& wishes, bool rsa) {
  constexpr int kTls13 = 3;
  int min = wishes.min_version;
  int max = wishes.max_version;
  std::string text = "NORMAL:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA";
  if (!wishes.cipher_suites.empty() && min < kTls13) {
    const Ciphers ciphers = ciphers_of(wishes.cipher_suites, rsa);
    if (ciphers.names.empty()) {
      if (max < kTls13) return {};
      min = kTls13;  // as Go does: there all of its suites are on
    } else {
      text += ":-CIPHER-ALL";
      for (const std::string_view cipher : ciphers.names) text.append(":+").append(cipher);
      // What is left has no cipher for TLS 1.3.
      if (!ciphers.aead) max = std::min(max, kTls13 - 1);
    }
  }
  text += ":-VERS-ALL";
  for (int version = max; version >= min; --version) {
    text += ":+VERS-TLS1." + std::to_string(version);
  }
  if (!wishes.curves.empty()) {
    text += ":-GROUP-ALL";
    for (const std::string& name : wishes.curves) {
      const auto* const curve = find_name(kCurves, name);
      if (curve != std::end(kCurves)) text.append(":+").append(curve->group);
    }
  }
  if (wishes.prefer_server) text += ":%SERVER_PRECEDENCE";
  return text;
}

}  // namespace listenq::web
