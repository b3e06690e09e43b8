// SPDX-License-Identifier: Apache-2.0
// However the tool ends, the interface is left as it was; what others have attached to it stays;
// and interfaces may come and go while the tool watches.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "bpf_objects.h"
#include "counters.h"
#include "fixture.h"
#include "flood.h"
#include "interface_hooks.h"
#include "nic_stage.h"
#include "sockets.h"

namespace lqtest {
namespace {

constexpr uint16_t kPort = 8000;

class NicLifetime : public KernelTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) return;
    end_counters();  // its programs are not what we look at
    fabric_ = std::make_unique<Fabric>("nicl", 1);
    server().run(
        [&] { listener_ = open_listener({.address = "::", .port = kPort, .backlog = 8}); });
  }

  Netns& server() { return fabric_->server(0); }
  [[nodiscard]] std::set<std::string> hooks() { return hooks_of(server(), kNicInterface); }
  static std::vector<std::string> command() {
    std::vector<std::string> argv{tool_path(), "-b", "--json", "--netns", "all", "-d", "0.1"};
    const std::vector<std::string> nic = nic_arguments(GetParam());
    argv.insert(argv.end(), nic.begin(), nic.end());
    return argv;
  }
  static std::unique_ptr<Watch> start(const std::string& mode = GetParam(),
                                      const std::string& interface = kNicInterface) {
    return std::make_unique<Watch>("auto", watch_interval(), nic_arguments(mode, interface));
  }
  Json nic(Watch& watch) { return nic_of(watch.next(), server().inode(), kNicInterface); }
  // Seen by the tool at the interface, on this port.
  uint64_t syns(Watch& watch) {
    const Json document = watch.settled({server().inode()});
    const Json found = nic_of(document, server().inode(), kNicInterface);
    if (found.is_null()) throw std::runtime_error("up0 is not watched");
    return NicCounts::of(found).ports.at(kPort).syn_in;
  }
  static std::chrono::milliseconds patience() {
    return std::chrono::seconds(is_emulated() ? 60 : 15);
  }

  // tc in the server; its words when it refuses.
  std::string tc(std::vector<std::string> words) {
    words.insert(words.begin(), "tc");
    RunOptions options;
    options.netns_fd = server().fd();
    const RunResult result = run_program(words, options);
    return result.status == 0 ? "" : trim(result.err);
  }
  // On both sides, of a kind that this kernel has: they match everything, behind ours.
  std::string add_filters() {
    std::string refusal;
    for (const std::string kind : {"matchall action continue", "u32 match u32 0 0 flowid :1"}) {
      refusal.clear();
      for (const char* side : {"ingress", "egress"}) {
        std::vector<std::string> words{"filter", "add", "dev", "up0", side, "prio", "5"};
        if (kind.starts_with("u32")) words.insert(words.end(), {"protocol", "all"});
        for (const std::string& word : split_words(kind)) words.push_back(word);
        refusal += tc(words);
      }
      if (refusal.empty()) break;
    }
    return refusal;
  }

  // Of the interface and of BPF. Without links to hold them, filters outlive a killed tool: then
  // the next start removes them.
  void expect_as_before(const std::set<std::string>& before, const BpfObjects& objects,
                        bool killed) {
    std::set<std::string> now;
    const auto same = [&] { return (now = hooks()) == before; };
    if (killed && !kernel_has_tcx() && !same()) {
      const auto next = start();
      EXPECT_EQ(next->refusal(), "");
    }
    EXPECT_TRUE(wait_until(same, patience())) << "was\n"
                                              << text_of(before) << "is\n"
                                              << text_of(now);
    BpfObjects left;
    EXPECT_TRUE(wait_until([&] { return (left = left_since(objects)).empty(); }, patience()))
        << "left behind: " << left.text();
  }

  std::unique_ptr<Fabric> fabric_;
  Fd listener_;
};
INSTANTIATE_TEST_SUITE_P(Mode, NicLifetime, ::testing::ValuesIn(nic_modes()), mode_name);

bool has(const std::set<std::string>& hooks, const std::string& beginning) {
  return std::any_of(hooks.begin(), hooks.end(),
                     [&](const std::string& one) { return one.starts_with(beginning); });
}

