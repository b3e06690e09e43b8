// SPDX-License-Identifier: Apache-2.0
//
// What the screen shows: drawn into a grid and read as text.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tui_world.h"
#include "util/text.h"

namespace listenq::tui {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) lines.emplace_back(line);
  lines.pop_back();  // after the last newline
  return lines;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// The line that holds the first `part`.
std::string line_with(const std::string& text, std::string_view part) {
  for (const std::string& line : lines_of(text)) {
    if (has(line, part)) return line;
  }
  return {};
}

/// Both Snapshots in turn, as a running program shows them: then there are rates of the MIBs.
ScreenState small_screen(int height, int width) {
  World world;
  auto second = small_machine(world);
  auto third = world.snapshot();
  ScreenState state = showing(second, height, width);
  show(state, third, 6 * kSecond);
  return state;
}

TEST(TuiScreen, TheFirstScreenAt80x24) {
  World world;
  const ScreenState state = showing(small_machine(world), 24, 80);
  EXPECT_EQ(drawn(state),
            R"(listenq-top  web1  kernel 6.18.44  backend iter  every 1.0 s        14:13:21 UTC
listeners 3  in trouble 1!  sk_drops/s 24.0  namespaces 1
ListenOverflows/s 12.0  12 since start  ListenDrops/s 12.0  12 since start
sorted by trouble first
  ADDRESS:PORT   ACCEPT QUEUE    SYN QUEUE       SK-DROPS/s SK-DR BY    PROCESS
! 0.0.0.0:80     [!!!]   512/511 [|  ]    12/511       24.0  1204 app   nginx
  127.0.0.1:5432 [|  ]    3/4096 [   ]    0/4096          0     0 somax postgres
  0.0.0.0:2049   [   ]      0/64               -          -     - app   -










0.0.0.0:80 in netns 4026531840, nginx pid 1234 and 3 more, uid 33, cgroup /syst…
! LOSING 24.0/s since 14:13:20 or before: 24 counted by sk_drops, accept queue
full
accept queue: 512 wait for accept(), limit 511; sk_drops counter 1204; limit set
by the application (somaxconn 4096); SYN queue 12 of 511
F1 Help  q Quit  Enter Detail  / Search  f Filter  Space Freeze  e Events
)");
}

TEST(TuiScreen, AWiderScreenShowsMore) {
  World world;
  const ScreenState state = showing(small_machine(world), 40, 120);
  const auto lines = lines_of(drawn(state));
  ASSERT_EQ(lines.size(), 40U);
  EXPECT_EQ(lines[4],
            "  ADDRESS:PORT   ACCEPT QUEUE      SYN QUEUE         SK-DROPS/s SK-DROPS SET-BY      "
            "SOMAXCONN  FILL  PID PROCESS    UID");
  EXPECT_EQ(lines[5],
            "! 0.0.0.0:80     [FULL|]   512/511 [|    ]    12/511       24.0     1204 application "
            "     4096  100% 1234 nginx       33");
  EXPECT_TRUE(has(lines[0], "2026-09-21 14:13:21 UTC"));
}

TEST(TuiScreen, EveryLineFitsWhateverTheSize) {
  World many;
  World few;
  World none;
  const std::vector<std::shared_ptr<const Snapshot>> snapshots = {
      large_machine(many, 10000), small_machine(few), none.snapshot()};
  const int sizes[][2] = {{24, 80}, {40, 120}, {50, 200}, {6, 40},  {1, 1},  {5, 20},
                          {20, 5},  {6, 300},  {100, 40}, {12, 79}, {7, 41}, {1, 200}};
  for (const auto& snapshot : snapshots) {
    for (const auto& [height, width] : sizes) {
      for (const Charset charset : {Charset::utf8, Charset::ascii}) {
        ScreenState state = showing(snapshot, height, width);
        for (const char* keys : {"", "?", "G", "qf", "f!", "Z>>I", "/w"}) {
          press(state, keys);
          const auto lines = lines_of(drawn(state, charset));
          ASSERT_EQ(lines.size(), static_cast<std::size_t>(height));
          for (const std::string& line : lines) ASSERT_LE(text_width(line, charset), width);
        }
      }
    }
  }
}

