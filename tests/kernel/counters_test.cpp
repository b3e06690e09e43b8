// SPDX-License-Identifier: Apache-2.0
// Each counter of the handshake: a test provokes exactly that event at a listener of its own, and
// no other counter may move. Refusals are in drops_test.cpp, times in waits_test.cpp.
#include "counters.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>

#include "owner.h"
#include "ss.h"

namespace lqtest {
namespace {

class Handshake : public Counters, public ::testing::WithParamInterface<bool> {
 protected:
  static bool v6() { return GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Family, Handshake, ::testing::Bool(), family_name);

TEST_P(Handshake, SynsAndTheirSynacks) {
  listen(16);
  std::vector<RawConnection> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(connection(v6()));
    all.back().send_syn();
    ASSERT_TRUE(all.back().await_synack());
  }
  for (RawConnection& one : all) one.send_reset();
  expect({{"syns", 3}, {"synacks", 3}});
}

// A client that repeats its SYN gets the SYN-ACK again; the request is still the same.
TEST_P(Handshake, RepeatedSyn) {
  listen(16);
  RawConnection one = connection(v6());
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  one.send_reset();
  ASSERT_GE(mib_growth("TCPSynRetrans"), 1U);
  expect({{"syns", 2}, {"synacks", 1}});
}

TEST_P(Handshake, SynackSentAgainByTimer) {
  listen(16);
  RawConnection one = connection(v6());
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  ASSERT_TRUE(one.await_synack());  // after a second
  one.send_reset();
  expect({{"syns", 1}, {"synacks", 1}, {"synack_retransmits", 1}});
}

TEST_P(Handshake, AcksAndAccepts) {
  listen(16);
  establish(3, v6());
  const Fd first = accept(false);
  const Fd second = accept(true);
  expect({{"syns", 3}, {"synacks", 3}, {"handshake_acks", 3}, {"accepts", 2}});
}

// Data on the ACK, and an ACK for data that follows: the handshake ends once.
TEST_P(Handshake, AckWithData) {
  listen(16);
  RawConnection one = connection(v6());
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  one.send_data("GET /");
  ASSERT_TRUE(queue_has(1));
  one.send_data(" HTTP/1.0\r\n\r\n");
  one.send_ack();
  const Fd accepted = accept();
  expect({{"syns", 1}, {"synacks", 1}, {"handshake_acks", 1}, {"accepts", 1}});
}

TEST_P(Handshake, RequestsThatExpire) {
  set("ipv4/tcp_synack_retries", "1");
  listen(16);
  std::vector<RawConnection> all;
  for (int i = 0; i < 2; ++i) {
    all.push_back(connection(v6()));
    all.back().send_syn();
    ASSERT_TRUE(all.back().await_synack());
  }
  for (RawConnection& one : all) ASSERT_TRUE(one.await_synack());
  ASSERT_TRUE(wait_until([&] { return ss_half_open(server())[port()] == 0; }));
  expect({{"syns", 2}, {"synacks", 2}, {"synack_retransmits", 2}, {"requests_expired", 2}});
}

// The SYN-ACK of a Fast Open connection is repeated by the timer of the connection. Its request has
// none of its own: the memory of that holds whatever was there before.
TEST_P(Handshake, RequestsThatExpireBesideFastOpen) {
  set("ipv4/tcp_synack_retries", "1");
  set("ipv4/tcp_fastopen", "515");
  listen(256, [](ListenerSpec& spec) { spec.fastopen = 200; });
  RawConnection plain = connection(v6());
  plain.send_syn();
  ASSERT_TRUE(plain.await_synack());
  ASSERT_TRUE(plain.await_synack());
  // Many, so that some have memory that no request had before.
  std::vector<RawConnection> fast;
  for (int i = 0; i < 200; ++i) {
    fast.push_back(connection(v6()));
    fast.back().send_syn("early");
    ASSERT_TRUE(fast.back().await_synack());
  }
  for (RawConnection& one : fast) ASSERT_TRUE(one.await_synack());
  for (RawConnection& one : fast) one.send_reset();
  ASSERT_TRUE(wait_until([&] { return ss_half_open(server())[port()] == 0; }));
  expect({{"syns", 201}, {"synacks", 201}, {"requests_expired", 1}});
}

TEST_F(Counters, ConnectionsOfTheKernelsOwnClients) {
  listen(16);
  std::vector<Fd> clients;
  client().run([&] {
    for (int i = 0; i < 4; ++i) clients.push_back(connect_to(address(i % 2 == 0), port()));
  });
  ASSERT_TRUE(queue_has(4));
  for (int i = 0; i < 4; ++i) clients.push_back(accept());
  expect({{"syns", 4}, {"synacks", 4}, {"handshake_acks", 4}, {"accepts", 4}});
}

// accept() that finds nothing is none.
TEST_F(Counters, AcceptThatFindsNothing) {
  listen(16);
  ASSERT_EQ(::fcntl(listener().get(), F_SETFL, O_NONBLOCK), 0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(::accept(listener().get(), nullptr, nullptr), -1);
    ASSERT_EQ(errno, EAGAIN);
  }
  establish(1);
  const Fd accepted = accept();
  ASSERT_EQ(::accept(listener().get(), nullptr, nullptr), -1);
  expect({{"syns", 1}, {"synacks", 1}, {"handshake_acks", 1}, {"accepts", 1}});
}

// Many processes sleep in accept() on one listener; each wakes for some of the connections.
TEST_F(Counters, AcceptsOfManyBlockedProcesses) {
  listen(64);
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      for (int k = 0; k < 3; ++k) {
        const int fd = ::accept(listener().get(), nullptr, nullptr);
        if (fd < 0) ::_exit(1);
        ::close(fd);
      }
      ::_exit(0);
    }
    children.push_back(pid);
  }
  std::vector<Fd> clients;
  client().run([&] {
    for (int i = 0; i < 18; ++i) clients.push_back(connect_to(address(), port()));
  });
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  expect({{"syns", 18}, {"synacks", 18}, {"handshake_acks", 18}, {"accepts", 18}});
}