// The test would see it; and an orderly end leaves nothing.
TEST_P(NicLifetime, WhatItAttachesIsSeenAndGoes) {
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::set<std::string> before = hooks();
    const BpfObjects objects = all_bpf_objects();
    const auto watch = start();
    ASSERT_EQ(watch->refusal(), "");
    const std::set<std::string> during = hooks();
    const std::string tc = kernel_has_tcx() ? "tcx" : "filter";
    EXPECT_EQ(has(during, "xdp"), GetParam() != "tc") << text_of(during);
    EXPECT_EQ(has(during, tc + " ingress"), GetParam() == "tc") << text_of(during);
    EXPECT_TRUE(has(during, tc + " egress")) << text_of(during);
    const RunResult result = watch->stop(signal);
    // Native XDP resets some links: who asks for it is told.
    EXPECT_EQ(result.err.find("native XDP") != std::string::npos, GetParam() == "xdp")
        << result.err;
    EXPECT_LE(split_lines(result.err).size(), GetParam() == "xdp" ? 1U : 0U) << result.err;
    EXPECT_EQ(text_of(hooks()), text_of(before));
    expect_as_before(before, objects, false);
  }
}

TEST_P(NicLifetime, KilledWhileItStarts) {
  const std::set<std::string> before = hooks();
  const BpfObjects objects = all_bpf_objects();
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(start()->refusal(), "");
  const auto took = std::chrono::steady_clock::now() - begin;
  const int moments = is_emulated() ? 6 : 20;
  for (int i = 0; i < moments; ++i) {
    RunOptions options;
    options.forget_lines = true;
    const Program tool(command(), options);
    std::this_thread::sleep_for(took * i / moments);
    tool.send_signal(SIGKILL);
  }
  expect_as_before(before, objects, true);
}

TEST_P(NicLifetime, KilledUnderLoad) {
  const std::set<std::string> before = hooks();
  const BpfObjects objects = all_bpf_objects();
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    Flood syns(*fabric_, {{0, false, kPort}, {0, true, kPort}}, 0);
    while (!stop) syns.send(320);
  });
  for (int i = 0; i < (is_emulated() ? 2 : 6); ++i) {
    RunOptions options;
    options.forget_lines = true;
    Program tool(command(), options);
    for (int documents = 0; documents <= i % 3; ++documents) EXPECT_TRUE(tool.read_line());
    tool.send_signal(SIGKILL);
  }
  stop = true;
  flood.join();
  expect_as_before(before, objects, true);
}

// Somebody else uses tc on the interface, too.
TEST_P(NicLifetime, OtherFiltersStay) {
  ASSERT_EQ(tc({"qdisc", "add", "dev", "up0", "clsact"}), "");
  for (const bool with_filters : {false, true}) {
    SCOPED_TRACE(with_filters);
    if (with_filters) {
      const std::string refusal = add_filters();
      ASSERT_FALSE(is_emulated() && !refusal.empty()) << refusal;
      if (!refusal.empty()) GTEST_SKIP() << "an empty clsact stays; with filters: " << refusal;
    }
    const std::set<std::string> before = hooks();
    const BpfObjects objects = all_bpf_objects();
    for (const int signal : {SIGTERM, SIGKILL}) {
      const auto watch = start();
      ASSERT_EQ(watch->refusal(), "");
      const std::set<std::string> during = hooks();
      for (const std::string& one : before) EXPECT_TRUE(during.contains(one)) << one;
      Flood(*fabric_, {{0, false, kPort}}, 1).send(32);
      EXPECT_EQ(syns(*watch), 32U);
      watch->stop(signal);
    }
    expect_as_before(before, objects, true);
  }
}

// One after the other was killed: the last one counts, and only it is there.
TEST_P(NicLifetime, StartsWhereAnotherWasKilled) {
  const std::set<std::string> before = hooks();
  const BpfObjects objects = all_bpf_objects();
  for (int i = 0; i < 3; ++i) start()->stop(SIGKILL);
  {
    const auto watch = start();
    ASSERT_EQ(watch->refusal(), "");
    EXPECT_EQ(nic(*watch).at("mode"), GetParam());
    Flood(*fabric_, {{0, false, kPort}}, 1).send(32);
    EXPECT_EQ(syns(*watch), 32U);
  }
  expect_as_before(before, objects, false);
}

