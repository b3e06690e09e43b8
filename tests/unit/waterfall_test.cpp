// SPDX-License-Identifier: Apache-2.0
// The way from the interface to accept(): what is counted on either side, what is lost in between,
// and what must not be taken for a loss.
#include "model/waterfall.h"

#include <gtest/gtest.h>

#include "made_up.h"
#include "model/fields.h"

namespace listenq {
namespace {

using made_up::counts;
using made_up::kNetns;
using made_up::listener;

/// Connections to port 80 that get through, all of them.
ListenerCounts through(std::uint64_t count) {
  return counts({{Counter::syns, count},
                 {Counter::synacks, count},
                 {Counter::handshake_acks, count},
                 {Counter::accepts, count}});
}

NicPort seen(std::uint64_t count, std::uint16_t port = 80) {
  return {port, count, 0, count, count, 0, {}};
}

RawNic eth(std::uint32_t ifindex, std::vector<NicPort> ports) {
  RawNic nic;
  nic.netns = kNetns;
  nic.interface = "eth" + std::to_string(ifindex);
  nic.ifindex = ifindex;
  nic.mode = NicMode::tc;
  nic.ports = std::move(ports);
  return nic;
}

class WaterfallTest : public testing::Test {
 protected:
  /// A sample a second, in which everything is counted and the SYN queues are known.
  Sample next(std::vector<RawListener> listeners,
              const std::vector<ListenerCounts>& listener_counts, std::vector<RawNic> nics = {}) {
    for (RawListener& raw : listeners) {
      if (!raw.syn_queue_len) raw.syn_queue_len = 0;
    }
    Sample sample =
        made_up::counting(made_up::sample(++second_, std::move(listeners)), listener_counts);
    if (!nics.empty()) sample.namespaces.at(0).nics_complete = true;
    sample.nics = std::move(nics);
    return sample;
  }
  const Snapshot& derive(Sample sample) {
    snapshot_ = made_up::derive(deriver_, std::move(sample));
    return *snapshot_;
  }
  /// The waterfall of the first listener.
  const Waterfall& step(std::vector<RawListener> listeners,
                        const std::vector<ListenerCounts>& listener_counts,
                        std::vector<RawNic> nics = {}) {
    derive(next(std::move(listeners), listener_counts, std::move(nics)));
    const Waterfall* const found = snapshot_->listeners.at(0).waterfall;
    EXPECT_NE(found, nullptr);
    static const Waterfall none;
    return found != nullptr ? *found : none;
  }
  /// One listener on port 80 and one interface, from nothing to this.
  const Waterfall& after(const ListenerCounts& gained, const NicPort& nic) {
    step({listener()}, {through(0)}, {eth(1, {seen(0)})});
    return step({listener()}, {gained}, {eth(1, {nic})});
  }

