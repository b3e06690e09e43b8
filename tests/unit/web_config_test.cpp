// SPDX-License-Identifier: Apache-2.0
//
// The file of --web.config.file: each key, each mistake, and files that nobody meant well.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "web/config.h"
#include "web_served.h"

namespace listenq::web {
namespace {

class WebConfigTest : public testing::Test {
 protected:
  WebConfigTest() {
    folder_.write("cert.pem", "the certificate");
    folder_.write("key.pem", "the key");
    folder_.write("ca.pem", "the authority");
  }

  [[nodiscard]] Result<WebConfig> read(const std::string& text) const {
    return WebConfigFile(folder_.write("web.yml", text)).read();
  }
  /// The message without the folder's name; "" where it was read.
  [[nodiscard]] std::string mistake(const std::string& text) const {
    const auto config = read(text);
    if (config) return "";
    std::string message = config.error().message;
    const std::string folder = folder_.path("");
    for (std::size_t at = 0; (at = message.find(folder)) != std::string::npos;) {
      message.erase(at, folder.size());
    }
    return message;
  }

  const std::string hash_ = "$2y$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u";
  const std::string tls_ = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";
  TemporaryFolder folder_;
};

TEST_F(WebConfigTest, NothingIsPlainHttpForAnybody) {
  for (const char* text : {"", "\n\n", "# a comment\n", "---\n", "{}", "~"}) {
    const auto config = read(text);
    ASSERT_TRUE(config) << text << config.error().message;
    EXPECT_FALSE(config->tls);
    EXPECT_TRUE(config->users.empty());
    EXPECT_TRUE(config->headers.empty());
  }
}

TEST_F(WebConfigTest, CertificatesAreReadFromBesideTheFile) {
  const auto config = read(tls_);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->tls->certificates, "the certificate");
  EXPECT_EQ(config->tls->key, "the key");
  EXPECT_EQ(config->tls->client_auth, ClientAuth::none);
  EXPECT_NE(config->tls->priorities.find("-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"), std::string::npos);
  EXPECT_EQ(config->tls->priorities.find("TLS1.1"), std::string::npos);
  EXPECT_TRUE(read("tls_server_config:\n  cert_file: " + folder_.path("cert.pem") +
                   "\n  key_file: " + folder_.path("key.pem") + "\n"));
}

TEST_F(WebConfigTest, CertificatesCanBeInTheFile) {
  const auto config = read(
      "tls_server_config:\n  cert: |\n    one\n    two\n  key: three\n  client_ca: four\n"
      "  client_auth_type: RequireAndVerifyClientCert\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->tls->certificates, "one\ntwo\n");
  EXPECT_EQ(config->tls->key, "three");
  EXPECT_EQ(config->tls->client_cas, "four");
}

TEST_F(WebConfigTest, ClientAuthTypes) {
  const std::pair<const char*, ClientAuth> types[] = {
      {"NoClientCert", ClientAuth::none},
      {"RequestClientCert", ClientAuth::request},
      {"RequireAnyClientCert", ClientAuth::require_any},
      {"RequireClientCert", ClientAuth::require_any},
      {"VerifyClientCertIfGiven", ClientAuth::verify_if_given},
      {"RequireAndVerifyClientCert", ClientAuth::require}};
  for (const auto& [name, type] : types) {
    const std::string ca = type == ClientAuth::none ? "" : "  client_ca_file: ca.pem\n";
    const auto config = read(tls_ + ca + "  client_auth_type: " + name + "\n");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->tls->client_auth, type) << name;
    EXPECT_EQ(config->tls->client_cas, ca.empty() ? "" : "the authority");
  }
}

TEST_F(WebConfigTest, AllowedSans) {
  const auto config = read(tls_ +
                           "  client_ca_file: ca.pem\n  client_auth_type: "
                           "RequireAndVerifyClientCert\n  client_allowed_sans: [one, 'two']\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->tls->client_allowed_sans, (std::vector<std::string>{"one", "two"}));
}

TEST_F(WebConfigTest, VersionsCiphersAndCurves) {
  const auto priorities = [&](const std::string& lines, bool rsa = false) {
    const auto config = read(tls_ + lines);
    if (!config) return config.error().message;
    return rsa ? config->tls->priorities_rsa : config->tls->priorities;
  };
  const std::string start = "NORMAL:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA";
  EXPECT_EQ(priorities("  min_version: TLS10\n"),
            start +
                ":-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:+VERS-TLS1.1:+VERS-TLS1.0"
                ":%SERVER_PRECEDENCE");
  EXPECT_EQ(priorities("  max_version: TLS12\n  prefer_server_cipher_suites: false\n"),
            start + ":-VERS-ALL:+VERS-TLS1.2");
  EXPECT_EQ(priorities("  min_version: TLS13\n  prefer_server_cipher_suites: no\n"
                       "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"),
            start + ":-VERS-ALL:+VERS-TLS1.3");
  const std::string suites =
      "  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n"
      "  - TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\n  - TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA\n"
      "  prefer_server_cipher_suites: false\n";
  EXPECT_EQ(priorities(suites, true),
            start + ":-CIPHER-ALL:+AES-256-GCM:+AES-128-CBC:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
  EXPECT_EQ(priorities(suites, false), start + ":-CIPHER-ALL:+AES-256-CBC:-VERS-ALL:+VERS-TLS1.2");
  const std::string only_rsa =
      "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n"
      "  prefer_server_cipher_suites: false\n";
  EXPECT_EQ(priorities(only_rsa, false), start + ":-VERS-ALL:+VERS-TLS1.3");
  EXPECT_EQ(priorities(only_rsa + "  max_version: TLS12\n", false), "");
  EXPECT_EQ(priorities("  curve_preferences: [X25519, CurveP256, CurveP384, CurveP521]\n"
                       "  prefer_server_cipher_suites: off\n"),
            start +
                ":-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1"
                ":+GROUP-SECP384R1:+GROUP-SECP521R1");
}

TEST_F(WebConfigTest, HttpHeaders) {
  const auto config = read(
      "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n"
      "    X-Content-Type-Options: nosniff\n    Content-Security-Policy: \"default-src 'self'\"\n"
      "    X-XSS-Protection: ''\n    Strict-Transport-Security: max-age=1\n"
      "    Cache-Control: no-store\n");
  ASSERT_TRUE(config) << config.error().message;
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"X-Frame-Options", "deny"},
      {"X-Content-Type-Options", "nosniff"},
      {"Content-Security-Policy", "default-src 'self'"},
      {"Strict-Transport-Security", "max-age=1"},
      {"Cache-Control", "no-store"}};
  EXPECT_EQ(config->headers, expected);
  EXPECT_TRUE(read("http_server_config:\n  http2: true\n"));
  EXPECT_TRUE(read("http_server_config:\n"));
}

TEST_F(WebConfigTest, Users) {
  const auto config = read("basic_auth_users:\n  alice: " + hash_ + "\n  'bob b': '" + hash_ +
                           "'\n  123: " + hash_);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->users.size(), 3U);
  EXPECT_EQ(config->users.at("alice"), hash_);
  EXPECT_EQ(config->users.at("bob b"), hash_);
  EXPECT_EQ(config->users.at("123"), hash_);
}

