// SPDX-License-Identifier: Apache-2.0
//
// The keys of Prometheus' web configuration. A sentence about a mistake never has a value in it but
// where values are words of a list: a value may be a secret at the wrong place.
#include "web/config_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "util/text.h"
#include "web/passwords.h"

namespace listenq::web {
namespace {

struct AuthName {
  std::string_view name;
  ClientAuth auth;
};

constexpr AuthName kAuthNames[] = {
    {"NoClientCert", ClientAuth::none},
    {"RequestClientCert", ClientAuth::request},
    {"RequireAnyClientCert", ClientAuth::require_any},
    {"RequireClientCert", ClientAuth::require_any},  // an older name, which Prometheus still takes
    {"VerifyClientCertIfGiven", ClientAuth::verify_if_given},
    {"RequireAndVerifyClientCert", ClientAuth::require},
};

/// Headers that may be set, and what they may say; empty: anything.
struct KnownHeader {
  std::string_view name;
  std::vector<std::string_view> values;
};

const std::vector<KnownHeader>& known_headers() {
  static const std::vector<KnownHeader> headers = {
      {"Cache-Control", {}},
      {"Content-Security-Policy", {}},
      {"Strict-Transport-Security", {}},
      {"X-Content-Type-Options", {"nosniff"}},
      {"X-Frame-Options", {"deny", "sameorigin"}},
      {"X-XSS-Protection", {}},
  };
  return headers;
}

/// A check takes a millisecond times two to the power of the cost, less four: 15 seconds with this.
constexpr unsigned kHighestCost = 18;
constexpr unsigned kLowestCost = 4;

template <class Names>
std::string joined(const Names& names) {
  std::string text;
  for (const auto& name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace

tl::unexpected<Error> ConfigReader::wrong(const YamlNode& at, const std::string& path,
                                          const std::string& what) const {
  return failure(ErrorKind::usage, file_ + ":" + std::to_string(at.line) + ": " + path +
                                       (path.empty() ? "" : ": ") + what);
}

Result<WebConfig> ConfigReader::read(const YamlNode& root) {
  WebConfig config;
  if (root.empty()) return config;
  const std::vector<Key> keys = {
      {"tls_server_config", [&](const YamlNode& node) { return read_tls(node, config); }},
      {"http_server_config", [&](const YamlNode& node) { return read_http(node, config); }},
      {"basic_auth_users", [&](const YamlNode& node) { return read_users(node, config); }},
  };
  if (auto done = read_keys(root, "", keys); !done) return tl::unexpected<Error>(done.error());
  return config;
}

Result<void> ConfigReader::read_keys(const YamlNode& map, const std::string& path,
                                     const std::vector<Key>& keys) {
  if (map.kind != YamlNode::Kind::map) return wrong(map, path, "keys with values must be here");
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : map.entries) {
    if (name.kind != YamlNode::Kind::scalar) return wrong(name, path, "a key must be a word");
    const std::string whole = path.empty() ? name.text : path + "." + name.text;
    const auto key = std::find_if(keys.begin(), keys.end(), [&name = name](const Key& each) {
      return each.name == name.text;
    });
    if (key == keys.end()) {
      std::vector<std::string_view> known;
      known.reserve(keys.size());
      for (const Key& each : keys) known.push_back(each.name);
      return wrong(name, printable(whole).substr(0, 100),
                   "there is no such key here; those there are: " + joined(known));
    }
    if (std::find(seen.begin(), seen.end(), key->name) != seen.end()) {
      return wrong(name, whole, "it is there twice");
    }
    seen.push_back(key->name);
    path_ = whole;
    if (auto done = key->handle(value); !done) return done;
  }
  return {};
}

Result<void> ConfigReader::text(const YamlNode& value, std::string& target) const {
  if (value.kind != YamlNode::Kind::scalar) return wrong(value, path_, "one value must be here");
  if (value.empty()) return wrong(value, path_, "it has no value");
  target = value.text;
  return {};
}

ConfigReader::Handle ConfigReader::text_into(std::string& target) {
  return [this, &target](const YamlNode& value) { return text(value, target); };
}

ConfigReader::Handle ConfigReader::file_into(std::string& target) {
  return [this, &target](const YamlNode& value) -> Result<void> {
    std::string name;
    if (auto done = text(value, name); !done) return done;
    if (name.empty()) return wrong(value, path_, "it names no file");
    auto contents = read_file_(name);
    if (!contents) {
      auto error = wrong(value, path_, contents.error().message);
      error.value().kind = contents.error().kind;
      return error;
    }
    if (!target.empty()) return wrong(value, path_, "it is given twice, here and as text");
    target = std::move(*contents);
    if (target.empty()) return wrong(value, path_, "the file is empty");
    return {};
  };
}

ConfigReader::Handle ConfigReader::flag_into(bool& target) {
  return [this, &target](const YamlNode& value) -> Result<void> {
    constexpr std::array<std::string_view, 9> kYes = {"true", "True", "TRUE", "yes", "Yes",
                                                      "YES",  "on",   "On",   "ON"};
    constexpr std::array<std::string_view, 9> kNo = {"false", "False", "FALSE", "no", "No",
                                                     "NO",    "off",   "Off",   "OFF"};
    const bool plain = value.kind == YamlNode::Kind::scalar && !value.quoted;
    const bool yes = plain && std::find(kYes.begin(), kYes.end(), value.text) != kYes.end();
    const bool no = plain && std::find(kNo.begin(), kNo.end(), value.text) != kNo.end();
    if (!yes && !no) return wrong(value, path_, "it must be true or false");
    target = yes;
    return {};
  };
}

ConfigReader::Handle ConfigReader::version_into(int& target) {
  return [this, &target](const YamlNode& value) -> Result<void> {
    std::string name;
    if (auto done = text(value, name); !done) return done;
    target = tls_version(name);
    if (target < 0) return wrong(value, path_, "it must be one of " + known_tls_versions());
    return {};
  };
}

ConfigReader::Handle ConfigReader::names_into(std::vector<std::string>& target,
                                              bool (*known)(std::string_view),
                                              std::string (*all)()) {
  return [this, &target, known, all](const YamlNode& value) -> Result<void> {
    if (value.empty()) return {};
    if (value.kind != YamlNode::Kind::list) return wrong(value, path_, "a list must be here");
    for (const YamlNode& item : value.items) {
      std::string& name = target.emplace_back();
      if (auto done = text(item, name); !done) return done;
      if (known == nullptr || known(name)) continue;
      return wrong(item, path_,
                   "there is no " + printable(name).substr(0, 60) + " here; known are: " + all());
    }
    return {};
  };
}

Result<void> ConfigReader::read_tls(const YamlNode& section, WebConfig& config) {
  TlsConfig& tls = config.tls.emplace();
  TlsWishes wishes;
  const Handle read_auth = [&](const YamlNode& value) -> Result<void> {
    std::string name;
    if (auto done = text(value, name); !done) return done;
    const auto* const found = std::find_if(std::begin(kAuthNames), std::end(kAuthNames),
                                           [&](const AuthName& each) { return each.name == name; });
    if (found == std::end(kAuthNames)) {
      std::vector<std::string_view> names;
      for (const AuthName& each : kAuthNames) names.push_back(each.name);
      return wrong(value, path_, "it must be one of " + joined(names));
    }
    tls.client_auth = found->auth;
    return {};
  };
  const std::vector<Key> keys = {
      {"cert_file", file_into(tls.certificates)},
      {"key_file", file_into(tls.key)},
      {"cert", text_into(tls.certificates)},
      {"key", text_into(tls.key)},
      {"client_auth_type", read_auth},
      {"client_ca_file", file_into(tls.client_cas)},
      {"client_ca", text_into(tls.client_cas)},
      {"client_allowed_sans", names_into(tls.client_allowed_sans, nullptr, nullptr)},
      {"min_version", version_into(wishes.min_version)},
      {"max_version", version_into(wishes.max_version)},
      {"cipher_suites",
       names_into(wishes.cipher_suites, &knows_cipher_suite, &known_cipher_suites)},
      {"prefer_server_cipher_suites", flag_into(wishes.prefer_server)},
      {"curve_preferences", names_into(wishes.curves, &knows_curve, &known_curves)},
  };
  if (!section.empty()) {
    if (auto done = read_keys(section, "tls_server_config", keys); !done) return done;
  }
  tls.priorities = gnutls_priorities(wishes, false);
  tls.priorities_rsa = gnutls_priorities(wishes, true);
  return check_tls(section, tls, wishes);
}

Result<void> ConfigReader::check_tls(const YamlNode& section, const TlsConfig& tls,
                                     const TlsWishes& wishes) const {
  const auto lacks = [&](const std::string& what) {
    return wrong(section, "tls_server_config", what);
  };
  if (tls.certificates.empty()) return lacks("it lacks cert_file");
  if (tls.key.empty()) return lacks("it lacks key_file");
  if (wishes.min_version > wishes.max_version) return lacks("min_version is above max_version");
  const bool verifies =
      tls.client_auth == ClientAuth::require || tls.client_auth == ClientAuth::verify_if_given;
  if (verifies && tls.client_cas.empty()) {
    return lacks("client_auth_type verifies certificates, but there is no client_ca_file");
  }
  if (tls.client_auth == ClientAuth::none && !tls.client_cas.empty()) {
    return lacks("there is a client_ca_file, but no client_auth_type that asks for certificates");
  }
  if (tls.client_auth == ClientAuth::none && !tls.client_allowed_sans.empty()) {
    return lacks("there are client_allowed_sans, but no client_auth_type that asks for them");
  }
  return {};
}

Result<void> ConfigReader::read_http(const YamlNode& section, WebConfig& config) {
  if (section.empty()) return {};
  bool http2 = true;  // what a client is offered is HTTP/1.1 in either case
  const Handle read_headers = [&](const YamlNode& value) -> Result<void> {
    if (value.empty()) return {};
    std::vector<Key> keys;
    for (const KnownHeader& header : known_headers()) {
      keys.push_back({header.name, [&, name = header.name](const YamlNode& node) {
                        return read_header(node, name, config);
                      }});
    }
    return read_keys(value, std::string(path_), keys);
  };
  return read_keys(section, "http_server_config",
                   {{"http2", flag_into(http2)}, {"headers", read_headers}});
}

Result<void> ConfigReader::read_header(const YamlNode& value, std::string_view name,
                                       WebConfig& config) const {
  if (value.empty()) return {};
  std::string content;
  if (auto done = text(value, content); !done) return done;
  if (content.empty()) return {};
  const bool control = std::any_of(content.begin(), content.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control) return wrong(value, path_, "a header is one line");
  constexpr std::size_t kLongest = 4096;
  if (content.size() > kLongest) return wrong(value, path_, "it is too long");
  const auto& headers = known_headers();
  const auto known = std::find_if(headers.begin(), headers.end(),
                                  [&](const KnownHeader& each) { return each.name == name; });
  const auto& values = known->values;
  if (!values.empty() && std::find(values.begin(), values.end(), content) == values.end()) {
    return wrong(value, path_, "it must be " + joined(values));
  }
  config.headers.emplace_back(name, content);
  return {};
}

Result<void> ConfigReader::read_users(const YamlNode& section, WebConfig& config) const {
  const std::string path = "basic_auth_users";
  if (section.empty()) return wrong(section, path, "it names nobody, so nobody could be let in");
  if (section.kind != YamlNode::Kind::map) {
    return wrong(section, path, "names with bcrypt hashes must be here");
  }
  if (section.entries.empty()) {
    return wrong(section, path, "it names nobody, so nobody could be let in");
  }
  for (const auto& [name, hash] : section.entries) {
    if (name.kind != YamlNode::Kind::scalar || name.text.empty()) {
      return wrong(name, path, "a name must be a word");
    }
    const std::string whole = path + "." + printable(name.text).substr(0, 60);
    if (name.text.find(':') != std::string::npos) {
      return wrong(name, whole, "a name can't have a colon in it");
    }
    if (config.users.contains(name.text)) return wrong(name, whole, "it is there twice");
    if (hash.kind != YamlNode::Kind::scalar || hash.empty()) {
      return wrong(hash, whole, "it has no bcrypt hash");
    }
    const auto cost = bcrypt_cost(hash.text);
    if (!cost) return wrong(hash, whole, "this is no bcrypt hash ($2y$10$ and 53 characters)");
    if (*cost < kLowestCost || *cost > kHighestCost) {
      return wrong(hash, whole,
                   "the cost of its hash must be " + std::to_string(kLowestCost) + " to " +
                       std::to_string(kHighestCost));
    }
    config.users.emplace(name.text, hash.text);
  }
  return {};
}

}  // namespace listenq::web
