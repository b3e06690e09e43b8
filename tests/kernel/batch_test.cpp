// SPDX-License-Identifier: Apache-2.0
// More than one sample: intervals, rates, listeners that close, limits that change, and how it
// ends.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <thread>

#include "compare.h"
#include "fixture.h"

namespace lqtest {
namespace {

class Batch : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (IsSkipped()) return;
    space_ = std::make_unique<Netns>(Netns::named("batch"));
    space_->add_silent_interface();
  }
  void TearDown() override {
    clients_.clear();
    listener_.reset();
    space_.reset();
  }

  void open(int backlog, int connects) {
    space_->run([&] {
      listener_ = open_listener({.port = 8000, .backlog = backlog});
      for (int i = 0; i < connects; ++i) clients_.push_back(connect_to("127.0.0.1", 8000));
    });
    const auto count = static_cast<uint64_t>(connects);
    ASSERT_TRUE(wait_until([&] {
      const auto rows = ss_listeners(*space_);
      return rows.size() == 1 && rows.begin()->second.accept_queue_len == count;
    }));
  }
  [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> more) const {
    more.insert(more.end(), {"-b", "--netns", space_->name()});
    if (GetParam() != "auto") more.insert(more.end(), {"--backend", GetParam()});
    return more;
  }
  [[nodiscard]] Program start(const std::vector<std::string>& more) const {
    std::vector<std::string> argv = arguments(more);
    argv.insert(argv.begin(), tool_path());
    return Program(argv);
  }
  static Json read_document(Program& tool) {
    const auto line = tool.read_line();
    return line ? Json::parse(*line, nullptr, false) : Json();
  }

  std::unique_ptr<Netns> space_;
  Fd listener_;
  std::vector<Fd> clients_;
};
INSTANTIATE_TEST_SUITE_P(Backend, Batch, backends(), backend_name);

TEST_P(Batch, IsOneDocumentALineWithRatesFromTheSecond) {
  open(5, 2);
  const auto began = std::chrono::steady_clock::now();
  const RunResult result = run_tool(arguments({"--json", "-n", "3", "-d", "0.2"}));
  // One of the two intervals may be short, where the sample between them came late; both are not.
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(400));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const std::vector<std::string> lines = split_lines(result.out);
  ASSERT_EQ(lines.size(), 3U) << result.out;
  Json before;
  for (size_t i = 0; i < lines.size(); ++i) {
    SCOPED_TRACE(i);
    const Json document = Json::parse(lines[i]);
    const auto rows = rows_of(document, space_->inode());
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].at("accept_queue_len"), 2);
    if (i == 0) {
      EXPECT_TRUE(document.at("interval_seconds").is_null());
      EXPECT_TRUE(rows[0].at("sk_drops_per_second").is_null());
    } else {
      expect_interval(document, before);
      EXPECT_EQ(rows[0].at("sk_drops_per_second"), 0);
    }
    before = document;
  }
}

