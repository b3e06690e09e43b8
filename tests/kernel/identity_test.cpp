// SPDX-License-Identifier: Apache-2.0
// Whose count it is: the socket's, not the port's. Groups, ports used again, namespaces that come
// while the tool watches, sockets that change hands, MPTCP, and listeners that live shorter than an
// interval.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <numeric>

#include "counters.h"
#include "owner.h"
#include "ss.h"

namespace lqtest {
namespace {

class Identity : public Counters {
 protected:
  void SetUp() override {
    Counters::SetUp();
    if (!IsSkipped() && watches().empty()) GTEST_SKIP() << "no counting backend on this kernel";
  }
};

uint64_t cookie_of(const Fd& socket) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0)
    throw_errno("SO_COOKIE");
  return cookie;
}

TEST_F(Identity, MembersOfAGroupHaveTheirOwnCounts) {
  for (int i = 0; i < 3; ++i) listen(64, [](ListenerSpec& spec) { spec.reuseport = true; });
  establish(30);
  for (int i = 0; i < 2; ++i) accept();  // may be of any member's queue: there must be one
  const auto queues = ss_listeners(server());
  for (const auto& [watch, document] : settled()) {
    SCOPED_TRACE(watch->backend());
    std::map<std::string, uint64_t> sums;
    for (const Fd& member : listeners_) {
      const uint64_t cookie = cookie_of(member);
      Json found;
      for (const Json& one : rows_of(document, server().inode()))
        if (one.value("cookie", Json()) == cookie) found = one;
      ASSERT_FALSE(found.is_null()) << "no member with cookie " << cookie;
      const uint64_t accepted = cookie == cookie_of(listener()) ? 2 : 0;
      const uint64_t had = queues.at(cookie).accept_queue_len + accepted;
      EXPECT_EQ(counter(found, "handshake_acks"), had);
      EXPECT_EQ(counter(found, "syns"), had);
      EXPECT_EQ(counter(found, "accepts"), accepted);
      sums["syns"] += counter(found, "syns").value_or(0);
    }
    EXPECT_EQ(sums["syns"], 30U);
  }
}

TEST_F(Identity, AMemberThatClosesTakesItsCountsAlong) {
  for (int i = 0; i < 2; ++i) listen(64, [](ListenerSpec& spec) { spec.reuseport = true; });
  establish(20);
  const uint64_t cookie = cookie_of(listener(1));
  const auto queues = ss_listeners(server());
  const uint64_t had = queues.at(cookie).accept_queue_len;
  listener(1).reset();
  expect_closed(
      {{"syns", had}, {"synacks", had}, {"handshake_acks", had}, {"closed_unaccepted", had}});
  const uint64_t stay = 20 - had;
  expect({{"syns", stay}, {"synacks", stay}, {"handshake_acks", stay}});
}

TEST_F(Identity, APortUsedAgainStartsAtZero) {
  listen(16);
  establish(2);
  listener().reset();
  expect_closed({{"syns", 2}, {"synacks", 2}, {"handshake_acks", 2}, {"closed_unaccepted", 2}});
  listen(16);
  RawConnection one = connection();
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  one.send_reset();
  expect({{"syns", 1}, {"synacks", 1}});
}

// Two listeners on one port, of different addresses, are two.
TEST_F(Identity, AnotherAddressIsAnotherListener) {
  listen(16, [&](ListenerSpec& spec) { spec.address = address(false); });
  establish(2);
  const auto find = [&](const Json& document, const std::string& name) -> Json {
    const auto rows = rows_of(document, server().inode());
    for (const Json& one : rows)
      if (one.at("port") == port() && one.at("address") == name) return one;
    return nullptr;
  };
  listen(16, [&](ListenerSpec& spec) { spec.address = address(true); });
  RawConnection other = connection(true);
  other.establish();
  for (const auto& [watch, document] : settled()) {
    SCOPED_TRACE(watch->backend());
    ASSERT_FALSE(find(document, address(false)).is_null());
    ASSERT_FALSE(find(document, address(true)).is_null());
    EXPECT_EQ(counter(find(document, address(false)), "handshake_acks"), 2U);
    EXPECT_EQ(counter(find(document, address(true)), "handshake_acks"), 1U);
  }
}

TEST_F(Identity, AShortLifeIsInTheClosed) {
  const auto life = [&] {
    listen(1);
    establish(2);
    connection().send_syn();
    if (!wait_until([&] { return mib_growth("ListenOverflows") == 1; }))
      throw std::runtime_error("no overflow");
    listeners_.clear();
  };
  life();
  expect_closed({{"syns", 3},
                 {"synacks", 2},
                 {"handshake_acks", 2},
                 {"closed_unaccepted", 2},
                 {"overflows_syn", 1},
                 {"drops", 1}});
}