TEST(TuiScreen, TooSmallSaysWhatIsNeeded) {
  World world;
  auto snapshot = small_machine(world);
  EXPECT_EQ(lines_of(drawn(showing(snapshot, 5, 20)))[0], "need 40x6, have 20x5");
  const auto smallest = lines_of(drawn(showing(snapshot, 6, 40)));
  EXPECT_EQ(smallest[0], "listeners 3  in trouble 1!  namespaces 1");
  EXPECT_EQ(smallest[2].substr(0, 16), "! 0.0.0.0:80    ");
  EXPECT_EQ(smallest[5], "F1 Help  q Quit  Enter Detail  / Search");
}

TEST(TuiScreen, NothingToShow) {
  EXPECT_EQ(lines_of(drawn(ScreenState{}))[0].substr(0, 0), "");
  ScreenState before;
  before.height = 24;
  EXPECT_TRUE(has(drawn(before), "reading the first sample"));
  World world;
  EXPECT_TRUE(has(drawn(showing(world.snapshot(), 24, 80)), "no listening TCP socket"));
  ScreenState state = small_screen(24, 80);
  press(state, "f");
  press(state, "port == 1");
  handle_key(state, {KeyCode::enter});
  EXPECT_TRUE(has(drawn(state), "no listener to show: f changes the filter"));
  EXPECT_TRUE(has(drawn(state), "listeners 3  in trouble 1!  shown 0"));
}

TEST(TuiScreen, AbsentIsADashAndNeverZero) {
  World world;
  world.sample.backend = "diag";
  RawNamespace& netns = world.add_netns(7, std::nullopt);
  netns.sysctls = {};
  netns.mib.reset();
  RawListener& listener = world.add({.netns = 7, .port = 22, .limit = 128});
  listener.syn_queue_len.reset();
  listener.sk_drops.reset();
  listener.uid.reset();
  const std::string text = drawn(showing(world.snapshot(), 24, 200));
  EXPECT_TRUE(has(text, "sk_drops/s -"));
  EXPECT_TRUE(has(text, "ListenOverflows/s -  - since start  ListenDrops/s -  - since start"));
  const std::string row = line_with(text, "0.0.0.0:22 ");
  EXPECT_TRUE(has(row, "0/128"));
  // SYN queue, sk_drops/s, sk_drops, somaxconn, pid, process, uid.
  EXPECT_EQ(std::count(row.begin(), row.end(), '-'), 7) << row;
  EXPECT_TRUE(has(text, "SYN queue unknown"));
  EXPECT_TRUE(has(text, "sk_drops unknown"));
  EXPECT_TRUE(has(text, "process unknown"));
  EXPECT_TRUE(has(text, "what set the limit is unknown"));
}

TEST(TuiScreen, FullIsToldWithoutColour) {
  const auto bar = [](std::uint32_t len, std::uint32_t limit, int width) {
    World world;
    world.add_netns(1, "a");
    world.add({.port = 80, .limit = limit}).accept_queue_len = len;
    return line_with(drawn(showing(world.snapshot(), 24, width), Charset::ascii), "0.0.0.0:80");
  };
  EXPECT_TRUE(has(bar(11, 10, 120), "|FULL|")) << "one more than the limit fits";
  EXPECT_EQ(bar(11, 10, 120)[0], '!');
  EXPECT_TRUE(has(bar(10, 10, 120), "||| ]")) << "what is not full leaves a gap";
  EXPECT_EQ(bar(10, 10, 120)[0], ' ');
  EXPECT_TRUE(has(bar(1, 4096, 120), "[|   ")) << "what is not empty shows";
  EXPECT_TRUE(has(bar(0, 10, 120), "[    "));
  EXPECT_TRUE(has(bar(1, 0, 120), "FULL")) << "a limit of 0 holds one";
}

TEST(TuiScreen, ThresholdsHaveStyles) {
  const auto style = [](std::uint32_t len) {
    World world;
    world.add_netns(1, "a");
    world.add({.port = 80, .limit = 99}).accept_queue_len = len;
    const ScreenState state = showing(world.snapshot(), 24, 80);
    Canvas canvas(24, 80, Charset::utf8);
    draw_screen(canvas, state);
    int column = 0;
    while (canvas.at(5, column).code != U'[') ++column;
    EXPECT_TRUE(canvas.at(5, 0).selected);
    EXPECT_FALSE(canvas.at(6, 0).selected);
    return canvas.at(5, column + 1).style;
  };
  EXPECT_EQ(style(79), Style::good);
  EXPECT_EQ(style(80), Style::warn);
  EXPECT_EQ(style(100), Style::bad);
}