TEST_P(NicLifetime, TwoAtOnceCountTheSame) {
  const std::set<std::string> before = hooks();
  const BpfObjects objects = all_bpf_objects();
  auto first = start();
  ASSERT_EQ(first->refusal(), "");
  const auto second = start();
  ASSERT_EQ(second->refusal(), "");
  EXPECT_EQ(nic(*first).at("mode"), GetParam());
  // XDP takes one program an interface.
  EXPECT_EQ(nic(*second).at("mode"), "tc") << nic(*second).dump();
  Flood flood(*fabric_, {{0, false, kPort}, {0, true, kPort}}, 1);
  flood.send(640);
  EXPECT_EQ(syns(*first), 640U);
  EXPECT_EQ(syns(*second), 640U);
  first->stop(SIGTERM);
  flood.send(640);
  EXPECT_EQ(syns(*second), 1280U);
  second->stop(SIGTERM);
  expect_as_before(before, objects, false);
}

// The namespace goes while it is watched: no reason to stop.
TEST_P(NicLifetime, TheNamespaceGoes) {
  const BpfObjects objects = all_bpf_objects();
  const auto watch = start();
  ASSERT_EQ(watch->refusal(), "");
  const uint64_t inode = server().inode();
  listener_.reset();
  fabric_.reset();
  EXPECT_TRUE(wait_until([&] { return nic_of(watch->next(), inode, kNicInterface).is_null(); },
                         patience()));
  EXPECT_TRUE(watch->running());
  watch->stop(SIGTERM);
  BpfObjects left;
  EXPECT_TRUE(wait_until([&] { return (left = left_since(objects)).empty(); }, patience()))
      << "left behind: " << left.text();
}

// --- XDP programs of others

class NicForeign : public KernelTest, public ::testing::WithParamInterface<ForeignXdp::By> {};

std::string holder_name(const ::testing::TestParamInfo<ForeignXdp::By>& info) {
  if (info.param == ForeignXdp::By::link) return "link";
  return info.param == ForeignXdp::By::netlink ? "netlink" : "netlink_generic";
}
INSTANTIATE_TEST_SUITE_P(By, NicForeign,
                         ::testing::Values(ForeignXdp::By::link, ForeignXdp::By::netlink,
                                           ForeignXdp::By::netlink_generic),
                         holder_name);

TEST_P(NicForeign, XdpOfOthersIsNeverReplaced) {
  Fabric fabric("nicf", 1);
  Netns& server = fabric.server(0);
  Fd listener;
  server.run([&] { listener = open_listener({.address = "::", .port = kPort}); });
  std::set<std::string> with_foreign;
  const std::set<std::string> without = hooks_of(server, kNicInterface);
  {
    const ForeignXdp foreign(server, kNicInterface, GetParam());
    with_foreign = hooks_of(server, kNicInterface);
    ASSERT_TRUE(has(with_foreign, "xdp")) << text_of(with_foreign);
    for (const char* mode : {"auto", "xdp", "xdp-generic", "tc"}) {
      SCOPED_TRACE(mode);
      Watch watch("auto", watch_interval(), nic_arguments(mode));
      ASSERT_EQ(watch.refusal(), "");
      const Json nic = nic_of(watch.next(), server.inode(), kNicInterface);
      ASSERT_FALSE(nic.is_null());
      EXPECT_EQ(nic.at("mode"), "tc") << nic.dump();
      // Who asked for XDP is told who has it.
      if (std::string(mode).starts_with("xdp")) {
        EXPECT_TRUE(nic.at("note").is_string() &&
                    nic.at("note").get<std::string>().find(ForeignXdp::kName) != std::string::npos)
            << nic.dump();
      }
      const std::set<std::string> during = hooks_of(server, kNicInterface);
      for (const std::string& one : with_foreign) EXPECT_TRUE(during.contains(one)) << one;
      Flood(fabric, {{0, false, kPort}}, 1).send(32);
      const Json after = nic_of(watch.settled({server.inode()}), server.inode(), kNicInterface);
      EXPECT_EQ(NicCounts::of(after).ports[kPort].syn_in, 32U);
      watch.stop(SIGTERM);
      EXPECT_EQ(text_of(hooks_of(server, kNicInterface)), text_of(with_foreign));
    }
  }
  EXPECT_EQ(text_of(hooks_of(server, kNicInterface)), text_of(without));
}