// A flow of SYNs into a full queue: each is one drop, so the rates must add up to what was lost.
TEST_P(Batch, RatesAddUpToTheLosses) {
  open(3, 4);
  std::atomic<bool> stop{false};
  std::atomic<int> sent{0};
  std::thread flow([&] {
    space_->run([&] {
      while (!stop) {
        send_syns({"10.77.0.1", 8000, 5});
        sent += 5;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    });
  });
  const RunResult result = run_tool(arguments({"--json", "-n", "6", "-d", "0.2"}));
  stop = true;
  flow.join();
  ASSERT_EQ(result.status, 0) << result.err;
  double by_rates = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  int with_rate = 0;
  for (const std::string& line : split_lines(result.out)) {
    const Json document = Json::parse(line);
    const auto rows = rows_of(document, space_->inode());
    ASSERT_EQ(rows.size(), 1U);
    last = rows[0].at("sk_drops");
    if (document.at("interval_seconds").is_null()) {
      first = last;
      continue;
    }
    ++with_rate;
    by_rates += rows[0].at("sk_drops_per_second").get<double>() *
                document.at("interval_seconds").get<double>();
  }
  EXPECT_EQ(with_rate, 5);
  EXPECT_GT(last, first);
  EXPECT_NEAR(by_rates, static_cast<double>(last - first), 1.0);
  // All of the flow has been lost, and nothing else.
  const auto all = static_cast<uint64_t>(sent);
  EXPECT_LE(last, all);
  EXPECT_TRUE(wait_until([&] { return ss_listeners(*space_).begin()->second.drops == all; }));
  const Json end = rows_of(sample(GetParam()), space_->inode()).at(0);
  EXPECT_EQ(end.at("sk_drops"), all);
  EXPECT_EQ(namespace_of(sample(GetParam()), space_->inode()).at("mib").at("ListenOverflows"), all);
}

TEST_P(Batch, CountsWhatTheNamespaceLostSinceItWatches) {
  open(3, 4);
  space_->run([&] { send_syns({"10.77.0.1", 8000, 7}); });
  ASSERT_TRUE(wait_until([&] { return space_->mib().at("ListenOverflows") == 7; }));
  Program tool = start({"--json", "-n", "50", "-d", "0.2"});
  const Json first = namespace_of(read_document(tool), space_->inode());
  ASSERT_FALSE(first.is_null());
  EXPECT_EQ(first.at("mib").at("ListenOverflows"), 7);
  EXPECT_TRUE(first.at("mib_since_start").is_null());
  space_->run([&] { send_syns({"10.77.0.1", 8000, 11}); });
  Json seen;
  for (int i = 0; i < 40 && seen != 18; ++i) {
    const Json space = namespace_of(read_document(tool), space_->inode());
    ASSERT_FALSE(space.is_null());
    seen = space.at("mib").at("ListenOverflows");
    EXPECT_EQ(space.at("mib_since_start").at("ListenOverflows").get<int>(), seen.get<int>() - 7);
  }
  EXPECT_EQ(seen, 18);
  tool.send_signal(SIGINT);
  tool.finish();
}

TEST_P(Batch, ShowsAListenerThatClosed) {
  open(9, 2);
  Program tool = start({"--json", "-n", "50", "-d", "0.2"});
  const auto before = rows_of(read_document(tool), space_->inode());
  ASSERT_EQ(before.size(), 1U);
  listener_.reset();
  Json closed;
  for (int i = 0; i < 40 && closed.empty(); ++i) {
    const Json document = read_document(tool);
    ASSERT_TRUE(document.is_object());
    closed = document.at("closed");
    EXPECT_EQ(rows_of(document, space_->inode()).empty(), !closed.empty());
  }
  ASSERT_EQ(closed.size(), 1U);
  for (const char* field :
       {"cookie", "port", "accept_queue_len", "accept_queue_limit", "pid", "process", "netns_name"})
    EXPECT_EQ(closed[0].at(field), before[0].at(field)) << field;
  EXPECT_TRUE(closed[0].at("closed_at").is_string());
  tool.send_signal(SIGINT);
  tool.finish();
}

// A limit clipped by somaxconn stays when somaxconn is raised: only a new listen() gets more.
TEST_P(Batch, SeesSomaxconnRaised) {
  ASSERT_TRUE(space_->write_sysctl("core/somaxconn", "64"));
  open(1000, 0);
  Program tool = start({"--json", "-n", "100", "-d", "0.2"});
  auto rows = rows_of(read_document(tool), space_->inode());
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("accept_queue_limit"), 64);
  EXPECT_EQ(rows[0].at("limit_set_by"), "somaxconn");
  EXPECT_EQ(rows[0].at("somaxconn_raised_since"), false);
  ASSERT_TRUE(space_->write_sysctl("core/somaxconn", "512"));
  for (int i = 0; i < 50; ++i) {
    rows = rows_of(read_document(tool), space_->inode());
    ASSERT_EQ(rows.size(), 1U);
    if (rows[0].at("somaxconn") == 512) break;
  }
  EXPECT_EQ(rows[0].at("somaxconn"), 512);
  EXPECT_EQ(rows[0].at("accept_queue_limit"), 64);
  EXPECT_EQ(rows[0].at("somaxconn_raised_since"), true);
  tool.send_signal(SIGINT);
  tool.finish();
}

TEST_P(Batch, CsvHasOneHeader) {
  open(5, 1);
  const RunResult result =
      run_tool(arguments({"--csv", "-n", "3", "-d", "0.1", "--columns", "port,accept_queue_len"}));
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<std::string> lines = split_lines(result.out);
  ASSERT_EQ(lines.size(), 4U) << result.out;
  EXPECT_NE(lines[0].find("port"), std::string::npos);
  for (size_t i = 1; i < lines.size(); ++i) EXPECT_NE(lines[i].find("8000,1"), std::string::npos);
}

TEST_P(Batch, EndsAtOnceWithWholeLines) {
  open(5, 1);
  for (const int signal : {SIGINT, SIGTERM}) {
    SCOPED_TRACE(signal);
    Program tool = start({"--json", "-n", "1000", "-d", "30"});
    ASSERT_TRUE(tool.read_line());
    const auto before = std::chrono::steady_clock::now();
    tool.send_signal(signal);
    const RunResult end = tool.finish();
    // Far below the interval it was waiting for.
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(15));
    EXPECT_TRUE(end.out.empty() || end.out.ends_with('\n'));
    EXPECT_EQ(end.err, "");
  }
}

}  // namespace
}  // namespace lqtest
