// SPDX-License-Identifier: Apache-2.0
// Who waits in an accept queue: peers, what they sent and since when, against the clients' own
// sockets, in each way that the queue is read.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <thread>

#include "fixture.h"
#include "looker.h"
#include "process.h"
#include "sockets.h"
#include "util/clock.h"

namespace lqtest {
namespace {

using listenq::Family;
using listenq::Feature;
using listenq::RawWaiting;

struct Client {
  Fd socket;
  std::string name;  // as text_of()
  uint64_t earliest_ns = 0;
  uint64_t latest_ns = 0;
  uint64_t sent = 0;
};

std::string text_of(int family, const void* address, uint16_t port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, address, text.data(), text.size());
  return fmt::format("{} {}", text.data(), port);
}

std::string text_of(const RawWaiting& waiting) {
  EXPECT_NE(waiting.family, Family::dual);
  return text_of(waiting.family == Family::ipv4 ? AF_INET : AF_INET6, waiting.address.data(),
                 waiting.port);
}

std::string name_of(const Fd& socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0)
    throw_errno("getsockname");
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    return text_of(AF_INET, &v4.sin_addr, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  return text_of(AF_INET6, &v6.sin6_addr, ntohs(v6.sin6_port));
}

class WaitingBase : public KernelTest {
 protected:
  static constexpr uint16_t kPort = 8080;

  void listen(ListenerSpec spec) {
    spec.port = kPort;
    netns().run([&] { listener_ = open_listener(spec); });
  }

  Client& join(const std::string& address, uint64_t bytes, bool mptcp = false) {
    Client client;
    netns().run([&] {
      client.earliest_ns = listenq::monotonic_ns();
      client.socket = mptcp ? connect_mptcp(address, kPort) : connect_to(address, kPort);
      client.latest_ns = listenq::monotonic_ns();
    });
    client.name = name_of(client.socket);
    send(client, bytes);
    return clients_.emplace_back(std::move(client));
  }

  static void send(Client& client, uint64_t bytes) {
    const std::string data(bytes, 'x');
    if (bytes > 0 && ::send(client.socket.get(), data.data(), data.size(), MSG_NOSIGNAL) !=
                         static_cast<ssize_t>(bytes))
      throw_errno("send");
    client.sent += bytes;
  }

  // Polls until all that was sent has arrived, and then holds each against its client.
  void expect_queue(Looker& looker, size_t from = 0, size_t most = 64) {
    const size_t count = std::min(clients_.size() - from, most);
    std::optional<std::vector<RawWaiting>> waiting;
    uint64_t before = 0;
    const auto arrived = [&] {
      before = listenq::monotonic_ns();
      waiting = looker.close_up().waiting;
      if (!waiting || waiting->size() != count) return false;
      for (size_t i = 0; i < count; ++i)
        if ((*waiting)[i].received_bytes != clients_[from + i].sent) return false;
      return true;
    };
    const bool all = wait_until(arrived);
    const uint64_t after = listenq::monotonic_ns();
    ASSERT_TRUE(waiting) << "nothing here reads who waits";
    ASSERT_EQ(waiting->size(), count);
    for (size_t i = 0; i < count; ++i) {
      const Client& client = clients_[from + i];
      SCOPED_TRACE(fmt::format("client {}", from + i));
      EXPECT_EQ(text_of((*waiting)[i]), client.name);
      EXPECT_EQ((*waiting)[i].received_bytes, client.sent);
      ASSERT_TRUE((*waiting)[i].wait_ns);
      // The kernel's clock of it counts microseconds.
      EXPECT_GE(*(*waiting)[i].wait_ns + 1000, before - client.latest_ns);
      EXPECT_LE(*(*waiting)[i].wait_ns, after - client.earliest_ns + 1000);
    }
    EXPECT_TRUE(all);
  }

  const Netns& netns() {
    if (!netns_) netns_.emplace(Netns::named("waiting"));
    return *netns_;
  }

