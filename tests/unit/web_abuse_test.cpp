// SPDX-License-Identifier: Apache-2.0
//
// Clients that do what they should not, and that the others notice nothing of it.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "web_served.h"

namespace listenq::web {
namespace {

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

ServerLimits short_limits() {
  ServerLimits limits;
  limits.request_seconds = 1;
  limits.response_seconds = 1;
  limits.idle_seconds = 3;
  return limits;
}

std::unique_ptr<Served> served_with(const ServerLimits& limits, Handler handler = nullptr) {
  Served::Setup setup;
  setup.limits = limits;
  setup.handler = std::move(handler);
  return std::make_unique<Served>(std::move(setup));
}

/// The status, or 0 where the answer was lost: a server that closes with something unread resets.
int status_of(int port, const std::string& bytes) {
  RawClient client(port);
  client.send(bytes);
  return client.reply().status;
}

TEST(WebAbuse, MalformedRequests) {
  Served served;
  for (const char* bytes : {
           "\1\2\3\r\n\r\n",
           "GET\r\n\r\n",
           "GET /\r\n\r\n",
           "GET / HTTP/x.y\r\nHost: test\r\n\r\n",
           "GET / HTTP/1.1\r\nno colon\r\nHost: test\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: many\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
           // both at once
           "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n",
       }) {
    const int status = status_of(served.port(), bytes);
    EXPECT_TRUE(status == 400 || status == 0) << bytes << ": " << status;
  }
  EXPECT_EQ(status_of(served.port(), "GET / HTTP/0.9\r\n\r\n"), 505);
  EXPECT_EQ(status_of(served.port(), "GET / HTTP/2.0\r\nHost: test\r\n\r\n"), 505);
  EXPECT_EQ(status_of(served.port(), "GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of(served.port(), kGet), 200);
}

TEST(WebAbuse, AMalformedLengthIsAnsweredOnce) {
  Served served;
  RawClient client(served.port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n"));
  EXPECT_EQ(client.reply().status, 400);
  EXPECT_TRUE(client.closed());
}

TEST(WebAbuse, LargeHeaders) {
  Served served;
  RawClient witness(served.port());
  ASSERT_EQ(witness.get("/").status, 200);
  const std::string start = "GET / HTTP/1.1\r\nHost: test\r\nX: ";
  // Well below the limit of 32 KiB, just above, and so far above that it is not read to its end.
  EXPECT_EQ(status_of(served.port(), start + std::string(30'000, 'x') + "\r\n\r\n"), 200);
  EXPECT_EQ(status_of(served.port(), start + std::string(33'000, 'x') + "\r\n\r\n"), 431);
  const int status = status_of(served.port(), start + std::string(1'000'000, 'x') + "\r\n\r\n");
  EXPECT_TRUE(status == 431 || status == 0) << status;
  const int url = status_of(
      served.port(), "GET /" + std::string(1'000'000, 'x') + " HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_TRUE(url == 414 || url == 0) << url;
  std::string many = "GET / HTTP/1.1\r\nHost: test\r\n";
  for (int i = 0; i < 5000; ++i) many += "A: b\r\n";
  EXPECT_NE(status_of(served.port(), many + "\r\n"), 500);
  EXPECT_EQ(witness.get("/").status, 200);
}

TEST(WebAbuse, BodiesAreNotRead) {
  Served served;
  const std::string head = " / HTTP/1.1\r\nHost: test\r\n";
  EXPECT_EQ(status_of(served.port(), "POST" + head + "Content-Length: 1000000000\r\n\r\n"), 413);
  EXPECT_EQ(status_of(served.port(), "GET" + head + "Content-Length: 1\r\n\r\nx"), 413);
  EXPECT_EQ(status_of(served.port(), "GET" + head + "Transfer-Encoding: chunked\r\n\r\n"), 413);
  EXPECT_EQ(status_of(served.port(), "GET" + head + "Content-Length: 0\r\n\r\n"), 200);
  // Who asks before sending gets the answer instead of leave.
  RawClient polite(served.port());
  ASSERT_TRUE(
      polite.send("PUT" + head + "Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(polite.reply().status, 413);
  EXPECT_TRUE(polite.closed());
  // And who sends on without end is cut off.
  RawClient rude(served.port());
  ASSERT_TRUE(rude.send("POST" + head + "Content-Length: 1000000000\r\n\r\n"));
  const std::string megabyte(1024UL * 1024, 'x');
  int sent = 0;
  while (sent < 1000 && rude.send(megabyte)) ++sent;
  EXPECT_LT(sent, 100);
}

TEST(WebAbuse, HalfOpenClientsAreClosed) {
  const auto served = served_with(short_limits());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(std::make_unique<RawClient>(served->port()));
    constexpr std::string_view kParts[] = {"", "GET / HT", "GET / HTTP/1.1\r\nHost: te"};
    ASSERT_TRUE(clients.back()->send(kParts[i % 3]));
  }
  RawClient good(served->port());
  EXPECT_EQ(good.get("/").status, 200);
  for (const auto& client : clients) EXPECT_TRUE(client->closed());
  // Those who had a good answer may stay longer.
  EXPECT_EQ(good.get("/").status, 200);
  EXPECT_TRUE(good.closed());
  // They cost next to nothing while they were there.
  EXPECT_LT(served->runs(), 500U);
}

TEST(WebAbuse, ATrickleOfHeadersIsNoRequest) {
  const auto served = served_with(short_limits());
  RawClient client(served->port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: test\r\n"));
  int lines = 0;
  EXPECT_TRUE(eventually([&] { return ++lines > 1 && !client.send("A: b\r\n"); }));
}

TEST(WebAbuse, SlowReadersAreCutOff) {
  const auto served = served_with(short_limits());
  RawClient slow(served->port(), 4096);
  ASSERT_TRUE(slow.send("GET /long HTTP/1.1\r\nHost: test\r\n\r\n"));
  ASSERT_TRUE(slow.receive());
  RawClient other(served->port());
  EXPECT_TRUE(other.get("/long").whole);
  EXPECT_TRUE(eventually([] { return LongDocument::alive == 0; }));
  EXPECT_FALSE(slow.reply().whole);
  EXPECT_LT(served->runs(), 5000U);
}

TEST(WebAbuse, FewDocumentsLiveHoweverManyReadThemSlowly) {
  ServerLimits limits;
  limits.documents = 4;
  // A new one for each, as if each came with another sample.
  const auto served = served_with(limits, [](const Request& /*request*/) {
    return Response{200, std::make_shared<LongDocument>(400'000)};
  });
  for (const char* encoding : {"", "Accept-Encoding: gzip\r\n"}) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::make_unique<RawClient>(served->port(), 4096));
      ASSERT_TRUE(clients.back()->send("GET / HTTP/1.1\r\nHost: test\r\n" + std::string(encoding) +
                                       "\r\n"));
      ASSERT_TRUE(clients.back()->receive());
      EXPECT_LE(LongDocument::alive, 4);
    }
    EXPECT_EQ(LongDocument::alive, 4);
    // The first ones see that they did not get all of it; the last ones do.
    for (int i = 0; i < 16; ++i) {
      EXPECT_FALSE(clients[static_cast<std::size_t>(i)]->reply().whole) << i;
    }
    for (int i = 16; i < 20; ++i) {
      EXPECT_TRUE(clients[static_cast<std::size_t>(i)]->reply().whole) << i;
    }
    EXPECT_TRUE(eventually([] { return LongDocument::alive == 0; }));
  }
}

TEST(WebAbuse, CutOffReadersOfHttp10AreReset) {
  ServerLimits limits;
  limits.documents = 1;
  const auto served = served_with(limits);
  RawClient first(served->port(), 4096);
  ASSERT_TRUE(first.send("GET /long HTTP/1.0\r\n\r\n"));
  ASSERT_TRUE(first.receive());
  RawClient second(served->port());
  EXPECT_TRUE(second.get("/long").whole);
  // An end of file would look like the end of the answer.
  while (first.receive()) {
  }
  EXPECT_EQ(errno, ECONNRESET);
}

TEST(WebAbuse, AtTheLimitOthersWaitForTheirTurn) {
  ServerLimits limits;
  limits.connections = 3;
  const auto served = served_with(limits);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(served->port()));
    ASSERT_EQ(clients.back()->get("/").status, 200);
  }
  RawClient fourth(served->port());
  ASSERT_TRUE(fourth.send(kGet));
  const std::uint64_t before = served->runs();
  ASSERT_EQ(clients[1]->get("/").status, 200);
  clients[0].reset();
  EXPECT_EQ(fourth.reply().status, 200);
  EXPECT_LT(served->runs() - before, 100U);
}

TEST(WebAbuse, ManyMoreThanTheLimitAtOnce) {
  ServerLimits limits;
  limits.connections = 3;
  const auto served = served_with(limits);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(served->port()));
    ASSERT_TRUE(clients.back()->send(kGet));
  }
  for (auto& client : clients) {
    EXPECT_EQ(client->reply().status, 200);
    client.reset();
  }
}

TEST(WebAbuse, WhoSaysNothingMakesRoom) {
  ServerLimits limits;
  limits.connections = 3;
  limits.request_seconds = 3600;
  const auto served = served_with(limits);
  std::vector<std::unique_ptr<RawClient>> silent;
  silent.reserve(9);
  for (int i = 0; i < 9; ++i) silent.push_back(std::make_unique<RawClient>(served->port()));
  RawClient good(served->port());
  EXPECT_EQ(good.get("/").status, 200);
}

// At once, and not by the next sweep: a hundred sweeps would outlast everybody's patience.
TEST(WebAbuse, AFloodOfSilentClientsKeepsNobodyWaiting) {
  ServerLimits limits;
  limits.connections = 3;
  limits.request_seconds = 3600;
  const auto served = served_with(limits);
  RawClient good(served->port());
  EXPECT_EQ(good.get("/").status, 200);
  std::vector<std::unique_ptr<RawClient>> silent;
  silent.reserve(300);
  for (int i = 0; i < 300; ++i) silent.push_back(std::make_unique<RawClient>(served->port()));
  RawClient late(served->port());
  EXPECT_EQ(late.get("/").status, 200);
  EXPECT_EQ(good.get("/").status, 200) << "who had an answer keeps his place";
}

TEST(WebAbuse, TheEndOfAClientIsSeenAlsoBehindItsRequests) {
  Served served;
  RawClient client(served.port());
  ASSERT_TRUE(client.send(std::string(kGet) + kGet));
  client.half_close();
  EXPECT_EQ(client.reply().status, 200);
  EXPECT_EQ(client.reply().status, 200);
  EXPECT_TRUE(client.closed());
}

TEST(WebAbuse, RandomBytes) {
  Served served;
  std::uint32_t state = 12345;
  const auto random = [&] { return state = state * 1664525U + 1013904223U; };
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 300; ++i) {
    std::string bytes = i % 2 == 0 ? std::string(kGet) + kGet : std::string(random() % 2000, ' ');
    const unsigned changes = i % 2 == 0 ? 1 + random() % 8 : static_cast<unsigned>(bytes.size());
    for (unsigned k = 0; k < changes && !bytes.empty(); ++k) {
      bytes[random() % bytes.size()] = static_cast<char>(random() >> 24U);
    }
    clients.push_back(std::make_unique<RawClient>(served.port()));
    clients.back()->send(bytes);
    clients.back()->half_close();
  }
  for (const auto& client : clients) EXPECT_TRUE(client->closed());
  EXPECT_EQ(status_of(served.port(), kGet), 200);
}

TEST(WebAbuse, OutOfBandDataIsHarmless) {
  Served served;
  RawClient client(served.port());
  ASSERT_EQ(::send(client.fd(), "x", 1, MSG_OOB), 1);
  client.half_close();
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(status_of(served.port(), kGet), 200);
}

}  // namespace
}  // namespace listenq::web
