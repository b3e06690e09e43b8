// SPDX-License-Identifier: Apache-2.0
// What is lost between the interface and TCP shows as a gap between the two, no larger and no
// smaller than it is; and nothing lost is no gap.
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <fstream>

#include "fixture.h"
#include "flood.h"
#include "nic_stage.h"
#include "sockets.h"

namespace lqtest {
namespace {

constexpr uint16_t kClients = 7401;  // real ones
constexpr uint16_t kSpoofed = 7402;  // SYNs that nobody follows up

constexpr int kPatience = 10'000;  // milliseconds

struct GapCase {
  std::string backend;
  std::string mode;
};
// One line in a failed test.
void PrintTo(const GapCase& one, std::ostream* out) {
  *out << one.backend << " " << one.mode;
}

std::vector<GapCase> gap_cases() {
  std::vector<GapCase> cases;
  for (const std::string& backend : counting_backends()) cases.push_back({backend, "tc"});
  if (!cases.empty())
    for (const char* mode : {"xdp-generic", "xdp"}) cases.push_back({"auto", mode});
  return cases;
}

std::string case_name(const ::testing::TestParamInfo<GapCase>& info) {
  std::string name = info.param.backend + "_" + info.param.mode;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// nftables in a namespace. Its counters are the oracle.
class Firewall {
 public:
  explicit Firewall(const Netns& space) : space_(space) {}

  // nft's words when it refuses; empty: done.
  [[nodiscard]] std::string apply(const std::string& rules) const {
    const std::string file = scratch_directory() + "/rules.nft";
    std::ofstream(file) << rules;
    const RunResult result = run({"nft", "-f", file});
    return result.status == 0 ? "" : "nft: " + trim(result.err);
  }
  // Packets of the rule with this comment.
  [[nodiscard]] uint64_t packets(const std::string& comment) const {
    const RunResult result = run({"nft", "-j", "list", "ruleset"});
    const Json rules = Json::parse(result.out, nullptr, false);
    if (rules.is_discarded()) throw std::runtime_error("nft: " + result.err);
    for (const Json& one : rules.at("nftables")) {
      if (!one.contains("rule") || one.at("rule").value("comment", "") != comment) continue;
      for (const Json& expression : one.at("rule").at("expr"))
        if (expression.contains("counter")) return expression.at("counter").at("packets");
    }
    throw std::runtime_error("nft: no rule " + comment);
  }

 private:
  [[nodiscard]] RunResult run(const std::vector<std::string>& argv) const {
    RunOptions options;
    options.netns_fd = space_.fd();
    return run_program(argv, options);
  }

  const Netns& space_;
};

// Drops one SYN in three, at a hook before TCP.
std::string dropping_rules(const std::string& hook) {
  std::string text = fmt::format(
      "table inet lq {{\n"
      "  chain {0} {{\n"
      "    type filter hook {0} priority 0; policy accept;\n",
      hook);
  for (const uint16_t port : {kClients, kSpoofed})
    text += fmt::format(
        "    tcp dport {0} tcp flags & (fin|syn|rst|ack) == syn numgen inc mod 3 0 counter drop "
        "comment \"{0}\"\n",
        port);
  return text + "  }\n}\n";
}

class NicGap : public KernelTest, public ::testing::WithParamInterface<GapCase> {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) return;
    const auto& [backend, mode] = GetParam();
    if (!not_whole(backend).empty()) GTEST_SKIP() << not_whole(backend);
    fabric_ = std::make_unique<Fabric>("gap", 1);
    server().run([&] {
      for (const uint16_t port : {kClients, kSpoofed})
        listeners_.push_back(open_listener({.address = "::", .port = port, .backlog = 4096}));
    });
    watch_ = std::make_unique<Watch>(backend, watch_interval(), nic_arguments(mode));
    if (!watch_->refusal().empty()) {
      ASSERT_FALSE(must_have(backend)) << watch_->refusal();
      GTEST_SKIP() << watch_->refusal();
    }
    const Json row = row_of_port(watch_->next(), server().inode(), kClients);
    if (row.is_object() && row.at("syns").is_null())
      GTEST_SKIP() << "nothing on this kernel counts what reaches a listener";
  }

  Netns& server() { return fabric_->server(0); }

