// SPDX-License-Identifier: Apache-2.0
//
// The page of one listener: what it shows, what it must not claim, and how one gets in and out.
#include <gtest/gtest.h>

#include <algorithm>

#include "tui_world.h"
#include "util/text.h"

namespace listenq::tui {
namespace {

constexpr Key kEnter{KeyCode::enter};
constexpr Key kRight{KeyCode::right};
constexpr Key kLeft{KeyCode::left};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Port 80 behind eth0, everything counted; a filter drops every third SYN.
struct FilteredWorld : World {
  FilteredWorld() {
    add_netns(1, std::nullopt).nics_complete = true;
    add({.netns = 1, .port = 80});
    add({.netns = 1, .port = 81}).accept_queue_limit = 100;
    own(sample.listeners[0], "nginx", {1234});
    sample.counting.emplace();
    for (std::size_t i = 0; i < kCounters; ++i) sample.counting->add(static_cast<Counter>(i));
    sample.counts.resize(2);
    sample.listeners[0].counts = 0;
    sample.listeners[1].counts = 1;
    RawNic& eth0 = sample.nics.emplace_back();
    eth0.netns = NetnsId{1};
    eth0.interface = "eth0";
    eth0.ifindex = 2;
    eth0.mode = NicMode::tc;
    eth0.ports.resize(2);
    eth0.ports[0].port = 80;
    eth0.ports[1].port = 81;
    first = snapshot();
  }
  /// So many connections got through; `sent` SYNs came in.
  std::shared_ptr<const Snapshot> later(std::uint64_t connections, std::uint64_t sent) {
    ListenerCounts& counts = sample.counts.at(0);
    for (const Counter counter :
         {Counter::syns, Counter::synacks, Counter::handshake_acks, Counter::accepts}) {
      counts[counter] = connections;
    }
    NicPort& port = sample.nics.at(0).ports.at(0);
    port.syn_in = sent;
    port.synack_out = port.ack_in = connections;
    return snapshot();
  }
  std::shared_ptr<const Snapshot> first;
};

/// The page of port 80.
/// High enough for the whole page, unless a test wants less.
ScreenState page_of(std::shared_ptr<const Snapshot> snapshot, int height = 100, int width = 80) {
  ScreenState state = showing(std::move(snapshot), height, width);
  handle_key(state, kEnter);
  return state;
}

TEST(TuiDetail, ShowsEveryStepAndNamesTheWorst) {
  FilteredWorld world;
  const ScreenState state = page_of(world.later(6240, 9360), 24);
  EXPECT_EQ(drawn(state),
            R"(0.0.0.0:80 in netns 1, nginx pid 1234, uid 33                       14:13:21 UTC
! LOSING since 14:13:20 or before: 3,120 lost before TCP, look at
  nftables/iptables rules, conntrack, rp_filter, softnet
  accept queue empty, limit 511; 6240 accepted/s; nothing dropped; limit set by
  the application (somaxconn 4096); SYN queue 0 of 511

  The way of connections to port 80
  NIC SYN               9,360 ||||||||||||||||||||||
! listener SYN          6,240 |||||||||||||||        3,120 lost before TCP
  SYN-ACK               6,240 |||||||||||||||
  handshake ACK         6,240 |||||||||||||||
  queued                6,240 |||||||||||||||
  accepted              6,240 |||||||||||||||
! 3,120 of 9,360 SYNs seen at the interface never reached the listener: lost
  before TCP (nftables/iptables rules, conntrack, rp_filter, softnet)

  Who holds it, and what the threads do
  nginx pid 1234
  what their threads do comes with the next sample

  The last 30.0s
  accept queue: 0 at most, limit 511

q Back  left right Other one  PgDn Scroll  Space Freeze  e Events     1-22 of 59
)");
}

TEST(TuiDetail, AWiderScreenHasLongerBars) {
  FilteredWorld world;
  const std::string text = drawn(page_of(world.later(6240, 9360), 50, 120));
  EXPECT_TRUE(has(text, "9,360 " + std::string(42, '|') + "\n")) << text;
  EXPECT_TRUE(has(text, "6,240 " + std::string(28, '|') + " ")) << text;
}

TEST(TuiDetail, LosingNothingSaysSo) {
  FilteredWorld world;
  const std::string text = drawn(page_of(world.later(5, 5)));
  EXPECT_TRUE(has(text, "nothing lost since 14:13:20 (1.0s)")) << text;
  EXPECT_FALSE(has(text, "!")) << text;
  EXPECT_TRUE(has(drawn(page_of(world.first)), "the port is watched from now on"));
}

TEST(TuiDetail, WhoStillWaitsIsNotLost) {
  FilteredWorld world;
  world.sample.listeners[0].syn_queue_len = 4;
  world.sample.listeners[0].accept_queue_len = 1;
  ListenerCounts& counts = world.sample.counts[0];
  counts[Counter::syns] = counts[Counter::synacks] = 14;
  counts[Counter::handshake_acks] = 10;
  counts[Counter::accepts] = 9;
  world.sample.nics[0].ports[0] = {80, 15, 0, 14, 10, 0, {}};
  const std::string text = drawn(page_of(world.snapshot()));
  EXPECT_TRUE(has(text, "4 half-open")) << text;
  EXPECT_TRUE(has(text, "1 waits")) << text;
  EXPECT_TRUE(has(text, "1 lost before TCP")) << text;
  EXPECT_FALSE(has(text, "unanswered")) << text;
}

TEST(TuiDetail, AbsentIsADashAndNeverZero) {
  FilteredWorld world;
  world.sample.counting->counters = 1U << static_cast<unsigned>(Counter::syns);
  world.sample.nics[0].mode.reset();
  world.sample.nics[0].note = "tc can't be attached";
  world.later(3, 0);
  const std::string text = drawn(page_of(world.later(7, 0)));
  EXPECT_TRUE(has(text, "SYN-ACK                   -\n")) << text;
  EXPECT_TRUE(has(text, "accepted                  -\n")) << text;
  EXPECT_TRUE(has(text, "what is lost is not known here")) << text;
  EXPECT_TRUE(has(text, "eth0  not watched: tc can't be attached")) << text;
}

TEST(TuiDetail, NothingCountedSaysSo) {
  World world;
  const std::string text = drawn(page_of(small_machine(world)));
  EXPECT_TRUE(has(text, "nothing is counted here: what gets lost on the way is not known")) << text;
  EXPECT_TRUE(has(text, "no interface of this namespace is watched (--nic)")) << text;
}

TEST(TuiDetail, BehindTranslationNoGapIsShown) {
  FilteredWorld world;
  world.sample.namespaces[0].nat = "nftables";
  world.later(0, 0);
  const std::string text = drawn(page_of(world.later(100, 900)));
  EXPECT_FALSE(has(text, "NIC SYN")) << text;
  EXPECT_FALSE(has(text, "before TCP")) << text;
  EXPECT_TRUE(has(text, "nothing lost since")) << text;
  EXPECT_TRUE(
      has(text, "destinations are rewritten here (nftables): ports at the interface need not be"))
      << text;
  EXPECT_TRUE(has(text, "eth0  tc  SYN 900  SYN-ACK 100  ACK 100  RST 0")) << text;
}

TEST(TuiDetail, AClosedListenerStaysOnItsPage) {
  FilteredWorld world;
  ScreenState state = page_of(world.later(20, 30));
  world.sample.closed.push_back(
      {world.sample.listeners[0], world.sample.monotonic_ns - kSecond / 2});
  ListenerCounts& counts = world.sample.counts[0];
  counts[Counter::syns] = counts[Counter::synacks] = counts[Counter::handshake_acks] = 36;
  counts[Counter::closed_unaccepted] = 16;
  world.sample.nics[0].ports[0] = {80, 46, 0, 36, 36, 0, {}};
  world.sample.listeners.erase(world.sample.listeners.begin());
  show(state, world.snapshot(), 7 * kSecond);
  const std::string text = drawn(state);
  EXPECT_TRUE(has(text, "0.0.0.0:80 in netns 1, nginx pid 1234")) << text;
  EXPECT_TRUE(has(text, "CLOSED at 14:13:21 UTC, as it was then")) << text;
  EXPECT_TRUE(has(text, "16 thrown away")) << text;
  EXPECT_TRUE(has(text, "16 of 36 connections in the accept queue were thrown away")) << text;
  EXPECT_FALSE(has(text, "eth0")) << text;
  // From there to one that is open.
  handle_key(state, kRight);
  EXPECT_TRUE(has(drawn(state), "0.0.0.0:81 in netns 1"));
}

TEST(TuiDetail, AListenerThatNobodyRemembersIsGone) {
  FilteredWorld world;
  ScreenState state = page_of(world.later(1, 1));
  World other;
  other.add_netns(9, std::nullopt);
  show(state, other.snapshot(), 7 * kSecond);
  EXPECT_TRUE(has(drawn(state), "this listener is gone"));
  handle_key(state, kRight);
  handle_key(state, {KeyCode::escape});
  EXPECT_TRUE(has(drawn(state), "no listening TCP socket"));
  handle_key(state, kEnter);
  EXPECT_FALSE(state.detail) << "there is none to open";
}

TEST(TuiDetail, KeysOpenMoveAndClose) {
  FilteredWorld world;
  ScreenState state = showing(world.later(2, 2), 24, 80);
  for (const Key back : {Key{KeyCode::escape}, kEnter, Key{KeyCode::backspace}, character(U'q'),
                         Key{KeyCode::function, 10}}) {
    handle_key(state, kEnter);
    ASSERT_TRUE(state.detail);
    EXPECT_FALSE(handle_key(state, back).quit);
    ASSERT_FALSE(state.detail);
  }
  handle_key(state, kEnter);
  handle_key(state, kLeft);
  EXPECT_EQ(state.detail->port, 80);
  handle_key(state, kRight);
  EXPECT_EQ(state.detail->port, 81);
  handle_key(state, kRight);
  EXPECT_EQ(state.detail->port, 81) << "the last one";
  handle_key(state, kLeft);
  EXPECT_EQ(state.detail->port, 80);
  handle_key(state, kRight);
  handle_key(state, {KeyCode::escape});
  EXPECT_EQ(state.rows.at(state.cursor)->raw->port, 81) << "the table goes along";
}

TEST(TuiDetail, KeysOfTheTableThatMakeSense) {
  FilteredWorld world;
  ScreenState state = page_of(world.later(2, 2));
  press(state, " ");
  EXPECT_TRUE(state.frozen);
  EXPECT_TRUE(has(drawn(state), " FROZEN"));
  EXPECT_TRUE(handle_key(state, character(12)).repaint);
  press(state, "?");
  EXPECT_TRUE(has(drawn(state), "the listener's page"));
  press(state, "q");
  EXPECT_EQ(state.page(), Page::detail);
  EXPECT_TRUE(state.detail) << "back to the page";
  press(state, "fz>I/");
  EXPECT_EQ(state.edit.prompt, Prompt::none);
  EXPECT_FALSE(state.hide_idle);
}

TEST(TuiDetail, EveryLineFitsWhateverTheSize) {
  FilteredWorld world;
  const auto snapshot = world.later(UINT64_MAX / 3, UINT64_MAX / 2);
  const int sizes[][2] = {{24, 80}, {40, 120}, {6, 40}, {7, 41}, {100, 300}, {12, 60}};
  for (const auto& [height, width] : sizes) {
    for (const Charset charset : {Charset::utf8, Charset::ascii}) {
      const std::string text = drawn(page_of(snapshot, height, width), charset);
      EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), height);
      for (const std::string_view line : split(text, '\n')) {
        EXPECT_LE(text_width(line, charset), width);
      }
    }
  }
}

TEST(TuiDetail, ManyInterfacesEndInACount) {
  FilteredWorld world;
  world.sample.nics.resize(40, world.sample.nics[0]);
  for (std::uint32_t i = 0; i < 40; ++i) {
    world.sample.nics[i].interface = "veth" + std::to_string(i);
    world.sample.nics[i].ifindex = i;
  }
  const std::string text = drawn(page_of(world.later(2, 2)));
  EXPECT_TRUE(has(text, "veth0")) << text;
  EXPECT_TRUE(has(text, "and 8 more (n shows all)\n")) << text;
  EXPECT_FALSE(has(text, "veth32")) << text;
}

TEST(TuiDetail, TheTableNamesTheLossOfTheSelectedListener) {
  FilteredWorld world;
  ScreenState state = showing(world.later(6240, 9360), 24, 80);
  EXPECT_TRUE(
      has(drawn(state), "\n! LOSING since 14:13:20 or before: 3,120 lost before TCP, look at"))
      << drawn(state);
  handle_key(state, {KeyCode::down});
  EXPECT_FALSE(has(drawn(state), "3,120 lost"));
}

}  // namespace
}  // namespace listenq::tui