// Clients that give up while they wait: known when they leave the queue, by accept() here.
TEST_P(Handshake, AbortedInQueue) {
  listen(16);
  std::vector<RawConnection> all = establish(4, v6());
  all[0].send_reset();
  all[2].send_fin();
  ASSERT_TRUE(arrived(4 * 2 + 2));
  expect({{"syns", 4}, {"synacks", 4}, {"handshake_acks", 4}});
  std::vector<Fd> accepted;
  for (int i = 0; i < 4; ++i) accepted.push_back(accept());
  expect({{"syns", 4},
          {"synacks", 4},
          {"handshake_acks", 4},
          {"accepts", 4},
          {"aborted_in_queue", 2}});
}

TEST_P(Handshake, ClosedUnaccepted) {
  listen(16);
  establish(3, v6());
  const Fd accepted = accept();
  listener().reset();
  expect_closed({{"syns", 3},
                 {"synacks", 3},
                 {"handshake_acks", 3},
                 {"accepts", 1},
                 {"closed_unaccepted", 2}});
}

// --- listen() ---------------------------------------------------------------------------------

class ListenCall : public Counters {
 protected:
  void expect_requested(int requested, uint64_t limit) {
    const auto tools = watches_with("listen_requested");
    if (tools.empty()) GTEST_SKIP() << "no backend here sees listen()";
    for (Watch* watch : tools) {
      SCOPED_TRACE(watch->backend());
      const Json found = row(watch->settled(netns()));
      ASSERT_FALSE(found.is_null());
      EXPECT_EQ(found.value("listen_requested", Json()), requested);
      EXPECT_EQ(found.value("accept_queue_limit", Json()), limit);
    }
  }
};