  std::optional<Netns> netns_;
  Fd listener_;
  std::vector<Client> clients_;
};

struct Way {
  const char* name;
  std::vector<Feature> disabled;
};

class Waiting : public WaitingBase, public ::testing::WithParamInterface<Way> {
 protected:
  void SetUp() override {
    WaitingBase::SetUp();
    if (IsSkipped()) return;
    if (const std::string reason = why_not("iter"); !reason.empty()) GTEST_SKIP() << reason;
  }
  void expect_seen(uint16_t port = kPort) {
    Looker looker(netns(), only_reading(GetParam().disabled));
    looker.ask_for(port);
    expect_queue(looker);
    // And in the next one, which may be read in another way than the first.
    expect_queue(looker);
  }
};

TEST_P(Waiting, Ipv4) {
  listen({.address = "0.0.0.0", .backlog = 16});
  for (const uint64_t bytes : std::initializer_list<uint64_t>{0, 1, 1000, 0, 17})
    join("127.0.0.1", bytes);
  expect_seen();
}

TEST_P(Waiting, Ipv6) {
  listen({.address = "::", .backlog = 16, .v6only = true});
  for (const uint64_t bytes : std::initializer_list<uint64_t>{0, 1, 1000, 0, 17})
    join("::1", bytes);
  expect_seen();
}

TEST_P(Waiting, BothOnOneSocket) {
  listen({.address = "::", .backlog = 16});
  for (const uint64_t bytes : std::initializer_list<uint64_t>{0, 1, 1000}) {
    join("127.0.0.1", bytes);
    join("::1", bytes + 2);
  }
  expect_seen();
}

TEST_P(Waiting, Mptcp) {
  if (!kernel_has_mptcp()) GTEST_SKIP() << "this kernel has no MPTCP";
  listen({.address = "0.0.0.0", .backlog = 16, .mptcp = true});
  for (const uint64_t bytes : std::initializer_list<uint64_t>{0, 1000}) join("127.0.0.1", bytes);
  expect_seen();
}

TEST_P(Waiting, NobodyIsAnEmptyList) {
  listen({.address = "0.0.0.0", .backlog = 16});
  Looker looker(netns(), only_reading(GetParam().disabled));
  looker.ask_for(kPort);
  const auto waiting = looker.close_up().waiting;
  ASSERT_TRUE(waiting);
  EXPECT_TRUE(waiting->empty());
}

INSTANTIATE_TEST_SUITE_P(, Waiting,
                         ::testing::Values(Way{"auto", {}}, Way{"walk", {Feature::iter_sk_storage}},
                                           Way{"libbpf", {Feature::light_skeleton}},
                                           Way{"no_cookie_helper", {Feature::cookie_helper}}),
                         [](const auto& one) { return std::string(one.param.name); });

class WaitingQueue : public WaitingBase {
 protected:
  void SetUp() override {
    WaitingBase::SetUp();
    if (IsSkipped()) return;
    if (const std::string reason = why_not("iter"); !reason.empty()) GTEST_SKIP() << reason;
    listen({.address = "0.0.0.0", .backlog = 100});
  }
};

TEST_F(WaitingQueue, OnlyTheFirstOfMany) {
  for (int i = 0; i < 80; ++i) join("127.0.0.1", static_cast<uint64_t>(i));
  Looker looker(netns(), only_reading());
  looker.ask_for(kPort);
  expect_queue(looker);
}

TEST_F(WaitingQueue, MovesUpAsTheHeadIsAccepted) {
  for (int i = 0; i < 4; ++i) join("127.0.0.1", static_cast<uint64_t>(i));
  Looker looker(netns(), only_reading());
  looker.ask_for(kPort);
  expect_queue(looker);
  const Fd first = accept_from(listener_);
  const Fd second = accept_from(listener_);
  send(clients_[2], 5);
  expect_queue(looker, 2);
}

// The end of what a client sends is no byte; one that gave up still has its place.
TEST_F(WaitingQueue, HalfClosedAndReset) {
  join("127.0.0.1", 10);
  ::shutdown(clients_[0].socket.get(), SHUT_WR);
  join("127.0.0.1", 0);
  ::shutdown(clients_[1].socket.get(), SHUT_WR);
  join("127.0.0.1", 20);
  const linger at_once{1, 0};
  ::setsockopt(clients_[2].socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  clients_[2].socket.reset();
  join("127.0.0.1", 30);
  Looker looker(netns(), only_reading());
  looker.ask_for(kPort);
  expect_queue(looker);
}

TEST_F(WaitingQueue, OfSynCookies) {
  if (!netns().write_sysctl("ipv4/tcp_syncookies", "2")) GTEST_SKIP() << "no SYN cookies here";
  for (const uint64_t bytes : std::initializer_list<uint64_t>{0, 1, 1000}) join("127.0.0.1", bytes);
  Looker looker(netns(), only_reading());
  looker.ask_for(kPort);
  expect_queue(looker);
}

// In the queue before its handshake is complete, with the data of its SYN.
TEST_F(WaitingQueue, OfFastOpen) {
  // Client and server, both without a cookie.
  if (!netns().write_sysctl("ipv4/tcp_fastopen", "1543")) GTEST_SKIP() << "no Fast Open here";
  const int room = 8;
  ASSERT_EQ(::setsockopt(listener_.get(), IPPROTO_TCP, TCP_FASTOPEN, &room, sizeof(room)), 0);
  Client client;
  netns().run([&] {
    client.socket = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(kPort);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string data(123, 'x');
    client.earliest_ns = listenq::monotonic_ns();
    if (::sendto(client.socket.get(), data.data(), data.size(), MSG_FASTOPEN,
                 reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 123)
      throw_errno("sendto");
    client.latest_ns = listenq::monotonic_ns();
    client.sent = 123;
  });
  client.name = name_of(client.socket);
  clients_.push_back(std::move(client));
  join("127.0.0.1", 5);
  Looker looker(netns(), only_reading());
  looker.ask_for(kPort);
  expect_queue(looker);
}

// By its inode, as where no cookie is known.
TEST_F(WaitingQueue, OfAListenerWithoutACookie) {
  for (const uint64_t bytes : std::initializer_list<uint64_t>{0, 1, 1000}) join("127.0.0.1", bytes);
  Looker looker(netns(), only_reading());
  listenq::Wanted wanted;
  const auto first = looker.sample();
  for (const auto& raw : first->listeners) {
    wanted.close_ups.push_back({raw.netns, std::nullopt, raw.inode});
  }
  ASSERT_EQ(wanted.close_ups.size(), 1U);
  ASSERT_NE(wanted.close_ups[0].inode, 0U);
  looker.ask(wanted);
  expect_queue(looker);
}

// Several at once, and one that is not there: each list with its listener.
TEST_F(WaitingQueue, OfSeveralListeners) {
  Fd other;
  netns().run([&] { other = open_listener({.address = "127.0.0.1", .port = 8081}); });
  join("127.0.0.1", 3);
  Looker looker(netns(), only_reading());
  listenq::Wanted wanted;
  const auto first = looker.sample();
  ASSERT_EQ(first->listeners.size(), 2U);
  for (const auto& raw : first->listeners) {
    wanted.close_ups.push_back({raw.netns, raw.cookie, raw.inode});
  }
  wanted.close_ups.push_back({first->listeners[0].netns, listenq::SocketCookie{1}, 0});
  looker.ask(wanted);
  const auto sample = looker.sample();
  ASSERT_EQ(sample->close_ups.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(sample->close_ups[i].cookie, wanted.close_ups[i].cookie);
    ASSERT_TRUE(sample->close_ups[i].waiting);
    EXPECT_EQ(sample->close_ups[i].waiting->size(), first->listeners[i].port == kPort ? 1U : 0U);
  }
  looker.ask({});
  EXPECT_TRUE(looker.sample()->close_ups.empty());
}

// What sock_diag can't tell is absent, and not nobody.
TEST_F(WaitingQueue, IsAbsentWithoutBpf) {
  join("127.0.0.1", 3);
  listenq::ProbeOptions options;
  options.backend = listenq::BackendChoice::diag;
  Looker looker(netns(), options);
  looker.ask_for(kPort);
  EXPECT_FALSE(looker.close_up().waiting);
}

}  // namespace
}  // namespace lqtest