  void spoof(uint64_t syns) {
    Flood flood(*fabric_, {{0, false, kSpoofed}, {0, true, kSpoofed}}, ++generators_);
    flood.send(syns);
  }

  // So many try, and wait so long for one another; those that get through are accepted. Returns how
  // many.
  size_t connect_all(size_t count, int milliseconds) {
    std::vector<Fd> sockets;
    fabric_->client().run([&] {
      for (size_t i = 0; i < count; ++i)
        sockets.push_back(start_connect(Fabric::server_address(0, i % 2 == 0), kClients));
    });
    size_t connected = 0;
    for (const Fd& one : sockets) {
      pollfd polled{one.get(), POLLOUT, 0};
      if (::poll(&polled, 1, milliseconds) > 0) ++connected;
    }
    sockets.clear();  // who has no connection gives up
    pollfd polled{listeners_.front().get(), POLLIN, 0};
    while (::poll(&polled, 1, 0) > 0) accept_from(listeners_.front());
    return connected;
  }

  // The waterfall of the port's listener once all is quiet.
  Json waterfall(uint16_t port) {
    const Json document = watch_->settled({server().inode()});
    const Json row = row_of_port(document, server().inode(), port);
    EXPECT_FALSE(row.is_null());
    Json found = row.value("waterfall", Json());
    EXPECT_TRUE(found.is_object()) << row.dump();
    return found;
  }

  void expect_gap(uint16_t port, uint64_t wanted) {
    const Json found = waterfall(port);
    ASSERT_TRUE(found.is_object());
    EXPECT_EQ(found.at("lost").at("before_tcp"), wanted) << found.dump();
    EXPECT_EQ(found.at("nic_syns").get<uint64_t>() - found.at("syns").get<uint64_t>(), wanted)
        << found.dump();
  }

  std::unique_ptr<Fabric> fabric_;
  std::vector<Fd> listeners_;
  std::unique_ptr<Watch> watch_;
  unsigned generators_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Case, NicGap, ::testing::ValuesIn(gap_cases()), case_name);

TEST_P(NicGap, IsZeroWithoutLoss) {
  const size_t clients = is_emulated() ? 10 : 100;
  EXPECT_EQ(connect_all(clients, kPatience), clients);
  spoof(is_emulated() ? 320 : 3200);
  expect_gap(kClients, 0);
  expect_gap(kSpoofed, 0);
  EXPECT_TRUE(waterfall(kClients).at("lost_at").is_null()) << waterfall(kClients).dump();
}

TEST_P(NicGap, IsWhatAFirewallDrops) {
  const Firewall firewall(server());
  const size_t clients = is_emulated() ? 30 : 300;
  const uint64_t syns = is_emulated() ? 320 : 3200;
  connect_all(10, kPatience);  // what was before counts on both sides
  spoof(64);
  uint64_t clients_lost = 0;
  uint64_t spoofed_lost = 0;
  for (const char* hook : {"input", "prerouting"}) {
    SCOPED_TRACE(hook);
    const std::string refusal = firewall.apply(dropping_rules(hook));
    if (!refusal.empty()) {
      ASSERT_FALSE(is_emulated()) << refusal;
      GTEST_SKIP() << refusal;
    }
    // Who has no answer by then gives up; who tries again meanwhile counts on both sides.
    connect_all(clients, is_emulated() ? 50 : 5);
    spoof(syns);
    const uint64_t of_clients = firewall.packets(std::to_string(kClients));
    const uint64_t of_spoofed = firewall.packets(std::to_string(kSpoofed));
    EXPECT_GE(of_clients, clients / 3);
    EXPECT_EQ(of_spoofed, (syns + 2) / 3);
    clients_lost += of_clients;
    spoofed_lost += of_spoofed;
    expect_gap(kClients, clients_lost);
    expect_gap(kSpoofed, spoofed_lost);
    EXPECT_EQ(waterfall(kClients).at("lost_at"), "before_tcp") << waterfall(kClients).dump();
    ASSERT_EQ(firewall.apply("flush ruleset\n"), "");
  }
  // The rule is gone: the gap stays what it was.
  connect_all(10, kPatience);
  expect_gap(kClients, clients_lost);
}

}  // namespace
}  // namespace lqtest