/// One listener of four connections' limit, where everything is counted.
struct CountedWorld : World {
  CountedWorld() {
    add_netns(1, std::nullopt);
    RawListener& web = add({.netns = 1, .port = 80, .limit = 9});
    web.listen_requested = 65535;
    sample.counting.emplace();
    for (std::size_t i = 0; i < kCounters; ++i) sample.counting->add(static_cast<Counter>(i));
    sample.counting->peaks = true;
    sample.counts.resize(1);
    sample.listeners[0].counts = sample.namespaces[0].counted = 0;
    own(sample.listeners[0], "nginx", {5});
  }
  RawListener& web() { return sample.listeners[0]; }
  ListenerCounts& counts() { return sample.counts[0]; }
};

TEST(TuiScreen, PeaksAreMarkedInBothBars) {
  CountedWorld world;
  world.web().accept_queue_len = 2;
  world.web().syn_queue_len = 0;
  world.counts().accept_queue_peak = 7;
  world.counts().syn_queue_peak = 9;
  const std::string text = drawn(showing(world.snapshot(), 24, 140));
  const std::string line = line_with(text, "0.0.0.0:80 ");
  const std::size_t accept = line.find('[');
  const std::size_t syn = line.find('[', accept + 1);
  const std::size_t accept_end = line.find(']');
  const std::size_t syn_end = line.find(']', syn);
  EXPECT_TRUE(has(line, "   2/9 "));
  EXPECT_TRUE(has(line, "   0/9 "));
  const std::string accept_bar = line.substr(accept + 1, accept_end - accept - 1);
  const std::string syn_bar = line.substr(syn + 1, syn_end - syn - 1);
  // 2 of 10 and 7 of 10; 0 of 9 and all 9.
  EXPECT_EQ(accept_bar.find('*') + 1,
            static_cast<std::size_t>(std::ceil(0.7 * static_cast<double>(accept_bar.size()))));
  EXPECT_EQ(accept_bar.find(' '),
            static_cast<std::size_t>(std::ceil(0.2 * static_cast<double>(accept_bar.size()))));
  EXPECT_EQ(syn_bar.find_first_not_of(' '), syn_bar.size() - 1);
  EXPECT_EQ(syn_bar.back(), '*');
}

TEST(TuiScreen, APeakThatIsTheLengthNowNeedsNoMark) {
  CountedWorld world;
  world.web().accept_queue_len = 7;
  world.counts().accept_queue_peak = 7;
  EXPECT_FALSE(has(line_with(drawn(showing(world.snapshot(), 24, 80)), "0.0.0.0:80 "), "*"));
  world.web().accept_queue_len = 10;
  world.counts().accept_queue_peak = 10;
  const std::string line = line_with(drawn(showing(world.snapshot(), 24, 80)), "0.0.0.0:80 ");
  EXPECT_TRUE(has(line, "FULL") || has(line, "!!!")) << line;
  EXPECT_FALSE(has(line, "*")) << line;
}

TEST(TuiScreen, CountedTotalsAndColumns) {
  CountedWorld world;
  world.snapshot();
  world.counts()[Counter::syns] = 40;
  world.counts()[Counter::accepts] = 30;
  world.counts()[Counter::overflows_syn] = 2;
  world.counts()[Counter::overflows_ack] = 3;
  world.counts()[Counter::drops] = 6;
  world.web().accept_queue_len = 10;
  world.web().oldest_wait_ns = 12'300'000'000;
  world.sample.namespaces[0].mib = MibCounters{{"ListenOverflows", 5}, {"ListenDrops", 6}};
  const auto snapshot = world.snapshot();
  const std::string text = drawn(showing(snapshot, 24, 80));
  EXPECT_EQ(lines_of(text)[1], "listeners 1  in trouble 1!  coverage 1.0  namespaces 1");
  EXPECT_EQ(lines_of(text)[2],
            "SYN/s 40.0  accepts/s 30.0  overflows/s 5.0  drops/s 6.0  6 since start");
  EXPECT_TRUE(has(lines_of(text)[4], "OLDEST"));
  EXPECT_TRUE(has(lines_of(text)[4], "DROPS/s"));
  EXPECT_FALSE(has(lines_of(text)[4], "SK-DR"));
  EXPECT_TRUE(has(line_with(text, "! 0.0.0.0:80 "), " 12.3s "));
  EXPECT_TRUE(has(text, "the oldest for 12.3s"));
  EXPECT_TRUE(has(text, "LOSING 6.0/s"));
  EXPECT_TRUE(has(drawn(showing(snapshot, 24, 140)), "(overflows: 2 at the SYN, 3 at the ACK)"));
  // Fewer lines: what is lost stays.
  const std::string low = drawn(showing(snapshot, 12, 80));
  EXPECT_EQ(lines_of(low)[1],
            "listeners 1  in trouble 1!  coverage 1.0  drops/s 6.0  overflows/s 5.0");
}

