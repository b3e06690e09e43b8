// SPDX-License-Identifier: Apache-2.0
//
// The text that Prometheus reads: which lines there are, which there must not be, and that pieces
// make a whole. Whole pages are compared in golden_test.cpp; that Prometheus accepts them is tested
// with its own tools by tests/prometheus.
#include "export/exposition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>

#include "export/families.h"
#include "made_up.h"

namespace listenq {
namespace {

using made_up::counting;
using made_up::counts;
using made_up::kSecond;
using made_up::listener;

class ExpositionTest : public testing::Test {
 protected:
  void add(Sample sample) { ledger_.update(made_up::derive(deriver_, std::move(sample))); }

  std::string text(ExpositionFormat format = ExpositionFormat::text, std::size_t piece = 65536) {
    const Exposition page(ledger_, selection_, facts_);
    std::string out;
    Exposition::Cursor cursor;
    while (page.write(cursor, format, out, piece)) {
    }
    return out;
  }

  /// Values of the lines of a metric, by labels.
  std::map<std::string, std::string> lines(const std::string& name) {
    std::map<std::string, std::string> found;
    std::istringstream stream(text());
    for (std::string line; std::getline(stream, line);) {
      if (line.starts_with("#")) continue;
      const std::size_t brace = line.find('{');
      const std::size_t blank = line.rfind(' ');
      const std::size_t end = std::min(brace, blank);
      if (line.substr(0, end) != name) continue;
      const std::string labels =
          brace == std::string::npos ? "" : line.substr(brace + 1, blank - brace - 2);
      EXPECT_TRUE(found.emplace(labels, line.substr(blank + 1)).second) << "twice: " << line;
    }
    return found;
  }

  static std::string labels(const std::string& more = "", std::uint16_t port = 80) {
    return R"(netns="4026531840",address="0.0.0.0",port=")" + std::to_string(port) + "\"" + more;
  }

