// SPDX-License-Identifier: Apache-2.0
// What follows from several samples: rates, ages, what was clamped, what closed.
#include <gtest/gtest.h>

#include "made_up.h"
#include "model/derive.h"

namespace listenq {
namespace {

using made_up::derive;
using made_up::listener;
using made_up::netns;
using made_up::sample;

class Watch : public testing::Test {
 protected:
  const Snapshot& see(Sample made) {
    last_ = derive(deriver_, std::move(made));
    return *last_;
  }
  const ListenerRow& see_one(Sample made) { return see(std::move(made)).listeners.at(0); }

  std::optional<double> rate(std::uint32_t before, std::uint32_t now, std::uint64_t seconds = 1) {
    Deriver deriver;
    RawListener raw = listener();
    raw.sk_drops = before;
    derive(deriver, sample(1, {raw}));
    raw.sk_drops = now;
    return derive(deriver, sample(1 + seconds, {raw}))->listeners.at(0).sk_drops_per_second;
  }

  Deriver deriver_;
  std::shared_ptr<const Snapshot> last_;
};

RawListener dropping(std::uint64_t cookie, std::optional<std::uint32_t> drops) {
  RawListener raw = listener(cookie);
  raw.sk_drops = drops;
  return raw;
}

TEST_F(Watch, RatesNeedTwoSamples) {
  EXPECT_EQ(see_one(sample(10, {dropping(1, 5)})).sk_drops_per_second, std::nullopt);
  EXPECT_EQ(last_->interval_seconds, std::nullopt);
  EXPECT_EQ(see_one(sample(14, {dropping(1, 7)})).sk_drops_per_second, 0.5);
  EXPECT_EQ(last_->interval_seconds, 4.0);
  EXPECT_TRUE(Snapshot::in_trouble(last_->listeners.at(0)));
  EXPECT_EQ(see_one(sample(15, {dropping(1, 7)})).sk_drops_per_second, 0.0);
  EXPECT_FALSE(Snapshot::in_trouble(last_->listeners.at(0)));
}

TEST_F(Watch, CounterWrapsAndDoesNotGoBack) {
  EXPECT_EQ(rate(4294967290U, 4U), 10.0);
  EXPECT_EQ(rate(4294967295U, 0U, 2), 0.5);
  EXPECT_EQ(rate(0U, 0x7fffffffU), 2147483647.0);
  EXPECT_EQ(rate(100U, 99U), std::nullopt);
  EXPECT_EQ(rate(100U, 0U), std::nullopt);
  EXPECT_EQ(rate(4294967295U, 4294967294U), std::nullopt);
}

TEST_F(Watch, AUnreadCounterIsNotZero) {
  see(sample(1, {dropping(1, 10)}));
  EXPECT_EQ(see_one(sample(2, {dropping(1, std::nullopt)})).sk_drops_per_second, std::nullopt);
  // What it gained, over the time that it took.
  EXPECT_EQ(see_one(sample(3, {dropping(1, 14)})).sk_drops_per_second, 2.0);
}

TEST_F(Watch, RateFollowsTheListenerNotItsPlace) {
  see(sample(1, {dropping(1, 0), dropping(2, 100)}));
  const Snapshot& snapshot = see(sample(2, {dropping(2, 101), dropping(3, 500), dropping(1, 7)}));
  EXPECT_EQ(snapshot.listeners[0].sk_drops_per_second, 1.0);
  EXPECT_EQ(snapshot.listeners[1].sk_drops_per_second, std::nullopt);
  EXPECT_EQ(snapshot.listeners[2].sk_drops_per_second, 7.0);
}

TEST_F(Watch, AgeIsKnownForWhatAppearedMeanwhile) {
  EXPECT_EQ(see_one(sample(1, {listener(1)})).state_age_seconds, std::nullopt);
  const Snapshot& second = see(sample(2, {listener(1), listener(2)}));
  EXPECT_EQ(second.listeners[0].state_age_seconds, std::nullopt);
  EXPECT_EQ(second.listeners[1].state_age_seconds, 0.0);
  const Snapshot& third = see(sample(5, {listener(1), listener(2)}));
  EXPECT_EQ(third.listeners[0].state_age_seconds, std::nullopt);
  EXPECT_EQ(third.listeners[1].state_age_seconds, 3.0);
}

TEST_F(Watch, AgeIsNotKnownWhereWeDidNotLook) {
  see(sample(1));
  RawListener raw = listener(5);
  raw.netns = NetnsId{7};
  Sample made = sample(2, {raw});
  made.namespaces.push_back(netns(NetnsId{7}));
  EXPECT_EQ(see_one(made).state_age_seconds, std::nullopt);
  made.monotonic_ns += made_up::kSecond;
  EXPECT_EQ(see_one(made).state_age_seconds, std::nullopt);
}

TEST_F(Watch, RemembersThatALimitWasClamped) {
  const auto seen = [&](std::uint64_t second, std::uint32_t limit, std::int64_t somaxconn) {
    RawListener raw = listener();
    raw.accept_queue_limit = limit;
    Sample made = sample(second, {raw});
    made.namespaces.at(0).sysctls.somaxconn = somaxconn;
    const ListenerRow& row = see_one(made);
    return std::pair(row.limit_set_by, row.somaxconn_raised_since);
  };
  EXPECT_EQ(seen(1, 128, 128), std::pair(LimitSetBy::somaxconn, std::optional(false)));
  EXPECT_EQ(seen(2, 128, 4096), std::pair(LimitSetBy::somaxconn, std::optional(true)));
  EXPECT_EQ(seen(3, 128, 4096), std::pair(LimitSetBy::somaxconn, std::optional(true)));
  // Lowered below: a new listen() would get less.
  EXPECT_EQ(seen(4, 128, 64), std::pair(LimitSetBy::somaxconn, std::optional(false)));
  EXPECT_EQ(seen(5, 128, 256), std::pair(LimitSetBy::somaxconn, std::optional(true)));
  // A second listen() asked for 100.
  EXPECT_EQ(seen(6, 100, 4096), std::pair(LimitSetBy::application, std::optional(false)));
  EXPECT_EQ(seen(7, 128, 4096), std::pair(LimitSetBy::unknown, std::optional<bool>()));
}

TEST_F(Watch, ClampedIsKnownAlsoWhileSomaxconnCannotBeRead) {
  RawListener raw = listener();
  raw.accept_queue_limit = 4096;
  see(sample(1, {raw}));
  Sample unread = sample(2, {raw});
  unread.namespaces.at(0).sysctls.somaxconn = std::nullopt;
  EXPECT_EQ(see_one(unread).limit_set_by, LimitSetBy::somaxconn);
  EXPECT_EQ(last_->listeners.at(0).somaxconn_raised_since, std::nullopt);
}

TEST_F(Watch, ClosedListenerStaysAsItWas) {
  const std::string id(64, 'd');
  {
    RawListener raw = dropping(1, 9);
    raw.interface = "eth0";
    raw.accept_queue_len = 3;
    Sample made = sample(1, {raw});
    made.namespaces.at(0).name = "blue";
    made_up::own(made, 42, {"nginx", "/kubepods/pod1b4e28ba-2fa1-11d2-883f-0016d3cca427/" + id});
    see(made);
  }
  see(sample(2));
  see(sample(3));  // nothing of the first sample is left
  ASSERT_EQ(last_->closed.size(), 1U);
  const ClosedListener& closed = *last_->closed.front();
  EXPECT_EQ(closed.closed_wall_ns, sample(2).wall_ns);
  EXPECT_EQ(closed.row.raw->accept_queue_len, 3U);
  EXPECT_EQ(closed.row.raw->interface, "eth0");
  EXPECT_EQ(closed.row.netns->raw->name, "blue");
  EXPECT_EQ(closed.row.netns->raw->netns, made_up::kNetns);
  ASSERT_NE(closed.row.process, nullptr);
  EXPECT_EQ(closed.row.process->name, "nginx");
  EXPECT_EQ(closed.row.pids.size(), 1U);
  EXPECT_EQ(closed.row.pids[0], 42);
  EXPECT_EQ(closed.row.container, id);
  EXPECT_EQ(closed.row.pod, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
}

TEST_F(Watch, ClosedListenerKeepsTheCgroupOfItsSocket) {
  RawListener raw = listener();
  raw.cgroup = "/docker/" + std::string(64, 'e');
  see(sample(1, {raw}));
  see(sample(2));
  EXPECT_EQ(last_->closed.at(0)->row.cgroup, raw.cgroup);
  EXPECT_EQ(last_->closed.at(0)->row.container, std::string(64, 'e'));
  EXPECT_EQ(last_->closed.at(0)->row.process, nullptr);
}

TEST_F(Watch, ClosedAreTheLatestThousandNewestLast) {
  std::vector<RawListener> listeners;
  for (std::uint64_t cookie = 1; cookie <= 1200; ++cookie) listeners.push_back(listener(cookie));
  see(sample(1, listeners));
  see(sample(2, {listener(1200)}));
  ASSERT_EQ(last_->closed.size(), 1000U);
  EXPECT_EQ(last_->closed.front()->row.raw->cookie, SocketCookie{200});
  EXPECT_EQ(last_->closed.back()->row.raw->cookie, SocketCookie{1199});
  see(sample(3));
  ASSERT_EQ(last_->closed.size(), 1000U);
  EXPECT_EQ(last_->closed.back()->row.raw->cookie, SocketCookie{1200});
}

TEST_F(Watch, AListenerThatComesBackIsANewOne) {
  see(sample(1, {dropping(1, 5)}));
  see(sample(2));
  const ListenerRow& again = see_one(sample(3, {dropping(1, 8)}));
  EXPECT_EQ(again.sk_drops_per_second, std::nullopt);
  EXPECT_EQ(again.state_age_seconds, 0.0);
  EXPECT_EQ(last_->closed.size(), 1U);
}

TEST_F(Watch, NamespaceMissingOnceClosesNothing) {
  see(sample(1, {dropping(1, 10)}));
  Sample unread = sample(2);
  unread.namespaces.clear();
  see(unread);
  EXPECT_TRUE(last_->listeners.empty());
  EXPECT_TRUE(last_->closed.empty());
  const ListenerRow& back = see_one(sample(5, {dropping(1, 30)}));
  EXPECT_EQ(back.sk_drops_per_second, 5.0);
  EXPECT_EQ(back.state_age_seconds, std::nullopt);
  EXPECT_TRUE(last_->closed.empty());
}

TEST_F(Watch, NamespaceMissingTwiceIsGone) {
  see(sample(1, {listener(1), listener(2)}));
  Sample gone = sample(2);
  gone.namespaces.clear();
  see(gone);
  gone.wall_ns += made_up::kSecond;
  gone.monotonic_ns += made_up::kSecond;
  see(gone);
  ASSERT_EQ(last_->closed.size(), 2U);
  EXPECT_EQ(last_->closed[0]->closed_wall_ns, sample(2).wall_ns);
  gone.monotonic_ns += made_up::kSecond;
  EXPECT_EQ(see(gone).closed.size(), 2U);
}

TEST_F(Watch, ListenerClosedWhileItsNamespaceWasUnreadIsClosed) {
  see(sample(1, {listener(1), listener(2)}));
  Sample unread = sample(2);
  unread.namespaces.clear();
  see(unread);
  see(sample(3, {listener(2)}));
  ASSERT_EQ(last_->closed.size(), 1U);
  EXPECT_EQ(last_->closed[0]->row.raw->cookie, SocketCookie{1});
  EXPECT_EQ(last_->closed[0]->closed_wall_ns, sample(3).wall_ns);
  see(sample(4, {listener(2)}));
  EXPECT_EQ(last_->closed.size(), 1U);
}

TEST_F(Watch, OnlyTheMissingNamespaceWaits) {
  RawListener other = listener(2);
  other.netns = NetnsId{7};
  Sample both = sample(1, {listener(1), other});
  both.namespaces.push_back(netns(NetnsId{7}));
  see(both);
  see(sample(2));
  ASSERT_EQ(last_->closed.size(), 1U);
  EXPECT_EQ(last_->closed[0]->row.raw->cookie, SocketCookie{1});
  see(sample(3));
  EXPECT_EQ(last_->closed.size(), 2U);
}

TEST_F(Watch, SamplesOutOfOrderStartAnew) {
  see(sample(10, {dropping(1, 10)}));
  see(sample(11, {dropping(1, 20)}));
  Sample earlier = sample(4, {dropping(1, 30)});
  EXPECT_EQ(see_one(earlier).sk_drops_per_second, std::nullopt);
  EXPECT_EQ(last_->interval_seconds, std::nullopt);
  EXPECT_EQ(see_one(sample(5, {dropping(1, 33)})).sk_drops_per_second, 3.0);
  // The same moment twice is no interval either.
  EXPECT_EQ(see_one(sample(5, {dropping(1, 34)})).sk_drops_per_second, std::nullopt);
  Sample elsewhere = sample(6, {dropping(1, 40)});
  elsewhere.host = "other";
  EXPECT_EQ(see_one(elsewhere).sk_drops_per_second, std::nullopt);
  Sample updated = sample(7, {dropping(1, 40)});
  updated.host = "other";
  updated.kernel = "6.2.0";
  EXPECT_EQ(see_one(updated).sk_drops_per_second, std::nullopt);
  EXPECT_TRUE(last_->closed.empty());
}

TEST_F(Watch, ARestartKeepsWhatClosedAndClosesNothing) {
  see(sample(1, {listener(1), listener(2)}));
  see(sample(2, {listener(1)}));
  see(sample(1));
  ASSERT_EQ(last_->closed.size(), 1U);
  EXPECT_EQ(last_->closed[0]->row.raw->cookie, SocketCookie{2});
}

TEST_F(Watch, WithoutCookieTheInodeIsTheIdentity) {
  RawListener raw = dropping(0, 1);
  raw.cookie = std::nullopt;
  raw.inode = 500;
  see(sample(1, {raw}));
  raw.sk_drops = 4;
  EXPECT_EQ(see_one(sample(2, {raw})).sk_drops_per_second, 3.0);
  // Another socket that got the same inode number.
  raw.port = 81;
  raw.sk_drops = 9;
  EXPECT_EQ(see_one(sample(3, {raw})).sk_drops_per_second, std::nullopt);
  EXPECT_EQ(last_->closed.size(), 1U);
  // A cookie of the same number is another identity.
  raw.cookie = SocketCookie{500};
  EXPECT_EQ(see_one(sample(4, {raw})).sk_drops_per_second, std::nullopt);
}

TEST_F(Watch, WithoutAnyIdentityNothingIsMadeUp) {
  RawListener raw = dropping(0, 1);
  raw.cookie = std::nullopt;
  see(sample(1, {raw, raw}));
  raw.sk_drops = 2;
  RawListener second = raw;
  second.sk_drops = 50;
  const Snapshot& snapshot = see(sample(2, {raw, second}));
  EXPECT_EQ(snapshot.listeners[0].sk_drops_per_second, 1.0);
  EXPECT_EQ(snapshot.listeners[1].sk_drops_per_second, std::nullopt);
  EXPECT_EQ(snapshot.listeners[1].state_age_seconds, std::nullopt);
  EXPECT_EQ(see(sample(3)).closed.size(), 1U);
}

TEST_F(Watch, NamespaceCountersSinceStart) {
  const auto with = [](std::uint64_t second, std::optional<MibCounters> mib) {
    Sample made = sample(second);
    made.namespaces.at(0).mib = std::move(mib);
    return made;
  };
  see(with(1, MibCounters{{"ListenDrops", 100}, {"CurrEstab", 7}, {"Gone", 1}}));
  EXPECT_EQ(last_->namespaces.at(0).mib_since_start, std::nullopt);
  see(with(2, std::nullopt));
  EXPECT_EQ(last_->namespaces.at(0).mib_since_start, std::nullopt);
  // In another order, with one more, and one that went back.
  see(with(3, MibCounters{{"New", 5}, {"ListenDrops", 130}, {"CurrEstab", 6}}));
  EXPECT_EQ(last_->namespaces.at(0).mib_since_start, (MibCounters{{"ListenDrops", 30}}));
  see(with(4, MibCounters{{"ListenDrops", 131}, {"CurrEstab", 9}, {"Gone", 1}}));
  EXPECT_EQ(last_->namespaces.at(0).mib_since_start,
            (MibCounters{{"ListenDrops", 31}, {"CurrEstab", 2}, {"Gone", 0}}));
}

TEST_F(Watch, ANamespaceNumberUsedAgainStartsAnew) {
  Sample made = sample(1);
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 5}};
  see(made);
  for (const std::uint64_t second : {2U, 3U}) {
    Sample gone = sample(second);
    gone.namespaces.clear();
    see(gone);
  }
  Sample again = sample(4);
  again.namespaces.at(0).mib = MibCounters{{"ListenDrops", 9}};
  see(again);
  EXPECT_EQ(last_->namespaces.at(0).mib_since_start, std::nullopt);
}

}  // namespace
}  // namespace listenq
