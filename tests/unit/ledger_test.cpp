// SPDX-License-Identifier: Apache-2.0
//
// What Prometheus is told must hold together: counters that never go back while a series lives,
// whatever becomes of its listeners; peaks that nobody misses; series that end.
#include "export/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "made_up.h"

namespace listenq {
namespace {

using made_up::counting;
using made_up::counts;
using made_up::kSecond;
using made_up::listener;

constexpr std::string_view kPort80 = R"(netns="4026531840",address="0.0.0.0",port="80")";

RawListener listener_at(std::uint16_t port, std::uint64_t cookie) {
  RawListener raw = listener(cookie);
  raw.port = port;
  return raw;
}

class LedgerTest : public testing::Test {
 protected:
  void add(Sample sample) { ledger_.update(made_up::derive(deriver_, std::move(sample))); }

  const Series* find(std::string_view labels = kPort80, const Selection& selection = {}) {
    told_ = ledger_.tell(selection);
    const auto found = std::find_if(told_.series.begin(), told_.series.end(),
                                    [&](const Series* one) { return one->labels == labels; });
    return found == told_.series.end() ? nullptr : *found;
  }

  /// As Exposition adds it up: those that are gone, and those that are there. Nothing: no series.
  std::optional<std::uint64_t> total(Counter counter, std::string_view labels = kPort80) {
    const Series* const series = find(labels);
    if (series == nullptr) return std::nullopt;
    std::uint64_t sum = series->gone ? (*series->gone)[counter] : 0;
    for (std::uint32_t row = series->first_row; row != Series::kNoRow;
         row = ledger_.next_rows()[row]) {
      const ListenerRow& listener = ledger_.snapshot()->listeners[row];
      if (listener.counts != nullptr) sum += (*listener.counts)[counter];
    }
    return sum;
  }

  /// A sample in which `closed` ended, with its last counts.
  static Sample with_closed(Sample sample, RawListener closed, const ListenerCounts& last) {
    closed.counts = static_cast<std::uint32_t>(sample.counts.size());
    sample.counts.push_back(last);
    sample.closed.push_back({std::move(closed), sample.monotonic_ns - kSecond / 2});
    return sample;
  }

