// SPDX-License-Identifier: Apache-2.0
// Recordings of the test world: replayed they show what the live run showed; damaged ones are
// refused or end at their last whole sample.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "compare.h"
#include "fixture.h"

namespace lqtest {
namespace {

class Replay : public BackendTest {
 protected:
  // Owned by the janitor's directory, so nothing is left behind.
  static std::string file() { return scratch_directory() + "/" + GetParam() + ".lqrec"; }

  static RunResult record(const std::string& samples) {
    std::filesystem::remove(file());
    std::vector<std::string> arguments{"record", file(), "-n", samples, "-d", "0.1"};
    if (GetParam() != "auto") arguments.insert(arguments.end(), {"--backend", GetParam()});
    return run_tool(arguments);
  }
  static std::vector<Json> documents() {
    std::vector<Json> all;
    const RunResult result = run_tool({"replay", file(), "-b", "--json", "-d", "0.05"});
    EXPECT_EQ(result.status, 0) << result.err;
    for (const std::string& line : split_lines(result.out)) all.push_back(Json::parse(line));
    return all;
  }
};
INSTANTIATE_TEST_SUITE_P(Backend, Replay, backends(), backend_name);

// What depends on when one looks, and so may differ between two runs.
Json without_time(Json row) {
  for (auto it = row.begin(); it != row.end();) {
    const bool timed = it.key().ends_with("_per_second") || it.key().ends_with("_seconds");
    it = timed ? row.erase(it) : std::next(it);
  }
  // SYN-ACKs may have been sent again meanwhile.
  row.erase("syn_queue_young");
  return row;
}

TEST_P(Replay, ShowsWhatTheLiveRunShowed) {
  world();
  const RunResult recorded = record("2");
  ASSERT_EQ(recorded.status, 0) << recorded.err;
  EXPECT_EQ(recorded.out, "");
  const Json replayed = run_tool_json({"replay", file(), "--once", "--json"});
  const Json live = sample(GetParam());
  EXPECT_EQ(replayed.at("backend"), live.at("backend"));
  EXPECT_EQ(replayed.at("kernel"), live.at("kernel"));
  EXPECT_EQ(replayed.at("host"), live.at("host"));
  for (const auto& space : world().namespaces) {
    SCOPED_TRACE(space->label);
    std::map<uint64_t, Json> expected;
    std::map<uint64_t, Json> found;
    for (const Json& row : rows_of(live, space->netns.inode()))
      expected[row.at("cookie")] = without_time(row);
    for (const Json& row : rows_of(replayed, space->netns.inode()))
      found[row.at("cookie")] = without_time(row);
    EXPECT_EQ(found, expected);
    const Json live_space = namespace_of(live, space->netns.inode());
    const Json replayed_space = namespace_of(replayed, space->netns.inode());
    ASSERT_TRUE(live_space.is_object()) << space->label;
    ASSERT_TRUE(replayed_space.is_object()) << space->label;
    for (const char* field : {"netns_name", "somaxconn", "tcp_syncookies", "tcp_max_syn_backlog"})
      EXPECT_EQ(replayed_space.at(field), live_space.at(field)) << field;
    EXPECT_EQ(replayed_space.at("mib").at("ListenDrops"), live_space.at("mib").at("ListenDrops"));
  }
}

TEST_P(Replay, HasEverySampleAndItsRates) {
  const uint64_t inode = world().at("queues").netns.inode();
  ASSERT_EQ(record("3").status, 0);
  const std::vector<Json> all = documents();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_TRUE(rows_of(all[0], inode).at(0).at("sk_drops_per_second").is_null());
  EXPECT_EQ(rows_of(all[1], inode).at(0).at("sk_drops_per_second"), 0);
  expect_interval(all[1], all[0]);
}

// A recording cut off by a crash, wherever: what is whole is shown, and nothing worse happens.
TEST_P(Replay, EndsAtTheLastWholeSample) {
  ASSERT_EQ(record("3").status, 0);
  const std::string whole = read_file(file());
  const std::string cut = file() + ".cut";
  for (const double part : {0.999, 0.7, 0.5}) {
    SCOPED_TRACE(part);
    std::ofstream(cut, std::ios::binary)
        << whole.substr(0, static_cast<size_t>(static_cast<double>(whole.size()) * part));
    const RunResult result = run_tool({"replay", cut, "-b", "--json", "-d", "0.05"});
    EXPECT_LT(result.status, 4) << "killed or worse: " << result.status << " " << result.err;
    const size_t lines = split_lines(result.out).size();
    // The first sample says what the others need not repeat: it may be half of the file.
    if (part > 0.6) {
      EXPECT_GE(lines, 1U) << result.err;
    }
    EXPECT_LT(lines, 3U);
    EXPECT_LE(split_lines(result.err).size(), 1U) << result.err;
  }
}

class Recording : public KernelTest {};

TEST_F(Recording, ForeignEmptyAndMissingFilesAreRefused) {
  const std::string foreign = scratch_directory() + "/foreign";
  std::ofstream(foreign) << "this is no recording\n";
  const std::string empty = scratch_directory() + "/empty";
  std::ofstream(empty).flush();
  for (const std::string& path : {foreign, empty, scratch_directory() + "/missing"}) {
    SCOPED_TRACE(path);
    const RunResult result = run_tool({"replay", path, "--once"});
    EXPECT_TRUE(result.status == 2 || result.status == 3) << result.status;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(split_lines(result.err).size(), 1U) << result.err;
    EXPECT_NE(result.err.find(path), std::string::npos) << result.err;
  }
}

TEST_F(Recording, ToWhereNoneCanBeIsRefused) {
  for (const char* path : {"/nonexistent/a.lqrec", "/dev/full"}) {
    SCOPED_TRACE(path);
    const RunResult result = run_tool({"record", path, "-n", "1", "-d", "0.1"});
    EXPECT_TRUE(result.status == 2 || result.status == 3) << result.status;
    EXPECT_EQ(split_lines(result.err).size(), 1U) << result.err;
    EXPECT_NE(result.err.find(path), std::string::npos) << result.err;
  }
}

}  // namespace
}  // namespace lqtest
