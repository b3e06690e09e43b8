// SPDX-License-Identifier: Apache-2.0
// However the tool ends, nothing of it stays in the kernel; and two of it do not disturb each
// other.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "bpf_objects.h"
#include "counters.h"
#include "fixture.h"
#include "flood.h"
#include "watch.h"

namespace lqtest {
namespace {

class Lifetime : public KernelTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) return;
    end_counters();  // its programs are not what we look at
    if (refusal().empty()) return;
    ASSERT_FALSE(must_have(GetParam())) << refusal();
    GTEST_SKIP() << refusal();
  }

  static const std::string& refusal() {
    static std::map<std::string, std::string> known;
    const auto found = known.find(GetParam());
    if (found != known.end()) return found->second;
    const auto start = std::chrono::steady_clock::now();
    const Watch watch(GetParam());
    start_took() = std::chrono::steady_clock::now() - start;
    return known[GetParam()] = watch.refusal();
  }
  // Until the first document.
  static std::chrono::steady_clock::duration& start_took() {
    static std::chrono::steady_clock::duration took{};
    return took;
  }
  static std::vector<std::string> command() {
    return {tool_path(), "-b", "--json", "-d", "0.1", "--backend", GetParam()};
  }
  // The kernel frees programs and maps after a grace period.
  static void expect_nothing_left(const BpfObjects& before) {
    BpfObjects left;
    const bool gone = wait_until([&] { return (left = left_since(before)).empty(); },
                                 std::chrono::seconds(is_emulated() ? 60 : 15));
    EXPECT_TRUE(gone) << "left behind: " << left.text();
  }
};
INSTANTIATE_TEST_SUITE_P(Backend, Lifetime, ::testing::ValuesIn(counting_backends()), backend_name);

// The test would see it: while the tool runs, its objects are in the kernel, and they are its own.
TEST_P(Lifetime, WhatItHoldsIsSeen) {
  const BpfObjects before = all_bpf_objects();
  Watch watch(GetParam());
  ASSERT_EQ(watch.refusal(), "");
  const BpfObjects held = bpf_objects_of(watch.pid());
  EXPECT_FALSE(held.programs.empty() && held.links.empty());
  EXPECT_FALSE(held.maps.empty());
  BpfObjects fresh = all_bpf_objects();
  for (const uint32_t id : before.maps) fresh.maps.erase(id);
  for (const uint32_t id : held.maps) EXPECT_TRUE(fresh.maps.contains(id));
  expect_nothing_left(before);  // all of it is held by somebody
  watch.stop(SIGTERM);
  expect_nothing_left(before);
}

TEST_P(Lifetime, KilledWhileItStarts) {
  const BpfObjects before = all_bpf_objects();
  const int moments = is_emulated() ? 6 : 20;
  for (int i = 0; i < moments; ++i) {
    RunOptions options;
    options.forget_lines = true;
    const Program tool(command(), options);
    std::this_thread::sleep_for(start_took() * i / moments);
    tool.send_signal(SIGKILL);
  }
  expect_nothing_left(before);
}

TEST_P(Lifetime, KilledInTheMiddleOfEvents) {
  Fabric fabric("life", 1);
  std::vector<Fd> listeners;
  std::vector<FloodTarget> targets;
  fabric.server(0).run([&] {
    for (uint16_t port = 8000; port < 8010; ++port) {
      listeners.push_back(open_listener({.address = "::", .port = port, .backlog = 2}));
      targets.push_back({0, port % 2 == 0, port});
    }
  });
  const BpfObjects before = all_bpf_objects();
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    Flood syns(fabric, targets, 0);
    while (!stop) syns.send(320);
  });
  for (int i = 0; i < (is_emulated() ? 2 : 6); ++i) {
    RunOptions options;
    options.forget_lines = true;
    Program tool(command(), options);
    for (int documents = 0; documents <= i % 3; ++documents) {
      EXPECT_TRUE(tool.read_line());
    }
    tool.send_signal(SIGKILL);
  }
  stop = true;
  flood.join();
  expect_nothing_left(before);
}

TEST_P(Lifetime, EndedBySignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    SCOPED_TRACE(signal);
    const BpfObjects before = all_bpf_objects();
    Watch watch(GetParam());
    ASSERT_EQ(watch.refusal(), "");
    const RunResult result = watch.stop(signal);
    EXPECT_FALSE(result.timed_out);
    EXPECT_EQ(result.err, "");
    expect_nothing_left(before);
  }
}

