// SPDX-License-Identifier: Apache-2.0
// What the tool counts at an interface is what its sender sent, to the frame, in every mode; and
// the frames go on as they came, in their order.
#include <fmt/format.h>
#include <sys/socket.h>

#include <cstdlib>
#include <thread>

#include "fixture.h"
#include "nic_stage.h"
#include "raw_client.h"
#include "sockets.h"

namespace lqtest {
namespace {

constexpr uint64_t kSeed = 4711;
// Less than the queue between the two ends of a veth pair takes.
constexpr size_t kBurst = 100;

uint64_t frames_to_send() {
  const char* given = std::getenv("LISTENQ_NIC_FRAMES");
  if (given != nullptr) return std::stoull(given);
  return is_emulated() ? 20'000 : 1'000'000;
}

// Large frames reach native XDP in several pieces, since 5.18.
bool kernel_has_frags() {
  return kernel_knows("bpf_xdp_get_buff_len");
}

class Nic : public KernelTest, public ::testing::WithParamInterface<std::string> {
 protected:
  void begin(unsigned mtu = 1500) {
    stage_ = std::make_unique<NicStage>(GetParam(), mtu);
    ASSERT_EQ(stage_->watch->refusal(), "");
    const Json nic = stage_->nic(stage_->watch->next());
    ASSERT_FALSE(nic.is_null()) << "up0 is not watched";
    ASSERT_EQ(nic.at("mode"), GetParam()) << nic.at("note");
    std::vector<uint16_t> ports;
    for (const Json& port : nic.at("ports")) ports.push_back(port.at("port"));
    const MixTarget& there = stage_->target;
    ASSERT_EQ(ports, (std::vector{there.any, there.any4, there.any6, there.given}));
  }
  NicStage& stage() { return *stage_; }
  Netns& client() { return stage_->fabric.client(); }

  // Real clients between the frames: their handshakes must be found among all that.
  void connect_some() {
    std::vector<Fd> connections;
    for (const bool v6 : {false, true}) {
      const std::string address = Fabric::server_address(0, v6);
      connections.push_back(connect_to(address, stage_->target.any));
      connections.push_back(connect_to(address, stage_->target.given));
    }
    for (const Fd& one : connections) {
      const std::string data(100, 'x');
      if (::send(one.get(), data.data(), data.size(), MSG_NOSIGNAL) < 0) throw_errno("send");
    }
    stage_->accept_all();
  }

  void send_mix(uint64_t count, size_t largest) {
    client().run([&] {
      stay_on_this_cpu();
      FrameSender sender(client(), stage().fabric.client_interface(0));
      FrameMix mix(stage().target, kSeed, largest);
      for (uint64_t sent = 0; sent < count; sent += kBurst) {
        std::vector<MadeFrame> frames;
        for (size_t i = 0; i < kBurst; ++i) frames.push_back(mix.next());
        if (!stage().send(sender, std::move(frames))) return;  // the witness says why
        if (sent / kBurst % 100 == 99) connect_some();
      }
      connect_some();
    });
  }