  Deriver deriver_;
  Ledger ledger_{{}};
  Selection selection_;
  ExporterFacts facts_{.version = "1.2.3"};
};

using Lines = std::map<std::string, std::string>;

TEST_F(ExpositionTest, BeforeTheFirstSampleItTellsOfItself) {
  EXPECT_EQ(lines("listenq_build_info"), (Lines{{R"(version="1.2.3")", "1"}}));
  EXPECT_EQ(lines("listenq_collector_up"), (Lines{{R"(collector="sample")", "0"}}));
  EXPECT_EQ(text().find("listenq_accept"), std::string::npos);
}

// rate() must see the first overflow: the series is there before it, at 0.
TEST_F(ExpositionTest, LossesBeginAtZero) {
  add(counting(made_up::sample(1, {listener()})));
  EXPECT_EQ(lines("listenq_overflows_total"),
            (Lines{{labels(R"(,step="syn")"), "0"}, {labels(R"(,step="ack")"), "0"}}));
  EXPECT_EQ(lines("listenq_drops_total").size(), 6U);
  for (const auto& [labels, value] : lines("listenq_drops_total")) EXPECT_EQ(value, "0") << labels;
  EXPECT_EQ(lines("listenq_closed_unaccepted_total"), (Lines{{labels(), "0"}}));
}

TEST_F(ExpositionTest, TheReasonsOfDropsAddUpToListenDrops) {
  add(counting(made_up::sample(1, {listener()}), {counts({{Counter::drops, 28},
                                                          {Counter::overflows_syn, 1},
                                                          {Counter::overflows_ack, 2},
                                                          {Counter::drops_syn_queue_full, 3},
                                                          {Counter::drops_no_memory, 4},
                                                          {Counter::drops_no_route, 5},
                                                          {Counter::drops_max_syn_backlog, 6},
                                                          {Counter::drops_defer_accept, 100},
                                                          {Counter::drops_other, 7}})}));
  std::uint64_t sum = 0;
  for (const auto& [labels, value] : lines("listenq_drops_total")) sum += std::stoull(value);
  EXPECT_EQ(sum, 28U);
  EXPECT_EQ(lines("listenq_drops_total").at(labels(R"(,reason="accept_queue_full")")), "3");
}

// Absent is not zero.
TEST_F(ExpositionTest, WhatCannotBeReadHasNoLine) {
  Sample sample = made_up::sample(1, {listener()});
  sample.namespaces[0].sysctls = {};
  add(std::move(sample));
  const std::string page = text();
  for (const char* name :
       {"listenq_syn_queue_length", "listenq_syn_queue_limit", "listenq_accept_queue_peak",
        "listenq_accept_oldest_wait_seconds", "listenq_accepts_total", "listenq_drops_total",
        "listenq_accept_wait_seconds", "listenq_sk_drops_total", "listenq_nic_tcp_packets_total",
        "listenq_netns_coverage_ratio", "process_resident_memory_bytes"}) {
    EXPECT_EQ(page.find(name), std::string::npos) << name;
  }
  EXPECT_EQ(lines("listenq_accept_queue_limit"), (Lines{{labels(), "511"}}));
  EXPECT_EQ(lines("listenq_collector_up").at(R"(collector="counters")"), "0");
  EXPECT_EQ(lines("listenq_collector_up").at(R"(collector="syn_queue")"), "0");
}

// One member without a value: a sum of the others would be no sum.
TEST_F(ExpositionTest, AGroupIsWholeOrAbsent) {
  RawListener one = listener(1);
  RawListener two = listener(2);
  one.accept_queue_len = 5;
  two.accept_queue_len = 7;
  one.syn_queue_len = 1;
  one.oldest_wait_ns = 3 * kSecond;
  two.oldest_wait_ns = 1 * kSecond;
  add(counting(made_up::sample(1, {one, two})));
  EXPECT_EQ(lines("listenq_accept_queue_length"), (Lines{{labels(), "12"}}));
  EXPECT_EQ(lines("listenq_accept_queue_limit"), (Lines{{labels(), "1022"}}));
  EXPECT_EQ(lines("listenq_accept_oldest_wait_seconds"), (Lines{{labels(), "3"}}));
  EXPECT_EQ(lines("listenq_syn_queue_length"), (Lines{}));
}

TEST_F(ExpositionTest, AHistogramIsCumulativeAndExact) {
  ListenerCounts times;
  times[Counter::accepts] = 7;
  times.accept_wait.counts[0] = 1;   // up to 1 us
  times.accept_wait.counts[6] = 2;   // up to 64 us
  times.accept_wait.counts[7] = 1;   // up to 128 us
  times.accept_wait.counts[31] = 3;  // the longest
  times.accept_wait.sum_ns = 1'500'000'000;
  add(counting(made_up::sample(1, {listener()}), {times}));
  const Lines buckets = lines("listenq_accept_wait_seconds_bucket");
  EXPECT_EQ(buckets.size(), 12U);
  EXPECT_EQ(buckets.at(labels(R"(,le="6.4e-05")")), "3");
  EXPECT_EQ(buckets.at(labels(R"(,le="0.000256")")), "4");
  EXPECT_EQ(buckets.at(labels(R"(,le="67.108864")")), "4");
  EXPECT_EQ(buckets.at(labels(R"(,le="+Inf")")), "7");
  EXPECT_EQ(lines("listenq_accept_wait_seconds_sum"), (Lines{{labels(), "1.5"}}));
  EXPECT_EQ(lines("listenq_accept_wait_seconds_count"), (Lines{{labels(), "7"}}));
  EXPECT_EQ(lines("listenq_handshake_seconds_count"), (Lines{}));
}

TEST_F(ExpositionTest, InfoNamesTheOwner) {
  Sample sample = counting(made_up::sample(1, {listener()}));
  made_up::own(sample, 42, {"ngi\"nx\n\\", "/system.slice/nginx.service"});
  add(std::move(sample));
  EXPECT_EQ(lines("listenq_listener_info"),
            (Lines{{labels(R"(,netns_name="",pid="42",process="ngi\"nx\\x0a\\",)"
                           R"(cgroup="/system.slice/nginx.service",container="",pod="",)"
                           R"(limit_set_by="application")"),
                    "1"}}));
}

TEST_F(ExpositionTest, AFailureTellsNoListener) {
  add(counting(made_up::sample(1, {listener()})));
  facts_.sample_failed = true;
  EXPECT_EQ(text().find("port="), std::string::npos);
  EXPECT_EQ(lines("listenq_collector_up").at(R"(collector="sample")"), "0");
}

TEST_F(ExpositionTest, OneThatClosedHasCountersOnly) {
  add(counting(made_up::sample(1, {listener()})));
  Sample sample = counting(made_up::sample(2));
  RawListener closed = listener();
  closed.counts = 0;
  sample.counts.push_back(counts({{Counter::closed_unaccepted, 3}}));
  sample.closed.push_back({closed, sample.monotonic_ns});
  add(std::move(sample));
  EXPECT_EQ(lines("listenq_closed_unaccepted_total"), (Lines{{labels(), "3"}}));
  EXPECT_EQ(lines("listenq_accept_queue_limit"), (Lines{}));
  EXPECT_EQ(lines("listenq_accept_queue_peak"), (Lines{}));
  EXPECT_EQ(lines("listenq_listener_info"), (Lines{}));
}