  Ledger ledger_{{}};
  Deriver deriver_;
  Told told_;
};

TEST_F(LedgerTest, TellsNothingWithoutASnapshot) {
  EXPECT_TRUE(ledger_.tell({}).series.empty());
  EXPECT_EQ(ledger_.snapshot(), nullptr);
}

TEST_F(LedgerTest, AListenerBeginsAtZero) {
  add(counting(made_up::sample(1, {listener()})));
  EXPECT_EQ(total(Counter::overflows_syn), 0);
  add(counting(made_up::sample(2, {listener()}), {counts({{Counter::overflows_syn, 5}})}));
  EXPECT_EQ(total(Counter::overflows_syn), 5);
}

TEST_F(LedgerTest, AGroupIsOneSeries) {
  add(counting(made_up::sample(1, {listener(1), listener(2), listener_at(81, 3)}),
               {counts({{Counter::accepts, 10}}), counts({{Counter::accepts, 7}}),
                counts({{Counter::accepts, 100}})}));
  EXPECT_EQ(total(Counter::accepts), 17);
  EXPECT_EQ(told_.series.size(), 2);
}

TEST_F(LedgerTest, MembersMayHaveSeriesOfTheirOwn) {
  Ledger members({.members = true});
  members.update(made_up::derive(counting(made_up::sample(1, {listener(1), listener(2)}))));
  const Told told = members.tell({});
  ASSERT_EQ(told.series.size(), 2);
  EXPECT_EQ(told.series[0]->labels, std::string(kPort80) + R"(,member="1")");
  EXPECT_EQ(told.series[1]->labels, std::string(kPort80) + R"(,member="2")");
}

TEST_F(LedgerTest, ACounterGoesOnWhenItsServerIsRestarted) {
  add(counting(made_up::sample(1, {listener(1)}), {counts({{Counter::accepts, 10}})}));
  // The kernel tells of the close, with three more; nobody listens in this sample.
  add(with_closed(counting(made_up::sample(2)), listener(1), counts({{Counter::accepts, 13}})));
  EXPECT_EQ(total(Counter::accepts), std::nullopt);
  add(counting(made_up::sample(5, {listener(2)})));
  EXPECT_EQ(total(Counter::accepts), 13);
  add(counting(made_up::sample(6, {listener(2)}), {counts({{Counter::accepts, 4}})}));
  EXPECT_EQ(total(Counter::accepts), 17);
}

TEST_F(LedgerTest, ARestartWithinOneSampleLosesNothing) {
  add(counting(made_up::sample(1, {listener(1)}), {counts({{Counter::accepts, 10}})}));
  add(with_closed(counting(made_up::sample(2, {listener(2)}), {counts({{Counter::accepts, 2}})}),
                  listener(1), counts({{Counter::accepts, 13}})));
  EXPECT_EQ(total(Counter::accepts), 15);
}

TEST_F(LedgerTest, AMemberThatLeavesStaysInTheSum) {
  add(counting(made_up::sample(1, {listener(1), listener(2)}),
               {counts({{Counter::drops, 10}}), counts({{Counter::drops, 1}})}));
  add(with_closed(counting(made_up::sample(2, {listener(2)}), {counts({{Counter::drops, 3}})}),
                  listener(1), counts({{Counter::drops, 12}})));
  EXPECT_EQ(total(Counter::drops), 15);
  add(counting(made_up::sample(3, {listener(2)}), {counts({{Counter::drops, 4}})}));
  EXPECT_EQ(total(Counter::drops), 16);
}

// Closed while the sample was taken: in its list, and told as closed.
TEST_F(LedgerTest, OneThatIsListedAndClosedCountsOnce) {
  add(counting(made_up::sample(1, {listener(1), listener(2)}),
               {counts({{Counter::accepts, 10}}), counts({})}));
  Sample both = counting(made_up::sample(2, {listener(1), listener(2)}));
  add(with_closed(std::move(both), listener(1), counts({{Counter::accepts, 11}})));
  EXPECT_EQ(total(Counter::accepts), 11);
  add(counting(made_up::sample(3, {listener(2)})));
  EXPECT_EQ(total(Counter::accepts), 11);
  add(counting(made_up::sample(4, {listener(2)})));
  EXPECT_EQ(total(Counter::accepts), 11);
}

// shutdown(), then listen() again on the same socket.
TEST_F(LedgerTest, OneThatListensAgainGoesOn) {
  add(counting(made_up::sample(1, {listener(1)}), {counts({{Counter::accepts, 10}})}));
  add(with_closed(counting(made_up::sample(2, {listener(1)})), listener(1),
                  counts({{Counter::accepts, 12}})));
  EXPECT_EQ(total(Counter::accepts), 12);
  add(counting(made_up::sample(3, {listener(1)}), {counts({{Counter::accepts, 5}})}));
  EXPECT_EQ(total(Counter::accepts), 17);
  add(with_closed(counting(made_up::sample(4, {listener(2)})), listener(1),
                  counts({{Counter::accepts, 6}})));
  EXPECT_EQ(total(Counter::accepts), 18);
}

// A namespace that could not be read for once.
TEST_F(LedgerTest, OneThatComesBackIsNotCountedTwice) {
  add(counting(made_up::sample(1, {listener(1), listener(2)}),
               {counts({{Counter::accepts, 10}}), counts({{Counter::accepts, 1}})}));
  add(counting(made_up::sample(2, {listener(2)}), {counts({{Counter::accepts, 1}})}));
  EXPECT_EQ(total(Counter::accepts), 11);
  add(counting(made_up::sample(3, {listener(1), listener(2)}),
               {counts({{Counter::accepts, 12}}), counts({{Counter::accepts, 1}})}));
  EXPECT_EQ(total(Counter::accepts), 13);
}

TEST_F(LedgerTest, TheWordOfAnEndMayComeLate) {
  add(counting(made_up::sample(1, {listener(1), listener(2)}),
               {counts({{Counter::accepts, 10}}), counts({})}));
  add(counting(made_up::sample(2, {listener(2)})));
  EXPECT_EQ(total(Counter::accepts), 10);
  add(with_closed(counting(made_up::sample(3, {listener(2)})), listener(1),
                  counts({{Counter::accepts, 14}})));
  EXPECT_EQ(total(Counter::accepts), 14);
  for (std::uint64_t second = 4; second < 9; ++second) {
    add(counting(made_up::sample(second, {listener(2)})));
    EXPECT_EQ(total(Counter::accepts), 14);
  }
}

// However many close between two samples.
TEST_F(LedgerTest, ThousandsThatCloseAtOnce) {
  constexpr std::uint64_t kMany = 3000;
  std::vector<RawListener> listeners;
  std::vector<ListenerCounts> before;
  for (std::uint64_t i = 1; i <= kMany; ++i) {
    listeners.push_back(listener(i));
    before.push_back(counts({{Counter::accepts, 1}}));
  }
  add(counting(made_up::sample(1, listeners), before));
  EXPECT_EQ(total(Counter::accepts), kMany);
  Sample sample = counting(made_up::sample(2, {listener(kMany + 1)}));
  for (const RawListener& closed : listeners) {
    sample = with_closed(std::move(sample), closed, counts({{Counter::accepts, 2}}));
  }
  add(std::move(sample));
  EXPECT_EQ(total(Counter::accepts), 2 * kMany);
}

TEST_F(LedgerTest, ASeriesEndsWithItsLastListener) {
  add(counting(made_up::sample(1, {listener(1)}), {counts({{Counter::accepts, 10}})}));
  add(with_closed(counting(made_up::sample(2)), listener(1), counts({{Counter::accepts, 10}})));
  EXPECT_EQ(find(), nullptr);
}

// What is thrown away at the close would never be told otherwise.
TEST_F(LedgerTest, OneThatLostSomethingAtItsEndIsToldForAMinute) {
  add(counting(made_up::sample(1, {listener(1)})));
  add(with_closed(counting(made_up::sample(2)), listener(1),
                  counts({{Counter::closed_unaccepted, 3}})));
  EXPECT_EQ(total(Counter::closed_unaccepted), 3);
  ASSERT_NE(find(), nullptr);
  EXPECT_EQ(find()->first_row, Series::kNoRow);
  add(counting(made_up::sample(61)));
  EXPECT_EQ(total(Counter::closed_unaccepted), 3);
  add(counting(made_up::sample(63)));
  EXPECT_EQ(find(), nullptr);
}

TEST_F(LedgerTest, OneThatCameAndWentIsToldOnlyIfItLostSomething) {
  add(counting(made_up::sample(1)));
  Sample sample = counting(made_up::sample(2));
  sample = with_closed(std::move(sample), listener_at(81, 1), counts({{Counter::accepts, 9}}));
  sample = with_closed(std::move(sample), listener_at(82, 2), counts({{Counter::drops, 9}}));
  add(std::move(sample));
  EXPECT_EQ(find(R"(netns="4026531840",address="0.0.0.0",port="81")"), nullptr);
  EXPECT_EQ(total(Counter::drops, R"(netns="4026531840",address="0.0.0.0",port="82")"), 9);
}

TEST_F(LedgerTest, WhatIsRememberedOfTheClosedIsBounded) {
  std::uint64_t cookie = 0;
  std::uint64_t second = 0;
  // Each port once, with a loss: 5,000 series that end.
  for (int batch = 0; batch < 10; ++batch) {
    std::vector<RawListener> listeners;
    for (int i = 0; i < 500; ++i) {
      listeners.push_back(listener_at(static_cast<std::uint16_t>(1000 + cookie), cookie + 1));
      ++cookie;
    }
    add(counting(made_up::sample(++second, listeners)));
    Sample sample = counting(made_up::sample(++second));
    for (const RawListener& closed : listeners) {
      sample = with_closed(std::move(sample), closed, counts({{Counter::drops, 1}}));
    }
    add(std::move(sample));
    EXPECT_LE(ledger_.tell({}).series.size(), 1000U);
  }
  EXPECT_EQ(ledger_.tell({}).series.size(), 1000U);
  // The latest are remembered, the first are not.
  add(counting(made_up::sample(++second, {listener_at(5999, 9001), listener_at(1000, 9002)})));
  EXPECT_EQ(total(Counter::drops, R"(netns="4026531840",address="0.0.0.0",port="5999")"), 1);
  EXPECT_EQ(total(Counter::drops, R"(netns="4026531840",address="0.0.0.0",port="1000")"), 0);
}

TEST_F(LedgerTest, AfterAnHourItIsAnotherSeries) {
  add(counting(made_up::sample(1, {listener(1)}), {counts({{Counter::accepts, 10}})}));
  add(with_closed(counting(made_up::sample(2)), listener(1), counts({{Counter::accepts, 10}})));
  add(counting(made_up::sample(3603)));
  add(counting(made_up::sample(3604, {listener(2)})));
  EXPECT_EQ(total(Counter::accepts), 0);
}

TEST_F(LedgerTest, IncludeAndExcludeAreCounted) {
  const auto filters = [](const char* text) {
    std::vector<Filter> made;
    made.push_back(Filter::parse(text).value());
    return made;
  };
  add(counting(made_up::sample(1, {listener(1), listener_at(81, 2), listener_at(82, 3)})));
  Selection selection;
  selection.include = filters("port >= 81");
  selection.include.push_back(Filter::parse("port == 80").value());
  selection.exclude = filters("port == 82");
  const Told told = ledger_.tell(selection);
  EXPECT_EQ(told.series.size(), 2U);
  EXPECT_EQ(told.left_by_filter, 1U);
  EXPECT_EQ(told.left_by_bound, 0U);
  // Neither is its end.
  Sample sample = counting(made_up::sample(2, {listener(1)}));
  add(with_closed(std::move(sample), listener_at(82, 3), counts({{Counter::drops, 9}})));
  EXPECT_EQ(ledger_.tell(selection).series.size(), 1U);
}

TEST_F(LedgerTest, TheBoundKeepsWhoLostSomething) {
  add(counting(made_up::sample(1, {listener(1), listener_at(81, 2), listener_at(82, 3)})));
  add(counting(made_up::sample(2, {listener(1), listener_at(81, 2), listener_at(82, 3)}),
               {counts({}), counts({}), counts({{Counter::drops, 1}})}));
  Selection selection;
  selection.max_listeners = 2;
  const Told told = ledger_.tell(selection);
  ASSERT_EQ(told.series.size(), 2U);
  EXPECT_EQ(told.left_by_bound, 1U);
  EXPECT_EQ(told.series[0]->labels, R"(netns="4026531840",address="0.0.0.0",port="82")");
  EXPECT_EQ(told.series[1]->labels, kPort80);
}

TEST(WindowMaxTest, HoldsTheMostOfTheLastMinute) {
  WindowMax most;
  const auto at = [](std::uint64_t second) { return (1000 + second) * kSecond; };
  EXPECT_EQ(most.get(at(0)), 0U);
  most.add(at(5), 7);
  most.add(at(6), 3);
  EXPECT_EQ(most.get(at(6)), 7U);
  // At least for a minute, whoever asks and however often.
  for (std::uint64_t second = 7; second <= 65; ++second) EXPECT_EQ(most.get(at(second)), 7U);
  EXPECT_EQ(most.get(at(76)), 0U);
  for (std::uint64_t second = 66; second < 200; ++second) most.add(at(second), 1);
  EXPECT_EQ(most.get(at(199)), 1U);
  most.add(at(100'000), 2);
  EXPECT_EQ(most.get(at(100'000)), 2U);
}

TEST_F(LedgerTest, ThePeakOfEachSampleIsKept) {
  const auto peak = [&](std::uint64_t second, std::uint32_t most) {
    ListenerCounts one;
    one.accept_queue_peak = most;
    one.syn_queue_peak = most / 2;
    add(counting(made_up::sample(second, {listener(1)}), {one}));
  };
  peak(1, 0);
  peak(2, 400);
  peak(3, 0);
  peak(4, 20);
  EXPECT_EQ(find()->accept_queue_peak.get(4 * kSecond), 400U);
  EXPECT_EQ(find()->syn_queue_peak.get(4 * kSecond), 200U);
}

TEST_F(LedgerTest, AnInterfacesPacketsNeverGetFewer) {
  const auto with_ports = [](std::uint64_t second, std::vector<NicPort> ports) {
    Sample sample = counting(made_up::sample(second));
    RawNic nic;
    nic.netns = made_up::kNetns;
    nic.interface = "eth0";
    nic.ifindex = 2;
    nic.mode = NicMode::tc;
    nic.ports = std::move(ports);
    sample.nics.push_back(std::move(nic));
    return sample;
  };
  const auto port = [](std::uint16_t number, std::uint64_t syns) {
    NicPort made;
    made.port = number;
    made.syn_in = syns;
    return made;
  };
  const auto syns = [&] { return ledger_.nics().at({number(made_up::kNetns), "eth0"}).syn_in; };
  add(with_ports(1, {port(80, 10), port(81, 5)}));
  EXPECT_EQ(syns(), 15U);
  add(with_ports(2, {port(80, 11)}));  // 81 has no listener any more
  EXPECT_EQ(syns(), 16U);
  add(with_ports(3, {port(80, 11), port(81, 2)}));  // listed anew, from 0
  EXPECT_EQ(syns(), 18U);
  add(counting(made_up::sample(4)));
  EXPECT_TRUE(ledger_.nics().empty());
}

}  // namespace
}  // namespace listenq