 private:
  std::unique_ptr<NicStage> stage_;
};
INSTANTIATE_TEST_SUITE_P(Mode, Nic, ::testing::ValuesIn(nic_modes()), mode_name);

TEST_P(Nic, CountsWhatWasSentAndPassesItOn) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const uint64_t frames = frames_to_send();
  send_mix(frames, 1500);
  stage().expect_the_same();
  uint64_t sum = 0;
  for (const auto& [kind, count] : stage().witness->kinds()) sum += count;
  EXPECT_EQ(sum, frames);
  std::printf("%s: %llu frames\n%s", GetParam().c_str(), static_cast<unsigned long long>(sum),
              stage().witness->counts.text().c_str());
  EXPECT_GT(stage().witness->counts.ports[stage().target.any].ack_in, 0U);
}

// Every answer to a SYN is a cookie, and the ACK that brings one back ends a handshake.
TEST_P(Nic, CountsTheSameWithCookies) {
  ASSERT_NO_FATAL_FAILURE(begin());
  ASSERT_TRUE(stage().server().write_sysctl("ipv4/tcp_syncookies", "2"));
  send_mix(frames_to_send() / 10, 1500);
  stage().expect_the_same();
  EXPECT_GT(stage().witness->counts.ports[stage().target.any].ack_in, 0U);
  EXPECT_GT(stage().server().mib().at("SyncookiesRecv"), 0);
}

TEST_P(Nic, CountsFramesInSeveralPieces) {
  if (GetParam() == "xdp" && !kernel_has_frags())
    GTEST_SKIP() << "native XDP takes no large frames on this kernel";
  ASSERT_NO_FATAL_FAILURE(begin(9000));
  send_mix(frames_to_send() / 20, 9000);
  stage().expect_the_same();
}

// --- handshakes, segment by segment

class NicHandshake : public Nic {
 protected:
  void SetUp() override {
    Nic::SetUp();
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(begin());
    // A slow machine must find the request still there.
    ASSERT_TRUE(stage().server().write_sysctl("ipv4/tcp_synack_retries", "5"));
    wire_ = std::make_unique<RawWire>(stage().fabric, 0);
  }
  RawConnection connection(bool v6 = false) {
    return {*wire_, Fabric::server_address(0, v6), port()};
  }
  [[nodiscard]] uint16_t port() { return stage().target.any; }

  struct Port {
    NicPortCounts counts;
    Json handshake_time;
    uint64_t syn_known = 0;
  };
  // Of port(), in a document that has held still.
  Port seen() {
    const Json nic = stage().nic(stage().watch->settled({stage().server().inode()}));
    if (nic.is_null()) throw std::runtime_error("up0 is no longer watched");
    Port result;
    result.counts = NicCounts::of(nic).ports[port()];
    for (const Json& one : nic.at("ports")) {
      if (one.at("port") != port()) continue;
      result.handshake_time = one;
      result.syn_known = one.at("syn_known");
    }
    return result;
  }
  void expect_acks(uint64_t count) { EXPECT_EQ(seen().counts.ack_in, count); }

  std::unique_ptr<RawWire> wire_;
};
// What is done with a packet that was found is the same in all modes: where it takes long, one will
// do. Each mode has its mix of frames and its handshakes above.
INSTANTIATE_TEST_SUITE_P(Mode, NicHandshake,
                         ::testing::ValuesIn(is_emulated() ? std::vector<std::string>{"tc"}
                                                           : nic_modes()),
                         mode_name);

TEST_P(NicHandshake, OnlyTheAckThatEndsItCounts) {
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6);
    const uint64_t before = seen().counts.ack_in;
    RawConnection one = connection(v6);
    one.send_syn();
    ASSERT_TRUE(one.await_synack());
    one.send_ack(5);  // of nothing that was sent
    expect_acks(before);
    one.send_ack();
    expect_acks(before + 1);
    one.send_ack();
    one.send_data("some");
    one.send_ack();
    one.send_fin();
    expect_acks(before + 1);
    // It begins and ends anew from the same address and port, in place of the old one.
    one.send_reset();
    EXPECT_EQ(seen().counts.rst_in, v6 ? 2U : 1U);
    while (one.await_synack(std::chrono::milliseconds(50))) {
    }  // an answer of before that was sent again
    one.establish();
    expect_acks(before + 2);
  }
}

TEST_P(NicHandshake, DataMayEndIt) {
  RawConnection one = connection();
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  one.send_data("the ACK was lost, or never sent");
  expect_acks(1);
  one.send_data("more");
  expect_acks(1);
}

