// SPDX-License-Identifier: Apache-2.0
// Episodes of losses: when they begin and end, what of, and what must not be taken for one.
#include "model/episodes.h"

#include <gtest/gtest.h>

#include "made_up.h"

namespace listenq {
namespace {

using made_up::counts;
using made_up::kNetns;
using made_up::kSecond;
using made_up::listener;

std::uint64_t wall(std::uint64_t second) {
  return made_up::sample(second).wall_ns;
}

ListenerCounts dropped(std::uint64_t count) {
  return counts({{Counter::drops, count}, {Counter::overflows_ack, count}});
}

RawListener with_sk_drops(std::uint32_t drops) {
  RawListener raw = listener();
  raw.sk_drops = drops;
  return raw;
}

RawNic eth(std::vector<NicPort> ports) {
  RawNic nic;
  nic.netns = kNetns;
  nic.interface = "eth1";
  nic.ifindex = 1;
  nic.mode = NicMode::tc;
  nic.ports = std::move(ports);
  return nic;
}

RawClosed closing(Sample& sample, std::uint64_t cookie, const ListenerCounts& last) {
  RawClosed closed{listener(cookie), sample.monotonic_ns - kSecond / 2};
  closed.listener.counts = static_cast<std::uint32_t>(sample.counts.size());
  sample.counts.push_back(last);
  return closed;
}

class EpisodesTest : public testing::Test {
 protected:
  /// A second after the one before.
  Sample next(std::vector<RawListener> listeners) {
    return made_up::sample(++second_, std::move(listeners));
  }
  Sample counting(std::vector<RawListener> listeners,
                  const std::vector<ListenerCounts>& listener_counts) {
    return made_up::counting(next(std::move(listeners)), listener_counts);
  }
  const Snapshot& derive(Sample sample) {
    snapshot_ = made_up::derive(deriver_, std::move(sample));
    return *snapshot_;
  }
  /// One listener that has dropped so many.
  const Snapshot& step(std::uint64_t drops) {
    return derive(counting({listener()}, {dropped(drops)}));
  }
  const Snapshot& step_sk_drops(std::uint32_t drops) {
    return derive(next({with_sk_drops(drops)}));
  }
  /// The only one.
  const Episode& episode() {
    static const Episode none;
    EXPECT_EQ(snapshot_->episodes.size(), 1U);
    return snapshot_->episodes.empty() ? none : *snapshot_->episodes.back();
  }
  const Episode* of_row(std::size_t index = 0) { return snapshot_->listeners.at(index).episode; }

