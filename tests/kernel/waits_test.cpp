// SPDX-License-Identifier: Apache-2.0
// Times: how long connections wait for accept(), how long handshakes take, and how long the oldest
// connection has been waiting now. The delays are made here, so the truth is known to lie between
// two clock readings.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <thread>

#include "counters.h"

namespace lqtest {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double wall_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// The known delays of a group: all between `least` and `most`.
struct Delays {
  uint64_t count = 0;
  double least = 1e9;
  double most = 0;

  void add(double shortest, double longest) {
    ++count;
    least = std::min(least, shortest);
    most = std::max(most, longest);
  }
};

class WaitTimes : public Counters {
 protected:
  // Most values are of `usual`, the last hundredth of `seldom`.
  void expect_times(const std::string& field, const Delays& usual, const Delays& seldom) {
    const auto tools = watches_with(field);
    if (tools.empty()) GTEST_SKIP() << "no backend here has " << field;
    for (Watch* watch : tools) {
      SCOPED_TRACE(watch->backend() + " " + field);
      const Json found = row(watch->settled(netns()));
      ASSERT_FALSE(found.is_null());
      const auto waits = Waits::of(found, field);
      ASSERT_TRUE(waits) << found.value(field, Json("missing")).dump();
      SCOPED_TRACE(found.at(field).dump());
      EXPECT_EQ(waits->count(), usual.count + seldom.count);
      expect_near_bucket(*waits, 0.50, usual);
      expect_near_bucket(*waits, 0.99, seldom);
      const double tolerance = clock_tolerance();
      EXPECT_GE(waits->max, seldom.least - tolerance);
      EXPECT_LE(waits->max, seldom.most + tolerance);
      const auto times = [](const Delays& delays, double one) {
        return static_cast<double>(delays.count) * one;
      };
      EXPECT_GE(waits->sum, times(usual, usual.least) + times(seldom, seldom.least) - tolerance);
      EXPECT_LE(waits->sum, times(usual, usual.most) + times(seldom, seldom.most) + tolerance);
    }
  }

