// SPDX-License-Identifier: Apache-2.0
// The views over one and the same world: CSV and text show what JSON shows; columns, sort, filter.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "compare.h"
#include "fixture.h"

namespace lqtest {
namespace {

class Output : public KernelTest {
 protected:
  static const Netns& space() { return world().at("queues").netns; }
  static std::vector<std::string> once(std::vector<std::string> more) {
    more.insert(more.begin(), {"--once", "--netns", space().name()});
    return more;
  }
  static std::vector<Json> json_rows(std::vector<std::string> more = {}) {
    more.emplace_back("--json");
    return rows_of(run_tool_json(once(std::move(more))), space().inode());
  }
  // The data lines of a text table whose first column is a number.
  static std::vector<std::vector<std::string>> table(const std::string& text) {
    std::vector<std::vector<std::string>> rows;
    for (const std::string& line : split_lines(text)) {
      std::vector<std::string> words = split_words(line);
      if (!words.empty() && std::isdigit(static_cast<unsigned char>(words[0][0])) != 0)
        rows.push_back(std::move(words));
    }
    return rows;
  }
  static std::set<int> ports(const std::vector<Json>& rows) {
    std::set<int> found;
    for (const Json& row : rows) found.insert(row.at("port").get<int>());
    return found;
  }
};

// How CSV writes what JSON has.
bool same(const Json& json, const std::string& csv) {
  if (json.is_null()) return csv.empty();
  if (json.is_boolean()) return csv == (json.get<bool>() ? "true" : "false");
  if (json.is_string()) return csv == json.get<std::string>();
  if (json.is_array()) {
    std::string joined;
    for (const Json& item : json) joined += (joined.empty() ? "" : " ") + item.dump();
    return csv == joined;
  }
  if (json.is_number_float()) return std::abs(std::stod(csv) - json.get<double>()) < 1e-3;
  return csv == json.dump();
}

TEST_F(Output, CsvHasTheNumbersOfJson) {
  std::map<uint64_t, Json> by_cookie;
  for (const Json& row : json_rows()) by_cookie[row.at("cookie")] = row;
  const RunResult result = run_tool(once({"--csv"}));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const auto rows = parse_csv(result.out);
  ASSERT_EQ(rows.size(), by_cookie.size());
  for (const auto& row : rows) {
    const Json& json = by_cookie.at(std::stoull(row.at("cookie")));
    for (const auto& [id, value] : row) {
      if (id == "state_age_seconds" || !json.contains(id)) continue;
      if (id == "oldest_wait_seconds" && !json.at(id).is_null()) {  // of another moment
        EXPECT_NEAR(std::stod(value), json.at(id).get<double>(), 30.0);
        continue;
      }
      EXPECT_TRUE(same(json.at(id), value)) << id << ": " << json.at(id) << " / " << value;
    }
    for (const char* id :
         {"netns", "netns_name", "address", "port", "family", "uid", "pid", "process", "pids",
          "accept_queue_len", "accept_queue_limit", "accept_queue_fill", "syn_queue_len",
          "syn_queue_limit", "sk_drops", "somaxconn", "limit_set_by", "reuseport"})
      EXPECT_TRUE(row.contains(id)) << id;
  }
}

TEST_F(Output, CsvQuotesWhatNeedsIt) {
  const Owner owner({.name = "x,\"y\" z", .netns_fd = world().at("empty").netns.fd()},
                    [](OwnerBody& body) { body.keep(open_listener({.port = 8000})); });
  const RunResult result = run_tool({"--once", "--csv", "--columns", "port,process,uid", "--netns",
                                     world().at("empty").netns.name()});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto rows = parse_csv(result.out);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("process"), "x,\"y\" z");
  EXPECT_EQ(rows[0].at("uid"), "0");
}

TEST_F(Output, TextHasTheNumbersOfJson) {
  const std::string columns = "port,accept_queue_len,accept_queue_limit,syn_queue_len,sk_drops,pid";
  const RunResult result = run_tool(once({"--columns", columns}));
  ASSERT_EQ(result.status, 0) << result.err;
  const auto rows = table(result.out);
  const auto expected = json_rows();
  ASSERT_EQ(rows.size(), expected.size()) << result.out;
  std::set<std::vector<std::string>> lines(rows.begin(), rows.end());
  for (const Json& row : expected) {
    std::vector<std::string> words;
    for (const char* id :
         {"port", "accept_queue_len", "accept_queue_limit", "syn_queue_len", "sk_drops", "pid"})
      words.push_back(row.at(id).is_null() ? "-" : row.at(id).dump());
    EXPECT_TRUE(lines.contains(words)) << row.dump() << "\n" << result.out;
  }
}

// Absent is never zero, in any view.
TEST_F(Output, AbsentIsNotZero) {
  const std::vector<std::string> base{"--backend", "diag", "--columns", "port,syn_queue_len"};
  const RunResult text = run_tool(once(base));
  ASSERT_EQ(text.status, 0) << text.err;
  ASSERT_FALSE(table(text.out).empty()) << text.out;
  for (const auto& row : table(text.out)) EXPECT_EQ(row.at(1), "-");
  std::vector<std::string> csv = base;
  csv.emplace_back("--csv");
  const auto rows = parse_csv(run_tool(once(csv)).out);
  ASSERT_FALSE(rows.empty());
  for (const auto& row : rows) EXPECT_EQ(row.at("syn_queue_len"), "");
}

TEST_F(Output, ColumnsAreThoseAskedForInTheirOrder) {
  const RunResult csv = run_tool(once({"--csv", "--columns", "sk_drops,port"}));
  ASSERT_EQ(csv.status, 0) << csv.err;
  EXPECT_EQ(trim(split_lines(csv.out).at(0)), "sk_drops,port");
}

TEST_F(Output, SortsByAnyField) {
  const auto order = [&](const std::string& key) {
    std::vector<int> found;
    const RunResult result = run_tool(once({"--columns", "port", "--sort", key}));
    EXPECT_EQ(result.status, 0) << result.err;
    for (const auto& row : table(result.out)) found.push_back(std::stoi(row.at(0)));
    return found;
  };
  std::vector<int> ascending = order("port:asc");
  ASSERT_EQ(ascending.size(), json_rows().size());
  EXPECT_TRUE(std::is_sorted(ascending.begin(), ascending.end()));
  // The longest queue first is what one looks for.
  std::map<int, int> length;
  for (const Json& row : json_rows()) length[row.at("port")] = row.at("accept_queue_len");
  const std::vector<int> longest = order("accept_queue_len");
  ASSERT_EQ(longest.size(), length.size());
  EXPECT_TRUE(std::is_sorted(longest.begin(), longest.end(),
                             [&](int a, int b) { return length[a] > length[b]; }));
  EXPECT_EQ(longest.front(), 8003);
  const std::vector<int> shortest = order("accept_queue_len:asc");
  EXPECT_TRUE(std::is_sorted(shortest.begin(), shortest.end(),
                             [&](int a, int b) { return length[a] < length[b]; }));
}

TEST_F(Output, FiltersByExpressions) {
  const std::vector<Json> all = json_rows();
  const auto expect = [&](const std::string& filter, const std::function<bool(const Json&)>& keep) {
    SCOPED_TRACE(filter);
    std::set<int> wanted;
    for (const Json& row : all)
      if (keep(row)) wanted.insert(row.at("port").get<int>());
    EXPECT_EQ(ports(json_rows({"--filter", filter})), wanted);
  };
  expect("port == 8001", [](const Json& row) { return row.at("port") == 8001; });
  expect("port != 8001", [](const Json& row) { return row.at("port") != 8001; });
  expect("port == 8001 and accept_queue_fill > 0.8",
         [](const Json& row) { return row.at("port") == 8001; });
  expect("port == 8002 and accept_queue_fill > 0.8", [](const Json&) { return false; });
  expect("accept_queue_fill >= 1",
         [](const Json& row) { return row.at("accept_queue_fill").get<double>() >= 1; });
  expect("sk_drops > 0 and family == ipv6", [](const Json& row) {
    return row.at("sk_drops").get<int>() > 0 && row.at("family") == "ipv6";
  });
  expect("process ~ lq-queu", [](const Json&) { return true; });
  expect("process ~ nginx", [](const Json&) { return false; });
  expect("accept_queue_limit <= 3",
         [](const Json& row) { return row.at("accept_queue_limit").get<int>() <= 3; });
}

TEST_F(Output, FindsProcessesByName) {
  const Owner nginx({.name = "nginx", .netns_fd = world().at("empty").netns.fd()},
                    [](OwnerBody& body) {
                      body.keep(open_listener({.port = 443, .backlog = 1}));
                      body.keep(open_listener({.port = 80, .backlog = 511}));
                    });
  const Json document =
      run_tool_json({"--once", "--json", "--filter", "process ~ nginx and port == 443"});
  ASSERT_EQ(rows_of(document, world().at("empty").netns.inode()).size(), 1U);
  for (const Json& row : document.at("listeners")) EXPECT_EQ(row.at("port"), 443);
}

// What decides need not be shown.
TEST_F(Output, FiltersAndSortsByWhatIsNotShown) {
  const RunResult result = run_tool(
      once({"--columns", "port", "--filter", "process ~ lq-queues and accept_queue_len > 2",
            "--sort", "accept_queue_limit"}));
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<std::vector<std::string>> expected{{"8003"}, {"8006"}, {"8002"}};
  auto rows = table(result.out);
  ASSERT_EQ(rows.size(), 5U) << result.out;
  rows.resize(3);
  EXPECT_EQ(rows, expected) << result.out;
}

TEST_F(Output, NoFilterMatchesWhatIsAbsent) {
  for (const char* filter : {"syn_queue_len >= 0", "syn_queue_len < 1", "syn_queue_len != 5"}) {
    SCOPED_TRACE(filter);
    EXPECT_TRUE(json_rows({"--backend", "diag", "--filter", filter}).empty());
  }
}

TEST_F(Output, ListsItsFields) {
  const RunResult result = run_tool({"--list-fields"});
  ASSERT_EQ(result.status, 0) << result.err;
  for (const Json& row : json_rows())
    for (const auto& [id, value] : row.items())
      EXPECT_NE(result.out.find(id), std::string::npos) << id;
}

// Every header that CSV prints is a column one can ask for.
TEST_F(Output, TakesEveryFieldAsAColumn) {
  const RunResult all = run_tool(once({"--csv"}));
  const std::string header = trim(split_lines(all.out).at(0));
  const RunResult again = run_tool(once({"--csv", "--columns", header}));
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(trim(split_lines(again.out).at(0)), header);
}

TEST_F(Output, ExplainsWhyAFieldIsAbsent) {
  const RunResult result = run_tool({"--explain", "--backend", "diag"});
  ASSERT_EQ(result.status, 0) << result.err;
  std::string line;
  for (const std::string& candidate : split_lines(result.out))
    if (candidate.find("syn_queue_len") != std::string::npos) line = candidate;
  ASSERT_NE(line, "") << result.out;
  // A reason is more than a name and a dash.
  EXPECT_GE(split_words(line).size(), 4U) << line;
}

}  // namespace
}  // namespace lqtest