TEST(TuiScreen, CoverageThatIsNotWholeStandsOut) {
  CountedWorld world;
  world.snapshot();
  world.counts()[Counter::drops] = 997;
  world.sample.namespaces[0].mib = MibCounters{{"ListenDrops", 1000}};
  world.sample.self.lost = {{"map full", 4}};
  ScreenState state = showing(world.snapshot(), 24, 80);
  EXPECT_EQ(lines_of(drawn(state))[1],
            "listeners 1  in trouble 1!  coverage 0.997 (3 not attributed)  lost events 4!");
  Canvas canvas(24, 80, Charset::utf8);
  draw_screen(canvas, state);
  const auto column = static_cast<int>(lines_of(drawn(state))[1].find("0.997"));
  EXPECT_EQ(canvas.at(1, column).style, Style::bad);
}

TEST(TuiScreen, WordsTellWhatListenAskedFor) {
  CountedWorld world;
  world.sample.namespaces[0].sysctls.somaxconn = 9;
  EXPECT_TRUE(has(drawn(showing(world.snapshot(), 24, 120)),
                  "limit set by somaxconn, listen() asked for 65535"));
}

TEST(TuiScreen, TotalsComeFromTwoSamples) {
  World world;
  auto second = small_machine(world);
  world.sample.namespaces[0].mib = MibCounters{{"ListenOverflows", 22}, {"ListenDrops", 27}};
  world.sample.self.lost = {{"ring buffer full", 3}, {"map full", 2}};
  ScreenState state = showing(second, 24, 80);
  show(state, world.snapshot(), 6 * kSecond);
  EXPECT_TRUE(has(drawn(state),
                  "ListenOverflows/s 10.0  22 since start  ListenDrops/s 15.0  27 since start"));
  EXPECT_TRUE(has(drawn(state), "lost events 5!"));
}

TEST(TuiScreen, ALateSampleShowsItsAge) {
  ScreenState state = small_screen(24, 80);
  EXPECT_FALSE(has(drawn(state), "ago"));
  state.now_ns += 3 * kSecond;
  EXPECT_TRUE(has(drawn(state), "14:13:22 UTC, 3.0 s ago"));
}

TEST(TuiScreen, NamesCannotBreakTheLayout) {
  const std::vector<std::string> names = {"\x1b[2J\x1b[H",
                                          "a\nb",
                                          "日本語サーバ",
                                          "e\u0301e\u0301e\u0301",
                                          "\u05d0\u05d1\u05d2",
                                          std::string("\xe2\x80") + "\xaegnp",
                                          "\xff\xfe",
                                          "\U0001f468\u200d\U0001f469",
                                          "\U0001f1e9\U0001f1ea",
                                          "%s%n",
                                          "a\u009b31m",
                                          std::string(15, '\x07')};
  World world;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto id = static_cast<std::uint32_t>(i + 1);
    world.add_netns(id, names[i]);
    const RawListener& listener =
        world.add({.netns = id, .port = static_cast<std::uint16_t>(1000 + i), .limit = 128});
    world.own(listener, names[i], {static_cast<std::int32_t>(100 + i)}, "/" + names[i]);
  }
  auto first = world.snapshot();
  auto second = world.snapshot();
  for (const int width : {80, 120, 200}) {
    for (const Charset charset : {Charset::utf8, Charset::ascii}) {
      const ScreenState state = showing(second, 30, width);
      const std::string text = drawn(state, charset);
      for (const char c : text) {
        ASSERT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
      }
      Canvas canvas(30, width, charset);
      draw_screen(canvas, state);
      // The column after the name stands in the same cells in all rows, under its title.
      int column = 0;
      while (canvas.at(4, column).code != U'A') ++column;
      for (int row = 5; row < 5 + static_cast<int>(names.size()); ++row) {
        EXPECT_EQ(canvas.at(row, column).code, U'0') << text;
        EXPECT_EQ(canvas.at(row, column + 7).code, U':') << text;
      }
    }
  }
}