  std::uint64_t second_ = 0;
  Deriver deriver_;
  std::shared_ptr<const Snapshot> snapshot_;
};

// ---- begin and end

TEST_F(EpisodesTest, NoLossNoEpisode) {
  step(5);
  step(5);
  EXPECT_TRUE(snapshot_->episodes.empty()) << "what was lost before the first sample is nobody's";
  EXPECT_EQ(of_row(), nullptr);
}

TEST_F(EpisodesTest, BeginsWithTheSampleBeforeTheFirstLoss) {
  step(5);
  step(5);
  step(5);
  step(8);
  EXPECT_EQ(episode().start_wall_ns, wall(3));
  EXPECT_EQ(episode().last_wall_ns, wall(4));
  EXPECT_EQ(episode().lost(), 3U);
  EXPECT_FALSE(episode().may_be_older);
  EXPECT_FALSE(episode().ended);
  EXPECT_EQ(of_row(), &episode());
  EXPECT_EQ(episode().listener.port, 80);
}

TEST_F(EpisodesTest, LossesInTheFirstIntervalMayBeOlder) {
  step(5);
  step(6);
  EXPECT_TRUE(episode().may_be_older);
  EXPECT_EQ(episode().start_wall_ns, wall(1));
}

TEST_F(EpisodesTest, OfAListenerThatAppearedTheyAreNot) {
  derive(counting({}, {}));
  step(0);
  step(4);
  EXPECT_EQ(episode().start_wall_ns, wall(2));
  EXPECT_FALSE(episode().may_be_older);
}

TEST_F(EpisodesTest, WhatOneThatAppearedLostAlreadyIsItsFirst) {
  derive(counting({}, {}));
  step(4);
  EXPECT_EQ(episode().start_wall_ns, wall(1));
  EXPECT_EQ(episode().lost(), 4U);
  EXPECT_FALSE(episode().may_be_older);
}

TEST_F(EpisodesTest, EndsAfterThreeSecondsWithoutALoss) {
  step(0);
  step(0);
  step(1);  // 3 s
  step(1);
  step(2);  // 5 s: it goes on
  step(2);
  step(2);
  EXPECT_FALSE(episode().ended);
  EXPECT_EQ(of_row(), &episode());
  EXPECT_EQ(episode().last_wall_ns, wall(5));
  step(2);
  EXPECT_TRUE(episode().ended);
  EXPECT_EQ(of_row(), nullptr);
  EXPECT_EQ(episode().start_wall_ns, wall(2));
  EXPECT_EQ(episode().last_wall_ns, wall(5));
  EXPECT_EQ(episode().lost(), 2U);
}

TEST_F(EpisodesTest, ALossAfterTheEndIsAnotherEpisode) {
  step(0);
  step(1);
  for (int i = 0; i < 3; ++i) step(1);
  step(7);
  ASSERT_EQ(snapshot_->episodes.size(), 2U);
  EXPECT_TRUE(snapshot_->episodes[0]->ended);
  EXPECT_EQ(snapshot_->episodes[0]->lost(), 1U);
  EXPECT_EQ(snapshot_->episodes[1]->start_wall_ns, wall(5));
  EXPECT_EQ(snapshot_->episodes[1]->lost(), 6U);
  EXPECT_EQ(of_row(), snapshot_->episodes[1].get());
}

TEST_F(EpisodesTest, WithLongIntervalsItEndsAfterTwo) {
  const auto later = [&](std::uint64_t drops) {
    second_ += 9;
    step(drops);
  };
  later(0);
  later(1);
  later(1);
  EXPECT_FALSE(episode().ended);
  later(1);
  EXPECT_TRUE(episode().ended);
}

TEST_F(EpisodesTest, EndsWhenTheListenerIsGone) {
  derive(counting({listener(1), listener(2)}, {dropped(0), dropped(0)}));
  derive(counting({listener(1), listener(2)}, {dropped(3), dropped(0)}));
  derive(counting({listener(2)}, {dropped(0)}));
  EXPECT_TRUE(episode().ended);
  EXPECT_EQ(episode().last_wall_ns, wall(2));
  ASSERT_EQ(snapshot_->closed.size(), 1U);
  EXPECT_EQ(snapshot_->closed[0]->row.episode, nullptr);
}

TEST_F(EpisodesTest, ANamespaceThatIsMissedOnceEndsNothing) {
  step(0);
  step(3);
  Sample unread = next({});
  unread.namespaces.clear();
  derive(unread);
  EXPECT_FALSE(episode().ended);
  step(900);
  EXPECT_FALSE(episode().ended);
  EXPECT_EQ(episode().lost(), 3U) << "what it lost meanwhile is not of this interval";
  step(901);
  EXPECT_EQ(episode().lost(), 4U);
  EXPECT_EQ(of_row(), &episode());
}

TEST_F(EpisodesTest, ANamespaceThatIsGoneEndsIt) {
  step(0);
  step(3);
  for (int i = 0; i < 2; ++i) {
    Sample gone = next({});
    gone.namespaces.clear();
    derive(gone);
  }
  EXPECT_TRUE(episode().ended);
  EXPECT_EQ(episode().last_wall_ns, wall(2));
}

// ---- what was lost

TEST_F(EpisodesTest, LossesGoToTheirSteps) {
  step(0);
  derive(counting({listener()}, {counts({{Counter::drops, 21},
                                         {Counter::overflows_syn, 2},
                                         {Counter::overflows_ack, 4},
                                         {Counter::drops_syn_queue_full, 5},
                                         {Counter::drops_no_route, 10},
                                         {Counter::drops_defer_accept, 99}})}));
  EXPECT_EQ(episode().lost_at_ack, 4U);
  EXPECT_EQ(episode().lost_at_syn, 17U);
  EXPECT_EQ(episode().overflows, 6U);
  EXPECT_EQ(episode().lost_unknown, 0U);
  EXPECT_EQ(episode().lost_before_tcp, 0U);
  EXPECT_EQ(episode().lost(), 21U);
}

TEST_F(EpisodesTest, AnOverflowReadAfterItsDropIsNotASecondLoss) {
  step(0);
  derive(counting({listener()}, {counts({{Counter::drops, 1}})}));
  EXPECT_EQ(episode().lost_at_syn, 1U);
  step(1);
  EXPECT_EQ(episode().lost_at_syn, 0U);
  EXPECT_EQ(episode().lost_at_ack, 1U);
  EXPECT_EQ(episode().overflows, 1U);
}

TEST_F(EpisodesTest, OverflowsAloneWhereDropsAreNotCounted) {
  const auto overflows_only = [&](std::uint64_t at_syn, std::uint64_t at_ack) {
    Sample sample =
        counting({with_sk_drops(static_cast<std::uint32_t>(100 * at_ack))},
                 {counts({{Counter::overflows_syn, at_syn}, {Counter::overflows_ack, at_ack}})});
    sample.counting->counters &= ~(1U << static_cast<unsigned>(Counter::drops));
    derive(std::move(sample));
  };
  overflows_only(0, 0);
  overflows_only(2, 3);
  EXPECT_EQ(episode().lost_at_syn, 2U);
  EXPECT_EQ(episode().lost_at_ack, 3U);
  EXPECT_EQ(episode().overflows, 5U);
  EXPECT_EQ(episode().lost_unknown, 0U);
}

TEST_F(EpisodesTest, TheSocketsCounterWhereNothingElseIsCounted) {
  step_sk_drops(0xffff'fffe);
  step_sk_drops(3);
  EXPECT_EQ(episode().lost_unknown, 5U) << "it wraps";
  EXPECT_EQ(episode().lost(), 5U);
  step_sk_drops(4);
  EXPECT_EQ(episode().lost_unknown, 6U);
}

TEST_F(EpisodesTest, WhereDropsAreCountedTheSocketsCounterIsNot) {
  derive(counting({with_sk_drops(0)}, {dropped(0)}));
  derive(counting({with_sk_drops(8)}, {dropped(0)}));
  EXPECT_TRUE(snapshot_->episodes.empty());
}

TEST_F(EpisodesTest, TheQueuesAtTheirWorst) {
  const auto queues = [&](std::uint64_t drops, std::uint32_t accept_len, std::uint32_t accept_peak,
                          std::uint32_t syn_len, std::uint32_t syn_peak) {
    RawListener raw = listener();
    raw.accept_queue_len = accept_len;
    raw.syn_queue_len = syn_len;
    ListenerCounts counted = dropped(drops);
    counted.accept_queue_peak = accept_peak;
    counted.syn_queue_peak = syn_peak;
    derive(counting({raw}, {counted}));
  };
  queues(0, 600, 600, 90, 90);
  queues(0, 0, 0, 0, 0);
  queues(1, 10, 512, 5, 20);
  EXPECT_EQ(episode().accept_queue_peak, 512U);
  EXPECT_EQ(episode().accept_queue_limit, 511U);
  EXPECT_EQ(episode().syn_queue_peak, 20U);
  EXPECT_EQ(episode().syn_queue_limit, 511U);
  queues(1, 513, 514, 30, 31);
  EXPECT_EQ(episode().accept_queue_peak, 512U) << "whether it goes on nobody knows yet";
  queues(2, 0, 0, 0, 0);
  EXPECT_EQ(episode().accept_queue_peak, 514U);
  EXPECT_EQ(episode().syn_queue_peak, 31U);
  for (int i = 0; i < 3; ++i) queues(2, 700, 700, 200, 200);
  EXPECT_TRUE(episode().ended);
  EXPECT_EQ(episode().accept_queue_peak, 514U) << "what came after is not its own";
}

TEST_F(EpisodesTest, WithoutPeaksTheLengthsAtTheSamples) {
  RawListener raw = with_sk_drops(0);
  raw.accept_queue_len = 512;
  derive(next({raw}));
  step_sk_drops(1);
  EXPECT_EQ(episode().accept_queue_peak, 512U);
  EXPECT_EQ(episode().syn_queue_peak, std::nullopt);
}

TEST_F(EpisodesTest, SaysWhoseItIs) {
  const auto owned = [&](std::uint64_t drops) {
    Sample sample = counting({listener()}, {dropped(drops)});
    made_up::own(sample, 812, {"nginx", std::nullopt});
    sample.namespaces[0].name = "blue";
    derive(std::move(sample));
  };
  owned(0);
  owned(1);
  EXPECT_EQ(episode().process, "nginx");
  EXPECT_EQ(episode().pid, 812);
  EXPECT_EQ(episode().netns_name, "blue");
}

// ---- before TCP

TEST_F(EpisodesTest, LostBeforeTcpIsPutDownToOneListenerOfThePort) {
  const auto at_nic = [&](std::uint64_t nic, std::uint64_t first, std::uint64_t second) {
    const auto got = [](std::uint64_t syns) {
      return counts({{Counter::syns, syns}, {Counter::synacks, syns}});
    };
    RawListener other = listener(3);
    other.port = 443;
    Sample sample = counting({listener(1), listener(2), other}, {got(first), got(second), got(0)});
    sample.nics = {eth({{80, nic, 0, 0, 0, 0, {}}, {443, 0, 0, 0, 0, 0, {}}})};
    derive(std::move(sample));
  };
  at_nic(0, 0, 0);
  at_nic(0, 0, 0);
  at_nic(50, 10, 20);
  EXPECT_EQ(episode().lost_before_tcp, 20U);
  EXPECT_EQ(episode().lost(), 20U);
  EXPECT_EQ(episode().overflows, 0U);
  EXPECT_EQ(episode().start_wall_ns, wall(2));
  EXPECT_FALSE(episode().may_be_older);
  EXPECT_EQ(of_row(0), nullptr);
  EXPECT_EQ(of_row(1), &episode()) << "it got most SYNs";
  EXPECT_EQ(of_row(2), nullptr);
  at_nic(105, 50, 30);
  EXPECT_EQ(episode().lost_before_tcp, 25U) << "it stays with that one";
  EXPECT_EQ(of_row(1), &episode());
  at_nic(105, 50, 30);
  EXPECT_EQ(episode().last_wall_ns, wall(4));
  at_nic(105, 50, 30);
  at_nic(105, 50, 30);
  EXPECT_TRUE(episode().ended);
}

TEST_F(EpisodesTest, TheOneThatStandsForThePortStaysItAlsoIfItComesFirst) {
  const auto at_nic = [&](std::uint64_t nic, std::uint64_t first, std::uint64_t second) {
    Sample sample = counting({listener(1), listener(2)},
                             {counts({{Counter::syns, first}}), counts({{Counter::syns, second}})});
    sample.nics = {eth({{80, nic, 0, 0, 0, 0, {}}})};
    derive(std::move(sample));
  };
  at_nic(0, 0, 0);
  at_nic(31, 20, 10);
  at_nic(132, 20, 110);
  EXPECT_EQ(episode().lost_before_tcp, 2U);
  EXPECT_EQ(of_row(0), &episode());
}

TEST_F(EpisodesTest, LossesOnTheWayAndAtTheListenerAreOneEpisode) {
  const auto both = [&](std::uint64_t nic, std::uint64_t syns, std::uint64_t drops) {
    Sample sample =
        counting({listener()}, {counts({{Counter::syns, syns}, {Counter::drops, drops}})});
    sample.nics = {eth({{80, nic, 0, 0, 0, 0, {}}})};
    derive(std::move(sample));
  };
  both(0, 0, 0);
  both(10, 7, 2);
  EXPECT_EQ(episode().lost_before_tcp, 3U);
  EXPECT_EQ(episode().lost_at_syn, 2U);
  EXPECT_TRUE(episode().may_be_older);
}

// ---- what is no loss

TEST_F(EpisodesTest, ACounterThatGoesBackStartsAnew) {
  step(0);
  step(100);
  step(40);
  EXPECT_EQ(episode().lost(), 100U);
  step(42);
  EXPECT_EQ(episode().lost(), 102U);
  Deriver other;
  deriver_ = std::move(other);
  step_sk_drops(100);
  step_sk_drops(40);
  EXPECT_TRUE(snapshot_->episodes.empty());
}

TEST_F(EpisodesTest, AListenerThatWasOnlyMissedBringsNoLosses) {
  step(0);
  step(70);
  derive(counting({}, {}));
  EXPECT_TRUE(episode().ended);
  for (int i = 0; i < 3; ++i) derive(counting({}, {}));
  step(70);
  EXPECT_EQ(episode().lost(), 70U);
  step(71);
  ASSERT_EQ(snapshot_->episodes.size(), 2U);
  EXPECT_EQ(snapshot_->episodes[1]->lost(), 1U);
}

TEST_F(EpisodesTest, CountingThatBeginsLaterBringsNoLosses) {
  derive(next({listener()}));
  step(50);
  EXPECT_TRUE(snapshot_->episodes.empty());
  step(51);
  EXPECT_EQ(episode().lost(), 1U);
}

TEST_F(EpisodesTest, AnotherRecordingForgetsThem) {
  step(0);
  step(1);
  second_ = 0;  // time goes back
  step(900);
  EXPECT_TRUE(snapshot_->episodes.empty());
  step(901);
  EXPECT_EQ(episode().lost(), 1U);
  EXPECT_TRUE(episode().may_be_older);
}

// ---- listeners that close

TEST_F(EpisodesTest, WhatItLostBeforeItsCloseIsAdded) {
  step(0);
  step(3);
  Sample sample = counting({}, {});
  sample.closed = {closing(sample, 1, dropped(5))};
  derive(sample);
  EXPECT_EQ(episode().lost_at_ack, 5U);
  EXPECT_EQ(episode().last_wall_ns, wall(3));
  EXPECT_TRUE(episode().ended);
}

TEST_F(EpisodesTest, AlsoIfItLostNothingBefore) {
  step(2);
  step(2);
  Sample sample = counting({}, {});
  sample.closed = {closing(sample, 1, dropped(6))};
  derive(sample);
  EXPECT_EQ(episode().lost(), 4U);
  EXPECT_EQ(episode().start_wall_ns, wall(2));
  EXPECT_TRUE(episode().ended);
}

TEST_F(EpisodesTest, OneThatCameAndWentHasOneToo) {
  derive(counting({}, {}));
  Sample sample = counting({}, {});
  sample.closed = {closing(sample, 9, dropped(6))};
  derive(sample);
  EXPECT_EQ(episode().lost(), 6U);
  EXPECT_TRUE(episode().ended);
}

TEST_F(EpisodesTest, TheKernelMayTellASampleLate) {
  step(0);
  step(3);
  derive(counting({}, {}));
  EXPECT_TRUE(episode().ended);
  Sample late = counting({}, {});
  late.closed = {closing(late, 1, dropped(5))};
  derive(late);
  EXPECT_EQ(episode().lost(), 5U);
  EXPECT_EQ(episode().overflows, 5U);
  EXPECT_TRUE(episode().ended);
}

TEST_F(EpisodesTest, OneThatListensAgainKeepsWhatItLostBefore) {
  step(0);
  step(3);
  Sample sample = counting({listener()}, {dropped(0)});
  sample.closed = {closing(sample, 1, dropped(5))};
  derive(sample);
  EXPECT_EQ(episode().lost(), 5U);
  EXPECT_FALSE(episode().ended);
  EXPECT_EQ(of_row(), &episode());
}

// ---- what is kept

TEST_F(EpisodesTest, UnchangedOnesAreShared) {
  step(0);
  step(1);
  const auto first = snapshot_->episodes.at(0);
  step(1);
  EXPECT_EQ(snapshot_->episodes.at(0), first);
  EXPECT_EQ(of_row(), first.get());
  step(2);
  EXPECT_NE(snapshot_->episodes.at(0), first);
  EXPECT_EQ(first->lost(), 1U) << "an older Snapshot shows what it showed";
}

TEST_F(EpisodesTest, TheLatestThousandAreKept) {
  std::vector<RawListener> listeners;
  for (std::uint64_t i = 1; i <= 1100; ++i) listeners.push_back(listener(i));
  derive(counting(listeners, std::vector<ListenerCounts>(1100)));
  std::vector<ListenerCounts> losing(1100);
  for (std::size_t i = 0; i < 200; ++i) losing[i] = dropped(1);
  derive(counting(listeners, losing));
  losing[0] = dropped(2);  // one goes on, the others will be over
  for (int i = 0; i < 3; ++i) derive(counting(listeners, losing));
  EXPECT_EQ(snapshot_->episodes.size(), 200U);
  for (std::size_t i = 200; i < 1100; ++i) losing[i] = dropped(1);
  losing[0] = dropped(3);
  derive(counting(listeners, losing));
  ASSERT_EQ(snapshot_->episodes.size(), 1000U);
  EXPECT_EQ(snapshot_->episodes[0]->listener.cookie, SocketCookie{1}) << "it still goes on";
  EXPECT_EQ(snapshot_->episodes[1]->listener.cookie, SocketCookie{102});
  EXPECT_EQ(snapshot_->episodes[999]->listener.cookie, SocketCookie{1100});
  for (std::size_t i = 1; i < 1000; ++i) {
    EXPECT_LE(snapshot_->episodes[i - 1]->start_wall_ns, snapshot_->episodes[i]->start_wall_ns);
  }
}

TEST_F(EpisodesTest, MoreThanAThousandAtOnce) {
  std::vector<RawListener> listeners;
  for (std::uint64_t i = 1; i <= 1100; ++i) listeners.push_back(listener(i));
  derive(counting(listeners, std::vector<ListenerCounts>(1100)));
  derive(counting(listeners, std::vector<ListenerCounts>(1100, dropped(1))));
  derive(counting(listeners, std::vector<ListenerCounts>(1100, dropped(2))));
  ASSERT_EQ(snapshot_->episodes.size(), 1000U);
  EXPECT_EQ(of_row(0), nullptr) << "it is not shown";
  EXPECT_EQ(of_row(1099), snapshot_->episodes.back().get());
  EXPECT_EQ(snapshot_->episodes.back()->lost(), 2U);
}

}  // namespace
}  // namespace listenq