TEST_F(Identity, ManyShortLivesEachHaveTheirOwn) {
  constexpr uint64_t kLives = 20;
  for (uint64_t i = 0; i < kLives; ++i) {
    listen(16);
    establish(1);
    if (i % 2 == 0) accept();
    listeners_.clear();
  }
  for (const auto& watch : watches()) {
    SCOPED_TRACE(watch->backend());
    std::set<uint64_t> cookies;
    uint64_t accepts = 0;
    for (const Json& one : closed_of(watch->settled(netns()), server().inode())) {
      if (one.at("port") != port()) continue;
      cookies.insert(one.at("cookie").get<uint64_t>());
      EXPECT_EQ(counter(one, "handshake_acks"), 1U);
      accepts += counter(one, "accepts").value_or(0);
      EXPECT_EQ(counter(one, "accepts").value_or(0) + counter(one, "closed_unaccepted").value_or(0),
                1U);
    }
    EXPECT_EQ(cookies.size(), kLives);
    EXPECT_EQ(accepts, kLives / 2);
  }
}

// The socket goes to a process that the tool has never seen; it stays the same listener.
TEST_F(Identity, ASocketPassedOnKeepsItsCounts) {
  listen(16);
  establish(1);
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
  Fd here(pair[0]);
  Fd there(pair[1]);
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    listeners_.clear();  // its own reference: only what is passed counts
    here.reset();
    Fd received = receive_fd(there.get());
    for (int i = 0; i < 2; ++i) ::close(::accept(received.get(), nullptr, nullptr));
    char byte = 0;
    (void)!::read(there.get(), &byte, 1);
    ::_exit(0);
  }
  there.reset();
  send_fd(here.get(), listener());
  listeners_.clear();
  RawConnection second = connection();
  second.establish();
  ASSERT_TRUE(queue_has(0));
  expect({{"syns", 2}, {"synacks", 2}, {"handshake_acks", 2}, {"accepts", 2}});
  here.reset();
  ::waitpid(pid, nullptr, 0);
  expect_closed({{"syns", 2}, {"synacks", 2}, {"handshake_acks", 2}, {"accepts", 2}});
}

TEST_F(Identity, ANamespaceThatIsNewWhileWatching) {
  const Netns fresh = Netns::named("fresh");
  std::vector<Fd> sockets;
  fresh.run([&] {
    sockets.push_back(open_listener({.address = "127.0.0.1", .port = 7000, .backlog = 1}));
    for (int i = 0; i < 2; ++i) sockets.push_back(connect_to("127.0.0.1", 7000));
  });
  ASSERT_TRUE(wait_until([&] {
    const auto rows = ss_listeners(fresh);
    return rows.size() == 1 && rows.begin()->second.accept_queue_len == 2;
  }));
  fresh.run([&] { sockets.push_back(start_connect("127.0.0.1", 7000)); });
  ASSERT_TRUE(wait_until([&] { return fresh.mib().at("ListenOverflows") == 1; }));
  sockets.pop_back();  // before it tries again
  for (const auto& watch : watches()) {
    SCOPED_TRACE(watch->backend());
    Json document;
    ASSERT_TRUE(wait_until([&] {
      document = watch->settled({fresh.inode()});
      return rows_of(document, fresh.inode()).size() == 1;
    })) << "the tool does not find the new namespace";
    const Json found = rows_of(document, fresh.inode()).at(0);
    EXPECT_EQ(counter(found, "syns"), 3U);
    EXPECT_EQ(counter(found, "synacks"), 2U);
    EXPECT_EQ(counter(found, "handshake_acks"), 2U);
    EXPECT_EQ(counter(found, "overflows_syn"), 1U);
    EXPECT_EQ(counter(found, "drops"), 1U);
    EXPECT_EQ(found.value("accept_queue_len", Json()), 2);
  }
}

// The application's socket and the kernel's subflow listener behind it are one listener here.
TEST_F(Identity, MptcpIsCountedOnce) {
  if (!kernel_has_mptcp()) GTEST_SKIP() << "this kernel has no MPTCP";
  listen(16, [](ListenerSpec& spec) { spec.mptcp = true; });
  std::vector<Fd> kept;
  client().run([&] {
    for (int i = 0; i < 3; ++i) kept.push_back(connect_to(address(), port()));  // they fall back
    kept.push_back(connect_mptcp(address(), port()));
  });
  for (int i = 0; i < 3; ++i) kept.push_back(accept());
  expect({{"syns", 4}, {"synacks", 4}, {"handshake_acks", 4}, {"accepts", 3}});
}

TEST_F(Identity, MptcpOverflow) {
  if (!kernel_has_mptcp()) GTEST_SKIP() << "this kernel has no MPTCP";
  listen(1, [](ListenerSpec& spec) { spec.mptcp = true; });
  establish(2);
  for (int i = 0; i < 2; ++i) connection().send_syn();
  ASSERT_TRUE(arrived(2 * 2 + 2));
  expect({{"syns", 4}, {"synacks", 2}, {"handshake_acks", 2}, {"overflows_syn", 2}, {"drops", 2}});
}

}  // namespace
}  // namespace lqtest
