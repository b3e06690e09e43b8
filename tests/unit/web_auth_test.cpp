// SPDX-License-Identifier: Apache-2.0
//
// Basic authentication: who is let in, what is remembered, and that nobody waits for a check but
// who asked for it.
#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <vector>

#include "web/libraries.h"
#include "web/passwords.h"
#include "web_certificates.h"
#include "web_served.h"

namespace listenq::web {
namespace {

// "secret", with cost 4, and "other".
constexpr const char* kSecretHash = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
constexpr const char* kOtherHash = "$2y$04$ABCDEFGHIJKLMNOPQRSTUubdTkc8VfDg3xLFFedNQLivmNw6I3T6K";
// Nobody's; takes half a second.
constexpr const char* kSlowHash = "$2y$13$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

// alice:secret, alice:wrong, bob:other, nobody:secret
constexpr const char* kAlice = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
constexpr const char* kAliceWrong = "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n";
constexpr const char* kBob = "authorization: basic Ym9iOm90aGVy\r\n";
constexpr const char* kNobody = "Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n";

/// kSecretHash with another prefix.
std::string secret_hash(const std::string& prefix) {
  return prefix + std::string(kSecretHash).substr(7);
}

std::string request_of(const std::string& header) {
  return "GET / HTTP/1.1\r\nHost: test\r\n" + header + "\r\n";
}

TEST(WebCredentials, AreRead) {
  const auto alice = basic_credentials("Basic YWxpY2U6c2VjcmV0");
  ASSERT_TRUE(alice);
  EXPECT_EQ(alice->user, "alice");
  EXPECT_EQ(alice->password, "secret");
  // "a:b:c": the first colon counts. "a:" and ":a": either may be empty.
  EXPECT_EQ(basic_credentials("BASIC  YTpiOmM= ")->password, "b:c");
  EXPECT_EQ(basic_credentials("Basic YTo=")->password, "");
  EXPECT_EQ(basic_credentials("Basic OmE=")->user, "");
  for (const char* bad : {"", "Basic", "Basic ", "Basic YWxpY2U", "Basic YWxpY2U=", "Basic ====",
                          "Basic YWxp=2U6", "Basic YWxpY2U6c2VjcmV0!", "Bearer YWxpY2U6c2VjcmV0",
                          "Basic Y=Q=", "Basic YWxpY2U6c2VjcmV0, Basic YWxpY2U6c2VjcmV0"}) {
    EXPECT_FALSE(basic_credentials(bad)) << bad;
  }
  EXPECT_FALSE(basic_credentials("Basic " + std::string(100'000, 'A')));
}

TEST(WebCredentials, BcryptHashesAreKnown) {
  EXPECT_EQ(bcrypt_cost(kSecretHash), 4U);
  EXPECT_EQ(bcrypt_cost(secret_hash("$2a$10$")), 10U);
  EXPECT_EQ(bcrypt_cost(secret_hash("$2b$31$")), 31U);
  EXPECT_FALSE(bcrypt_cost(secret_hash("$2x$10$")));
  EXPECT_FALSE(bcrypt_cost(secret_hash("$2y$1$") + "a"));
  EXPECT_FALSE(bcrypt_cost(secret_hash("$2y$10$") + "a"));
  EXPECT_FALSE(bcrypt_cost(secret_hash("$2y$10$").substr(1) + "!"));
  EXPECT_FALSE(bcrypt_cost("$6$salt$hash"));
  EXPECT_FALSE(bcrypt_cost("secret"));
}

class WebPasswords : public testing::Test {
 protected:
  static std::unique_ptr<Passwords> make(unsigned limit = 64) {
    auto passwords = Passwords::create(**load_libraries(), limit);
    (*passwords)->set_users({{"alice", kSecretHash}, {"bob", kOtherHash}});
    return std::move(*passwords);
  }
  /// Of the one check that is under way.
  static std::optional<bool> result(Passwords& passwords) {
    pollfd one{passwords.fd(), POLLIN, 0};
    if (::poll(&one, 1, 20'000) != 1) return std::nullopt;
    const auto finished = passwords.finished();
    return finished.size() == 1 ? std::optional(finished[0].second) : std::nullopt;
  }
};

TEST_F(WebPasswords, EachPrefixOfBcrypt) {
  const auto passwords = make();
  for (const char* prefix : {"$2a$04$", "$2b$04$", "$2y$04$"}) {
    passwords->set_users({{"alice", secret_hash(prefix)}});
    EXPECT_EQ(passwords->check({"alice", "secret"}, 1), Passwords::Answer::later);
    EXPECT_EQ(result(*passwords), true) << prefix;
  }
}

TEST_F(WebPasswords, RightOnesAreRememberedUntilTheUsersChange) {
  const auto passwords = make();
  EXPECT_EQ(passwords->check({"alice", "secret"}, 1), Passwords::Answer::later);
  EXPECT_EQ(result(*passwords), true);
  EXPECT_EQ(passwords->check({"alice", "secret"}, 2), Passwords::Answer::right);
  EXPECT_EQ(passwords->check({"bob", "secret"}, 3), Passwords::Answer::later);
  EXPECT_EQ(result(*passwords), false);
  passwords->set_users({{"alice", kSecretHash}});
  EXPECT_EQ(passwords->check({"alice", "secret"}, 4), Passwords::Answer::later);
  EXPECT_EQ(result(*passwords), true);
}

TEST_F(WebPasswords, WrongOnesAreWrongEachTime) {
  const auto passwords = make();
  const std::string with_nul("secret\0", 7);
  for (const std::string& password : {std::string("Secret"), std::string(), with_nul,
                                      std::string("secret "), std::string(3000, 'x')}) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(passwords->check({"alice", password}, 1), Passwords::Answer::later);
      EXPECT_EQ(result(*passwords), false);
    }
  }
  for (const char* user : {"", "carol", "Alice", "alice "}) {
    EXPECT_EQ(passwords->check({user, "secret"}, 1), Passwords::Answer::later) << user;
    EXPECT_EQ(result(*passwords), false);
  }
}

TEST_F(WebPasswords, ChecksUnderWayEndAsTheyBegan) {
  const auto passwords = make();
  passwords->set_users({{"alice", kSlowHash}});
  EXPECT_EQ(passwords->check({"alice", "wrong"}, 1), Passwords::Answer::later);
  EXPECT_EQ(passwords->check({"alice", "wrong too"}, 2), Passwords::Answer::later);
  passwords->set_users({{"alice", kOtherHash}});
  EXPECT_EQ(passwords->check({"alice", "secret"}, 3), Passwords::Answer::later);
  std::vector<std::pair<Passwords::Waiter, bool>> all;
  EXPECT_TRUE(eventually([&] {
    for (const auto& each : passwords->finished()) all.push_back(each);
    return all.size() == 3;
  }));
  EXPECT_EQ(all,
            (std::vector<std::pair<Passwords::Waiter, bool>>{{1, false}, {2, false}, {3, false}}));
}

TEST_F(WebPasswords, TheQueueIsBounded) {
  const auto passwords = make(3);
  passwords->set_users({{"alice", kSlowHash}});
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(passwords->check({"alice", std::to_string(i)}, i), Passwords::Answer::later);
  }
  EXPECT_EQ(passwords->check({"alice", "3"}, 3), Passwords::Answer::busy);
  // The same once more is no check of its own.
  EXPECT_EQ(passwords->check({"alice", "2"}, 4), Passwords::Answer::later);
}

TEST_F(WebPasswords, UnknownUsersCostAsMuch) {
  // By the hash that is used: the cost is a number in it.
  const auto passwords = make();
  passwords->set_users({{"alice", kSlowHash}, {"bob", kOtherHash}});
  EXPECT_EQ(passwords->check({"carol", "x"}, 1), Passwords::Answer::later);
  EXPECT_EQ(passwords->check({"bob", "x"}, 2), Passwords::Answer::later);
  // bob's takes a millisecond; it waits behind carol's, which takes what alice's would.
  EXPECT_TRUE(passwords->finished().empty());
  std::vector<Passwords::Waiter> order;
  EXPECT_TRUE(eventually([&] {
    for (const auto& [waiter, right] : passwords->finished()) order.push_back(waiter);
    return order.size() == 2;
  }));
  EXPECT_EQ(order, (std::vector<Passwords::Waiter>{1, 2}));
}

WebConfig with_users(std::map<std::string, std::string> users) {
  WebConfig config;
  config.users = std::move(users);
  return config;
}

std::unique_ptr<Served> serve(std::map<std::string, std::string> users,
                              const ServerLimits& limits = {}) {
  Served::Setup setup;
  setup.config = with_users(std::move(users));
  setup.limits = limits;
  return std::make_unique<Served>(std::move(setup));
}

TEST(WebAuth, RightWrongAndMissing) {
  const auto served = serve({{"alice", kSecretHash}, {"bob", kOtherHash}});
  RawClient client(served->port());
  for (const char* path : {"/", "/missing", "/-/healthy"}) {
    const HttpReply missing = client.get(path);
    EXPECT_EQ(missing.status, 401) << path;
    EXPECT_EQ(missing.header("www-authenticate"), "Basic realm=\"listenq-top\"");
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.get("/", kAlice).body, "hello\n");
    EXPECT_EQ(client.get("/", kBob).body, "hello\n");
    EXPECT_EQ(client.get("/missing", kAlice).status, 404);
    EXPECT_EQ(client.get("/", kAliceWrong).status, 401);
    EXPECT_EQ(client.get("/", kNobody).status, 401);
    EXPECT_EQ(client.get("/", "Authorization: Basic !\r\n").status, 401);
    EXPECT_EQ(client.get("/", std::string(kAlice) + kAlice).status, 401);
  }
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: test\r\n\r\n"));
  EXPECT_EQ(client.reply().status, 401);
}

TEST(WebAuth, WithCurl) {
  const Certificates made;
  WebConfig config = made.config("server");
  config.users = {{"alice", kSecretHash}};
  Served::Setup setup;
  setup.config = std::move(config);
  Served served(std::move(setup));
  EXPECT_EQ(made.curl(served.url("/"), {"-u", "alice:secret"}).out, "hello\n");
  constexpr int kHttpError = 22;
  EXPECT_EQ(made.curl(served.url("/"), {"-u", "alice:wrong"}).code, kHttpError);
  EXPECT_EQ(made.curl(served.url("/")).code, kHttpError);
}

TEST(WebAuth, ACheckHoldsUpNobodyElse) {
  const auto served = serve({{"alice", kSlowHash}, {"bob", kOtherHash}});
  RawClient bob(served->port());
  ASSERT_EQ(bob.get("/", kBob).status, 200);
  RawClient alice(served->port());
  ASSERT_TRUE(alice.send(request_of(kAlice)));
  int answers = 0;
  pollfd checked{alice.fd(), POLLIN, 0};
  while (::poll(&checked, 1, 0) == 0) {
    ASSERT_EQ(bob.get("/", kBob).status, 200);
    ++answers;
  }
  EXPECT_EQ(alice.reply().status, 401);
  EXPECT_GT(answers, 10);
}

TEST(WebAuth, ManyWithTheSamePasswordAreOneCheck) {
  ServerLimits limits;
  limits.password_checks = 1;
  const auto served = serve({{"alice", kSecretHash}}, limits);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(served->port()));
    ASSERT_TRUE(clients.back()->send(request_of(kAlice)));
  }
  for (const auto& client : clients) EXPECT_EQ(client->reply().status, 200);
}

TEST(WebAuth, TooManyChecksAreRefusedForNow) {
  ServerLimits limits;
  limits.password_checks = 1;
  const auto served = serve({{"alice", kSlowHash}, {"bob", kSlowHash}}, limits);
  RawClient alice(served->port());
  ASSERT_TRUE(alice.send(request_of(kAliceWrong)));
  RawClient bob(served->port());
  HttpReply reply;
  EXPECT_TRUE(eventually([&] {
    reply = bob.get("/", kBob);
    return reply.status == 503;
  }));
  EXPECT_EQ(reply.header("retry-after"), "5");
  EXPECT_EQ(alice.reply().status, 401);
}

TEST(WebAuth, ClientsThatLeaveDuringTheirCheck) {
  const auto served = serve({{"alice", kSlowHash}});
  for (int i = 0; i < 10; ++i) {
    RawClient client(served->port());
    ASSERT_TRUE(client.send(request_of(kAliceWrong)));
  }
  RawClient last(served->port());
  EXPECT_EQ(last.get("/", kAliceWrong).status, 401);
}

TEST(WebAuth, TheServerCanEndDuringAHalfDoneCheck) {
  const auto served = serve({{"alice", kSlowHash}});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<RawClient>(served->port()));
    ASSERT_TRUE(clients.back()->send(request_of(i % 2 == 0 ? kAlice : kAliceWrong)));
  }
  RawClient witness(served->port());
  EXPECT_EQ(witness.get("/").status, 401);
  served->stop();
  for (const auto& client : clients) EXPECT_TRUE(client->closed());
}

