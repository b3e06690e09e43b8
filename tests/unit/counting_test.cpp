// SPDX-License-Identifier: Apache-2.0
// What follows from counts: rates, peaks, what set a limit, and whether the sums add up.
#include <gtest/gtest.h>

#include "made_up.h"
#include "model/derive.h"

namespace listenq {
namespace {

using made_up::counting;
using made_up::counts;
using made_up::derive;
using made_up::listener;
using made_up::netns;
using made_up::sample;

class Counted : public testing::Test {
 protected:
  const Snapshot& see(Sample made) {
    last_ = derive(deriver_, std::move(made));
    return *last_;
  }
  const ListenerRow& see_one(Sample made) { return see(std::move(made)).listeners.at(0); }

  Deriver deriver_;
  std::shared_ptr<const Snapshot> last_;
};

ListenerCounts dropped(std::uint64_t drops) {
  return counts({{Counter::drops, drops}});
}

TEST_F(Counted, NothingIsCountedWithoutABackendThatDoes) {
  const ListenerRow& row = see_one(sample(1, {listener()}));
  EXPECT_EQ(row.counts, nullptr);
  EXPECT_EQ(row.counting, nullptr);
  EXPECT_EQ(counted(row, Counter::drops), std::nullopt);
  EXPECT_EQ(row.accept_queue_peak, std::nullopt);
  EXPECT_EQ(last_->totals.drops_per_second, std::nullopt);
  EXPECT_EQ(last_->totals.coverage, std::nullopt);
}

TEST_F(Counted, WhatDidNotHappenIsZero) {
  const Snapshot& snapshot = see(counting(sample(1, {listener(1), listener(2)})));
  for (const ListenerRow& row : snapshot.listeners) {
    for (std::size_t i = 0; i < kCounters; ++i) {
      EXPECT_EQ(counted(row, static_cast<Counter>(i)), 0U);
    }
  }
  EXPECT_EQ(snapshot.listeners[0].counts, snapshot.listeners[1].counts) << "one object for all";
}

TEST_F(Counted, RatesNeedTwoSamplesOfTheListener) {
  EXPECT_EQ(per_second(see_one(counting(sample(10, {listener(1)}), {dropped(5)})), Counter::drops),
            std::nullopt);
  EXPECT_EQ(per_second(see_one(counting(sample(14, {listener(1)}), {dropped(7)})), Counter::drops),
            0.5);
  // The second listener is new; it has counts already.
  see(counting(sample(15, {listener(1), listener(2)}), {dropped(7), dropped(3)}));
  EXPECT_EQ(per_second(last_->listeners[0], Counter::drops), 0.0);
  EXPECT_EQ(per_second(last_->listeners[1], Counter::drops), std::nullopt);
  EXPECT_EQ(counted(last_->listeners[1], Counter::drops), 3U);
}

TEST_F(Counted, RatesBeginWithTheFirstEvent) {
  see(counting(sample(1, {listener()})));
  const ListenerRow& row = see_one(counting(sample(3, {listener()}), {dropped(8)}));
  EXPECT_EQ(per_second(row, Counter::drops), 4.0);
  EXPECT_EQ(per_second(row, Counter::syns), 0.0);
}

TEST_F(Counted, ACounterThatWentBackHasNoRateOnce) {
  see(counting(sample(1, {listener()}), {counts({{Counter::drops, 9}, {Counter::syns, 20}})}));
  // The socket listens again, and is counted anew.
  const ListenerRow& row = see_one(
      counting(sample(2, {listener()}), {counts({{Counter::drops, 2}, {Counter::syns, 30}})}));
  EXPECT_EQ(per_second(row, Counter::drops), std::nullopt);
  EXPECT_EQ(per_second(row, Counter::syns), 10.0);
  EXPECT_EQ(counted(row, Counter::drops), 2U);
  EXPECT_EQ(per_second(see_one(counting(sample(3, {listener()}), {dropped(5)})), Counter::drops),
            3.0);
}

TEST_F(Counted, RatesFollowTheListenerNotItsPlace) {
  see(counting(sample(1, {listener(1), listener(2)}), {dropped(10), dropped(100)}));
  see(counting(sample(2, {listener(2), listener(1)}), {dropped(101), dropped(15)}));
  EXPECT_EQ(per_second(last_->listeners[0], Counter::drops), 1.0);
  EXPECT_EQ(per_second(last_->listeners[1], Counter::drops), 5.0);
}

TEST_F(Counted, RatesOutliveTheSampleTheyStartFrom) {
  see(counting(sample(1, {listener()}), {dropped(1)}));
  const auto second = derive(deriver_, counting(sample(2, {listener()}), {dropped(4)}));
  last_.reset();
  see(counting(sample(3, {listener()}), {dropped(5)}));
  see(counting(sample(4, {listener()}), {dropped(6)}));
  EXPECT_EQ(per_second(second->listeners.at(0), Counter::drops), 3.0);
}

TEST_F(Counted, WhatTheSampleBeforeDidNotCountHasNoRate) {
  Sample before = counting(sample(1, {listener()}));
  before.counting->counters &= ~1U;  // syns
  see(before);
  const ListenerRow& row = see_one(counting(sample(2, {listener()}), {dropped(3)}));
  EXPECT_EQ(per_second(row, Counter::drops), 3.0);
  EXPECT_EQ(per_second(row, Counter::syns), std::nullopt);
  see(sample(3, {listener()}));
  EXPECT_EQ(per_second(last_->listeners.at(0), Counter::drops), std::nullopt);
  EXPECT_EQ(per_second(see_one(counting(sample(4, {listener()}), {dropped(3)})), Counter::drops),
            std::nullopt);
}

TEST_F(Counted, AGapHasNoRate) {
  see(counting(sample(1, {listener()}), {dropped(1)}));
  Sample unread = counting(sample(2));
  unread.namespaces.clear();
  see(unread);
  EXPECT_EQ(per_second(see_one(counting(sample(3, {listener()}), {dropped(4)})), Counter::drops),
            std::nullopt);
}

TEST_F(Counted, TroubleIsWhatIsLostNow) {
  RawListener raw = listener();
  raw.sk_drops = 5;
  see(counting(sample(1, {raw}), {dropped(7)}));
  EXPECT_EQ(last_->totals.in_trouble, 0U);
  // The socket's own counter grows by other things too.
  raw.sk_drops = 9;
  see(counting(sample(2, {raw}), {dropped(7)}));
  EXPECT_EQ(last_->totals.in_trouble, 0U);
  EXPECT_EQ(last_->totals.sk_drops_per_second, 4.0);
  see(counting(sample(3, {raw}), {dropped(8)}));
  EXPECT_EQ(last_->totals.in_trouble, 1U);
  EXPECT_EQ(losses_per_second(last_->listeners[0]), 1.0);
  EXPECT_EQ(losses(last_->listeners[0]), 8U);
}

TEST_F(Counted, LossesAreWhatIsLeftToTellThem) {
  RawListener raw = listener();
  raw.sk_drops = 1;
  const auto at = [&](std::uint64_t second, std::uint64_t count) {
    Sample made =
        counting(sample(second, {raw}),
                 {counts({{Counter::overflows_syn, count}, {Counter::overflows_ack, 10 * count}})});
    made.counting->counters &= ~(1U << static_cast<unsigned>(Counter::drops));
    return made;
  };
  see(at(1, 1));
  see(at(2, 3));
  EXPECT_EQ(losses_per_second(last_->listeners[0]), 22.0);
  EXPECT_EQ(losses(last_->listeners[0]), 33U);
  const auto without_syn = [&](std::uint64_t second, std::uint32_t sk_drops) {
    raw.sk_drops = sk_drops;
    Sample made = at(second, 3);
    made.counting->counters &= ~(1U << static_cast<unsigned>(Counter::overflows_syn));
    return made;
  };
  see(without_syn(3, 1));
  see(without_syn(4, 3));
  EXPECT_EQ(losses_per_second(last_->listeners[0]), 2.0);
  EXPECT_EQ(losses(last_->listeners[0]), 3U);
}

// --- peaks

TEST_F(Counted, PeakIsTheMostSinceTheSampleBefore) {
  struct Case {
    std::uint32_t before, in_kernel, now, peak;
  };
  for (const Case& c : {Case{0, 0, 0, 0}, Case{9, 0, 4, 9}, Case{2, 7, 3, 7}, Case{2, 7, 8, 8}}) {
    Deriver deriver;
    RawListener raw = listener();
    raw.accept_queue_len = c.before;
    raw.syn_queue_len = c.before;
    derive(deriver, counting(sample(1, {raw})));
    raw.accept_queue_len = c.now;
    raw.syn_queue_len = c.now;
    ListenerCounts seen;
    seen.accept_queue_peak = seen.syn_queue_peak = c.in_kernel;
    const auto snapshot = derive(deriver, counting(sample(2, {raw}), {seen}));
    EXPECT_EQ(snapshot->listeners[0].accept_queue_peak, c.peak);
    EXPECT_EQ(snapshot->listeners[0].syn_queue_peak, c.peak);
  }
}

TEST_F(Counted, PeakNeedsPeaks) {
  Sample made = counting(sample(1, {listener()}));
  made.counting->peaks = false;
  EXPECT_EQ(see_one(made).accept_queue_peak, std::nullopt);
  EXPECT_EQ(last_->listeners[0].syn_queue_peak, std::nullopt);
}

TEST_F(Counted, PeakOfAnUnreadSynQueueIsWhatWasSeen) {
  EXPECT_EQ(see_one(counting(sample(1, {listener()}))).syn_queue_peak, std::nullopt);
  ListenerCounts seen;
  seen.syn_queue_peak = 4;
  EXPECT_EQ(see_one(counting(sample(2, {listener()}), {seen})).syn_queue_peak, 4U);
  RawListener raw = listener();
  raw.syn_queue_len = 0;
  EXPECT_EQ(see_one(counting(sample(3, {raw}))).syn_queue_peak, 0U);
}

// --- limits

TEST_F(Counted, WhatListenAskedForTellsWhatSetTheLimit) {
  struct Case {
    std::int32_t requested;
    std::uint32_t limit;
    std::optional<std::int64_t> somaxconn;
    LimitSetBy by;
    std::optional<bool> raised;
  };
  for (const Case& c : {
           // It got what it asked for, though somaxconn is the same, or was the default once.
           Case{4096, 4096, 4096, LimitSetBy::application, false},
           Case{128, 128, 4096, LimitSetBy::application, false},
           Case{128, 128, std::nullopt, LimitSetBy::application, false},
           Case{511, 511, 4096, LimitSetBy::application, false},
           // somaxconn was lowered since.
           Case{1024, 1024, 512, LimitSetBy::application, false},
           // It was cut; whether a new call would get more is up to somaxconn.
           Case{511, 128, 128, LimitSetBy::somaxconn, false},
           Case{511, 128, 4096, LimitSetBy::somaxconn, true},
           Case{511, 300, 200, LimitSetBy::somaxconn, false},
           Case{511, 300, std::nullopt, LimitSetBy::somaxconn, std::nullopt},
           // The kernel takes a negative backlog as the largest.
           Case{-1, 4096, 4096, LimitSetBy::somaxconn, false},
           Case{-1, 4096, 65535, LimitSetBy::somaxconn, true},
           // Less than the limit: not the call that set it.
           Case{100, 511, 4096, LimitSetBy::application, false},
           Case{100, 128, 4096, LimitSetBy::unknown, std::nullopt},
       }) {
    RawListener raw = listener();
    raw.accept_queue_limit = c.limit;
    raw.listen_requested = c.requested;
    Sample made = sample(1, {raw});
    made.namespaces.at(0).sysctls.somaxconn = c.somaxconn;
    const auto snapshot = derive(made);
    const ListenerRow& row = snapshot->listeners.at(0);
    EXPECT_EQ(row.limit_set_by, c.by) << c.requested << " " << c.limit;
    EXPECT_EQ(row.somaxconn_raised_since, c.raised) << c.requested << " " << c.limit;
  }
}

TEST_F(Counted, ACallThatIsSeenLaterCorrectsTheGuess) {
  RawListener raw = listener();
  raw.accept_queue_limit = 4096;
  EXPECT_EQ(see_one(sample(1, {raw})).limit_set_by, LimitSetBy::somaxconn);
  raw.listen_requested = 4096;
  EXPECT_EQ(see_one(sample(2, {raw})).limit_set_by, LimitSetBy::application);
  raw.listen_requested = 65535;
  EXPECT_EQ(see_one(sample(3, {raw})).limit_set_by, LimitSetBy::somaxconn);
}

// --- sums

/// `before` and `after` are what the kernel says when it is read before our sums and after them.
Sample with_losses(std::uint64_t second, std::uint64_t before, std::optional<std::uint64_t> after,
                   std::uint64_t ours) {
  Sample made = counting(sample(second));
  RawNamespace& raw = made.namespaces.at(0);
  raw.mib = MibCounters{{"ListenOverflows", 0}, {"ListenDrops", before}};
  if (after) raw.mib_after = MibCounters{{"ListenOverflows", 0}, {"ListenDrops", *after}};
  raw.counted = 0;
  made.counts = {dropped(ours)};
  return made;
}

std::int64_t drops_residual(const NamespaceRow& row) {
  for (const auto& [name, count] : row.residual.value()) {
    if (name == "ListenDrops") return count;
  }
  ADD_FAILURE() << "no residual";
  return 0;
}

TEST_F(Counted, CoverageIsOurLossesByThoseOfTheKernel) {
  see(with_losses(1, 100, std::nullopt, 7));
  EXPECT_EQ(last_->namespaces[0].coverage, std::nullopt);
  EXPECT_EQ(last_->namespaces[0].counted_since_start, std::nullopt);
  EXPECT_EQ(last_->namespaces[0].residual, std::nullopt);
  see(with_losses(2, 100, std::nullopt, 7));
  EXPECT_EQ(last_->namespaces[0].coverage, std::nullopt) << "nothing was lost";
  EXPECT_EQ(drops_residual(last_->namespaces[0]), 0);
  see(with_losses(3, 110, std::nullopt, 17));
  EXPECT_EQ(last_->namespaces[0].coverage, 1.0);
  EXPECT_EQ(last_->totals.coverage, 1.0);
  EXPECT_TRUE(last_->totals.unexplained.empty());
  see(with_losses(4, 120, std::nullopt, 22));
  EXPECT_EQ(last_->namespaces[0].coverage, 0.75);
  EXPECT_EQ(drops_residual(last_->namespaces[0]), 5);
  see(with_losses(5, 120, std::nullopt, 32));
  EXPECT_EQ(last_->namespaces[0].coverage, 1.25);
  EXPECT_EQ(drops_residual(last_->namespaces[0]), -5);
  ASSERT_EQ(last_->totals.unexplained.size(), 1U);
  EXPECT_EQ(last_->totals.unexplained[0].not_in_kernel, 5U);
  EXPECT_EQ(last_->totals.unexplained[0].not_attributed, 0U);
}

TEST_F(Counted, OursLieBetweenTheTwoReadsOfTheKernel) {
  struct Case {
    std::uint64_t before, after, ours;
    std::optional<double> coverage;
    std::int64_t residual;
  };
  // From a start at 100, ours at 0.
  for (const Case& c : {Case{110, 114, 10, 1.0, 0}, Case{110, 114, 12, 1.0, 0},
                        Case{110, 114, 14, 1.0, 0}, Case{110, 114, 8, 0.8, 2},
                        Case{110, 114, 15, 15.0 / 14.0, -1}, Case{100, 104, 0, std::nullopt, 0},
                        Case{100, 104, 3, 1.0, 0}, Case{100, 100, 2, std::nullopt, -2}}) {
    Deriver deriver;
    derive(deriver, with_losses(1, 100, std::nullopt, 0));
    const auto snapshot = derive(deriver, with_losses(2, c.before, c.after, c.ours));
    EXPECT_EQ(snapshot->namespaces[0].coverage, c.coverage) << c.ours;
    EXPECT_EQ(drops_residual(snapshot->namespaces[0]), c.residual) << c.ours;
    EXPECT_EQ(snapshot->totals.unexplained.empty(), c.residual == 0) << c.ours;
  }
}

TEST_F(Counted, TheStartIsABracketToo) {
  // The kernel went from 100 to 104 while ours were read as 50: from 2 to 12 are explained.
  for (const auto& [ours, residual] :
       {std::pair{51U, 5}, {55U, 1}, {56U, 0}, {60U, 0}, {61U, -1}}) {
    Deriver deriver;
    derive(deriver, with_losses(1, 100, 104, 50));
    const auto snapshot = derive(deriver, with_losses(2, 110, std::nullopt, ours));
    EXPECT_EQ(drops_residual(snapshot->namespaces[0]), residual) << ours;
    EXPECT_EQ(snapshot->namespaces[0].coverage == 1.0, residual == 0) << ours;
  }
}

TEST_F(Counted, MibIsShownAsItWasLastRead) {
  see(with_losses(1, 100, 104, 0));
  see(with_losses(2, 110, 113, 7));
  EXPECT_EQ(last_->namespaces[0].mib_since_start,
            (MibCounters{{"ListenOverflows", 0}, {"ListenDrops", 9}}));
  EXPECT_EQ(last_->totals.listen_drops_since_start, 9U);
  EXPECT_EQ(last_->totals.listen_drops_per_second, 9.0);
  see(with_losses(4, 115, std::nullopt, 9));
  EXPECT_EQ(last_->totals.listen_drops_since_start, 11U);
  EXPECT_EQ(last_->totals.listen_drops_per_second, 1.0);
}

TEST_F(Counted, SumsHaveTheNamesOfTheKernel) {
  Sample made = counting(sample(1));
  made.namespaces.at(0).mib = MibCounters{{"ListenOverflows", 0}};
  see(made);
  made = counting(sample(2));
  made.namespaces.at(0).mib = MibCounters{{"ListenOverflows", 3}};
  made.namespaces.at(0).counted = 0;
  made.counts.emplace_back();
  for (std::size_t i = 0; i < kCounters; ++i) made.counts[0].values[i] = std::uint64_t{1} << i;
  see(made);
  const auto bit = [](Counter counter) {
    return std::uint64_t{1} << static_cast<unsigned>(counter);
  };
  const MibCounters expected = {
      {"ListenOverflows", bit(Counter::overflows_syn) + bit(Counter::overflows_ack)},
      {"ListenDrops", bit(Counter::drops)},
      {"TCPReqQFullDrop", bit(Counter::drops_syn_queue_full)},
      {"SyncookiesSent", bit(Counter::cookies_sent)},
      {"SyncookiesRecv", bit(Counter::cookies_valid)},
      {"SyncookiesFailed", bit(Counter::cookies_invalid)},
      {"TCPFastOpenListenOverflow", bit(Counter::fastopen_overflows)},
      {"TCPDeferAcceptDrop", bit(Counter::drops_defer_accept)},
  };
  EXPECT_EQ(last_->namespaces[0].counted_since_start, expected);
  // Only where the kernel's can be read.
  EXPECT_EQ(last_->namespaces[0].residual->size(), 1U);
  EXPECT_EQ(last_->namespaces[0].coverage, std::nullopt);
}

TEST_F(Counted, SumsAreOnlyOfWhatIsCounted) {
  const auto at = [](std::uint64_t second) {
    Sample made = counting(sample(second));
    made.counting->counters &= ~(1U << static_cast<unsigned>(Counter::overflows_ack));
    made.namespaces.at(0).mib = MibCounters{{"ListenOverflows", second}, {"ListenDrops", second}};
    return made;
  };
  see(at(1));
  see(at(2));
  for (const auto& [name, value] : last_->namespaces[0].counted_since_start.value()) {
    EXPECT_NE(name, "ListenOverflows");
    EXPECT_EQ(value, 0U) << "nothing was counted yet: " << name;
  }
  EXPECT_EQ(last_->namespaces[0].coverage, 0.0);
  EXPECT_EQ(last_->namespaces[0].residual->size(), 1U);
  EXPECT_EQ(last_->totals.overflows_per_second, std::nullopt);
  EXPECT_EQ(last_->totals.drops_per_second, 0.0);
}

TEST_F(Counted, WithoutTheKernelsCountersThereIsNothingToCompare) {
  see(counting(sample(1)));
  see(counting(sample(2)));
  EXPECT_EQ(last_->namespaces[0].counted_since_start, std::nullopt);
  EXPECT_EQ(last_->namespaces[0].coverage, std::nullopt);
}

TEST_F(Counted, ANamespaceThatAppearsLaterStartsWithItsFirstSample) {
  see(with_losses(1, 0, std::nullopt, 0));
  const auto both = [](std::uint64_t second, std::uint64_t kernel, std::uint64_t ours) {
    Sample made = with_losses(second, 0, std::nullopt, 0);
    RawNamespace late = netns(NetnsId{7});
    late.mib = MibCounters{{"ListenDrops", kernel}};
    late.counted = 1;
    made.counts.push_back(dropped(ours));
    made.namespaces.push_back(late);
    return made;
  };
  see(both(2, 50, 40));
  EXPECT_EQ(last_->namespaces[1].counted_since_start, std::nullopt);
  EXPECT_EQ(last_->totals.drops_per_second, 0.0);
  see(both(3, 58, 48));
  EXPECT_EQ(last_->namespaces[1].coverage, 1.0);
  EXPECT_EQ(last_->namespaces[1].mib_since_start, (MibCounters{{"ListenDrops", 8}}));
  EXPECT_EQ(last_->totals.drops_per_second, 8.0);
}

TEST_F(Counted, TheWholeMachineIsTheSumOfItsNamespaces) {
  const auto three = [](std::uint64_t second, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    Sample made = counting(sample(second));
    made.namespaces = {netns(), netns(NetnsId{7}), netns(NetnsId{8})};
    for (std::uint32_t i = 0; i < 3; ++i) {
      made.namespaces[i].mib = MibCounters{{"ListenDrops", 100 * (second - 1)}};
      made.namespaces[i].counted = i;
    }
    made.counts = {dropped(a), dropped(b), dropped(c)};
    return made;
  };
  see(three(1, 0, 0, 0));
  see(three(2, 100, 100, 100));
  EXPECT_EQ(last_->totals.coverage, 1.0);
  EXPECT_TRUE(last_->totals.unexplained.empty());
  see(three(3, 200, 170, 200));
  EXPECT_EQ(last_->totals.coverage, 0.95);
  EXPECT_EQ(last_->namespaces[0].coverage, 1.0);
  // Too many in one namespace do not hide that others lack some.
  see(three(4, 300, 290, 310));
  EXPECT_EQ(last_->totals.coverage, 1.0);
  ASSERT_EQ(last_->totals.unexplained.size(), 1U);
  EXPECT_EQ(last_->totals.unexplained[0].name, "ListenDrops");
  EXPECT_EQ(last_->totals.unexplained[0].not_attributed, 10U);
  EXPECT_EQ(last_->totals.unexplained[0].not_in_kernel, 10U);
}

TEST_F(Counted, TotalsAreOfTheNamespacesClosedListenersIncluded) {
  const auto at = [](std::uint64_t second, const ListenerCounts& all) {
    Sample made = counting(sample(second));
    made.namespaces.at(0).counted = 0;
    made.counts = {all};
    return made;
  };
  see(at(1, counts({{Counter::syns, 10}})));
  EXPECT_EQ(last_->totals.syns_per_second, std::nullopt);
  see(at(3, counts({{Counter::syns, 30},
                    {Counter::accepts, 8},
                    {Counter::overflows_syn, 2},
                    {Counter::overflows_ack, 4},
                    {Counter::drops, 7}})));
  EXPECT_EQ(last_->totals.syns_per_second, 10.0);
  EXPECT_EQ(last_->totals.accepts_per_second, 4.0);
  EXPECT_EQ(last_->totals.overflows_per_second, 3.0);
  EXPECT_EQ(last_->totals.drops_per_second, 3.5);
}

}  // namespace
}  // namespace listenq
