// SPDX-License-Identifier: Apache-2.0
//
// Addresses to listen at, sockets from systemd, and what is said to it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#include "web/listen.h"
#include "web_served.h"

namespace listenq::web {
namespace {

/// In a process of its own, whose descriptors and environment are nobody's; its exit code.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(WebListen, Addresses) {
  for (const char* address : {"127.0.0.1:0", ":0", "localhost:0", "0.0.0.0:0"}) {
    const auto sockets = listen_at(address);
    ASSERT_TRUE(sockets) << sockets.error().message;
    ASSERT_FALSE(sockets->empty());
    for (const Fd& socket : *sockets) {
      int listening = 0;
      socklen_t length = sizeof(listening);
      getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
      EXPECT_EQ(listening, 1) << address;
    }
  }
}

TEST(WebListen, EveryAddressIsOneOfBothFamilies) {
  const auto sockets = listen_at(":0");
  ASSERT_TRUE(sockets);
  for (const Fd& socket : *sockets) {
    int domain = 0;
    socklen_t length = sizeof(domain);
    getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &length);
    if (domain != AF_INET6) continue;
    int only = 0;
    length = sizeof(only);
    getsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, &length);
    EXPECT_EQ(only, 1);
  }
}

TEST(WebListen, WhatIsNoAddress) {
  for (const char* address : {"", "9815", "localhost", "localhost:", ":http", "1.2.3.4:65536",
                              "1.2.3.4:-1", "1.2.3.4:+1", "1.2.3.4: 1", "::1:80", "[::1]", "[]:80",
                              "[1.2.3.4]:80", "[::1:80", "http://localhost:80", "a b:80"}) {
    const auto sockets = listen_at(address);
    ASSERT_FALSE(sockets) << address;
    EXPECT_EQ(sockets.error().kind, ErrorKind::usage);
    EXPECT_EQ(sockets.error().message, "'" + std::string(address) +
                                           "' is no address to listen at: HOST:PORT, [IPv6]:PORT "
                                           "or :PORT");
  }
}

TEST(WebListen, WhatTheKernelRefuses) {
  const auto first = listen_at("127.0.0.1:0");
  ASSERT_TRUE(first);
  const std::string address = url_of(first->front(), false).substr(std::strlen("http://"));
  const auto second = listen_at(address);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(second.error().message, "can't listen at " + address + ": Address already in use");
  const auto foreign = listen_at("192.0.2.1:0");
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().message,
            "can't listen at 192.0.2.1:0: Cannot assign requested address");
}

TEST(WebListen, Urls) {
  const auto sockets = listen_at("127.0.0.1:0");
  ASSERT_TRUE(sockets);
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  getsockname(sockets->front().get(), reinterpret_cast<sockaddr*>(&address), &length);
  const std::string port = std::to_string(ntohs(address.sin_port));
  EXPECT_EQ(url_of(sockets->front(), false), "http://127.0.0.1:" + port);
  EXPECT_EQ(url_of(sockets->front(), true), "https://127.0.0.1:" + port);
  const TemporaryFolder folder;
  const Fd local(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = folder.path("socket");
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(local.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  EXPECT_EQ(url_of(local, false), "unix:" + path);
  const auto v6 = listen_at("[::1]:0");
  if (!v6) GTEST_SKIP() << "no IPv6 here";
  EXPECT_TRUE(url_of(v6->front(), false).starts_with("http://[::1]:"));
}

/// The number of sockets that were taken over, 100 for an error.
int taken_over(const char* pid, const char* count, const std::function<void()>& prepare) {
  return in_child([&] {
    prepare();
    setenv("LISTEN_PID", pid == nullptr ? std::to_string(getpid()).c_str() : pid, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", "a:b", 1);
    const auto sockets = sockets_from_systemd();
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
      if (getenv(name) != nullptr) return 101;
    }
    if (!sockets) return 100;
    for (const Fd& socket : *sockets) {
      if ((fcntl(socket.get(), F_GETFD) & FD_CLOEXEC) == 0) return 102;
    }
    return static_cast<int>(sockets->size());
  });
}

TEST(WebListen, SocketsFromSystemd) {
  const auto listener = listen_at("127.0.0.1:0");
  const auto another = listen_at("127.0.0.1:0");
  ASSERT_TRUE(listener && another);
  const auto both = [&] {
    const int first = fcntl(listener->front().get(), F_DUPFD, 100);
    const int second = fcntl(another->front().get(), F_DUPFD, 100);
    dup2(first, 3);
    dup2(second, 4);
  };
  EXPECT_EQ(taken_over(nullptr, "2", both), 2);
  EXPECT_EQ(taken_over(nullptr, "1", both), 1);
  EXPECT_EQ(taken_over(nullptr, "0", both), 0);
  EXPECT_EQ(taken_over("1", "2", both), 0);
  EXPECT_EQ(taken_over(nullptr, "many", both), 100);
  EXPECT_EQ(taken_over(nullptr, "-1", both), 100);
  EXPECT_EQ(taken_over(nullptr, "100000", both), 100);
  EXPECT_EQ(taken_over(nullptr, "1", [] { dup2(1, 3); }), 100);
  EXPECT_EQ(taken_over(nullptr, "1", [] { close(3); }), 100);
  EXPECT_EQ(taken_over(nullptr, "1", [] { dup2(socket(AF_INET, SOCK_DGRAM, 0), 3); }), 100);
  EXPECT_EQ(taken_over(nullptr, "1", [] { dup2(socket(AF_INET, SOCK_STREAM, 0), 3); }), 100);
}

TEST(WebListen, NothingFromSystemd) {
  EXPECT_EQ(in_child([] {
              unsetenv("LISTEN_PID");
              unsetenv("LISTEN_FDS");
              const auto sockets = sockets_from_systemd();
              return sockets && sockets->empty() ? 0 : 1;
            }),
            0);
}

TEST(WebListen, TellsSystemd) {
  const TemporaryFolder folder;
  for (const bool abstract : {false, true}) {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval patience{20, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::string path = folder.path("notify");
    std::memcpy(name.sun_path, path.c_str(), path.size());
    if (abstract) name.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), length), 0);
    if (abstract) path[0] = '@';
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    notify_systemd("READY=1");
    unsetenv("NOTIFY_SOCKET");
    std::array<char, 100> text{};
    ASSERT_EQ(::recv(socket.get(), text.data(), text.size(), 0), 7);
    EXPECT_STREQ(text.data(), "READY=1");
  }
  // Nobody there, or nonsense: no harm.
  for (const char* path : {"/nonexistent/socket", "x", "", "relative/path"}) {
    setenv("NOTIFY_SOCKET", path, 1);
    notify_systemd("READY=1");
  }
  unsetenv("NOTIFY_SOCKET");
  notify_systemd("READY=1");
}

}  // namespace
}  // namespace listenq::web
