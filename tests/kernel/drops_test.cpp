// SPDX-License-Identifier: Apache-2.0
// Each way in which a listener refuses, and SYN cookies: a test provokes exactly that event at a
// listener of its own, and no other counter may move.
//
// No test here provokes drops_no_memory and drops_other: an allocation that fails in the kernel
// needs its fault injection, which no kernel here has; the rest (a security module, TCP-AO, an ICMP
// error for a half-open request) is for the storm's sums.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "counters.h"
#include "ss.h"

namespace lqtest {
namespace {

class Drops : public Counters, public ::testing::WithParamInterface<bool> {
 protected:
  static bool v6() { return GetParam(); }

  // A request that waits for its last ACK, while the accept queue (backlog 3) fills with others.
  RawConnection leave_one_before_the_queue_fills() {
    listen(3);
    RawConnection waiting = connection(v6());
    waiting.send_syn();
    EXPECT_TRUE(waiting.await_synack());
    establish(4, v6());
    return waiting;
  }
};
INSTANTIATE_TEST_SUITE_P(Family, Drops, ::testing::Bool(), family_name);

TEST_P(Drops, OverflowAtTheSyn) {
  listen(0);
  establish(1, v6());
  for (int i = 0; i < 3; ++i) connection(v6()).send_syn();
  ASSERT_TRUE(arrived(2 + 3));
  // A backlog of 0 makes older kernels answer with a cookie.
  const uint64_t cookies = mib_growth("SyncookiesSent");
  expect({{"syns", 4},
          {"synacks", 1},
          {"handshake_acks", 1},
          {"overflows_syn", 3},
          {"drops", 3},
          {"cookies_sent", cookies},
          {"cookies_valid", cookies}});
}

// A final ACK that is refused ended a handshake all the same: what is lost is between the two.
TEST_P(Drops, OverflowAtTheAck) {
  RawConnection waiting = leave_one_before_the_queue_fills();
  waiting.send_ack();
  ASSERT_TRUE(arrived(1 + 4 * 2 + 1));
  waiting.send_reset();
  expect({{"syns", 5}, {"synacks", 5}, {"handshake_acks", 5}, {"overflows_ack", 1}, {"drops", 1}});
}

// The same ACK again, and again: each is a loss of its own, as the kernel counts.
TEST_P(Drops, OverflowAtTheAckTwice) {
  RawConnection waiting = leave_one_before_the_queue_fills();
  waiting.send_ack();
  waiting.send_ack();
  ASSERT_TRUE(arrived(1 + 4 * 2 + 2));
  waiting.send_reset();
  expect({{"syns", 5}, {"synacks", 5}, {"handshake_acks", 6}, {"overflows_ack", 2}, {"drops", 2}});
}

TEST_P(Drops, OverflowAtTheAckAnsweredByReset) {
  set("ipv4/tcp_abort_on_overflow", "1");
  RawConnection waiting = leave_one_before_the_queue_fills();
  waiting.send_ack();
  ASSERT_TRUE(waiting.await_reset());
  expect({{"syns", 5}, {"synacks", 5}, {"handshake_acks", 5}, {"overflows_ack", 1}, {"drops", 1}});
}

TEST_P(Drops, OverflowAtTheAckOfACookie) {
  set("ipv4/tcp_syncookies", "2");
  RawConnection waiting = leave_one_before_the_queue_fills();
  waiting.send_ack();
  ASSERT_TRUE(arrived(1 + 4 * 2 + 1));
  expect({{"syns", 5},
          {"synacks", 5},
          {"handshake_acks", 5},
          {"overflows_ack", 1},
          {"drops", 1},
          {"cookies_sent", 5},
          {"cookies_valid", 5}});
}

TEST_P(Drops, SynQueueFullWithoutCookies) {
  set("ipv4/tcp_syncookies", "0");
  listen(2);
  std::vector<RawConnection> all;
  for (int i = 0; i < 7; ++i) {
    all.push_back(connection(v6()));
    all.back().send_syn();
  }
  ASSERT_TRUE(arrived(7));
  // Kernels differ in whether the queue holds as many as the backlog says, or one more.
  const uint64_t refused = mib_growth("TCPReqQFullDrop");
  ASSERT_GE(refused, 4U);
  ASSERT_LE(refused, 5U);
  for (uint64_t i = 0; i < 7 - refused; ++i) {
    ASSERT_TRUE(all[i].await_synack());
    all[i].send_reset();
  }
  expect({{"syns", 7},
          {"synacks", 7 - refused},
          {"drops_syn_queue_full", refused},
          {"drops", refused}});
}

TEST_P(Drops, ThreeQuartersOfMaxSynBacklog) {
  set("ipv4/tcp_syncookies", "0");
  set("ipv4/tcp_max_syn_backlog", "8");
  listen(64);
  std::vector<RawConnection> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(connection(v6()));
    all.back().send_syn();
  }
  ASSERT_TRUE(arrived(10));
  for (size_t i = 0; i < 7; ++i) {
    ASSERT_TRUE(all[i].await_synack());
    all[i].send_reset();
  }
  expect({{"syns", 10}, {"synacks", 7}, {"drops_max_syn_backlog", 3}, {"drops", 3}});
}

TEST_P(Drops, NoRouteBack) {
  listen(16);
  const std::string prefix = v6() ? "2001:db8:dead::/48" : "10.66.0.0/16";
  server().ip("route replace unreachable " + prefix + "\n");
  for (const char* last : {"1", "2"}) {
    const IpAddress source =
        IpAddress::parse((v6() ? "2001:db8:dead::" : "10.66.0.") + std::string(last));
    RawConnection(stage().wire, source, address(v6()), port()).send_syn();
  }
  ASSERT_TRUE(arrived(2));
  server().ip("route del unreachable " + prefix + "\n");
  expect({{"syns", 2}, {"drops_no_route", 2}, {"drops", 2}});
}

// An ACK without data is not taken for a connection; ListenDrops does not count it.
TEST_P(Drops, DeferAccept) {
  const int seconds = 30;
  listen(16);
  ASSERT_EQ(
      ::setsockopt(listener().get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
  RawConnection one = connection(v6());
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  one.send_ack();
  ASSERT_TRUE(arrived(2));
  ASSERT_TRUE(wait_until([&] { return mib_growth("TCPDeferAcceptDrop") == 1; }));
  one.send_data("here I am");
  ASSERT_TRUE(queue_has(1));
  expect({{"syns", 1}, {"synacks", 1}, {"handshake_acks", 1}, {"drops_defer_accept", 1}});
}

// --- cookies ----------------------------------------------------------------------------------

TEST_P(Drops, CookiesInsteadOfAQueue) {
  set("ipv4/tcp_syncookies", "2");
  listen(16);
  establish(2, v6());
  RawConnection lost = connection(v6());
  lost.send_syn();
  ASSERT_TRUE(lost.await_synack());
  expect({{"syns", 3},
          {"synacks", 3},
          {"handshake_acks", 2},
          {"cookies_sent", 3},
          {"cookies_valid", 2}});
}

// With the default setting cookies begin where the SYN queue ends.
TEST_P(Drops, CookiesBecauseTheSynQueueIsFull) {
  listen(2);
  std::vector<RawConnection> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(connection(v6()));
    all.back().send_syn();
    ASSERT_TRUE(all.back().await_synack());
  }
  const uint64_t cookies = mib_growth("SyncookiesSent");
  ASSERT_GE(cookies, 3U);
  ASSERT_LE(cookies, 4U);
  for (RawConnection& one : all) one.send_reset();
  expect({{"syns", 6}, {"synacks", 6}, {"cookies_sent", cookies}});
}

TEST_P(Drops, CookieThatIsNone) {
  set("ipv4/tcp_syncookies", "2");
  listen(16);
  RawConnection one = connection(v6());
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  one.send_ack(0x01010101U);
  ASSERT_TRUE(one.await_reset());
  expect({{"syns", 1}, {"synacks", 1}, {"cookies_sent", 1}, {"cookies_invalid", 1}});
}

// --- Fast Open --------------------------------------------------------------------------------

// The second finds the queue of those without a finished handshake at its limit of one: it is
// treated as any other SYN, nothing is lost.
TEST_P(Drops, FastOpenOverflow) {
  set("ipv4/tcp_fastopen", "515");
  listen(16, [](ListenerSpec& spec) { spec.fastopen = 1; });
  RawConnection first = connection(v6());
  first.send_syn("early");
  ASSERT_TRUE(first.await_synack());
  ASSERT_TRUE(queue_has(1));
  RawConnection second = connection(v6());
  second.send_syn("early");
  ASSERT_TRUE(second.await_synack());
  second.send_reset();
  first.send_reset();
  ASSERT_TRUE(wait_until([&] { return ss_half_open(server())[port()] == 0; }));
  expect({{"syns", 2}, {"synacks", 2}, {"fastopen_overflows", 1}});
}

}  // namespace
}  // namespace lqtest