TEST_F(ListenCall, ShowsWhatWasAskedFor) {
  listen(7);
  expect_requested(7, 7);
  ASSERT_EQ(::listen(listener().get(), 20), 0);
  expect_requested(20, 20);
}

TEST_F(ListenCall, AboveSomaxconnAndBelowZero) {
  set("core/somaxconn", "100");
  listen(5000);
  expect_requested(5000, 100);
  ASSERT_EQ(::listen(listener().get(), -1), 0);
  expect_requested(-1, 100);
  ASSERT_EQ(::listen(listener().get(), 0), 0);
  expect_requested(0, 0);
}

// --- peaks ------------------------------------------------------------------------------------

class Peaks : public Counters {
 protected:
  // Fills and empties a queue until one time no sample of any backend fell in between: then only
  // what was seen at the enqueue can tell. `length` and `peak` are fields.
  void expect_peak(const std::function<void()>& fill_and_empty, const char* length,
                   const char* peak, uint64_t most) {
    if (watches().empty()) GTEST_SKIP() << "no counting backend on this kernel";
    std::map<std::string, bool> seen;
    for (int tries = 0; tries < 10; ++tries) {
      std::map<std::string, uint64_t> marks;
      for (const auto& watch : watches()) {
        ASSERT_FALSE(watch->settled(netns()).is_null());
        marks[watch->backend()] = watch->count();
      }
      fill_and_empty();
      bool between = true;
      for (const auto& watch : watches()) {
        SCOPED_TRACE(watch->backend());
        const Json after = row(watch->settled(netns()));
        ASSERT_FALSE(after.is_null());
        EXPECT_EQ(after.value(peak, Json()), 0) << "long after";
        uint64_t longest = 0;
        uint64_t highest = 0;
        watch->each_since(marks[watch->backend()], [&](const Json& document) {
          const Json one = row(document);
          ASSERT_FALSE(one.is_null());
          longest = std::max(longest, one.value(length, uint64_t{0}));
          ASSERT_TRUE(one.value(peak, Json()).is_number()) << one.value(peak, Json()).dump();
          highest = std::max(highest, one.at(peak).get<uint64_t>());
        });
        EXPECT_EQ(highest, most) << peak;
        if (longest == 0) seen[watch->backend()] = true;
        between = between && seen[watch->backend()];
      }
      if (between || HasFailure()) return;
    }
    // The peaks were right each time; whether a sample alone would have told them is not known.
    GTEST_SKIP() << "too slow here: every time a sample found the queue filled";
  }
};

TEST_F(Peaks, OfTheAcceptQueueBetweenTwoSamples) {
  listen(16);
  const auto fill_and_empty = [&] {
    establish(5);
    for (int i = 0; i < 5; ++i) accept();
  };
  expect_peak(fill_and_empty, "accept_queue_len", "accept_queue_peak", 5);
}

TEST_F(Peaks, OfTheSynQueueBetweenTwoSamples) {
  listen(16);
  const auto fill_and_empty = [&] {
    std::vector<RawConnection> all;
    for (int i = 0; i < 6; ++i) {
      all.push_back(connection());
      all.back().send_syn();
    }
    for (RawConnection& one : all) {
      ASSERT_TRUE(one.await_synack());
      one.send_reset();
    }
    ASSERT_TRUE(wait_until([&] { return ss_half_open(server())[port()] == 0; }));
  };
  expect_peak(fill_and_empty, "syn_queue_len", "syn_queue_peak", 6);
}

// A queue that stays long has its length for a peak, though nothing enters it any more.
TEST_F(Peaks, OfAQueueThatStaysLong) {
  listen(16);
  establish(4);
  if (watches().empty()) GTEST_SKIP() << "no counting backend on this kernel";
  for (const auto& watch : watches()) {
    SCOPED_TRACE(watch->backend());
    ASSERT_FALSE(watch->settled(netns()).is_null());
    EXPECT_EQ(row(watch->next()).value("accept_queue_peak", Json()), 4);
  }
}

}  // namespace
}  // namespace lqtest