TEST(WebAuth, OtherUsersAreForTheNextRequest) {
  const auto served = serve({{"alice", kSecretHash}});
  RawClient alice(served->port());
  ASSERT_EQ(alice.get("/", kAlice).status, 200);
  ASSERT_TRUE(served->apply(with_users({{"bob", kOtherHash}})));
  EXPECT_TRUE(alice.closed());
  RawClient again(served->port());
  EXPECT_EQ(again.get("/", kAlice).status, 401);
  EXPECT_EQ(again.get("/", kBob).status, 200);
  ASSERT_TRUE(served->apply({}));
  RawClient anybody(served->port());
  EXPECT_EQ(anybody.get("/").status, 200);
}

TEST(WebAuth, AnotherConfigDuringACheck) {
  const auto served = serve({{"alice", kSlowHash}});
  RawClient alice(served->port());
  ASSERT_TRUE(alice.send(request_of(kAliceWrong)));
  // The check is under way when the answer to somebody who came later is there.
  RawClient witness(served->port());
  ASSERT_EQ(witness.get("/").status, 401);
  ASSERT_TRUE(served->apply({}));
  EXPECT_EQ(alice.reply().status, 401);
  EXPECT_TRUE(alice.closed());
}

}  // namespace
}  // namespace listenq::web
