// SPDX-License-Identifier: Apache-2.0
// What follows from one sample alone. What follows from several is in watch_test.cpp.
#include "model/derive.h"

#include <gtest/gtest.h>

#include <limits>

#include "made_up.h"

namespace listenq {
namespace {

using made_up::derive;
using made_up::listener;
using made_up::sample;

TEST(Derive, EmptySampleGivesEmptySnapshot) {
  Sample nothing;
  const auto snapshot = derive(nothing);
  EXPECT_TRUE(snapshot->listeners.empty());
  EXPECT_TRUE(snapshot->namespaces.empty());
  EXPECT_TRUE(snapshot->closed.empty());
  EXPECT_EQ(snapshot->interval_seconds, std::nullopt);
}

TEST(Derive, AcceptQueueHoldsOneMoreThanItsLimit) {
  struct Case {
    std::uint32_t length;
    std::uint32_t limit;
    double fill;
  };
  constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
  for (const Case& c : {Case{0, 511, 0.0}, Case{512, 511, 1.0}, Case{511, 511, 511.0 / 512.0},
                        Case{0, 0, 0.0}, Case{1, 0, 1.0}, Case{1, 1, 0.5}, Case{6, 2, 2.0},
                        Case{kMost, kMost, 4294967295.0 / 4294967296.0}}) {
    RawListener raw = listener();
    raw.accept_queue_len = c.length;
    raw.accept_queue_limit = c.limit;
    const auto snapshot = derive(sample(1, {raw}));
    EXPECT_DOUBLE_EQ(snapshot->listeners.at(0).accept_queue_fill, c.fill)
        << c.length << " of " << c.limit;
    EXPECT_EQ(Snapshot::in_trouble(snapshot->listeners.at(0)), c.fill >= 1.0);
  }
}

std::optional<std::uint32_t> syn_limit(std::uint32_t limit, std::optional<std::int64_t> cookies,
                                       std::optional<std::int64_t> backlog) {
  Sysctls sysctls;
  sysctls.tcp_syncookies = cookies;
  sysctls.tcp_max_syn_backlog = backlog;
  return applying_syn_queue_limit(limit, sysctls);
}

TEST(Derive, SynQueueLimitIsTheOneThatApplies) {
  // With cookies the backlog alone, whatever tcp_max_syn_backlog says.
  EXPECT_EQ(syn_limit(511, 1, 128), 511U);
  EXPECT_EQ(syn_limit(511, 1, std::nullopt), 511U);
  EXPECT_EQ(syn_limit(4294967295, 1, 128), 4294967295U);
  // Cookies always: the queue is not used.
  EXPECT_EQ(syn_limit(511, 2, 128), std::nullopt);
  // Cookies never: 3/4 of tcp_max_syn_backlog, rounded as the kernel does.
  EXPECT_EQ(syn_limit(511, 0, 128), 96U);
  EXPECT_EQ(syn_limit(50, 0, 128), 50U);
  EXPECT_EQ(syn_limit(511, 0, 3), 3U);
  EXPECT_EQ(syn_limit(511, 0, 5), 4U);
  EXPECT_EQ(syn_limit(511, 0, 1), 1U);
  EXPECT_EQ(syn_limit(511, 0, 0), 0U);
  EXPECT_EQ(syn_limit(511, 0, -4), 0U);
  EXPECT_EQ(syn_limit(4294967295, 0, 2147483647), 1610612736U);
  EXPECT_EQ(syn_limit(0, 0, 128), 0U);
  // Not known is not a guess.
  EXPECT_EQ(syn_limit(511, std::nullopt, 128), std::nullopt);
  EXPECT_EQ(syn_limit(511, 0, std::nullopt), std::nullopt);
}

TEST(Derive, SynQueueFillNeedsBothNumbers) {
  RawListener raw = listener();
  raw.accept_queue_limit = 100;
  EXPECT_EQ(derive(sample(1, {raw}))->listeners.at(0).syn_queue_fill, std::nullopt);
  raw.syn_queue_len = 25;
  EXPECT_EQ(derive(sample(1, {raw}))->listeners.at(0).syn_queue_fill, 0.25);
  raw.accept_queue_limit = 0;
  raw.syn_queue_len = 1;
  EXPECT_EQ(derive(sample(1, {raw}))->listeners.at(0).syn_queue_fill, 1.0);
  Sample unknown = sample(1, {raw});
  unknown.namespaces.at(0).sysctls.tcp_syncookies = std::nullopt;
  EXPECT_EQ(derive(unknown)->listeners.at(0).syn_queue_fill, std::nullopt);
}

TEST(Derive, TellsWhatSetTheLimit) {
  struct Case {
    std::uint32_t limit = 0;
    std::optional<std::int64_t> somaxconn;
    LimitSetBy by = LimitSetBy::unknown;
    std::optional<bool> raised;
  };
  for (const Case& c : {
           Case{511, 4096, LimitSetBy::application, false},
           Case{0, 4096, LimitSetBy::application, false},
           Case{4096, 4096, LimitSetBy::somaxconn, false},
           Case{128, 128, LimitSetBy::somaxconn, false},
           Case{0, 0, LimitSetBy::somaxconn, false},
           // Either asked for, or cut by the default of before.
           Case{128, 4096, LimitSetBy::unknown, std::nullopt},
           Case{4096, 65535, LimitSetBy::unknown, std::nullopt},
           // somaxconn was lowered since: it may have cut this one or not.
           Case{1024, 512, LimitSetBy::unknown, std::nullopt},
           Case{511, std::nullopt, LimitSetBy::unknown, std::nullopt},
       }) {
    RawListener raw = listener();
    raw.accept_queue_limit = c.limit;
    Sample made = sample(1, {raw});
    made.namespaces.at(0).sysctls.somaxconn = c.somaxconn;
    const auto snapshot = derive(made);
    EXPECT_EQ(snapshot->listeners.at(0).limit_set_by, c.by) << c.limit;
    EXPECT_EQ(snapshot->listeners.at(0).somaxconn_raised_since, c.raised) << c.limit;
  }
}

TEST(Derive, CountsReuseportGroups) {
  std::vector<RawListener> listeners;
  for (std::uint64_t cookie = 1; cookie <= 12; ++cookie) listeners.push_back(listener(cookie));
  listeners[3].port = 81;
  listeners[4].address = {127, 0, 0, 1};
  listeners[5].interface = "eth0";
  listeners[6].family = Family::dual;
  listeners[7].netns = NetnsId{7};
  listeners[8].interface = "eth0";
  // 0.0.0.0 and :: have the same bytes and are not the same.
  listeners[9].family = Family::dual;
  const auto snapshot = derive(sample(1, listeners));
  std::vector<std::uint32_t> sizes;
  for (const ListenerRow& row : snapshot->listeners) sizes.push_back(row.reuseport);
  EXPECT_EQ(sizes, (std::vector<std::uint32_t>{5, 5, 5, 1, 1, 2, 2, 1, 2, 2, 5, 5}));
}

TEST(Derive, CountsManyGroups) {
  std::vector<RawListener> listeners;
  for (std::uint16_t port = 1; port <= 3000; ++port) {
    for (int member = 0; member < 1 + port % 3; ++member) {
      listeners.push_back(listener(listeners.size() + 1));
      listeners.back().port = port;
    }
  }
  const auto snapshot = derive(sample(1, listeners));
  for (const ListenerRow& row : snapshot->listeners) {
    ASSERT_EQ(row.reuseport, 1U + row.raw->port % 3U) << row.raw->port;
  }
}

TEST(Derive, FindsOwners) {
  Sample made = sample(1, {listener(1), listener(2), listener(3), listener(4)});
  made.listeners[0].inode = 100;
  made.listeners[1].inode = 101;
  made.listeners[2].inode = 102;
  made.listeners[3].inode = 0;  // of the kernel
  auto owners = std::make_shared<OwnerTable>();
  owners->pids = {20, 31, 99};
  owners->by_inode = {{100, {0, 2}}, {101, {2, 1}}, {0, {0, 3}}};
  owners->processes[20] = {"nginx", "/system.slice/nginx.service"};
  owners->processes[31] = {"worker", "/elsewhere"};
  made.owners = owners;
  made.listeners[1].cgroup = "/of/the/socket";
  const auto snapshot = derive(made);
  const auto& rows = snapshot->listeners;
  EXPECT_EQ(std::vector<std::int32_t>(rows[0].pids.begin(), rows[0].pids.end()),
            (std::vector<std::int32_t>{20, 31}));
  ASSERT_NE(rows[0].process, nullptr);
  EXPECT_EQ(rows[0].process->name, "nginx");
  EXPECT_EQ(rows[0].cgroup, "/system.slice/nginx.service");
  EXPECT_EQ(rows[0].container, "");
  // Known by pid only: it ended before its name was read.
  EXPECT_EQ(rows[1].pids.size(), 1U);
  EXPECT_EQ(rows[1].process, nullptr);
  EXPECT_EQ(rows[1].cgroup, "/of/the/socket");
  for (const int none : {2, 3}) {
    EXPECT_TRUE(rows[static_cast<std::size_t>(none)].pids.empty());
    EXPECT_EQ(rows[static_cast<std::size_t>(none)].process, nullptr);
    EXPECT_EQ(rows[static_cast<std::size_t>(none)].cgroup, std::nullopt);
  }
}

TEST(Derive, FindsContainerOfEveryRow) {
  const std::string id(64, 'c');
  const std::string pod = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
  Sample made = sample(1, {listener(1), listener(2), listener(3)});
  made.listeners[0].cgroup = "/kubepods/pod" + pod + "/" + id;
  made.listeners[1].cgroup = made.listeners[0].cgroup;
  const auto snapshot = derive(made);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(snapshot->listeners[i].container, id);
    EXPECT_EQ(snapshot->listeners[i].pod, pod);
  }
  EXPECT_EQ(snapshot->listeners[2].container, "");
  EXPECT_EQ(snapshot->listeners[2].pod, "");
}

TEST(Derive, ListenerOfAnUnlistedNamespaceHasOne) {
  Sample made = sample(1, {listener(1), listener(2), listener(3)});
  made.listeners[1].netns = NetnsId{77};
  made.listeners[2].netns = NetnsId{77};
  const auto snapshot = derive(made);
  ASSERT_EQ(snapshot->namespaces.size(), 2U);
  EXPECT_EQ(snapshot->namespaces[1].raw->netns, NetnsId{77});
  EXPECT_EQ(snapshot->listeners[1].netns, &snapshot->namespaces[1]);
  EXPECT_EQ(snapshot->listeners[2].netns, &snapshot->namespaces[1]);
  EXPECT_EQ(snapshot->listeners[1].limit_set_by, LimitSetBy::unknown);
  EXPECT_EQ(snapshot->listeners[1].syn_queue_limit, std::nullopt);
}

}  // namespace
}  // namespace listenq
