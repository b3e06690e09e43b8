// SPDX-License-Identifier: Apache-2.0
//
// Which listeners are looked at from near.
#include "app/wanted.h"

#include <gtest/gtest.h>

#include "made_up.h"

namespace listenq {
namespace {

/// Cookies 1 to `count`; the first is idle, each other is full and the last one the fullest.
std::shared_ptr<const Snapshot> machine(std::uint64_t count) {
  std::vector<RawListener> listeners;
  for (std::uint64_t cookie = 1; cookie <= count; ++cookie) {
    RawListener raw = made_up::listener(cookie);
    raw.port = static_cast<std::uint16_t>(cookie);
    raw.accept_queue_limit = 10;
    if (cookie > 1) raw.accept_queue_len = 10 + static_cast<std::uint32_t>(cookie);
    listeners.push_back(raw);
  }
  return made_up::derive(made_up::sample(1, listeners));
}

std::vector<std::uint64_t> cookies(const Wanted& wanted) {
  std::vector<std::uint64_t> all;
  for (const CloseUpRequest& request : wanted.close_ups) all.push_back(number(*request.cookie));
  return all;
}

using Cookies = std::vector<std::uint64_t>;

TEST(WantedCloseUps, TheWorstInTroubleAndNoneElse) {
  EXPECT_EQ(cookies(wanted_for(*machine(3), nullptr, false, 4)), (Cookies{3, 2}));
  EXPECT_EQ(cookies(wanted_for(*machine(9), nullptr, false, 4)), (Cookies{9, 8, 7, 6}));
  EXPECT_EQ(cookies(wanted_for(*machine(1), nullptr, false, 4)), Cookies{});
}

TEST(WantedCloseUps, ThePageComesFirstAndOnce) {
  const auto snapshot = machine(6);
  const auto page = [&](std::size_t index) { return snapshot->listeners.at(index).raw; };
  EXPECT_EQ(cookies(wanted_for(*snapshot, page(0), false, 2)), (Cookies{1, 6, 5}));
  EXPECT_EQ(cookies(wanted_for(*snapshot, page(4), false, 2)), (Cookies{5, 6}));
}

TEST(WantedCloseUps, WithoutACookieTheInodeSaysWhich) {
  Sample sample = made_up::sample(1, {made_up::listener()});
  sample.listeners[0].cookie.reset();
  sample.listeners[0].inode = 77;
  sample.listeners[0].accept_queue_len = 600;
  const Wanted wanted = wanted_for(*made_up::derive(sample), nullptr, false, 4);
  ASSERT_EQ(wanted.close_ups.size(), 1U);
  EXPECT_FALSE(wanted.close_ups[0].cookie);
  EXPECT_EQ(wanted.close_ups[0].inode, 77U);
  EXPECT_EQ(wanted.close_ups[0].netns, made_up::kNetns);
}

TEST(WantedCloseUps, SameMeansNothingToTell) {
  const auto snapshot = machine(4);
  const Wanted wanted = wanted_for(*snapshot, nullptr, false, 4);
  EXPECT_TRUE(same(wanted, wanted_for(*machine(4), nullptr, false, 4)));
  EXPECT_FALSE(same(wanted, wanted_for(*snapshot, nullptr, true, 4)));
  EXPECT_FALSE(same(wanted, wanted_for(*snapshot, nullptr, false, 2)));
  EXPECT_FALSE(same(wanted, wanted_for(*snapshot, snapshot->listeners[0].raw, false, 4)));
}

}  // namespace
}  // namespace listenq
