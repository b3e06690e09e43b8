// SPDX-License-Identifier: Apache-2.0
// Listeners that the kernel told of when they closed. Those that are only missed are in
// watch_test.cpp.
#include <gtest/gtest.h>

#include "made_up.h"
#include "model/derive.h"
#include "model/fields.h"

namespace listenq {
namespace {

using made_up::counting;
using made_up::counts;
using made_up::derive;
using made_up::kSecond;
using made_up::listener;
using made_up::sample;

class Closing : public testing::Test {
 protected:
  const Snapshot& see(Sample made) {
    last_ = derive(deriver_, std::move(made));
    return *last_;
  }

  Deriver deriver_;
  std::shared_ptr<const Snapshot> last_;
};

/// The sample also tells that this one closed, `ago` before it, with `drops` dropped in all.
Sample with_closed(Sample made, RawListener raw, std::uint64_t drops,
                   std::uint64_t ago = kSecond / 4) {
  made.closed.push_back({std::move(raw), made.monotonic_ns - ago});
  made.closed.back().listener.counts = static_cast<std::uint32_t>(made.counts.size());
  made.counts.push_back(counts({{Counter::drops, drops}}));
  return made;
}

ListenerCounts dropped(std::uint64_t drops) {
  return counts({{Counter::drops, drops}});
}

TEST_F(Closing, KeepsWhoItWasAndHasItsLastCounts) {
  const std::string id(64, 'd');
  {
    RawListener raw = listener();
    raw.interface = "eth0";
    raw.sk_drops = 4;
    raw.uid = 33;
    raw.accept_queue_len = 9;
    Sample made = counting(sample(1, {raw}), {dropped(3)});
    made.namespaces.at(0).name = "blue";
    made_up::own(made, 42, {"nginx", "/kubepods/pod1b4e28ba-2fa1-11d2-883f-0016d3cca427/" + id});
    see(made);
  }
  RawListener closing = listener();
  closing.accept_queue_len = 5;
  see(with_closed(counting(sample(3)), closing, 8));
  see(counting(sample(4)));  // nothing of the samples before is left
  ASSERT_EQ(last_->closed.size(), 1U);
  const ClosedListener& closed = *last_->closed[0];
  EXPECT_EQ(closed.closed_wall_ns, sample(3).wall_ns - kSecond / 4);
  const ListenerRow& row = closed.row;
  EXPECT_EQ(counted(row, Counter::drops), 8U);
  EXPECT_EQ(counted(row, Counter::accepts), 0U);
  EXPECT_EQ(per_second(row, Counter::drops), std::nullopt);
  EXPECT_EQ(row.raw->accept_queue_len, 5U);
  EXPECT_EQ(row.accept_queue_fill, 5.0 / 512.0);
  EXPECT_EQ(row.accept_queue_peak, 9U) << "as long as at the sample before";
  EXPECT_EQ(row.raw->interface, "eth0");
  EXPECT_EQ(row.raw->uid, 33U);
  EXPECT_EQ(row.raw->sk_drops, 4U);
  EXPECT_EQ(row.netns->raw->name, "blue");
  EXPECT_EQ(row.process->name, "nginx");
  EXPECT_EQ(row.pids.front(), 42);
  EXPECT_EQ(row.container, id);
  EXPECT_EQ(row.pod, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
}

TEST_F(Closing, IsOnce) {
  see(counting(sample(1, {listener(1), listener(2)})));
  see(with_closed(counting(sample(2, {listener(1)})), listener(2), 5));
  EXPECT_EQ(last_->closed.size(), 1U);
  see(counting(sample(3, {listener(1)})));
  see(counting(sample(4, {listener(1)})));
  EXPECT_EQ(last_->closed.size(), 1U);
}

TEST_F(Closing, WhatNoSampleEverHeldIsThere) {
  see(counting(sample(1)));
  RawListener brief = listener(7);
  brief.inode = 9;
  brief.accept_queue_limit = 4096;
  brief.accept_queue_len = 2;
  Sample made = with_closed(counting(sample(2)), brief, 6);
  made.namespaces.at(0).name = "blue";
  auto owners = std::make_shared<OwnerTable>();
  owners->pids = {31};
  owners->by_inode = {{9, {0, 1}}};
  owners->processes = {{31, {"worker", "/docker/" + std::string(64, 'e')}}};
  made.owners = owners;
  see(made);
  ASSERT_EQ(last_->closed.size(), 1U);
  const ListenerRow& row = last_->closed[0]->row;
  EXPECT_EQ(row.raw->cookie, SocketCookie{7});
  EXPECT_EQ(counted(row, Counter::drops), 6U);
  EXPECT_EQ(row.accept_queue_peak, 2U);
  EXPECT_EQ(row.limit_set_by, LimitSetBy::somaxconn);
  EXPECT_EQ(row.netns->raw->name, "blue");
  EXPECT_EQ(row.process->name, "worker");
  EXPECT_EQ(row.container, std::string(64, 'e'));
  EXPECT_EQ(row.state_age_seconds, std::nullopt);
  see(counting(sample(3)));
  EXPECT_EQ(last_->closed.size(), 1U);
}

TEST_F(Closing, InANamespaceThatIsGone) {
  Sample first = counting(sample(1));
  first.namespaces.at(0).name = "blue";
  see(first);
  Sample gone = counting(sample(2));
  gone.namespaces.clear();
  RawListener elsewhere = listener(8);
  elsewhere.netns = NetnsId{99};
  see(with_closed(with_closed(gone, listener(7), 1), elsewhere, 2));
  ASSERT_EQ(last_->closed.size(), 2U);
  EXPECT_EQ(last_->closed[0]->row.netns->raw->name, "blue");
  EXPECT_EQ(last_->closed[1]->row.netns->raw->netns, NetnsId{99});
  EXPECT_EQ(last_->closed[1]->row.netns->raw->name, std::nullopt);
  see(with_closed(gone, listener(9), 1));
}

/// The word of the kernel comes when the namespace has been gone for two samples: its place in them
/// is another's, or nobody's.
TEST_F(Closing, InANamespaceThatWasMissedBefore) {
  Sample first = counting(sample(1));
  first.namespaces = {made_up::netns(NetnsId{101}), made_up::netns()};
  see(first);
  Sample later = counting(sample(2));
  later.namespaces = {made_up::netns(NetnsId{101}), made_up::netns(NetnsId{102})};
  later.namespaces.back().name = "another";
  see(later);
  Sample last = counting(sample(3));
  last.namespaces = {made_up::netns(NetnsId{101})};
  see(with_closed(last, listener(7), 1));
  ASSERT_EQ(last_->closed.size(), 1U);
  EXPECT_EQ(last_->closed[0]->row.netns->raw->netns, made_up::kNetns);
  EXPECT_EQ(last_->closed[0]->row.netns->raw->name, std::nullopt) << "nobody knows it any more";
}

TEST_F(Closing, WithItsNamespaceOnlyOnce) {
  RawListener raw = listener(1);
  Sample made = counting(sample(1, {raw}), {dropped(1)});
  made_up::own(made, 42, {"nginx", "/x"});
  see(made);
  Sample gone = counting(sample(2));
  gone.namespaces.clear();
  see(gone);
  EXPECT_TRUE(last_->closed.empty()) << "it may be unread only";
  gone = counting(sample(3));
  gone.namespaces.clear();
  see(with_closed(gone, raw, 4, 3 * kSecond / 2));
  ASSERT_EQ(last_->closed.size(), 1U);
  EXPECT_EQ(last_->closed[0]->row.process->name, "nginx");
  EXPECT_EQ(counted(last_->closed[0]->row, Counter::drops), 4U);
  EXPECT_EQ(last_->closed[0]->closed_wall_ns, sample(3).wall_ns - 3 * kSecond / 2);
  gone = counting(sample(4));
  gone.namespaces.clear();
  see(gone);
  EXPECT_EQ(last_->closed.size(), 1U);
}

TEST_F(Closing, WordThatComesASampleLateReplacesTheGuess) {
  Sample made = counting(sample(1, {listener(1), listener(2)}), {dropped(3), dropped(0)});
  made_up::own(made, 42, {"nginx", "/x"});
  see(made);
  see(counting(sample(2)));
  ASSERT_EQ(last_->closed.size(), 2U);
  EXPECT_EQ(last_->closed[0]->closed_wall_ns, sample(2).wall_ns);
  EXPECT_EQ(counted(last_->closed[0]->row, Counter::drops), 3U);
  see(with_closed(counting(sample(3)), listener(1), 5, kSecond + 10));
  ASSERT_EQ(last_->closed.size(), 2U);
  EXPECT_EQ(last_->closed[0]->row.raw->cookie, SocketCookie{1});
  EXPECT_EQ(last_->closed[0]->closed_wall_ns, sample(2).wall_ns - 10);
  EXPECT_EQ(counted(last_->closed[0]->row, Counter::drops), 5U);
  EXPECT_EQ(last_->closed[0]->row.process->name, "nginx");
}

TEST_F(Closing, ListedAndClosedInOneSampleIsOnce) {
  see(counting(sample(1, {listener(1)})));
  see(with_closed(counting(sample(2, {listener(1)})), listener(1), 5));
  EXPECT_EQ(last_->listeners.size(), 1U);
  EXPECT_EQ(last_->closed.size(), 1U);
  see(counting(sample(3)));
  ASSERT_EQ(last_->closed.size(), 1U);
  EXPECT_EQ(counted(last_->closed[0]->row, Counter::drops), 5U);
}

TEST_F(Closing, ASocketThatListensAgainClosesAgain) {
  see(counting(sample(1, {listener(1)}), {dropped(9)}));
  see(with_closed(counting(sample(2, {listener(1)}), {dropped(2)}), listener(1), 12));
  EXPECT_EQ(per_second(last_->listeners.at(0), Counter::drops), std::nullopt);
  EXPECT_EQ(counted(last_->listeners[0], Counter::drops), 2U);
  see(counting(sample(3, {listener(1)}), {dropped(2)}));
  EXPECT_EQ(last_->closed.size(), 1U);
  see(with_closed(counting(sample(4)), listener(1), 3));
  ASSERT_EQ(last_->closed.size(), 2U);
  EXPECT_EQ(counted(last_->closed[0]->row, Counter::drops), 12U);
  EXPECT_EQ(counted(last_->closed[1]->row, Counter::drops), 3U);
}

TEST_F(Closing, NewestLast) {
  see(counting(sample(1)));
  Sample made = with_closed(counting(sample(2)), listener(1), 1, 10);
  made = with_closed(made, listener(2), 2, 30);
  made = with_closed(made, listener(3), 3, 20);
  see(made);
  std::vector<std::uint64_t> cookies;
  for (const auto& closed : last_->closed) cookies.push_back(number(*closed->row.raw->cookie));
  EXPECT_EQ(cookies, (std::vector<std::uint64_t>{2, 3, 1}));
}

TEST_F(Closing, AfterTheSampleWasBegun) {
  see(counting(sample(1)));
  Sample made = counting(sample(2));
  made.closed.push_back({listener(1), made.monotonic_ns + 500});
  see(made);
  EXPECT_EQ(last_->closed.at(0)->closed_wall_ns, made.wall_ns + 500);
  EXPECT_EQ(counted(last_->closed[0]->row, Counter::drops), 0U) << "nothing happened to it";
}

TEST_F(Closing, ThoseOnlyMissedKeepTheCountsThatWereLastRead) {
  see(counting(sample(1, {listener(1)}), {dropped(1)}));
  see(counting(sample(2, {listener(1)}), {dropped(4)}));
  see(counting(sample(3)));
  see(counting(sample(4)));
  ASSERT_EQ(last_->closed.size(), 1U);
  const ListenerRow& row = last_->closed[0]->row;
  EXPECT_EQ(counted(row, Counter::drops), 4U);
  EXPECT_EQ(per_second(row, Counter::drops), std::nullopt);
  EXPECT_FALSE(Snapshot::in_trouble(row));
}

TEST_F(Closing, NoneHasRates) {
  RawListener raw = listener(1);
  raw.sk_drops = 1;
  see(counting(sample(1, {raw}), {dropped(1)}));
  raw.sk_drops = 5;
  see(counting(sample(2, {raw}), {dropped(4)}));
  see(with_closed(counting(sample(3)), raw, 9));
  ASSERT_EQ(last_->closed.size(), 1U);
  for (const Field& field : fields()) {
    if (field.kind != Kind::rate) continue;
    EXPECT_TRUE(std::holds_alternative<std::monostate>(field.get(last_->closed[0]->row)))
        << field.id;
  }
}

TEST_F(Closing, WithoutCountingItIsStillTold) {
  see(sample(1, {listener(1)}));
  Sample made = sample(2);
  made.closed.push_back({listener(1), made.monotonic_ns - 5});
  see(made);
  ASSERT_EQ(last_->closed.size(), 1U);
  EXPECT_EQ(last_->closed[0]->closed_wall_ns, made.wall_ns - 5);
  EXPECT_EQ(last_->closed[0]->row.counts, nullptr);
}

TEST_F(Closing, ManyAreBoundedNewestKept) {
  see(counting(sample(1)));
  Sample made = counting(sample(2));
  for (std::uint64_t cookie = 1; cookie <= 10'000; ++cookie) {
    made.closed.push_back({listener(cookie), made.monotonic_ns - kSecond + cookie});
  }
  see(made);
  ASSERT_EQ(last_->closed.size(), 1000U);
  EXPECT_EQ(last_->closed.front()->row.raw->cookie, SocketCookie{9001});
  EXPECT_EQ(last_->closed.back()->row.raw->cookie, SocketCookie{10'000});
}

}  // namespace
}  // namespace listenq
