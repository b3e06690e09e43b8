// SPDX-License-Identifier: Apache-2.0
//
// HTTP as clients that behave speak it.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>
#include <vector>

#include "web/listen.h"
#include "web_served.h"

namespace listenq::web {
namespace {

TEST(WebServer, AnswersWithWhatTheHandlerSays) {
  Served served;
  RawClient client(served.port());
  const HttpReply hello = client.get("/");
  EXPECT_EQ(hello.status, 200);
  EXPECT_EQ(hello.body, "hello\n");
  EXPECT_EQ(hello.header("content-type"), "text/plain");
  EXPECT_EQ(hello.header("content-length"), "6");
  const HttpReply missing = client.get("/missing");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.body, "nothing here\n");
}

TEST(WebServer, KeepsTheConnectionForHttp11) {
  Served served;
  RawClient client(served.port());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.get("/").status, 200) << i;
}

TEST(WebServer, AnswersPipelinedRequestsInOrder) {
  Served served;
  RawClient client(served.port());
  const std::string end = " HTTP/1.1\r\nHost: test\r\n\r\n";
  ASSERT_TRUE(client.send("GET /a" + end + "GET /b" + end + "GET /c" + end));
  EXPECT_EQ(client.reply().body, "/a");
  EXPECT_EQ(client.reply().body, "/b");
  EXPECT_EQ(client.reply().body, "/c");
}

TEST(WebServer, PathIsWithoutQueryAndHost) {
  Served served;
  RawClient client(served.port());
  EXPECT_EQ(client.get("/one?name=value").body, "/one");
  EXPECT_EQ(client.get("http://somewhere:80/two?x").body, "/two");
  EXPECT_EQ(client.get("http://somewhere").body, "hello\n");
}

TEST(WebServer, AcceptIsJoined) {
  Served served;
  RawClient client(served.port());
  EXPECT_EQ(client.get("/accept", "Accept: text/plain;q=0.5\r\naccept: */*\r\n").body,
            "text/plain;q=0.5,*/*");
  EXPECT_EQ(client.get("/accept").body, "");
}

