// SPDX-License-Identifier: Apache-2.0
//
// HTTPS with curl, and with clients that get it wrong.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "web/tls_priorities.h"
#include "web_certificates.h"
#include "web_served.h"

namespace listenq::web {
namespace {

class WebTls : public testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<Served> serve(WebConfig config,
                                              const ServerLimits& limits = {}) const {
    Served::Setup setup;
    setup.config = std::move(config);
    setup.limits = limits;
    return std::make_unique<Served>(std::move(setup));
  }
  /// curl's options for the versions a client speaks: 1.`min` to 1.`max`.
  static std::vector<std::string> speaking(int min, int max) {
    return {"--tlsv1." + std::to_string(min), "--tls-max", "1." + std::to_string(max)};
  }

  Certificates made_;
};

TEST_F(WebTls, IsServed) {
  const auto served = serve(made_.config("server"));
  const Ran hello = made_.curl(served->url("/"));
  EXPECT_EQ(hello.code, 0);
  EXPECT_EQ(hello.out, "hello\n");
  EXPECT_TRUE(served->log().empty());
}

TEST_F(WebTls, LongDocumentsInParallel) {
  Served::Setup setup;
  setup.config = made_.config("server");
  setup.handler = [document = std::make_shared<LongDocument>(200'000)](const Request&) {
    return Response{200, document};
  };
  const auto served = std::make_unique<Served>(std::move(setup));
  const std::string text = LongDocument::text(200'000);
  for (const char* encoding : {"identity", "gzip"}) {
    std::vector<std::thread> threads;
    std::vector<int> right(8, 0);
    threads.reserve(right.size());
    for (int& mine : right) {
      threads.emplace_back([&] {
        const Ran ran =
            made_.curl(served->url("/long"), {"-H", std::string("Accept-Encoding: ") + encoding});
        mine = (encoding[0] == 'g' ? gunzipped(ran.out) : ran.out) == text ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, std::vector<int>(8, 1)) << encoding;
  }
}

TEST_F(WebTls, SeveralRequestsOnOneConnection) {
  const auto served = serve(made_.config("server"));
  const Ran ran = made_.curl(served->url("/text"),
                             {served->url("/"), served->url("/long"), "-w", "%{num_connects}\n",
                              "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null"});
  EXPECT_EQ(ran.out, "1\n0\n0\n");
}

TEST_F(WebTls, PlainHttpToATlsPortIsHarmless) {
  const auto served = serve(made_.config("server"));
  RawClient plain(served->port());
  ASSERT_TRUE(plain.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
  EXPECT_EQ(plain.reply().status, 0);
  EXPECT_EQ(made_.curl(served->url("/")).out, "hello\n");
}

TEST_F(WebTls, GarbageIsHarmless) {
  const auto served = serve(made_.config("server"));
  std::uint32_t state = 777;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    std::string bytes = i % 2 == 0 ? std::string("\x16\x03\x01", 3) : "";
    for (int k = 0; k < 1000; ++k) {
      state = state * 1664525U + 1013904223U;
      bytes += static_cast<char>(state >> 24U);
    }
    clients.push_back(std::make_unique<RawClient>(served->port()));
    clients.back()->send(bytes);
    clients.back()->half_close();
  }
  EXPECT_EQ(made_.curl(served->url("/")).out, "hello\n");
  for (const auto& client : clients) EXPECT_TRUE(client->closed());
}

TEST_F(WebTls, HandshakesThatStopHalfwayCostNothing) {
  ServerLimits limits;
  limits.request_seconds = 2;
  const auto served = serve(made_.config("server"), limits);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(served->port()));
    // The first record of a ClientHello: 512 bytes are announced, these are six of them.
    ASSERT_TRUE(
        clients.back()->send(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)));
  }
  EXPECT_EQ(made_.curl(served->url("/")).out, "hello\n");
  for (const auto& client : clients) EXPECT_TRUE(client->closed());
  // libmicrohttpd itself would want to be run without a pause for these two seconds.
  EXPECT_LT(served->runs(), 500U);
}

TEST_F(WebTls, OldVersionsAreRefused) {
  const auto served = serve(made_.config("server"));
  EXPECT_EQ(made_.curl(served->url("/"), speaking(2, 2)).code, 0);
  EXPECT_EQ(made_.curl(served->url("/"), speaking(3, 3)).code, 0);
  auto old = speaking(0, 1);
  old.insert(old.end(), {"--ciphers", "DEFAULT@SECLEVEL=0"});
  EXPECT_NE(made_.curl(served->url("/"), old).code, 0);
}

TEST_F(WebTls, VersionsAreThoseOfTheConfig) {
  const auto with = [&](int min, int max) {
    WebConfig config = made_.config("server");
    TlsWishes wishes;
    wishes.min_version = min;
    wishes.max_version = max;
    config.tls->priorities = gnutls_priorities(wishes, false);
    return config;
  };
  const auto served = serve(with(3, 3));
  EXPECT_EQ(made_.curl(served->url("/"), speaking(3, 3)).code, 0);
  EXPECT_NE(made_.curl(served->url("/"), speaking(2, 2)).code, 0);
  ASSERT_TRUE(served->apply(with(2, 2)));
  EXPECT_EQ(made_.curl(served->url("/"), speaking(2, 2)).code, 0);
  EXPECT_NE(made_.curl(served->url("/"), speaking(3, 3)).code, 0);
}

TEST_F(WebTls, OnlyTheCipherSuitesOfTheConfig) {
  made_.make("rsa", "ca", "DNS:localhost", "rsa");
  const auto with = [&](const std::string& name, const std::vector<std::string>& suites) {
    WebConfig config = made_.config(name);
    TlsWishes wishes;
    wishes.cipher_suites = suites;
    config.tls->priorities = gnutls_priorities(wishes, false);
    config.tls->priorities_rsa = gnutls_priorities(wishes, true);
    return config;
  };
  const std::vector<std::string> suites = {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                                           "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
  const auto served = serve(with("rsa", suites));
  const auto works = [&](const std::string& cipher) {
    auto options = speaking(2, 2);
    options.insert(options.end(), {"--ciphers", cipher});
    return made_.curl(served->url("/"), options).code == 0;
  };
  EXPECT_TRUE(works("ECDHE-RSA-AES256-GCM-SHA384"));
  // Listed for the other kind of key only.
  EXPECT_FALSE(works("ECDHE-RSA-AES128-GCM-SHA256"));
  EXPECT_FALSE(works("ECDHE-RSA-CHACHA20-POLY1305"));
  EXPECT_FALSE(works("AES256-GCM-SHA384"));
  ASSERT_TRUE(served->apply(with("server", suites)));
  EXPECT_TRUE(works("ECDHE-ECDSA-AES128-GCM-SHA256"));
  EXPECT_FALSE(works("ECDHE-ECDSA-AES256-GCM-SHA384"));
  EXPECT_EQ(made_.curl(served->url("/"), speaking(3, 3)).code, 0);
  // CBC alone: there is nothing for TLS 1.3 in it, so that 1.2 is spoken.
  ASSERT_TRUE(served->apply(with("server", {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"})));
  EXPECT_EQ(made_.curl(served->url("/"), speaking(2, 3)).code, 0);
  EXPECT_FALSE(works("ECDHE-ECDSA-AES128-GCM-SHA256"));
}

TEST_F(WebTls, CurvesOfTheConfig) {
  WebConfig config = made_.config("server");
  TlsWishes wishes;
  wishes.curves = {"CurveP384"};
  config.tls->priorities = gnutls_priorities(wishes, false);
  const auto served = serve(std::move(config));
  EXPECT_EQ(made_.curl(served->url("/"), {"--curves", "P-384"}).code, 0);
  EXPECT_NE(made_.curl(served->url("/"), {"--curves", "X25519"}).code, 0);
}

TEST_F(WebTls, AnExpiredCertificateIsServedAndLogged) {
  made_.make_expired("expired");
  const auto served = serve(made_.config("expired"));
  EXPECT_EQ(made_.curl(served->url("/"), {"--insecure"}).out, "hello\n");
  EXPECT_NE(made_.curl(served->url("/")).code, 0);
  EXPECT_EQ(served->log(), std::vector<std::string>{"the TLS certificate expired on 2020-01-02"});
}

TEST_F(WebTls, WhatGnutlsRefusesChangesNothing) {
  const auto served = serve(made_.config("server"));
  made_.make("other", "ca", "DNS:localhost");
  const auto refused = [&](const char* with, const std::function<void(TlsConfig&)>& spoil) {
    WebConfig config = made_.config("server");
    config.users["nobody"] = "$2y$04$abcdefghijklmnopqrstuu";
    spoil(*config.tls);
    const auto applied = served->apply(std::move(config));
    ASSERT_FALSE(applied) << with;
    EXPECT_NE(applied.error().message.find(with), std::string::npos) << applied.error().message;
    EXPECT_EQ(applied.error().message.find("PRIVATE"), std::string::npos);
    EXPECT_EQ(made_.curl(served->url("/")).out, "hello\n") << with;
  };
  refused("key", [&](TlsConfig& tls) { tls.key = made_.contents(made_.key("other")); });
  refused("key", [&](TlsConfig& tls) { tls.key = "-----BEGIN PRIVATE KEY-----\nx\n"; });
  refused("certificate", [&](TlsConfig& tls) { tls.certificates = "nonsense"; });
  refused("certificate", [&](TlsConfig& tls) { tls.certificates = tls.key; });
  refused("versions and ciphers", [&](TlsConfig& tls) { tls.priorities = "NORMAL:+NONSENSE"; });
  refused("cipher_suites", [&](TlsConfig& tls) { tls.priorities = ""; });
  refused("client_ca_file", [&](TlsConfig& tls) {
    tls.client_auth = ClientAuth::require;
    tls.client_cas = "nonsense";
  });
}

TEST_F(WebTls, ServerEndsInTheMiddleOfHandshakesAndAnswers) {
  const auto served = serve(made_.config("server"));
  RawClient half(served->port());
  ASSERT_TRUE(half.send(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)));
  std::thread slow([&] {
    EXPECT_NE(made_.curl(served->url("/long"), {"--limit-rate", "1000", "--max-time", "3"}).code,
              0);
  });
  EXPECT_TRUE(eventually([] { return LongDocument::alive == 1; }));
  served->stop();
  EXPECT_TRUE(half.closed());
  slow.join();
  EXPECT_EQ(LongDocument::alive, 0);
}

struct Admission {
  ClientAuth auth;
  bool nobody;   ///< let in without a certificate
  bool foreign;  ///< with one that the authority has not signed
};

class WebClientAuth : public WebTls, public testing::WithParamInterface<Admission> {};

TEST_P(WebClientAuth, LetsInWhomItSays) {
  const Admission admission = GetParam();
  made_.make_authority("otherca");
  made_.make("good", "ca", "DNS:client");
  made_.make("foreign", "otherca", "DNS:client");
  made_.make("wrong-use", "ca", "DNS:client", "ec", "serverAuth");
  made_.make("right-use", "ca", "DNS:client", "rsa", "clientAuth");
  WebConfig config = made_.config("server");
  config.tls->client_auth = admission.auth;
  const bool verifies =
      admission.auth == ClientAuth::require || admission.auth == ClientAuth::verify_if_given;
  if (verifies) config.tls->client_cas = made_.contents(made_.certificate("ca"));
  const auto served = serve(std::move(config));
  for (const int version : {2, 3}) {
    const auto let_in = [&](const std::string& name) {
      auto options = name.empty() ? std::vector<std::string>() : made_.as(name);
      const auto versions = speaking(version, version);
      options.insert(options.end(), versions.begin(), versions.end());
      const Ran ran = made_.curl(served->url("/"), options);
      EXPECT_EQ(ran.code == 0, ran.out == "hello\n");
      return ran.code == 0;
    };
    EXPECT_EQ(let_in(""), admission.nobody) << version;
    EXPECT_EQ(let_in("foreign"), admission.foreign) << version;
    EXPECT_EQ(let_in("wrong-use"), admission.foreign) << version;
    EXPECT_TRUE(let_in("good")) << version;
    EXPECT_TRUE(let_in("right-use")) << version;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, WebClientAuth,
                         testing::Values(Admission{ClientAuth::none, true, true},
                                         Admission{ClientAuth::request, true, true},
                                         Admission{ClientAuth::require_any, false, true},
                                         Admission{ClientAuth::verify_if_given, true, false},
                                         Admission{ClientAuth::require, false, false}));

TEST_F(WebTls, ClientsNeedAnAllowedName) {
  made_.make("dns", "ca", "DNS:prometheus.example");
  made_.make("mail", "ca", "email:prometheus@example");
  made_.make("uri", "ca", "URI:spiffe://example/prometheus");
  made_.make("ip", "ca", "IP:192.0.2.7,DNS:elsewhere");
  made_.make("ip6", "ca", "IP:2001:db8::1");
  made_.make("other", "ca", "DNS:other.example");
  made_.make("nameless", "ca", "");
  WebConfig config = made_.config("server");
  config.tls->client_auth = ClientAuth::require;
  config.tls->client_cas = made_.contents(made_.certificate("ca"));
  config.tls->client_allowed_sans = {"prometheus.example", "prometheus@example",
                                     "spiffe://example/prometheus", "192.0.2.7", "2001:db8::1"};
  const auto served = serve(std::move(config));
  for (const char* name : {"dns", "mail", "uri", "ip", "ip6"}) {
    EXPECT_EQ(made_.curl(served->url("/"), made_.as(name)).out, "hello\n") << name;
  }
  EXPECT_NE(made_.curl(served->url("/"), made_.as("other")).code, 0);
  EXPECT_NE(made_.curl(served->url("/"), made_.as("nameless")).code, 0);
}

TEST_F(WebTls, AnotherConfigIsForTheNextConnection) {
  made_.make_authority("newca");
  made_.make("new", "newca", "DNS:localhost");
  const auto served = serve(made_.config("server"));
  EXPECT_EQ(made_.curl(served->url("/")).code, 0);
  ASSERT_TRUE(served->apply(made_.config("new")));
  EXPECT_NE(made_.curl(served->url("/")).code, 0);
  EXPECT_EQ(made_.curl(served->url("/"), {"--cacert", made_.certificate("newca")}).out, "hello\n");
}

TEST_F(WebTls, CanBeTurnedOnAndOffWhileClientsAreThere) {
  const auto served = serve({});
  RawClient idle(served->port());
  ASSERT_EQ(idle.get("/").status, 200);
  RawClient reading(served->port(), 4096);
  ASSERT_TRUE(reading.send("GET /long HTTP/1.1\r\nHost: test\r\n\r\n"));
  ASSERT_TRUE(reading.receive());
  ASSERT_TRUE(served->apply(made_.config("server")));
  // Who is idle has to come again, who is being answered gets all of it.
  EXPECT_TRUE(idle.closed());
  const HttpReply reply = reading.reply();
  EXPECT_TRUE(reply.whole);
  EXPECT_EQ(reply.body, LongDocument::text(200'000));
  EXPECT_TRUE(reading.closed());
  EXPECT_EQ(made_.curl(served->url("/")).out, "hello\n");
  RawClient plain(served->port());
  EXPECT_EQ(plain.get("/").status, 0);
  ASSERT_TRUE(served->apply({}));
  EXPECT_EQ(made_.curl(served->url("/")).out, "hello\n");
}

}  // namespace
}  // namespace listenq::web
