// SPDX-License-Identifier: Apache-2.0
// Network namespaces: which are found, what is read of each, which the user chose.
#include <gtest/gtest.h>

#include <array>
#include <csignal>

#include "compare.h"
#include "fixture.h"

namespace lqtest {
namespace {

constexpr std::array kSysctls{"somaxconn",          "tcp_max_syn_backlog",
                              "tcp_syncookies",     "tcp_abort_on_overflow",
                              "tcp_synack_retries", "tcp_migrate_req"};
constexpr std::array kMibNames{
    "ListenOverflows", "ListenDrops",    "TCPReqQFullDrop",  "TCPReqQFullDoCookies",
    "SyncookiesSent",  "SyncookiesRecv", "SyncookiesFailed", "TCPFastOpenListenOverflow"};

class Namespaces : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (IsSkipped()) return;
    document_ = &witnessed_world(GetParam()).document;
    ASSERT_FALSE(document_->is_null());
  }

  const Json* document_ = nullptr;
};
INSTANTIATE_TEST_SUITE_P(Backend, Namespaces, backends(), backend_name);

TEST_P(Namespaces, AreFoundWhateverHoldsThem) {
  for (const auto& space : world().namespaces) {
    const Json found = namespace_of(*document_, space->netns.inode());
    ASSERT_FALSE(found.is_null()) << space->label;
    const std::string& name = space->netns.name();
    EXPECT_EQ(found.at("netns_name"), name.empty() ? Json() : Json(name)) << space->label;
  }
  EXPECT_FALSE(namespace_of(*document_, Netns::initial().inode()).is_null());
}

TEST_P(Namespaces, HaveTheirOwnSysctls) {
  for (const auto& space : world().namespaces) {
    const Json found = namespace_of(*document_, space->netns.inode());
    ASSERT_FALSE(found.is_null()) << space->label;
    for (const char* name : kSysctls) {
      SCOPED_TRACE(space->label + " " + name);
      const std::string path =
          (name == std::string("somaxconn") ? "core/" : "ipv4/") + std::string(name);
      Json expected;  // what the kernel does not have is absent
      try {
        expected = space->netns.sysctl(path);
      } catch (const std::exception&) {
      }
      EXPECT_EQ(found.value(name, Json()), expected);
    }
  }
}

TEST_P(Namespaces, HaveTheirOwnCounters) {
  for (const auto& space : world().namespaces) {
    const Json found = namespace_of(*document_, space->netns.inode());
    ASSERT_FALSE(found.is_null()) << space->label;
    const auto kernel = space->netns.mib();
    const Json& mib = found.at("mib");
    for (const char* name : kMibNames) {
      const auto known = kernel.find(name);
      // Nothing counts there between the run and now: the world stands still.
      EXPECT_EQ(mib.value(name, Json()), known == kernel.end() ? Json() : Json(known->second))
          << space->label << " " << name;
    }
    for (const auto& [name, value] : mib.items()) {
      ASSERT_TRUE(kernel.contains(name)) << name;
      EXPECT_LE(value.get<int64_t>(), kernel.at(name)) << space->label << " " << name;
    }
    EXPECT_TRUE(found.at("mib_since_start").is_null()) << space->label;
  }
}

class OneNamespace : public KernelTest {};

TEST_F(OneNamespace, ByName) {
  const Netns& netns = world().at("groups").netns;
  const Json document = run_tool_json({"--once", "--json", "--netns", netns.name()});
  EXPECT_EQ(document.at("listeners").size(), ss_listeners(netns).size());
  EXPECT_EQ(rows_of(document, netns.inode()).size(), document.at("listeners").size());
  ASSERT_EQ(document.at("namespaces").size(), 1U);
  EXPECT_EQ(document.at("namespaces")[0].at("netns_name"), netns.name());
}

TEST_F(OneNamespace, ByNumber) {
  const Netns& netns = world().at("unnamed").netns;
  const Json document =
      run_tool_json({"--once", "--json", "--netns", std::to_string(netns.inode())});
  EXPECT_EQ(compare_with_ss(document, netns.inode(), ss_listeners(netns)), "");
  EXPECT_EQ(document.at("listeners").size(), 1U);
}

TEST_F(OneNamespace, Self) {
  const Netns& netns = world().at("v6").netns;
  RunOptions inside;
  inside.netns_fd = netns.fd();
  const Json document = run_tool_json({"--once", "--json", "--netns", "self"}, inside);
  EXPECT_EQ(compare_with_ss(document, netns.inode(), ss_listeners(netns)), "");
  EXPECT_EQ(rows_of(document, netns.inode()).size(), document.at("listeners").size());
}

// By default root sees all of them, from wherever it looks.
TEST_F(OneNamespace, IsNotWhatRootGets) {
  RunOptions inside;
  inside.netns_fd = world().at("idle").netns.fd();
  const Json document = run_tool_json({"--once", "--json"}, inside);
  for (const auto& space : world().namespaces)
    EXPECT_EQ(rows_of(document, space->netns.inode()).size(), ss_listeners(space->netns).size())
        << space->label;
}

TEST_F(OneNamespace, UnknownIsAnErrorInOneSentence) {
  const RunResult result = run_tool({"--once", "--netns", "lq-there-is-no-such"});
  EXPECT_TRUE(result.status == 2 || result.status == 3) << result.status;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(split_lines(result.err).size(), 1U) << result.err;
  EXPECT_NE(result.err.find("lq-there-is-no-such"), std::string::npos) << result.err;
}