TEST(TuiScreen, LongAddressesGiveWayToTheirPort) {
  World world;
  world.add_netns(1, "a");
  RawListener& listener = world.add({.port = 8443});
  listener.family = Family::ipv6;
  listener.address = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  auto snapshot = world.snapshot();
  EXPECT_TRUE(has(drawn(showing(snapshot, 24, 200)), "[2001:db8:102:304:506:708:90a:b0c]:8443"));
  const std::string narrow = drawn(showing(snapshot, 24, 40));
  EXPECT_TRUE(has(narrow, "…:8443 ")) << narrow;
}

TEST(TuiScreen, UnnamedNamespacesAreToldApartByTheEndOfTheirNumber) {
  World world;
  world.add_netns(4026531840, std::nullopt);
  world.add_netns(4026532177, std::nullopt);
  world.add({.netns = 4026531840, .address = {10, 1, 1, 1}, .port = 8080, .limit = 4096});
  world.add({.netns = 4026532177, .address = {10, 1, 1, 1}, .port = 8080, .limit = 4096});
  const std::string text = drawn(showing(world.snapshot(), 24, 74));
  EXPECT_TRUE(has(text, "531840 10.1.1.1:8080")) << text;
  EXPECT_TRUE(has(text, "532177 10.1.1.1:8080")) << text;
}

TEST(TuiScreen, LongNamespaceNamesLoseTheirMiddle) {
  World world;
  world.add_netns(1, "cni-4711-0815-beef");
  world.add_netns(2, "日本語の名前空間");
  world.add({.netns = 1, .port = 8080, .limit = 4096});
  world.add({.netns = 2, .port = 8080, .limit = 4096});
  const ScreenState state = showing(world.snapshot(), 24, 80);
  EXPECT_TRUE(has(drawn(state), "  cni…beef 0.0.0.0:8080 [   ]")) << drawn(state);
  EXPECT_TRUE(has(drawn(state), "  日…空間  0.0.0.0:8080 [   ]")) << drawn(state);
  EXPECT_TRUE(has(drawn(showing(world.snapshot(), 24, 200)), "  cni-4711-0815-beef 0.0.0.0:8080 "));
}

TEST(TuiScreen, ChosenColumnsReplaceTheUsualOnes) {
  World world;
  ScreenState state = showing(small_machine(world), 24, 80);
  for (const char* id : {"port", "process", "pids", "limit_set_by"}) {
    state.columns.push_back(*find_column(id));
  }
  const auto lines = lines_of(drawn(state));
  EXPECT_EQ(lines[4], "  PORT PROCESS  PIDS                SET-BY");
  EXPECT_EQ(lines[5], "!   80 nginx    1234,1235,1236,1237 application");
}

TEST(TuiScreen, WordsAboutTheSelectedListener) {
  World world;
  RawNamespace& netns = world.add_netns(1, "shop");
  netns.sysctls.somaxconn = 128;
  netns.sysctls.tcp_syncookies = 0;
  netns.sysctls.tcp_max_syn_backlog = 1024;
  RawListener& listener = world.add({.port = 443, .limit = 128});
  listener.accept_queue_len = 104;
  listener.syn_queue_len = 128;
  world.own(listener, "haproxy", {77});
  auto first = world.snapshot();
  world.sample.namespaces[0].sysctls.somaxconn = 4096;
  auto second = world.snapshot();
  const Description words = describe(second->listeners[0], *second->sample);
  EXPECT_EQ(words.who, "0.0.0.0:443 in netns shop, haproxy pid 77, uid 33");
  EXPECT_EQ(words.state,
            "accept queue nearly full: 104 wait for accept(), limit 128; no sk_drops; limit set by "
            "somaxconn, raised to 4096 since: a new listen() would get more; SYN queue 128 of 128 "
            "FULL, SYNs are refused");
}

}  // namespace
}  // namespace listenq::tui
