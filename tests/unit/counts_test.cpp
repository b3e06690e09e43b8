// SPDX-License-Identifier: Apache-2.0
// What is counted of a listener: names, and what a histogram tells.
#include "model/counts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace listenq {
namespace {

TEST(Counts, EachCounterHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kCounters; ++i) names.insert(counter_name(static_cast<Counter>(i)));
  EXPECT_EQ(names.size(), kCounters);
  EXPECT_EQ(counter_name(Counter::syns), "syns");
  EXPECT_EQ(counter_name(Counter::drops), "drops");
  EXPECT_EQ(counter_name(Counter::cookies_sent), "cookies_sent");
  EXPECT_EQ(counter_name(Counter::aborted_in_queue), "aborted_in_queue");
}

TEST(Counts, CountingKnowsWhatWasAdded) {
  Counting counting;
  counting.add(Counter::syns);
  counting.add(Counter::aborted_in_queue);
  for (std::size_t i = 0; i < kCounters; ++i) {
    const auto counter = static_cast<Counter>(i);
    EXPECT_EQ(counting.counts(counter),
              counter == Counter::syns || counter == Counter::aborted_in_queue);
  }
}

TEST(Histogram, BoundsDoubleFromAMicrosecond) {
  EXPECT_DOUBLE_EQ(Histogram::bound(0), 1e-6);
  EXPECT_DOUBLE_EQ(Histogram::bound(1), 2e-6);
  EXPECT_DOUBLE_EQ(Histogram::bound(20), 1.048576);
  EXPECT_DOUBLE_EQ(Histogram::bound(30), 1073.741824);
  EXPECT_TRUE(std::isinf(Histogram::bound(31)));
}

TEST(Histogram, CountIsTheSumOfItsBuckets) {
  Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  histogram.counts[0] = 2;
  histogram.counts[31] = 5;
  EXPECT_EQ(histogram.count(), 7U);
}

TEST(Histogram, QuantileIsInterpolatedWithinItsBucket) {
  Histogram histogram;
  histogram.counts[10] = 100;  // above 512 us, at most 1024 us
  histogram.max_ns = 2'000'000;
  EXPECT_DOUBLE_EQ(histogram.quantile(0.5), 512e-6 + 512e-6 * 0.5);
  EXPECT_DOUBLE_EQ(histogram.quantile(0.99), 512e-6 + 512e-6 * 0.99);
  EXPECT_DOUBLE_EQ(histogram.quantile(1), 1024e-6);
  EXPECT_DOUBLE_EQ(histogram.quantile(0), 512e-6);
}

TEST(Histogram, QuantileFindsItsBucket) {
  Histogram histogram;
  histogram.counts[0] = 50;
  histogram.counts[4] = 40;  // above 8 us, at most 16 us
  histogram.counts[20] = 10;
  histogram.max_ns = 900'000'000;
  EXPECT_DOUBLE_EQ(histogram.quantile(0.25), 0.5e-6);
  EXPECT_DOUBLE_EQ(histogram.quantile(0.5), 1e-6);
  EXPECT_DOUBLE_EQ(histogram.quantile(0.7), 12e-6);
  EXPECT_DOUBLE_EQ(histogram.quantile(0.9), 16e-6);
  // In the bucket that holds the maximum nothing is beyond that.
  const double lower = 0.524288;
  EXPECT_DOUBLE_EQ(histogram.quantile(0.95), lower + (0.9 - lower) * 0.5);
  EXPECT_DOUBLE_EQ(histogram.quantile(1), 0.9);
}

TEST(Histogram, QuantileIsNeverAboveTheMaximum) {
  Histogram histogram;
  histogram.counts[10] = 1;
  histogram.max_ns = 600'000;
  for (const double share : {0.0, 0.5, 0.99, 1.0}) EXPECT_LE(histogram.quantile(share), 600e-6);
  EXPECT_DOUBLE_EQ(histogram.quantile(1), 600e-6);
  // One that was read between a count and its maximum.
  histogram.max_ns = 3'000;
  EXPECT_DOUBLE_EQ(histogram.quantile(0.5), 3e-6);
}

TEST(Histogram, TheLastBucketEndsAtTheMaximum) {
  Histogram histogram;
  histogram.counts[31] = 4;
  histogram.max_ns = 3'073'741'824'000;
  EXPECT_DOUBLE_EQ(histogram.quantile(0.5), 1073.741824 + 1000);
  EXPECT_DOUBLE_EQ(histogram.quantile(1), 3073.741824);
}

}  // namespace
}  // namespace listenq