TEST(WebServer, LongDocumentsComeInChunks) {
  Served served;
  RawClient client(served.port());
  const HttpReply reply = client.get("/long");
  EXPECT_EQ(reply.header("transfer-encoding"), "chunked");
  EXPECT_TRUE(reply.whole);
  EXPECT_EQ(reply.body, LongDocument::text(200'000));
  EXPECT_EQ(client.get("/").body, "hello\n");
}

TEST(WebServer, LongDocumentsEndAConnectionOfHttp10) {
  Served served;
  RawClient client(served.port());
  ASSERT_TRUE(client.send("GET /long HTTP/1.0\r\n\r\n"));
  const HttpReply reply = client.reply();
  EXPECT_FALSE(reply.headers.contains("transfer-encoding"));
  EXPECT_EQ(reply.header("connection"), "close");
  EXPECT_EQ(reply.body, LongDocument::text(200'000));
}

TEST(WebServer, KeepsAConnectionOfHttp10WhenAsked) {
  Served served;
  RawClient client(served.port());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    EXPECT_EQ(client.reply().body, "hello\n");
  }
}

TEST(WebServer, CompressesWhatIsWorthIt) {
  Served served;
  RawClient client(served.port());
  const std::string gzip = "Accept-Encoding: gzip\r\n";
  HttpReply reply = client.get("/long", gzip);
  EXPECT_EQ(reply.header("content-encoding"), "gzip");
  EXPECT_EQ(reply.header("vary"), "Accept, Accept-Encoding");
  EXPECT_TRUE(reply.whole);
  EXPECT_LT(reply.body.size(), LongDocument::text(200'000).size() / 3);
  EXPECT_EQ(gunzipped(reply.body), LongDocument::text(200'000));
  reply = client.get("/text", gzip);
  EXPECT_EQ(reply.header("content-encoding"), "gzip");
  EXPECT_EQ(gunzipped(reply.body), std::string(10'000, 'x'));
  reply = client.get("/", gzip);
  EXPECT_FALSE(reply.headers.contains("content-encoding"));
  EXPECT_EQ(reply.body, "hello\n");
}

TEST(WebServer, HeadHasTheHeaderAndNoBody) {
  Served served;
  RawClient client(served.port());
  ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n"));
  const HttpReply hello = client.reply(true);
  EXPECT_EQ(hello.status, 200);
  EXPECT_EQ(hello.header("content-length"), "6");
  EXPECT_EQ(client.get("/").body, "hello\n");
  ASSERT_TRUE(client.send("HEAD /long HTTP/1.1\r\nHost: test\r\n\r\n"));
  const HttpReply reply = client.reply(true);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.header("connection"), "close");
  // Nothing behind the header.
  EXPECT_EQ(client.received(), 0U);
  EXPECT_FALSE(client.receive());
  EXPECT_TRUE(client.closed());
}

TEST(WebServer, OtherMethodsAreNotAllowed) {
  Served served;
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "X"}) {
    RawClient client(served.port());
    ASSERT_TRUE(client.send(std::string(method) + " / HTTP/1.1\r\nHost: test\r\n\r\n"));
    const HttpReply reply = client.reply();
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.header("allow"), "GET, HEAD");
  }
}

TEST(WebServer, HalfClosedClientsGetTheirAnswer) {
  Served served;
  RawClient client(served.port());
  ASSERT_TRUE(client.send("GET /long HTTP/1.1\r\nHost: test\r\n\r\n"));
  client.half_close();
  const HttpReply reply = client.reply();
  EXPECT_TRUE(reply.whole);
  EXPECT_EQ(reply.body.size(), LongDocument::text(200'000).size());
}

TEST(WebServer, AddsTheHeadersOfTheConfig) {
  Served::Setup setup;
  setup.config.headers = {{"X-Frame-Options", "deny"}, {"Cache-Control", "no-store"}};
  Served served(std::move(setup));
  RawClient client(served.port());
  for (const char* path : {"/", "/missing", "/long"}) {
    const HttpReply reply = client.get(path);
    EXPECT_EQ(reply.header("x-frame-options"), "deny") << path;
    EXPECT_EQ(reply.header("cache-control"), "no-store") << path;
  }
}

/// One Document for all, as the exporter has one for each sample.
Handler shared_long_document(std::size_t lines) {
  return [document = std::make_shared<LongDocument>(lines)](const Request& /*request*/) {
    return Response{200, document};
  };
}

TEST(WebServer, ManyReadersGetTheSameBytesCompressedOnce) {
  Served::Setup setup;
  setup.handler = shared_long_document(200'000);
  Served served(std::move(setup));
  const int opened = LongDocument::opened;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(served.port()));
    ASSERT_TRUE(
        clients.back()->send("GET / HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n"));
  }
  const HttpReply first = clients.front()->reply();
  EXPECT_EQ(gunzipped(first.body), LongDocument::text(200'000));
  for (const auto& client : clients) {
    if (client == clients.front()) continue;
    const HttpReply reply = client->reply();
    EXPECT_TRUE(reply.whole);
    EXPECT_EQ(reply.body, first.body);
  }
  EXPECT_EQ(LongDocument::opened - opened, 1);
  // Also for who comes later, with its length this time.
  RawClient late(served.port());
  const HttpReply reply = late.get("/", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(reply.header("content-length"), std::to_string(first.body.size()));
  EXPECT_EQ(reply.body, first.body);
  EXPECT_EQ(LongDocument::opened - opened, 1);
}

TEST(WebServer, ManyPlainReadersGetTheSameBytes) {
  Served::Setup setup;
  setup.handler = shared_long_document(20'000);
  Served served(std::move(setup));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(served.port()));
    ASSERT_TRUE(clients.back()->send("GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
  }
  const std::string text = LongDocument::text(20'000);
  for (const auto& client : clients) EXPECT_EQ(client->reply().body, text);
}

TEST(WebServer, ListensAtSeveralSocketsOfAnyKind) {
  const TemporaryFolder folder;
  const std::string path = folder.path("socket");
  Served::Setup setup;
  setup.sockets.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  const int fd = setup.sockets[0].get();
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  ASSERT_EQ(::listen(fd, 5), 0);
  auto tcp = listen_at("127.0.0.1:0");
  ASSERT_TRUE(tcp);
  const std::string url = url_of(tcp->front(), false);
  setup.sockets.push_back(std::move(tcp->front()));
  const Served served(std::move(setup));
  const std::vector<std::string> curl = {"curl", "-q", "-s", "--max-time", "20", "--noproxy", "*"};
  auto local = curl;
  local.insert(local.end(), {"--unix-socket", path, "http://localhost/long"});
  EXPECT_EQ(run_program(local).out, LongDocument::text(200'000));
  auto remote = curl;
  remote.push_back(url + "/long");
  EXPECT_EQ(run_program(remote).out, LongDocument::text(200'000));
}

TEST(WebServer, NobodyToServeCostsNothing) {
  Served served;
  {
    RawClient client(served.port());
    EXPECT_EQ(client.get("/").status, 200);
  }
  // The client's end is the last event there is, and one look at the clients a second after it.
  EXPECT_TRUE(eventually([&] {
    const std::uint64_t before = served.runs();
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    return served.runs() == before;
  }));
}

TEST(WebServer, CanEndWithClientsOfEveryKind) {
  Served served;
  RawClient idle(served.port());
  EXPECT_EQ(idle.get("/").status, 200);
  RawClient silent(served.port());
  RawClient half(served.port());
  ASSERT_TRUE(half.send("GET / HTT"));
  RawClient slow(served.port(), 4096);
  ASSERT_TRUE(slow.send("GET /long HTTP/1.1\r\nHost: test\r\n\r\n"));
  ASSERT_TRUE(slow.receive());
  served.stop();
  EXPECT_TRUE(idle.closed());
  EXPECT_TRUE(silent.closed());
  EXPECT_TRUE(half.closed());
  EXPECT_TRUE(slow.closed());
  EXPECT_EQ(LongDocument::alive, 0);
}

}  // namespace
}  // namespace listenq::web