TEST_P(Lifetime, TwoAtOnceCountTheSame) {
  Fabric fabric("two", 1);
  RawWire wire(fabric, 0);
  Watch first(GetParam());
  ASSERT_EQ(first.refusal(), "");
  Watch second(GetParam());
  ASSERT_EQ(second.refusal(), "");
  std::vector<Fd> sockets;
  Netns& server = fabric.server(0);
  server.run([&] {
    sockets.push_back(open_listener({.address = "::", .port = 8000, .backlog = 3}));
    sockets.push_back(open_listener({.port = 8001, .backlog = 0}));
  });
  for (int i = 0; i < 8; ++i) {
    RawConnection one(wire, Fabric::server_address(0, i % 2 == 0), 8000);
    one.send_syn();
    if (i >= 4) continue;
    ASSERT_TRUE(one.await_synack());
    one.send_ack();
  }
  Flood flood(fabric, {{0, false, 8000}, {0, true, 8000}, {0, false, 8001}}, 1);
  flood.send(3 * 32 * 32);  // batches of 32, one for each in turn
  const Json one = first.settled({server.inode()});
  // One ends; the other goes on.
  first.stop(SIGTERM);
  flood.send(3 * 32 * 6);
  const Json all = second.settled({server.inode()});
  const auto row = [&](const Json& document, uint16_t port) -> Json {
    for (const Json& found : rows_of(document, server.inode()))
      if (found.at("port") == port) return found;
    return nullptr;
  };
  for (const uint16_t port : {uint16_t{8000}, uint16_t{8001}}) {
    SCOPED_TRACE(port);
    const Json here = row(one, port);
    const Json there = row(all, port);
    ASSERT_FALSE(here.is_null() || there.is_null());
    EXPECT_EQ(counter(there, "syns").value_or(0),
              counter(here, "syns").value_or(0) + (port == 8000 ? 2 : 1) * 32 * 6U);
  }
  const Json space = namespace_of(all, server.inode());
  EXPECT_EQ(space.at("counted_since_start").at("ListenDrops"),
            space.at("mib_since_start").at("ListenDrops"));
  const Json before = namespace_of(one, server.inode());
  EXPECT_EQ(before.at("counted_since_start").at("ListenDrops"),
            before.at("mib_since_start").at("ListenDrops"));
}

// --- many short lives -------------------------------------------------------------------------

uint64_t resident_kib(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  return 0;
}

// Listeners come and go faster than anybody could look: each is bound, listens, loses a SYN for
// lack of a route back (every sixteenth) and is gone.
TEST_P(Lifetime, ThousandsOfListenersASecond) {
  const uint64_t per_second = is_emulated() ? 1000 : 10'000;
  const uint64_t listeners = (is_emulated() ? 2 : 4) * per_second;
  Fabric fabric("many", 1);
  Netns& server = fabric.server(0);
  server.ip("route add unreachable 11.0.0.0/8\n");
  ASSERT_TRUE(server.write_sysctl("ipv4/tcp_syncookies", "0"));
  std::vector<Fd> steady;
  server.run([&] { steady.push_back(open_listener({.port = 7999, .backlog = 3})); });
  Watch watch(GetParam(), 0.2);
  ASSERT_EQ(watch.refusal(), "");
  ASSERT_FALSE(watch.settled({server.inode()}).is_null());
  const uint64_t memory_before = resident_kib(watch.pid());
  uint64_t most_memory = 0;
  constexpr uint16_t kPorts = 500;

  uint64_t opened = 0;
  uint64_t lost = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  RawWire wire(fabric, 0);
  server.run([&] {
    while (opened < listeners) {
      if (static_cast<double>(opened) > elapsed() * static_cast<double>(per_second)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      const auto port = static_cast<uint16_t>(10'000 + opened % kPorts);
      const Fd listener = open_listener({.port = port, .backlog = 1});
      if (++opened % 16 != 0) continue;
      const IpAddress source = IpAddress::parse("11.0.0.1").plus(opened);
      RawConnection(wire, source, Fabric::server_address(0, false), port).send_syn();
      ++lost;
      if (opened % 1024 == 0) most_memory = std::max(most_memory, resident_kib(watch.pid()));
    }
  });
  const double took = elapsed();
  ASSERT_TRUE(watch.running());
  const Json document = watch.settled({server.inode()});
  ASSERT_FALSE(document.is_null()) << "the tool ended";
  most_memory = std::max(most_memory, resident_kib(watch.pid()));
  const auto mib = server.mib();
  const Json space = namespace_of(document, server.inode());
  const std::string causes = document.at("self").at("lost").dump();
  std::printf(
      "%s: %llu listeners in %.1f s, %llu lost a SYN; %llu KiB before, %llu KiB at most; "
      "lost %s\n",
      GetParam().c_str(), static_cast<unsigned long long>(opened), took,
      static_cast<unsigned long long>(lost), static_cast<unsigned long long>(memory_before),
      static_cast<unsigned long long>(most_memory), causes.c_str());
  // Some SYNs find their port closed already: those are no loss of a listener.
  EXPECT_GE(mib.at("ListenDrops"), static_cast<int64_t>(lost / 2));
  EXPECT_EQ(space.at("mib_since_start").at("ListenDrops"), mib.at("ListenDrops"));
  EXPECT_EQ(space.at("counted_since_start").at("ListenDrops"), mib.at("ListenDrops")) << causes;
  EXPECT_EQ(space.at("coverage"), 1.0);
  // Each that lost something is known by itself; of more than a thousand, the latest, and among
  // them whatever closed elsewhere on this machine.
  const size_t closed = document.at("closed").size();
  EXPECT_LE(closed, 1000U);
  int64_t known = 0;
  for (const Json& row : closed_of(document, server.inode()))
    known += static_cast<int64_t>(counter(row, "drops").value_or(0));
  if (closed < 1000) {
    EXPECT_EQ(known, mib.at("ListenDrops"));
  }
  EXPECT_LE(most_memory, memory_before + 64U * 1024U) << "KiB";
  // The one that was there all the time still is, and is counted.
  RawConnection(wire, IpAddress::parse("11.0.0.1"), Fabric::server_address(0, false), 7999)
      .send_syn();
  const Json after = watch.settled({server.inode()});
  const auto rows = rows_of(after, server.inode());
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("port"), 7999);
  EXPECT_EQ(counter(rows[0], "drops"), 1U);
}

}  // namespace
}  // namespace lqtest