TEST_F(ExpositionTest, ThePeakIsThatOfTheLastMinute) {
  ListenerCounts one;
  one.accept_queue_peak = 400;
  add(counting(made_up::sample(1, {listener()}), {one}));
  add(counting(made_up::sample(2, {listener()}), {one}));
  one.accept_queue_peak = 1;
  add(counting(made_up::sample(3, {listener()}), {one}));
  EXPECT_EQ(lines("listenq_accept_queue_peak"), (Lines{{labels(), "400"}}));
  EXPECT_EQ(lines("listenq_accept_queue_peak"), (Lines{{labels(), "400"}}));  // for a second one
}

TEST_F(ExpositionTest, WhatIsLeftOutIsCounted) {
  RawListener other = listener(2);
  other.port = 81;
  RawListener third = listener(3);
  third.port = 82;
  add(counting(made_up::sample(1, {listener(), other, third})));
  selection_.exclude.push_back(Filter::parse("port == 81").value());
  selection_.max_listeners = 1;
  EXPECT_EQ(lines("listenq_accept_queue_limit"), (Lines{{labels(), "511"}}));
  EXPECT_EQ(lines("listenq_series_dropped"),
            (Lines{{R"(cause="max_listeners")", "1"}, {R"(cause="filter")", "1"}}));
}

TEST_F(ExpositionTest, PiecesMakeTheSameWhole) {
  std::vector<RawListener> many;
  for (std::uint16_t i = 1; i <= 50; ++i) {
    many.push_back(listener(i));
    many.back().port = i;
  }
  add(counting(made_up::sample(1, many)));
  for (const auto format : {ExpositionFormat::text, ExpositionFormat::openmetrics}) {
    const std::string whole = text(format, SIZE_MAX / 2);
    EXPECT_EQ(text(format, 1), whole);
    EXPECT_EQ(text(format, 777), whole);
  }
}

/// Of a page in text format: each family once, its head before its lines, all its lines together.
void expect_well_formed(const std::string& page) {
  std::set<std::string> seen;
  std::string family;
  std::istringstream stream(page);
  for (std::string line; std::getline(stream, line);) {
    if (line == "# EOF") continue;
    if (line.starts_with("# HELP ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(seen.insert(family).second) << "twice: " << family;
      EXPECT_GT(line.size(), 7 + family.size() + 10) << "no help: " << line;
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_EQ(line.substr(7, line.find(' ', 7) - 7), family);
    } else {
      EXPECT_TRUE(line.starts_with(family)) << line << " in " << family;
    }
  }
}

TEST_F(ExpositionTest, EachFamilyIsWholeAndComesOnce) {
  add(counting(made_up::sample(1, {listener(1), listener(2)}),
               {counts({{Counter::accepts, 1}}), counts({})}));
  expect_well_formed(text());
  const std::string openmetrics = text(ExpositionFormat::openmetrics);
  expect_well_formed(openmetrics);
  EXPECT_TRUE(openmetrics.ends_with("# EOF\n"));
  EXPECT_NE(openmetrics.find("# TYPE listenq_syns counter\n"), std::string::npos);
  EXPECT_NE(openmetrics.find("# TYPE listenq_listener info\n"), std::string::npos);
  EXPECT_EQ(text().find("# EOF"), std::string::npos);
}

TEST(MetricFamilies, AreNamedAsPrometheusWantsThem) {
  std::set<std::string> names;
  for (const MetricFamily& family : metric_families()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_EQ(family.type == MetricType::counter, family.name.ends_with("_total")) << family.name;
    EXPECT_EQ(family.type == MetricType::info, family.name.ends_with("_info")) << family.name;
    EXPECT_EQ(family.type == MetricType::histogram,
              family.name.ends_with("_seconds") && !family.name.ends_with("oldest_wait_seconds"))
        << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    EXPECT_TRUE(std::all_of(family.name.begin(), family.name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || c == '_';
    })) << family.name;
    for (const MetricPart& part : family.parts) {
      EXPECT_EQ(family.parts.size() > 1, !part.label.empty()) << family.name;
    }
  }
}

}  // namespace
}  // namespace listenq