  std::uint64_t second_ = 0;
  Deriver deriver_;
  std::shared_ptr<const Snapshot> snapshot_;
};

using Step = WaterfallStep;

/// Every step that loses something, by name.
std::string losses_of(const Waterfall& waterfall) {
  std::string text;
  for (std::size_t i = 0; i < kWaterfallSteps; ++i) {
    const auto step = static_cast<Step>(i);
    const auto lost = waterfall.lost(step);
    if (lost == 0U) continue;
    if (!text.empty()) text += ", ";
    text += std::string(step_name(step)) + " " + (lost ? std::to_string(*lost) : "-");
  }
  return text;
}

TEST_F(WaterfallTest, NothingIsLostWhereAllGetThrough) {
  const Waterfall& all = after(through(1200), seen(1200));
  EXPECT_EQ(waterfall_text(all),
            "NIC 1200 > SYN 1200 > SYN-ACK 1200 > ACK 1200 > queued 1200 > accepted 1200");
  EXPECT_EQ(losses_of(all), "");
  EXPECT_EQ(all.lost_at(), std::nullopt);
  EXPECT_EQ(all.note(), "");
  EXPECT_EQ(all.since_seconds, 1.0);
  EXPECT_EQ(all.listeners, 1U);
}

TEST_F(WaterfallTest, LostBeforeTcp) {
  const Waterfall& all = after(through(6240), {80, 9360, 0, 6240, 6240, 5, {}});
  EXPECT_EQ(losses_of(all), "before_tcp 3120");
  EXPECT_EQ(all.lost_at(), Step::before_tcp);
  EXPECT_EQ(all.nic_rsts(), 5U);
  EXPECT_EQ(loss_text(all, Step::before_tcp),
            "3,120 of 9,360 SYNs seen at the interface never reached the listener: lost before TCP "
            "(nftables/iptables rules, conntrack, rp_filter, softnet)");
  EXPECT_EQ(loss_text(all, Step::at_syn), "");
}

TEST_F(WaterfallTest, SynsThatTheKernelKnewAreNotForTheListener) {
  const Waterfall& all = after(through(100), {80, 130, 30, 100, 100, 0, {}});
  EXPECT_EQ(all.nic_syns(), 100U);
  EXPECT_EQ(all.nic_syns_known(), 30U);
  EXPECT_EQ(losses_of(all), "");
}

TEST_F(WaterfallTest, RefusedAtTheSyn) {
  ListenerCounts refused = through(640);
  refused[Counter::syns] = 1200;
  const Waterfall& all = after(refused, {80, 1200, 0, 640, 640, 0, {}});
  EXPECT_EQ(losses_of(all), "at_syn 560");
  EXPECT_EQ(all.lost_at(), Step::at_syn);
  EXPECT_EQ(loss_text(all, Step::at_syn).substr(0, 45),
            "560 of 1,200 SYNs that reached the listener g");
}

TEST_F(WaterfallTest, SynAcksLostOnTheWayOut) {
  ListenerCounts lost = through(300);
  lost[Counter::syns] = lost[Counter::synacks] = 400;
  lost[Counter::synack_retransmits] = 50;
  const Waterfall& all = after(lost, {80, 400, 0, 300, 300, 0, {}});
  EXPECT_EQ(losses_of(all), "synack_out 150, unanswered 100");
  EXPECT_EQ(all.lost_at(), Step::synack_out) << "what did not leave is not unanswered";
  EXPECT_EQ(all.entered(Step::synack_out), 450U);
}

TEST_F(WaterfallTest, UnansweredSynAcks) {
  ListenerCounts lost = through(300);
  lost[Counter::syns] = lost[Counter::synacks] = 400;
  lost[Counter::synack_retransmits] = 50;
  step({listener()}, {through(0)}, {eth(1, {seen(0)})});
  RawListener now = listener();
  now.syn_queue_len = 60;
  const Waterfall& all = step({now}, {lost}, {eth(1, {{80, 400, 0, 450, 300, 0, {}}})});
  EXPECT_EQ(losses_of(all), "unanswered 40") << "60 may still be answered";
  EXPECT_EQ(all.lost_at(), Step::unanswered);
  EXPECT_EQ(all.in_syn_queue, 60U);
}

TEST_F(WaterfallTest, WhatWasInTheSynQueueAtTheStartIsAnsweredLater) {
  RawListener before = listener();
  before.syn_queue_len = 30;
  step({before}, {through(0)}, {eth(1, {seen(0)})});
  ListenerCounts late = through(0);
  late[Counter::handshake_acks] = late[Counter::accepts] = 20;
  const Waterfall& all = step({listener()}, {late}, {eth(1, {{80, 0, 0, 0, 20, 0, {}}})});
  EXPECT_EQ(losses_of(all), "unanswered 10");
}

TEST_F(WaterfallTest, AFewUnansweredAreEverydayLife) {
  ListenerCounts few = through(990);
  few[Counter::syns] = few[Counter::synacks] = 1000;
  const Waterfall& usual = after(few, {80, 1000, 0, 1000, 990, 0, {}});
  EXPECT_EQ(losses_of(usual), "unanswered 10");
  EXPECT_EQ(usual.lost_at(), std::nullopt) << "one of a hundred";
  ListenerCounts more = through(989);
  more[Counter::syns] = more[Counter::synacks] = 1000;
  EXPECT_EQ(step({listener()}, {more}, {eth(1, {{80, 1000, 0, 1000, 989, 0, {}}})}).lost_at(),
            Step::unanswered);
}

TEST_F(WaterfallTest, HandshakeAcksLostBeforeTcp) {
  ListenerCounts lost = through(300);
  lost[Counter::syns] = lost[Counter::synacks] = 400;
  const Waterfall& all = after(lost, {80, 400, 0, 400, 400, 0, {}});
  EXPECT_EQ(losses_of(all), "unanswered 100, ack_before_tcp 100");
  EXPECT_EQ(all.lost_at(), Step::ack_before_tcp) << "they were answered";
}

TEST_F(WaterfallTest, RefusedAtTheAck) {
  ListenerCounts refused = through(400);
  refused[Counter::accepts] = 100;
  step({listener()}, {through(0)}, {eth(1, {seen(0)})});
  RawListener now = listener();
  now.accept_queue_len = 128;
  const Waterfall& all = step({now}, {refused}, {eth(1, {seen(400)})});
  EXPECT_EQ(all.queued(), 228U);
  EXPECT_EQ(losses_of(all), "at_ack 172") << "who waits is not lost";
  EXPECT_EQ(all.lost_at(), Step::at_ack);
}

TEST_F(WaterfallTest, WhatWaitedAtTheStartIsNoGain) {
  RawListener before = listener();
  before.accept_queue_len = 7;
  step({before}, {through(0)}, {eth(1, {seen(0)})});
  ListenerCounts now = through(10);
  now[Counter::accepts] = 17;
  const Waterfall& all = step({listener()}, {now}, {eth(1, {seen(10)})});
  EXPECT_EQ(all.queued(), 10U);
  EXPECT_EQ(all.accepts(), 17U);
  EXPECT_EQ(losses_of(all), "");
}

TEST_F(WaterfallTest, TheWorstStepIsNamed) {
  ListenerCounts lost = through(500);
  lost[Counter::syns] = 900;
  lost[Counter::synacks] = lost[Counter::handshake_acks] = 600;
  const Waterfall& all = after(lost, {80, 1000, 0, 600, 600, 0, {}});
  EXPECT_EQ(losses_of(all), "before_tcp 100, at_syn 300, at_ack 100");
  EXPECT_EQ(all.lost_at(), Step::at_syn);
}

// ---- who shares a port

TEST_F(WaterfallTest, ListenersOfAPortShareIt) {
  RawListener other = listener(2);
  other.address = {10, 0, 0, 1};
  RawListener elsewhere = listener(3);
  elsewhere.port = 443;
  step({listener(1), other, elsewhere}, {through(5), through(7), through(9)},
       {eth(1, {seen(0), seen(0, 443)})});
  const Waterfall& all =
      step({listener(1), other, elsewhere}, {through(15), through(27), through(10)},
           {eth(1, {seen(45), seen(1, 443)})});
  EXPECT_EQ(all.syns(), 30U);
  EXPECT_EQ(all.nic_syns(), 45U);
  EXPECT_EQ(losses_of(all), "before_tcp 15, ack_before_tcp 15");
  EXPECT_EQ(all.listeners, 2U);
  EXPECT_EQ(snapshot_->listeners[1].waterfall, &all);
  EXPECT_EQ(waterfall_text(*snapshot_->listeners[2].waterfall),
            "NIC 1 > SYN 1 > SYN-ACK 1 > ACK 1 > queued 1 > accepted 1");
  EXPECT_EQ(snapshot_->listeners[2].waterfall->listeners, 1U);
}

TEST_F(WaterfallTest, TheSamePortInAnotherNamespaceIsAnother) {
  RawListener other = listener(2);
  other.netns = NetnsId{7};
  const auto both = [&](std::uint64_t here, std::uint64_t there) {
    RawNic veth = eth(1, {seen(there)});
    veth.netns = NetnsId{7};
    Sample sample =
        next({listener(1), other}, {through(here), through(there)}, {eth(1, {seen(here)}), veth});
    sample.namespaces.push_back(made_up::netns(NetnsId{7}));
    return sample;
  };
  derive(both(0, 0));
  derive(both(3, 4));
  EXPECT_EQ(snapshot_->listeners[0].waterfall->nic_syns(), 3U);
  EXPECT_EQ(snapshot_->listeners[1].waterfall->nic_syns(), 4U);
}

TEST_F(WaterfallTest, AListenerThatJoinsBringsAllItCounted) {
  step({listener(1)}, {through(5)}, {eth(1, {seen(0)})});
  EXPECT_EQ(
      losses_of(step({listener(1), listener(2)}, {through(15), through(20)}, {eth(1, {seen(30)})})),
      "");
  EXPECT_EQ(snapshot_->listeners[0].waterfall->syns(), 30U);
}

TEST_F(WaterfallTest, WhatWasCountedBeforeThePortWasWatchedIsLeftOut) {
  step({listener()}, {through(5000)});
  EXPECT_EQ(step({listener()}, {through(6000)}).syns(), 1000U) << "counted without an interface";
  const Waterfall& first = step({listener()}, {through(7000)}, {eth(1, {seen(0)})});
  EXPECT_EQ(first.syns(), 0U);
  EXPECT_EQ(first.since_seconds, 0.0);
  EXPECT_EQ(losses_of(step({listener()}, {through(7100)}, {eth(1, {seen(100)})})), "");
}

TEST_F(WaterfallTest, ASocketThatListensAgainIsCountedAnew) {
  step({listener()}, {through(100)}, {eth(1, {seen(0)})});
  step({listener()}, {through(150)}, {eth(1, {seen(50)})});
  const Waterfall& all = step({listener()}, {through(20)}, {eth(1, {seen(70)})});
  EXPECT_EQ(all.syns(), 70U);
  EXPECT_EQ(losses_of(all), "");
}

// ---- interfaces

TEST_F(WaterfallTest, InterfacesAreSummedAndMayGo) {
  step({listener()}, {through(0)}, {eth(1, {seen(0)}), eth(2, {seen(0)})});
  step({listener()}, {through(30)}, {eth(1, {seen(10)}), eth(2, {seen(20)})});
  EXPECT_EQ(snapshot_->listeners[0].waterfall->nic_syns(), 30U);
  EXPECT_EQ(step({listener()}, {through(35)}, {eth(1, {seen(15)})}).nic_syns(), 35U)
      << "it keeps what it brought";
  // Another under the number of one that is gone, and one that was counted anew.
  const Waterfall& all = step({listener()}, {through(45)}, {eth(1, {seen(4)}), eth(2, {seen(6)})});
  EXPECT_EQ(all.nic_syns(), 45U);
  EXPECT_EQ(losses_of(all), "");
}

TEST_F(WaterfallTest, WithoutAnyInterfaceTheComparisonEnds) {
  step({listener()}, {through(0)}, {eth(1, {seen(0)})});
  step({listener()}, {through(10)}, {eth(1, {seen(15)})});
  const Waterfall& alone = step({listener()}, {through(30)});
  EXPECT_EQ(alone.nic_syns(), std::nullopt);
  EXPECT_EQ(alone.syns(), 30U);
  EXPECT_EQ(step({listener()}, {through(40)}, {eth(1, {seen(0)})}).syns(), 0U) << "a new start";
  EXPECT_EQ(losses_of(step({listener()}, {through(50)}, {eth(1, {seen(10)})})), "");
}

TEST_F(WaterfallTest, APortThatAnInterfaceListsLaterCountsWhole) {
  step({listener()}, {through(0)}, {eth(1, {seen(0)})});
  step({listener()}, {through(0)}, {eth(1, {seen(0)}), eth(2, {})});
  EXPECT_EQ(step({listener()}, {through(9)}, {eth(1, {seen(2)}), eth(2, {seen(7)})}).nic_syns(),
            9U);
}

TEST_F(WaterfallTest, AnInterfaceThatIsNotWatchedSaysNothing) {
  RawNic unwatched = eth(1, {seen(50)});
  unwatched.mode.reset();
  step({listener()}, {through(0)}, {unwatched});
  const Waterfall& all = step({listener()}, {through(9)}, {unwatched});
  EXPECT_EQ(all.nic_syns(), std::nullopt);
  EXPECT_EQ(all.nic_synacks(), std::nullopt);
  EXPECT_EQ(all.lost(Step::before_tcp), std::nullopt);
  EXPECT_EQ(all.lost(Step::ack_before_tcp), std::nullopt);
  EXPECT_EQ(waterfall_text(all), "SYN 9 > SYN-ACK 9 > ACK 9 > queued 9 > accepted 9");
  EXPECT_EQ(losses_of(all), "before_tcp -, synack_out -, ack_before_tcp -");
}

TEST_F(WaterfallTest, RewrittenDestinationsAreNotCompared) {
  const auto with_nat = [&](std::uint64_t syns, std::uint64_t nic, std::string nat) {
    Sample sample = next({listener()}, {through(syns)}, {eth(1, {seen(nic)})});
    sample.namespaces.at(0).nat = std::move(nat);
    return sample;
  };
  derive(with_nat(0, 0, "nftables"));
  derive(with_nat(10, 500, "nftables"));
  const Waterfall* all = snapshot_->listeners[0].waterfall;
  EXPECT_EQ(losses_of(*all), "before_tcp -, synack_out -, ack_before_tcp -");
  EXPECT_EQ(all->nic_syns(), std::nullopt);
  EXPECT_EQ(all->note(),
            "destinations are rewritten here (nftables): ports at the interface need not be this "
            "listener's");
  EXPECT_EQ(waterfall_text(*all), "SYN 10 > SYN-ACK 10 > ACK 10 > queued 10 > accepted 10");
  // Without the rules the two are compared, from then on.
  derive(with_nat(20, 900, ""));
  derive(with_nat(30, 910, ""));
  all = snapshot_->listeners[0].waterfall;
  EXPECT_EQ(all->nic_syns(), 10U);
  EXPECT_EQ(losses_of(*all), "");
  EXPECT_EQ(all->note(), "");
}

TEST_F(WaterfallTest, MoreThanTheInterfacesSawIsNoGap) {
  const Waterfall& complete = after(through(100), seen(40));
  EXPECT_EQ(losses_of(complete), "synack_out 60");
  EXPECT_EQ(complete.note(), "");
  Sample sample = next({listener()}, {through(100)}, {eth(1, {seen(40)})});
  sample.namespaces.at(0).nics_complete = false;
  const Waterfall* all = derive(sample).listeners[0].waterfall;
  EXPECT_EQ(losses_of(*all), "synack_out -") << "they may leave where nobody looks";
  EXPECT_EQ(all->lost_at(), std::nullopt);
  EXPECT_EQ(all->note(), "not every interface of this namespace is watched");
}

TEST_F(WaterfallTest, AnIncompleteWatchThatSawAllNeedsNoNote) {
  step({listener()}, {through(0)}, {eth(1, {seen(0)})});
  Sample sample = next({listener()}, {through(40)}, {eth(1, {seen(60)})});
  sample.namespaces.at(0).nics_complete = false;
  const Waterfall* all = derive(sample).listeners[0].waterfall;
  EXPECT_EQ(all->lost(Step::before_tcp), 20U);
  EXPECT_EQ(all->note(), "");
}

// ---- what is not counted

TEST_F(WaterfallTest, WhatIsNotCountedIsAbsent) {
  Sample first = next({listener()}, {through(0)}, {eth(1, {seen(0)})});
  Sample second = next({listener()}, {through(9)}, {eth(1, {seen(9)})});
  for (Sample* sample : {&first, &second}) {
    sample->counting->counters &= ~(1U << static_cast<unsigned>(Counter::synacks));
    sample->listeners[0].syn_queue_len.reset();
  }
  derive(first);
  const Waterfall* all = derive(second).listeners[0].waterfall;
  EXPECT_EQ(waterfall_text(*all), "NIC 9 > SYN 9 > SYN-ACK - > ACK 9 > queued 9 > accepted 9");
  EXPECT_EQ(losses_of(*all), "at_syn -, synack_out -, unanswered -");
}

TEST_F(WaterfallTest, InterfacesAloneAreAWaterfallToo) {
  const auto uncounted = [&](std::uint64_t count) {
    Sample sample = made_up::sample(++second_, {listener()});
    sample.nics = {eth(1, {seen(count)})};
    return sample;
  };
  derive(uncounted(0));
  const Waterfall* all = derive(uncounted(8)).listeners[0].waterfall;
  ASSERT_NE(all, nullptr);
  EXPECT_EQ(waterfall_text(*all), "NIC 8 > SYN - > SYN-ACK - > ACK - > queued - > accepted -");
  EXPECT_EQ(all->lost_at(), std::nullopt);
}

TEST_F(WaterfallTest, WithoutBothThereIsNone) {
  EXPECT_EQ(derive(made_up::sample(1, {listener()})).listeners[0].waterfall, nullptr);
  const Field& field = *find_field("waterfall");
  EXPECT_EQ(display(field, field.get(snapshot_->listeners[0])), "-");
}

// ---- closed listeners

RawClosed closing(Sample& sample, std::uint64_t cookie, const ListenerCounts& last) {
  RawClosed closed{listener(cookie), sample.monotonic_ns - made_up::kSecond / 2};
  closed.listener.counts = static_cast<std::uint32_t>(sample.counts.size());
  sample.counts.push_back(last);
  return closed;
}

TEST_F(WaterfallTest, ThrownAwayWhenTheListenerCloses) {
  RawListener waiting = listener(1);
  waiting.accept_queue_len = 5;
  ListenerCounts before = through(20);
  before[Counter::accepts] = 15;
  step({listener(1)}, {through(0)}, {eth(1, {seen(0)})});
  EXPECT_EQ(losses_of(step({waiting}, {before}, {eth(1, {seen(20)})})), "");
  Sample last = next({}, {}, {eth(1, {seen(30)})});
  ListenerCounts end = through(30);
  end[Counter::accepts] = 21;
  end[Counter::closed_unaccepted] = 9;
  last.closed = {closing(last, 1, end)};
  derive(last);
  ASSERT_EQ(snapshot_->closed.size(), 1U);
  const Waterfall* all = snapshot_->closed[0]->row.waterfall;
  ASSERT_NE(all, nullptr);
  EXPECT_EQ(waterfall_text(*all),
            "NIC 30 > SYN 30 > SYN-ACK 30 > ACK 30 > queued 30 > accepted 21");
  EXPECT_EQ(losses_of(*all), "unaccepted 9");
  EXPECT_EQ(all->lost_at(), Step::unaccepted);
  EXPECT_EQ(loss_text(*all, Step::unaccepted),
            "9 of 30 connections in the accept queue were thrown away when a listener closed");
  // It outlives the samples that it was read in.
  const auto closed = snapshot_->closed[0];
  for (int i = 0; i < 3; ++i) derive(next({}, {}));
  EXPECT_EQ(closed->row.waterfall->lost(Step::unaccepted), 9U);
}

TEST_F(WaterfallTest, WhoRemainsKeepsWhatTheClosedOneBrought) {
  step({listener(1), listener(2)}, {through(0), through(0)}, {eth(1, {seen(0)})});
  step({listener(1), listener(2)}, {through(10), through(20)}, {eth(1, {seen(30)})});
  Sample sample = next({listener(1)}, {through(11)}, {eth(1, {seen(36)})});
  sample.closed = {closing(sample, 2, through(25))};
  const Waterfall* all = derive(sample).listeners[0].waterfall;
  EXPECT_EQ(all->syns(), 36U);
  EXPECT_EQ(all->listeners, 1U);
  EXPECT_EQ(losses_of(*all), "");
}

TEST_F(WaterfallTest, OneThatCameAndWentBetweenTwoSamplesCounts) {
  step({listener(1)}, {through(0)}, {eth(1, {seen(0)})});
  Sample sample = next({listener(1)}, {through(4)}, {eth(1, {seen(10)})});
  sample.closed = {closing(sample, 9, through(6))};
  EXPECT_EQ(losses_of(*derive(sample).listeners[0].waterfall), "");
}

TEST_F(WaterfallTest, TheKernelMayTellOfAClosedOneASampleLate) {
  step({listener(1)}, {through(0)}, {eth(1, {seen(0)})});
  step({listener(1)}, {through(10)}, {eth(1, {seen(10)})});
  derive(next({}, {}));
  ASSERT_EQ(snapshot_->closed.size(), 1U);
  EXPECT_EQ(snapshot_->closed[0]->row.waterfall->syns(), 10U);
  Sample late = next({}, {});
  ListenerCounts end = through(13);
  end[Counter::accepts] = 12;
  end[Counter::closed_unaccepted] = 1;
  late.closed = {closing(late, 1, end)};
  derive(late);
  ASSERT_EQ(snapshot_->closed.size(), 1U);
  EXPECT_EQ(snapshot_->closed[0]->row.waterfall->syns(), 13U);
  EXPECT_EQ(snapshot_->closed[0]->row.waterfall->lost_at(), Step::unaccepted);
}

TEST_F(WaterfallTest, AGapInTheListeningBeginsAnew) {
  step({listener(1)}, {through(0)}, {eth(1, {seen(0)})});
  step({listener(1)}, {through(10)}, {eth(1, {seen(25)})});
  derive(next({}, {}, {eth(1, {})}));
  const Waterfall& all = step({listener(2)}, {through(3)}, {eth(1, {seen(0)})});
  EXPECT_EQ(all.syns(), 0U);
  EXPECT_EQ(all.since_seconds, 0.0);
}

TEST_F(WaterfallTest, AListenerThatCouldNotBeReadOnceBeginsAnew) {
  step({listener(1)}, {through(0)}, {eth(1, {seen(0)})});
  Sample unread = next({}, {});
  unread.namespaces.clear();
  derive(unread);
  EXPECT_EQ(step({listener(1)}, {through(50)}, {eth(1, {seen(80)})}).syns(), 0U);
  EXPECT_EQ(losses_of(step({listener(1)}, {through(51)}, {eth(1, {seen(81)})})), "");
}

// ---- replay

TEST_F(WaterfallTest, ARecordingThatBeginsAgainBeginsAnew) {
  step({listener()}, {through(0)}, {eth(1, {seen(0)})});
  step({listener()}, {through(10)}, {eth(1, {seen(40)})});
  second_ = 0;  // time goes back
  EXPECT_EQ(step({listener()}, {through(5)}, {eth(1, {seen(99)})}).since_seconds, 0.0);
  EXPECT_EQ(losses_of(step({listener()}, {through(6)}, {eth(1, {seen(100)})})), "");
}

TEST_F(WaterfallTest, CountingThatBeginsLaterBeginsAnew) {
  Sample uncounted = made_up::sample(++second_, {listener()});
  uncounted.nics = {eth(1, {seen(0)})};
  derive(uncounted);
  EXPECT_EQ(step({listener()}, {through(5)}, {eth(1, {seen(7)})}).nic_syns(), 0U);
  EXPECT_EQ(step({listener()}, {through(6)}, {eth(1, {seen(8)})}).nic_syns(), 1U);
}

// ---- as a field

TEST_F(WaterfallTest, SortsByWhatIsLost) {
  RawListener other = listener(2);
  other.port = 443;
  step({listener(1), other}, {through(0), through(0)}, {eth(1, {seen(0), seen(0, 443)})});
  step({listener(1), other}, {through(10), through(10)}, {eth(1, {seen(12), seen(15, 443)})});
  auto rows = made_up::rows_of(*snapshot_);
  sort_rows(rows, parse_sort("waterfall").value());
  EXPECT_EQ(rows[0]->raw->port, 443);
  sort_rows(rows, parse_sort("waterfall:asc").value());
  EXPECT_EQ(rows[0]->raw->port, 80);
}

}  // namespace
}  // namespace listenq