// --- interfaces that come and go

class NicInterfaces : public KernelTest {};

TEST_F(NicInterfaces, AreFollowed) {
  Fabric fabric("nici", 1);
  Netns& server = fabric.server(0);
  Fd listener;
  server.run([&] { listener = open_listener({.address = "::", .port = kPort, .backlog = 64}); });
  Watch watch("auto", watch_interval(), nic_arguments("auto", "auto"));
  ASSERT_EQ(watch.refusal(), "");
  const auto named = [&](const std::string& name) {
    return nic_of(watch.next(), server.inode(), name);
  };
  const std::chrono::seconds patience(is_emulated() ? 120 : 20);
  for (const char* name : {"lo", kNicInterface}) {
    // A sample attaches for half a second at most; the rest comes with the next. There are many
    // namespaces, and a slow machine gets to one or two of them a sample.
    Json nic;
    ASSERT_TRUE(wait_until([&] { return (nic = named(name)).is_object(); }, patience)) << name;
    EXPECT_EQ(nic.at("mode"), "tc") << nic.at("note");
  }
  for (int round = 0; round < 2; ++round) {
    SCOPED_TRACE(round);
    server.ip(
        "link add name new0 type veth peer name new1\n"
        "addr add 198.19.0.1/24 dev new0\n"
        "link set new0 up\n"
        "link set new1 up\n");
    ASSERT_TRUE(wait_until([&] {
      const Json nic = named("new0");
      return nic.is_object() && nic.at("mode") == "tc";
    }));
    EXPECT_TRUE(wait_until([&] { return !named("new1").is_null(); }));
    EXPECT_EQ(named("new0").at("ports").size(), 1U);
    EXPECT_FALSE(named(kNicInterface).is_null());
    server.ip("link del new0\n");
    EXPECT_TRUE(wait_until([&] { return named("new0").is_null() && named("new1").is_null(); }));
  }
  // Those that stayed count on.
  Flood(fabric, {{0, false, kPort}, {0, true, kPort}}, 1).send(64);
  const Json nic = nic_of(watch.settled({server.inode()}), server.inode(), kNicInterface);
  EXPECT_EQ(NicCounts::of(nic).ports[kPort].syn_in, 64U);
}

// One that is named may go and come back. One that is nowhere is a mistake.
TEST_F(NicInterfaces, NamedOneComesBack) {
  Fabric fabric("nicn", 1);
  Netns& server = fabric.server(0);
  Fd listener;
  server.run([&] { listener = open_listener({.address = "::", .port = kPort}); });
  const Watch mistaken("auto", watch_interval(), nic_arguments("tc", "up0,named0"));
  EXPECT_TRUE(mistaken.refusal().starts_with("exit status 2")) << mistaken.refusal();
  EXPECT_NE(mistaken.refusal().find("named0"), std::string::npos) << mistaken.refusal();
  const char* add = "link add name named0 type veth peer name other0\nlink set named0 up\n";
  server.ip(add);
  Watch watch("auto", watch_interval(), nic_arguments("tc", "up0,named0"));
  ASSERT_EQ(watch.refusal(), "");
  const auto mode_of = [&](const std::string& name) {
    const Json nic = nic_of(watch.next(), server.inode(), name);
    return nic.is_object() ? nic.at("mode") : Json();
  };
  EXPECT_EQ(mode_of(kNicInterface), "tc");
  EXPECT_EQ(mode_of("named0"), "tc");
  EXPECT_TRUE(mode_of("other0").is_null());
  server.ip("link del named0\n");
  EXPECT_TRUE(wait_until([&] { return mode_of("named0").is_null(); }));
  server.ip(add);
  EXPECT_TRUE(wait_until([&] { return mode_of("named0") == "tc"; }));
  EXPECT_TRUE(mode_of("other0").is_null());
}

}  // namespace
}  // namespace lqtest