 private:
  static void expect_near_bucket(const Waits& waits, double share, const Delays& truth) {
    const size_t bucket = waits.bucket_of_rank(share);
    EXPECT_GE(bucket + 1, waits.bucket_of(truth.least)) << "p" << share * 100;
    EXPECT_LE(bucket, waits.bucket_of(truth.most) + 1) << "p" << share * 100;
    ASSERT_LT(bucket, waits.bounds.size());
    if (bucket > 0) {
      EXPECT_NEAR(waits.bounds[bucket] / waits.bounds[bucket - 1], 2.0, 1e-6);
    }
  }
};

TEST_F(WaitTimes, OfAcceptAfterAKnownDelay) {
  listen(64);
  const auto run = [&](int count, std::chrono::milliseconds delay) {
    Delays delays;
    std::vector<Clock::time_point> sent;
    for (int i = 0; i < count; ++i) {
      RawConnection one = connection(i % 2 == 0);
      one.send_syn();
      EXPECT_TRUE(one.await_synack());
      sent.push_back(Clock::now());
      one.send_ack();
    }
    EXPECT_TRUE(queue_has(static_cast<uint64_t>(count)));
    const auto queued = Clock::now();
    std::this_thread::sleep_until(queued + delay);
    for (int i = 0; i < count; ++i) {
      const double shortest = seconds_since(queued);
      accept();
      delays.add(shortest, seconds_since(sent[static_cast<size_t>(i)]));
    }
    return delays;
  };
  const Delays usual = run(20, std::chrono::milliseconds(100));
  const Delays seldom = run(2, std::chrono::milliseconds(700));
  expect_times("accept_wait", usual, seldom);
}

// Without a stop in between: microseconds, not one invented millisecond.
TEST_F(WaitTimes, OfAcceptAtOnceAreShort) {
  listen(64);
  Delays delays;
  for (int i = 0; i < 10; ++i) {
    RawConnection one = connection();
    one.send_syn();
    ASSERT_TRUE(one.await_synack());
    const auto sent = Clock::now();
    one.send_ack();
    accept();  // blocks until it is there
    delays.add(0, seconds_since(sent));
  }
  const auto tools = watches_with("accept_wait");
  if (tools.empty()) GTEST_SKIP() << "no backend here sees accept() return";
  for (Watch* watch : tools) {
    SCOPED_TRACE(watch->backend());
    const auto waits = Waits::of(row(watch->settled(netns())), "accept_wait");
    ASSERT_TRUE(waits);
    EXPECT_EQ(waits->count(), 10U);
    EXPECT_GT(waits->sum, 0.0);
    EXPECT_LE(waits->max, delays.most);
  }
}

TEST_F(WaitTimes, OfHandshakes) {
  listen(64);
  const auto run = [&](int count, std::chrono::milliseconds delay) {
    Delays delays;
    std::vector<RawConnection> all;
    std::vector<Clock::time_point> sent;
    for (int i = 0; i < count; ++i) {
      all.push_back(connection(i % 2 == 0));
      sent.push_back(Clock::now());
      all.back().send_syn();
    }
    for (RawConnection& one : all) EXPECT_TRUE(one.await_synack());
    const auto answered = Clock::now();
    std::this_thread::sleep_until(answered + delay);
    for (size_t i = 0; i < all.size(); ++i) {
      const double shortest = seconds_since(answered);
      all[i].send_ack();
      accept();
      delays.add(shortest, seconds_since(sent[i]));
    }
    return delays;
  };
  const Delays usual = run(20, std::chrono::milliseconds(80));
  const Delays seldom = run(2, std::chrono::milliseconds(600));
  expect_times("handshake_time", usual, seldom);
}

// --- the oldest -------------------------------------------------------------------------------

class OldestWait : public Counters {
 protected:
  struct Queued {
    double earliest = 0;  // on the clock of documents
    double latest = 0;
  };
  Queued queue_one() {
    Queued when;
    when.earliest = wall_now();
    establish(1);
    when.latest = wall_now();
    return when;
  }
  // The field says the age of `head` at the time of the document, give or take so many seconds.
  void expect_age(const Json& document, const Queued& head, double tolerance) {
    const Json value = row(document).value("oldest_wait_seconds", Json("missing"));
    ASSERT_TRUE(value.is_number()) << value.dump();
    const double now = wall_of(document);
    EXPECT_GE(value.get<double>(), now - head.latest - tolerance);
    EXPECT_LE(value.get<double>(), now - head.earliest + tolerance);
  }
};

TEST_F(OldestWait, GrowsWhileNobodyAccepts) {
  listen(16);
  const Queued first = queue_one();
  if (watches().empty()) GTEST_SKIP() << "no counting backend on this kernel";
  const double tolerance = is_emulated() ? 0.25 : 0.1;
  const auto begun = settled();
  for (int i = 0; i < 5; ++i) watches().front()->next();
  for (const auto& [watch, one] : begun) {
    SCOPED_TRACE(watch->backend());
    expect_age(one, first, tolerance);
    const Json later = watch->next();
    expect_age(later, first, tolerance);
    EXPECT_GT(row(later).at("oldest_wait_seconds"), row(one).at("oldest_wait_seconds"));
  }
  const Queued second = queue_one();
  accept();
  for (const auto& [watch, document] : settled()) {
    SCOPED_TRACE(watch->backend());
    expect_age(document, second, tolerance);
  }
  accept();
  for (const auto& [watch, document] : settled()) {
    SCOPED_TRACE(watch->backend());
    EXPECT_EQ(row(document).value("oldest_wait_seconds", Json()), 0);
  }
}

// The queue was there before the tool: what waits is told by the sockets themselves.
TEST_F(OldestWait, OfAQueueFilledBeforeTheStart) {
  if (!why_not("iter").empty()) GTEST_SKIP() << why_not("iter");
  listen(16);
  const Queued head = queue_one();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  queue_one();
  const Json document = sample("iter");
  ASSERT_FALSE(document.is_null());
  expect_age(document, head, clock_tolerance());
  for (const std::string& backend : counting_backends()) {
    if (stage().refusals.contains(backend)) continue;
    SCOPED_TRACE(backend);
    Watch fresh(backend);
    ASSERT_EQ(fresh.refusal(), "");
    expect_age(fresh.next(), head, watch_interval());
  }
}

}  // namespace
}  // namespace lqtest
