// SPDX-License-Identifier: Apache-2.0
// Network namespaces: which are found, what is read of each, which the user chose.
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>

#include "compare.h"
#include "fixture.h"
#include "watch.h"

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
        << space->label << ": " << namespace_of(document, space->netns.inode()) << "\n"
        << document.at("self");
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

// Process ids below `pid` that nobody has.
std::vector<pid_t> free_pids_below(pid_t pid) {
  constexpr size_t kEnough = 64;
  std::vector<pid_t> free;
  for (pid_t i = 2; i < pid && free.size() < kEnough; ++i) {
    if (::kill(i, 0) != 0 && errno == ESRCH) free.push_back(i);
  }
  return free;
}

// A process with this id that is in the namespace of the calling thread, lives for a moment and is
// waited for. The errno of a refusal, or 0.
int live_briefly(pid_t pid, long nanoseconds) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uintptr_t>(&pid);
  arguments.set_tid_size = 1;
  const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof(arguments)));
  if (child < 0) return errno;
  if (child == 0) {
    const timespec moment{0, nanoseconds};
    ::nanosleep(&moment, nullptr);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  return 0;
}

// Workers of a server come and go, each with another id: a path through one of them is soon gone,
// and the namespace is not.
TEST_P(ComingAndGoing, ANamespaceIsNotLostWithAProcessInIt) {
  const Owner owner({.name = "lq-stays"}, [](OwnerBody& body) {
    body.keep(open_listener({.port = 8000, .backlog = 5}));
  });
  const Netns space = Netns::of_process(owner.pid());
  const std::vector<pid_t> pids = free_pids_below(owner.pid());
  if (pids.size() < 2) GTEST_SKIP() << "no free process ids below " << owner.pid();
  int refused = 0;
  space.run([&] { refused = live_briefly(pids[0], 0); });
  if (refused != 0) GTEST_SKIP() << "clone3() with a chosen id: " << std::strerror(refused);

  std::atomic<bool> stop{false};
  std::thread churn([&] {
    space.run([&] {
      for (size_t i = 0; !stop; ++i) {
        live_briefly(pids[i % pids.size()], static_cast<long>(i % 5) * 500'000);
      }
    });
  });
  std::vector<std::string> arguments{"-b", "--json", "-d", "0.1", "-n", "30"};
  if (GetParam() != "auto") arguments.insert(arguments.end(), {"--backend", GetParam()});
  const RunResult result = run_tool(arguments);
  stop = true;
  churn.join();
  ASSERT_EQ(result.status, 0) << result.err;
  size_t documents = 0;
  std::string without;
  for (const std::string& line : split_lines(result.out)) {
    const Json document = Json::parse(line);
    if (rows_of(document, space.inode()).size() != 1) without += " " + std::to_string(documents);
    ++documents;
  }
  EXPECT_EQ(documents, 30U);
  EXPECT_EQ(without, "") << "documents without the listener";
}

// As container engines do it: the mount that holds the namespace is in another mount namespace.
TEST_P(ComingAndGoing, NamespacesMountedElsewhereAreFound) {
  const std::string path = scratch_directory() + "/inner-" + GetParam();
  ::unlink(path.c_str());  // of a repetition
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

// Device numbers repeat from namespace to namespace.
class Devices : public KernelTest, public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(Backend, Devices, ::testing::ValuesIn(counting_backends()), backend_name);

TEST_P(Devices, OfAClosedListenerIsThatOfItsNamespace) {
  // The tool goes through them in the order of their numbers, so it does not end with `there`.
  const Netns one = Netns::named("dev-one");
  const Netns other = Netns::named("dev-other");
  const Netns& there = one.inode() < other.inode() ? one : other;
  there.ip("link set lo down\nlink set lo name lqright\nlink set lqright up\n");
  Program tool({tool_path(), "-b", "--json", "-d", "0.2", "--backend", GetParam()});
  const auto first = tool.read_line();
  if (!first) {
    const RunResult result = tool.finish();
    ASSERT_FALSE(must_have(GetParam())) << result.err;
    GTEST_SKIP() << result.err;
  }
  // It comes, loses something and is gone: seen by no sample, or by some.
  there.run([] {
    const Fd listener =
        open_listener({.address = "127.0.0.1", .port = 8000, .backlog = 0, .device = "lqright"});
    const Fd fits = start_connect("127.0.0.1", 8000);
    const Fd lost = start_connect("127.0.0.1", 8000);
  });
  std::vector<Json> closed;
  while (closed.empty()) {
    const auto line = tool.read_line();
    ASSERT_TRUE(line) << "the listener that closed was never shown";
    closed = closed_of(Json::parse(*line), there.inode());
  }
  EXPECT_EQ(closed[0].at("address"), "127.0.0.1%lqright");
  tool.send_signal(SIGINT);
  tool.finish();
}

/// `ip netns exec` gives a program a /sys of its own, with nothing mounted below it.
TEST(IpNetnsExec, LeavesTheBackends) {
  const Netns netns = Netns::named("exec");
  for (const std::string& backend : counting_backends()) {
    SCOPED_TRACE(backend);
    const std::vector<std::string> arguments = {"-b",      "-n",   "1",         "--json",
                                                "--netns", "self", "--backend", backend};
    RunOptions directly;
    directly.netns_fd = netns.fd();
    const int status = run_tool(arguments, directly).status;
    std::vector<std::string> command = {"ip", "netns", "exec", netns.name(), tool_path()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const RunResult inside = run_program(command);
    EXPECT_EQ(inside.status, status) << inside.err;
    if (must_have(backend)) {
      EXPECT_EQ(inside.status, 0) << inside.err;
    }
  }
}

}  // namespace
}  // namespace lqtest
