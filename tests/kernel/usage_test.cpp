// SPDX-License-Identifier: Apache-2.0
// Wrong usage, what this kernel or user may not have, and running without root: an exit status, one
// sentence on stderr, nothing on stdout.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>

#include <filesystem>

#include "compare.h"
#include "fixture.h"

namespace lqtest {
namespace {

struct Refusal {
  std::vector<std::string> arguments;
  int status = 2;
  std::string mentions{};  // what the sentence must name
};

void expect_refused(const Refusal& refusal, const RunOptions& options = {}) {
  std::string line;
  for (const std::string& argument : refusal.arguments) line += argument + " ";
  SCOPED_TRACE(line);
  RunOptions limited = options;
  limited.limit = std::chrono::seconds(20);
  const RunResult result = run_tool(refusal.arguments, limited);
  EXPECT_EQ(result.status, refusal.status);
  EXPECT_EQ(result.out.substr(0, 200), "");
  EXPECT_EQ(split_lines(result.err).size(), 1U) << result.err;
  EXPECT_GE(split_words(result.err).size(), 4U) << "not a sentence: " << result.err;
  EXPECT_NE(result.err.find(refusal.mentions), std::string::npos) << result.err;
}

class Usage : public KernelTest {};

TEST_F(Usage, WrongIsOneSentenceAndStatusTwo) {
  const std::vector<Refusal> refusals{
      {{"--no-such-option"}, 2, "--no-such-option"},
      {{"no-such-command"}, 2, "no-such-command"},
      {{"--once", "--columns", "no_such_field"}, 2, "no_such_field"},
      {{"--once", "--columns", ""}, 2, ""},
      {{"--once", "--columns", "port,,pid"}, 2, ""},
      {{"--once", "--sort", "no_such_field"}, 2, "no_such_field"},
      {{"--once", "--sort", "port:sideways"}, 2, "sideways"},
      {{"--once", "--filter", "no_such_field > 3"}, 2, "no_such_field"},
      {{"--once", "--filter", "port >"}, 2, ""},
      {{"--once", "--filter", "port == 1 or port == 2"}, 2, ""},
      {{"--once", "--filter", "port == 443 and"}, 2, ""},
      {{"--once", "--filter", "== 3"}, 2, ""},
      {{"--once", "--filter", "port == abc"}, 2, ""},
      {{"--once", "--filter", "process ~ ["}, 2, ""},
      {{"--once", "--backend", "no-such"}, 2, "no-such"},
      {{"--once", "--no-feature", "no-such"}, 2, "no-such"},
      {{"--once", "--json", "--csv"}, 2, ""},
      {{"-b", "-n", "0"}, 2, ""},
      {{"-b", "-n", "-3"}, 2, ""},
      {{"-b", "-n", "many"}, 2, "many"},
      {{"-b", "-n", "1", "-d", "0"}, 2, ""},
      {{"-b", "-n", "1", "-d", "-1"}, 2, ""},
      {{"-b", "-n", "1", "-d", "nan"}, 2, ""},
      {{"-b", "-n", "1", "-d", "soon"}, 2, "soon"},
      {{"--once", "--netns"}, 2, "netns"},
      {{"--once", "--nic", "lo", "--nic-mode", "offload"}, 2, "offload"},
      {{"--once", "--nic", "lo,,lo"}, 2, "--nic"},
      {{"--once", "--nic", "no-such-interface"}, 2, "no-such-interface"},
      {{"record"}, 2, ""},
      {{"replay"}, 2, ""},
      {{"serve", "--json"}, 2, "--include"},
      {{"serve", "--filter", "port == 1"}, 2, "--include"},
      {{"serve", "--include", "no_such_field > 3"}, 2, "no_such_field"},
      {{"serve", "--exclude", "port =="}, 2, ""},
      {{"serve", "--max-listeners", "-1"}, 2, "--max-listeners"},
      {{"serve", "--web.telemetry-path", "metrics"}, 2, "--web.telemetry-path"},
      {{"serve", "--web.listen-address", "127.0.0.1"}, 2, "127.0.0.1"},
      {{"--once", "--web.listen-address", ":1"}, 2, "--web.listen-address"},
  };
  for (const Refusal& refusal : refusals) expect_refused(refusal);
}

TEST_F(Usage, WhatCannotBeHadIsOneSentenceAndStatusThree) {
  const std::vector<Refusal> refusals{
      {{"--once", "--backend", "fentry", "--no-feature", "fentry"}, 3, "fentry"},
      {{"--once", "--json", "--backend", "kprobe", "--no-feature", "kprobe"}, 3, "kprobe"},
      {{"-b", "-n", "1", "--backend", "portable", "--no-feature", "portable"}, 3, "portable"},
      {{"--once", "--backend", "iter", "--no-feature", "iter"}, 3, "iter"},
      {{"--once", "--nic", "lo", "--no-feature", "bpf"}, 3, "--nic"},
      {{"serve", "--web.config.file", "/no/such/file"}, 3, "/no/such/file"},
      {{"serve", "--web.listen-address", "192.0.2.1:9815"}, 3, "192.0.2.1"},
  };
  for (const Refusal& refusal : refusals) expect_refused(refusal);
}

TEST_F(Usage, FeaturesCanBeTakenAway) {
  const Netns& netns = world().at("queues").netns;
  const RunResult result = run_tool({"--once", "--json", "--no-feature", "iter"});
  ASSERT_EQ(result.status, 0) << result.err;
  // It may say that the better way is switched off, and no more.
  EXPECT_LE(split_lines(result.err).size(), 1U) << result.err;
  const Json document = Json::parse(result.out);
  EXPECT_EQ(document.at("backend"), "diag");
  EXPECT_EQ(compare_with_ss(document, netns.inode(), ss_listeners(netns)), "");
}

TEST_F(Usage, HelpAndVersionAreNoErrors) {
  for (const char* option : {"--help", "--version", "--list-fields", "--explain"}) {
    SCOPED_TRACE(option);
    const RunResult result = run_tool({option});
    EXPECT_EQ(result.status, 0);
    EXPECT_NE(result.out, "");
    EXPECT_EQ(result.err, "");
  }
}

// stdout is no terminal here.
TEST_F(Usage, WithoutATerminalItIsOneTable) {
  const Netns& netns = world().at("queues").netns;
  const RunResult result = run_tool({"--netns", netns.name()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_NE(result.out.find("8003"), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos) << "escape sequences in a pipe";
}

TEST_F(Usage, AFullDiskIsNotSilent) {
  const RunResult result =
      run_program({"/bin/sh", "-c", "exec \"$0\" --once >/dev/full", tool_path()});
  EXPECT_NE(result.status, 0);
  EXPECT_EQ(split_lines(result.err).size(), 1U) << result.err;
}

// As user 65534, inside a namespace of the world: what sock_diag gives, and nothing invented.
class WithoutRoot : public KernelTest {
 protected:
  static constexpr uid_t kNobody = 65534;

  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) return;
    // The build directory may be closed to others.
    copy_ = scratch_directory() + "/listenq-top";
    std::filesystem::copy_file(tool_path(), copy_,
                               std::filesystem::copy_options::overwrite_existing);
    ::chmod(copy_.c_str(), 0755);
  }
  [[nodiscard]] RunResult run(const WorldNamespace& space, std::vector<std::string> argv) const {
    RunOptions options;
    options.netns_fd = space.netns.fd();
    options.user = kNobody;
    argv.insert(argv.begin(), copy_);
    return run_program(argv, options);
  }
  static void expect_one_hint(const RunResult& result) {
    EXPECT_EQ(result.status, 0) << result.err;
    ASSERT_EQ(split_lines(result.err).size(), 1U) << result.err;
    EXPECT_NE(result.err.find("root"), std::string::npos) << result.err;
  }

  std::string copy_;
};

TEST_F(WithoutRoot, ShowsTheOwnNamespaceAsFarAsSockDiagGoes) {
  const WorldNamespace& space = world().at("queues");
  const RunResult result = run(space, {"--once", "--json"});
  expect_one_hint(result);
  const Json document = Json::parse(result.out);
  EXPECT_EQ(document.at("backend"), "diag");
  EXPECT_EQ(document.at("namespaces").size(), 1U);
  EXPECT_EQ(document.at("listeners").size(), space.expected.size());
  for (const auto& [cookie, ss] : ss_listeners(space.netns)) {
    const auto rows = rows_at(document, space.netns.inode(), ss.address, ss.port);
    ASSERT_EQ(rows.size(), 1U) << ss.address << ":" << ss.port;
    EXPECT_EQ(rows[0].at("cookie"), cookie);
    EXPECT_EQ(rows[0].at("accept_queue_len"), ss.accept_queue_len);
    EXPECT_EQ(rows[0].at("accept_queue_limit"), ss.accept_queue_limit);
    EXPECT_EQ(rows[0].at("sk_drops"), ss.drops);
    EXPECT_EQ(rows[0].at("inode"), ss.inode);
    EXPECT_EQ(rows[0].at("uid"), ss.uid);
    for (const char* field :
         {"syn_queue_len", "syn_queue_young", "fastopen_queue_len", "pid", "process"})
      EXPECT_TRUE(rows[0].at(field).is_null()) << field << " " << rows[0].at(field);
    EXPECT_TRUE(rows[0].at("pids").is_null() || rows[0].at("pids").empty());
  }
}

TEST_F(WithoutRoot, ShowsTheOwnProcesses) {
  const WorldNamespace& space = world().at("empty");
  const Owner owner({.name = "lq-mine", .netns_fd = space.netns.fd(), .user = kNobody},
                    [](OwnerBody& body) { body.keep(open_listener({.port = 8000})); });
  const RunResult result = run(space, {"--once", "--json"});
  expect_one_hint(result);
  const auto rows = rows_of(Json::parse(result.out), space.netns.inode());
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("pid"), owner.pid());
  EXPECT_EQ(rows[0].at("process"), "lq-mine");
  EXPECT_EQ(rows[0].at("uid"), kNobody);
}

TEST_F(WithoutRoot, ShowsADashForWhatItMayNotKnow) {
  const RunResult result =
      run(world().at("queues"), {"--once", "--columns", "port,syn_queue_len,pid"});
  expect_one_hint(result);
  int rows = 0;
  for (const std::string& line : split_lines(result.out)) {
    const auto words = split_words(line);
    if (words.size() != 3 || words[0].find_first_not_of("0123456789") != std::string::npos)
      continue;
    ++rows;
    EXPECT_EQ(words[1], "-") << line;
    EXPECT_EQ(words[2], "-") << line;
  }
  EXPECT_EQ(rows, 10) << result.out;
}

// As in a container without real root: all capabilities, none of which counts for the kernel.
TEST_F(WithoutRoot, AsRootOfAUserNamespace) {
  RunOptions options;
  options.netns_fd = world().at("queues").netns.fd();
  options.user_namespace = true;
  const RunResult possible = run_program({"true"}, options);
  if (possible.status == kNotStarted) GTEST_SKIP() << "no user namespaces: " << possible.err;
  const RunResult result = run_program({copy_, "--once", "--json"}, options);
  expect_one_hint(result);
  EXPECT_EQ(result.err.find("libbpf"), std::string::npos) << result.err;
  const Json document = Json::parse(result.out);
  EXPECT_EQ(document.at("backend"), "diag");
  EXPECT_EQ(document.at("listeners").size(), world().at("queues").expected.size());
}

// BPF is allowed, entering other namespaces is not: what it says must be what it shows.
TEST_F(WithoutRoot, ButForCapSysAdmin) {
  RunOptions options;
  options.netns_fd = world().at("queues").netns.fd();
  options.drop_capability = CAP_SYS_ADMIN;
  const RunResult result = run_program({copy_, "--once", "--json"}, options);
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(split_lines(result.err).size(), 1U) << result.err;
  const Json document = Json::parse(result.out);
  EXPECT_EQ(document.at("namespaces").size(), 1U);
  const auto rows = rows_of(document, world().at("queues").netns.inode());
  ASSERT_EQ(rows.size(), world().at("queues").expected.size());
  const bool said = result.err.find("no SYN queue") != std::string::npos;
  for (const Json& row : rows) ASSERT_EQ(row.at("syn_queue_len").is_null(), said) << result.err;
}

TEST_F(WithoutRoot, CannotHaveBpf) {
  RunOptions options;
  options.user = kNobody;
  const RunResult result = run_program({copy_, "--once", "--backend", "iter"}, options);
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out.substr(0, 200), "");
  EXPECT_EQ(split_lines(result.err).size(), 1U) << result.err;
}

}  // namespace
}  // namespace lqtest