TEST_P(NicHandshake, AckOfACookie) {
  ASSERT_TRUE(stage().server().write_sysctl("ipv4/tcp_syncookies", "2"));
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6);
    const uint64_t before = seen().counts.ack_in;
    RawConnection one = connection(v6);
    one.send_syn();
    ASSERT_TRUE(one.await_synack());
    one.send_ack(7);  // no cookie
    expect_acks(before);
    one.send_ack();
    one.send_data("some");
    one.send_ack();
    expect_acks(before + 1);
  }
  EXPECT_EQ(stage().server().mib().at("SyncookiesRecv"), 2);
}

TEST_P(NicHandshake, SynsThatAreKnownAlready) {
  RawConnection one = connection();
  one.send_syn();
  ASSERT_TRUE(one.await_synack());
  const Port first = seen();
  EXPECT_EQ(first.counts.syn_in, 1U);
  EXPECT_EQ(first.syn_known, 0U);
  one.send_syn();
  const Port again = seen();
  EXPECT_EQ(again.counts.syn_in, 2U);
  EXPECT_EQ(again.syn_known, 1U);
}

TEST_P(NicHandshake, TimesAreThoseOfTheClient) {
  RawConnection quick = connection();
  quick.establish();
  RawConnection slow = connection();
  const auto began = std::chrono::steady_clock::now();
  slow.send_syn();
  ASSERT_TRUE(slow.await_synack());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  slow.send_ack();
  const auto times = Waits::of(seen().handshake_time, "handshake_time");
  const double took =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  ASSERT_TRUE(times);
  EXPECT_EQ(times->count(), 2U);
  EXPECT_GE(times->max, 0.3);
  EXPECT_LE(times->max, took);  // until it was seen: a slow machine takes long for the ACK
}

// A port is listed as long as it has a listener, and begins at 0.
TEST_P(NicHandshake, PortsComeAndGo) {
  constexpr uint16_t kPort = 7100;
  const auto listed = [&] {
    const Json nic = stage().nic(stage().watch->next());
    for (const Json& one : nic.at("ports"))
      if (one.at("port") == kPort) return one;
    return Json();
  };
  RawConnection(*wire_, Fabric::server_address(0, false), kPort).send_syn();
  EXPECT_TRUE(listed().is_null());
  for (int round = 0; round < 2; ++round) {
    Fd listener;
    stage().server().run([&] { listener = open_listener({.port = kPort}); });
    ASSERT_TRUE(wait_until([&] { return !listed().is_null(); }));
    EXPECT_EQ(listed().at("syn_in"), 0);
    RawConnection(*wire_, Fabric::server_address(0, false), kPort).establish();
    EXPECT_TRUE(wait_until([&] { return listed().at("ack_in") == 1; })) << listed().dump();
    EXPECT_EQ(listed().at("syn_in"), 1);
    EXPECT_EQ(listed().at("synack_out"), 1);
    listener.reset();
    ASSERT_TRUE(wait_until([&] { return listed().is_null(); }));
  }
}

// What was nobody's address may be ours a moment later, and the other way round.
TEST_P(NicHandshake, AddressesComeAndGo) {
  const auto send = [&](const IpAddress& address) {
    RawConnection(*wire_, address.text(), port()).send_syn();
    return seen().counts.syn_in;
  };
  // Enough looks for the tool to have seen the change.
  const auto let_it_look = [&] {
    stage().watch->next();
    stage().watch->next();
  };
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6);
    const IpAddress& address = v6 ? stage().target.foreign6 : stage().target.foreign4;
    const uint64_t before = send(address);
    const std::string change =
        fmt::format("{}/{} dev up0{}\n", address.text(), v6 ? 128 : 32, v6 ? " nodad" : "");
    stage().server().ip("addr add " + change);
    let_it_look();
    EXPECT_EQ(send(address), before + 1);
    stage().server().ip(fmt::format("addr del {}/{} dev up0\n", address.text(), v6 ? 128 : 32));
    let_it_look();
    EXPECT_EQ(send(address), before + 1);
  }
}

}  // namespace
}  // namespace lqtest