class ComingAndGoing : public BackendTest {
 protected:
  [[nodiscard]] static std::vector<std::string> batch() {
    std::vector<std::string> argv{tool_path(), "-b", "--json", "-d", "0.2", "-n", "100"};
    if (GetParam() != "auto") argv.insert(argv.end(), {"--backend", GetParam()});
    return argv;
  }
  // Reads lines until `wanted` holds of one.
  static bool reads_until(Program& tool, const std::function<bool(const Json&)>& wanted) {
    while (const auto line = tool.read_line()) {
      const Json document = Json::parse(*line, nullptr, false);
      if (document.is_discarded()) return false;
      if (wanted(document)) return true;
    }
    return false;
  }
};
INSTANTIATE_TEST_SUITE_P(Backend, ComingAndGoing, backends(), backend_name);

TEST_P(ComingAndGoing, NamespacesAppearAndVanishWithoutAnError) {
  Program tool(batch());
  ASSERT_TRUE(reads_until(tool, [](const Json&) { return true; }));
  Netns space = Netns::named("brief");
  const uint64_t inode = space.inode();
  auto owner = std::make_unique<Owner>(
      OwnerOptions{.name = "lq-brief", .netns_fd = space.fd()},
      [](OwnerBody& body) { body.keep(open_listener({.port = 8000, .backlog = 5})); });
  EXPECT_TRUE(reads_until(tool, [&](const Json& document) {
    const auto rows = rows_of(document, inode);
    return rows.size() == 1 && rows[0].at("process") == "lq-brief";
  })) << "the new namespace was never shown";
  owner.reset();
  space.remove();
  EXPECT_TRUE(reads_until(tool, [&](const Json& document) {
    return namespace_of(document, inode).is_null() && rows_of(document, inode).empty();
  })) << "the namespace stayed";
  // And it is not the last that is heard: the tool goes on.
  EXPECT_TRUE(reads_until(tool, [](const Json&) { return true; }));
  tool.send_signal(SIGINT);
  const RunResult end = tool.finish();
  EXPECT_FALSE(end.timed_out);
  EXPECT_EQ(end.err, "");
}

// As container engines do it: the mount that holds the namespace is in another mount namespace.
TEST_P(ComingAndGoing, NamespacesMountedElsewhereAreFound) {
  const std::string path = scratch_directory() + "/inner-" + GetParam();
  const Owner engine({.name = "lq-engine", .netns_fd = Netns::initial().fd()},
                     [&](OwnerBody&) { mount_in_own_namespace(path); });
  const Netns inner = Netns::at("/proc/" + std::to_string(engine.pid()) + "/root" + path);
  Fd listener;
  inner.run([&] { listener = open_listener({.port = 8000, .backlog = 6}); });
  const Json document = sample(GetParam());
  EXPECT_EQ(compare_with_ss(document, inner.inode(), ss_listeners(inner)), "");
  EXPECT_EQ(rows_of(document, inner.inode()).size(), 1U);
}

// The tool must not keep a namespace alive, or a dead container's interfaces stay with it.
TEST_P(ComingAndGoing, NamespacesAreNotHeldByTheTool) {
  Netns space = Netns::named("held");
  const uint64_t inode = space.inode();
  Program tool(batch());
  ASSERT_TRUE(reads_until(
      tool, [&](const Json& document) { return !namespace_of(document, inode).is_null(); }));
  // One end of a veth inside: it goes when the namespace goes, and takes the other end along.
  Netns witness_space = Netns::named("witness");
  try {
    witness_space.ip("link add lqheld type veth peer name inner netns " + space.name() + "\n");
  } catch (const std::exception& error) {
    tool.send_signal(SIGINT);
    tool.finish();
    GTEST_SKIP() << "no veth: " << error.what();
  }
  ASSERT_TRUE(reads_until(tool, [](const Json&) { return true; }));
  space.remove();
  EXPECT_TRUE(wait_until([&] {
    return witness_space.read("/proc/thread-self/net/dev").find("lqheld") == std::string::npos;
  })) << "the namespace is still there while the tool runs";
  tool.send_signal(SIGINT);
  tool.finish();
}

// Idle namespaces hold no connection, and the connection hash is one for all of them: looking into
// each must not mean walking it each time.
TEST_P(ComingAndGoing, IdleNamespacesDoNotCostAWalkEach) {
  constexpr uint64_t kIdle = 40;
  std::vector<Netns> spaces;
  std::vector<Fd> listeners;
  for (uint64_t i = 0; i < kIdle; ++i) {
    spaces.push_back(Netns::named("idle" + std::to_string(i)));
    spaces.back().run([&] { listeners.push_back(open_listener({.port = 8000, .backlog = 3})); });
  }
  const Json document = sample(GetParam());
  for (const Netns& space : spaces) EXPECT_EQ(rows_of(document, space.inode()).size(), 1U);
  const Json walks = document.at("self").value("connection_hash_walks", Json());
  ASSERT_TRUE(walks.is_number()) << document.at("self").dump();
  EXPECT_LT(walks.get<uint64_t>(), kIdle / 4);
  // Nor later: the walks are counted since the start.
  std::vector<std::string> argv = batch();
  Program tool(argv);
  uint64_t first = 0;
  uint64_t last = 0;
  for (int i = 0; i < 4; ++i) {
    const auto line = tool.read_line();
    ASSERT_TRUE(line);
    last = Json::parse(*line).at("self").at("connection_hash_walks");
    if (i == 0) first = last;
  }
  EXPECT_LT(last - first, kIdle / 4);
  tool.send_signal(SIGINT);
  tool.finish();
}

}  // namespace
}  // namespace lqtest