TEST_F(WebConfigTest, MistakesAreNamedWithTheirLine) {
  const std::string tls_keys =
      "there is no such key here; those there are: cert_file, key_file, cert, key, "
      "client_auth_type, client_ca_file, client_ca, client_allowed_sans, min_version, max_version, "
      "cipher_suites, prefer_server_cipher_suites, curve_preferences";
  const std::pair<std::string, std::string> mistakes[] = {
      {"rate_limit: {burst: 1}\n",
       "web.yml:1: rate_limit: there is no such key here; those there are: tls_server_config, "
       "http_server_config, basic_auth_users"},
      {"\n- a list\n", "web.yml:2: keys with values must be here"},
      {"some words\n", "web.yml:1: keys with values must be here"},
      {"tls_server_config:\n", "web.yml:1: tls_server_config: it lacks cert_file"},
      {"tls_server_config: {}\n", "web.yml:1: tls_server_config: it lacks cert_file"},
      {"tls_server_config: [a]\n", "web.yml:1: tls_server_config: keys with values must be here"},
      {"tls_server_config:\n  key_file: key.pem\n",
       "web.yml:2: tls_server_config: it lacks cert_file"},
      {"tls_server_config:\n  cert_file: cert.pem\n",
       "web.yml:2: tls_server_config: it lacks key_file"},
      {tls_ + "  keyfile: x\n", "web.yml:4: tls_server_config.keyfile: " + tls_keys},
      {tls_ + "  key_file: key.pem\n", "web.yml:4: tls_server_config.key_file: it is there twice"},
      {tls_ + tls_, "web.yml:4: tls_server_config: it is there twice"},
      {tls_ + "  cert: text\n  cert_file: cert.pem\n",
       "web.yml:5: tls_server_config.cert_file: it is there twice"},
      {"tls_server_config:\n  cert_file: [a]\n",
       "web.yml:2: tls_server_config.cert_file: one value must be here"},
      {"tls_server_config:\n  cert_file: ''\n",
       "web.yml:2: tls_server_config.cert_file: it names no file"},
      {"tls_server_config:\n  cert_file:\n",
       "web.yml:2: tls_server_config.cert_file: it has no value"},
      {"tls_server_config:\n  cert_file: absent\n",
       "web.yml:2: tls_server_config.cert_file: can't read absent: No such file or directory"},
      {tls_ + "  client_auth_type: Perhaps\n",
       "web.yml:4: tls_server_config.client_auth_type: it must be one of NoClientCert, "
       "RequestClientCert, RequireAnyClientCert, RequireClientCert, VerifyClientCertIfGiven, "
       "RequireAndVerifyClientCert"},
      {tls_ + "  client_auth_type: RequireAndVerifyClientCert\n",
       "web.yml:2: tls_server_config: client_auth_type verifies certificates, but there is no "
       "client_ca_file"},
      {tls_ + "  client_ca_file: ca.pem\n",
       "web.yml:2: tls_server_config: there is a client_ca_file, but no client_auth_type that asks "
       "for certificates"},
      {tls_ + "  client_allowed_sans: [a]\n",
       "web.yml:2: tls_server_config: there are client_allowed_sans, but no client_auth_type that "
       "asks for them"},
      {tls_ + "  client_allowed_sans: a\n",
       "web.yml:4: tls_server_config.client_allowed_sans: a list must be here"},
      {tls_ + "  min_version: SSL30\n",
       "web.yml:4: tls_server_config.min_version: it must be one of TLS10, TLS11, TLS12, TLS13"},
      {tls_ + "  min_version: TLS13\n  max_version: TLS12\n",
       "web.yml:2: tls_server_config: min_version is above max_version"},
      {tls_ + "  curve_preferences: [P256]\n",
       "web.yml:4: tls_server_config.curve_preferences: there is no P256 here; known are: "
       "CurveP256, CurveP384, CurveP521, X25519"},
      {tls_ + "  prefer_server_cipher_suites: 'true'\n",
       "web.yml:4: tls_server_config.prefer_server_cipher_suites: it must be true or false"},
      {"http_server_config:\n  http2: maybe\n",
       "web.yml:2: http_server_config.http2: it must be true or false"},
      {"http_server_config:\n  http3: true\n",
       "web.yml:2: http_server_config.http3: there is no such key here; those there are: http2, "
       "headers"},
      {"http_server_config:\n  headers:\n    Server: mine\n",
       "web.yml:3: http_server_config.headers.Server: there is no such key here; those there are: "
       "Cache-Control, Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, "
       "X-Frame-Options, X-XSS-Protection"},
      {"http_server_config:\n  headers:\n    X-Frame-Options: allow\n",
       "web.yml:3: http_server_config.headers.X-Frame-Options: it must be deny, sameorigin"},
      {"http_server_config:\n  headers:\n    Cache-Control: \"a\\r\\nSet-Cookie: b\"\n",
       "web.yml:3: http_server_config.headers.Cache-Control: a header is one line"},
      {"basic_auth_users:\n",
       "web.yml:1: basic_auth_users: it names nobody, so nobody could be let in"},
      {"basic_auth_users: {}\n",
       "web.yml:1: basic_auth_users: it names nobody, so nobody could be let in"},
      {"basic_auth_users: [alice]\n",
       "web.yml:1: basic_auth_users: names with bcrypt hashes must be here"},
      {"basic_auth_users:\n  alice:\n", "web.yml:2: basic_auth_users.alice: it has no bcrypt hash"},
      {"basic_auth_users:\n  alice: [a]\n",
       "web.yml:2: basic_auth_users.alice: it has no bcrypt hash"},
      {"basic_auth_users:\n  alice: plain-secret\n",
       "web.yml:2: basic_auth_users.alice: this is no bcrypt hash ($2y$10$ and 53 characters)"},
      {"basic_auth_users:\n  alice: $2y$31$" + hash_.substr(7) + "\n",
       "web.yml:2: basic_auth_users.alice: the cost of its hash must be 4 to 18"},
      {"basic_auth_users:\n  alice: " + hash_ + "\n  alice: " + hash_ + "\n",
       "web.yml:3: basic_auth_users.alice: it is there twice"},
      {"basic_auth_users:\n  'a:b': " + hash_ + "\n",
       "web.yml:2: basic_auth_users.a:b: a name can't have a colon in it"},
      {"basic_auth_users:\n  '': " + hash_ + "\n",
       "web.yml:2: basic_auth_users: a name must be a word"},
      {"basic_auth_users:\n  [a]: " + hash_ + "\n",
       "web.yml:2: basic_auth_users: a name must be a word"},
      {"a: &x 1\nb: *x\n", "web.yml:1: anchors and aliases are not supported"},
      {"tls_server_config: &x\n  cert_file: a\n",
       "web.yml:1: anchors and aliases are not supported"},
      {"basic_auth_users: *x\n", "web.yml:1: anchors and aliases are not supported"},
      {"basic_auth_users: !!map {a: b}\n", "web.yml:1: tags are not supported"},
      {"basic_auth_users: !secret x\n", "web.yml:1: tags are not supported"},
      {"{}\n---\n{}\n", "web.yml:2: there is a second document"},
  };
  for (const auto& [text, message] : mistakes) {
    EXPECT_EQ(mistake(text), message) << text;
    const auto config = read(text);
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().kind, message.find("can't read") == std::string::npos
                                       ? ErrorKind::usage
                                       : ErrorKind::unsupported);
  }
  EXPECT_TRUE(mistake(tls_ + "  cipher_suites: [RC4]\n")
                  .starts_with("web.yml:4: tls_server_config.cipher_suites: there is no RC4 here; "
                               "known are: TLS_AES_128_GCM_SHA256, "));
  EXPECT_TRUE(mistake("a: [\n").starts_with("web.yml:2: "));
  EXPECT_TRUE(mistake("a:\tb: c\n\tx").starts_with("web.yml:"));
}

TEST_F(WebConfigTest, FilesThatAreNone) {
  std::filesystem::create_directory(folder_.path("folder"));
  ASSERT_EQ(mkfifo(folder_.path("pipe").c_str(), 0600), 0);
  folder_.write("large", std::string(2UL * 1024 * 1024, 'x'));
  folder_.write("empty", "");
  const auto naming = [&](const std::string& name) {
    return mistake("tls_server_config:\n  cert_file: " + name + "\n");
  };
  const std::string start = "web.yml:2: tls_server_config.cert_file: ";
  EXPECT_EQ(naming("folder"), start + "can't read folder: Is a directory");
  EXPECT_EQ(naming("pipe"), start + "can't read pipe: it is no regular file");
  EXPECT_EQ(naming("large"), start + "can't read large: it is larger than 1 MiB");
  EXPECT_EQ(naming("empty"), start + "the file is empty");
  EXPECT_FALSE(WebConfigFile(folder_.path("absent.yml")).read());
  EXPECT_FALSE(WebConfigFile(folder_.path("folder")).read());
  EXPECT_FALSE(WebConfigFile(folder_.path("large")).read());
}

TEST_F(WebConfigTest, DeepAndWideOnesAreRefused) {
  EXPECT_EQ(mistake(std::string(500, '[')), "web.yml:1: it is nested too deeply");
  std::string wide = "basic_auth_users:\n";
  for (int i = 0; i < 20'000; ++i) wide += "  u" + std::to_string(i) + ": x\n";
  EXPECT_EQ(mistake(wide), "web.yml:5000: there is too much in it");
}

TEST_F(WebConfigTest, NothingSecretIsInAMessage) {
  for (const char* text :
       {"basic_auth_users:\n  alice: secret-password\n",
        "tls_server_config:\n  key: [secret-key]\n",
        "tls_server_config:\n  min_version: secret-key\n",
        "tls_server_config:\n  client_auth_type: secret-key\n",
        "http_server_config:\n  http2: secret-key\n", "tls_server_config: secret-key\n",
        "tls_server_config:\n  key: \"secret-key\n"}) {
    EXPECT_NE(mistake(text), "");
    EXPECT_EQ(mistake(text).find("secret"), std::string::npos) << mistake(text);
  }
}

TEST_F(WebConfigTest, ChangesAreSeen) {
  WebConfigFile file(folder_.write("web.yml", tls_));
  ASSERT_TRUE(file.read());
  EXPECT_FALSE(file.changed());
  folder_.write("key.pem", "another key");
  EXPECT_TRUE(file.changed());
  ASSERT_TRUE(file.read());
  EXPECT_FALSE(file.changed());
  // A file put in the place of another one, as many programs do it.
  folder_.write("new.pem", "the certificate");
  std::filesystem::rename(folder_.path("new.pem"), folder_.path("cert.pem"));
  EXPECT_TRUE(file.changed());
  ASSERT_TRUE(file.read());
  folder_.write("web.yml", "nonsense");
  EXPECT_TRUE(file.changed());
  EXPECT_FALSE(file.read());
  EXPECT_FALSE(file.changed());
  // A mistake that is put right beside the file counts too.
  folder_.write("web.yml", "tls_server_config:\n  cert_file: late.pem\n  key_file: key.pem\n");
  EXPECT_FALSE(file.read());
  EXPECT_FALSE(file.changed());
  folder_.write("late.pem", "late");
  EXPECT_TRUE(file.changed());
  EXPECT_TRUE(file.read());
  std::filesystem::remove(folder_.path("web.yml"));
  EXPECT_TRUE(file.changed());
  EXPECT_FALSE(file.read());
  EXPECT_FALSE(file.changed());
}

TEST_F(WebConfigTest, ChangedBytesNeverDoHarm) {
  const std::string good = tls_ +
                           "  client_ca_file: ca.pem\n  client_auth_type: "
                           "RequireAndVerifyClientCert\n  client_allowed_sans: [one, 'two']\n"
                           "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"
                           "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
                           "basic_auth_users:\n  alice: " +
                           hash_ + "\n";
  ASSERT_EQ(mistake(good), "");
  std::uint32_t state = 4711;
  const auto random = [&] { return (state = state * 1664525U + 1013904223U) >> 8U; };
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    std::string text = good;
    for (unsigned k = 0; k <= random() % 4; ++k) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 20);
          break;
        default:
          text.insert(at, 1, "&*!|>{}[]:\n\t\"'#%@`,-?"[random() % 21]);
      }
      if (text.empty()) text = " ";
    }
    const auto config = read(text);
    refused += config ? 0 : 1;
    // What is read is of use: TLS is not lost on the way where its section is there.
    if (config && text.find("\ntls_server_config:\n") != std::string::npos) {
      EXPECT_TRUE(config->tls) << text;
    }
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace listenq::web
