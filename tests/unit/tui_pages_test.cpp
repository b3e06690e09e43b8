// SPDX-License-Identifier: Apache-2.0
//
// The tree, totals and the baseline, the wide table, the column chooser, the mouse, the pages
// beside the table, and the keys of a recording: keys in, text out.
#include <gtest/gtest.h>

#include "tui_world.h"
#include "view/tui/graph.h"

namespace listenq::tui {
namespace {

constexpr Key kEnter{KeyCode::enter};
constexpr Key kEscape{KeyCode::escape};
constexpr Key kDown{KeyCode::down};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

Key function(char32_t number) {
  return {KeyCode::function, number};
}

Key mouse(Mouse what, int row, int column) {
  Key key{KeyCode::mouse};
  key.mouse = what;
  key.row = row;
  key.column = column;
  return key;
}

/// Two namespaces; a reuseport group of two and one that is in trouble in the first, a container in
/// the second. All is counted.
struct Counted : World {
  Counted() {
    add_netns(1, "front");
    add_netns(2, "back");
    sample.counting = Counting{};
    for (const Counter counter :
         {Counter::syns, Counter::accepts, Counter::drops, Counter::overflows_ack}) {
      sample.counting->add(counter);
    }
    for (int i = 0; i < 2; ++i) own(add({.netns = 1, .port = 80}), "nginx", {10 + i});
    own(add({.netns = 1, .port = 443}), "nginx", {10});
    own(add({.netns = 2, .port = 6379}), "redis", {20},
        "/docker/3b1f0c9e5d7a48626f1e0d9c8b7a695847362514f0e1d2c3b4a5968778695a4b");
    sample.counts.resize(sample.listeners.size());
    for (std::uint32_t i = 0; i < sample.listeners.size(); ++i) sample.listeners[i].counts = i;
  }
  /// A second in which the third listener loses `lost` at the ACK, and each accepts 10.
  std::shared_ptr<const Snapshot> second(std::uint64_t lost) {
    for (ListenerCounts& counts : sample.counts) {
      counts[Counter::syns] += 10;
      counts[Counter::accepts] += 10;
    }
    sample.counts[2][Counter::drops] += lost;
    sample.counts[2][Counter::overflows_ack] += lost;
    sample.listeners[2].accept_queue_len = lost > 0 ? 512 : 0;
    return snapshot();
  }
};

class TuiPages : public testing::Test {
 protected:
  ScreenState at(int height, int width) {
    ScreenState state = showing(world.snapshot(), height, width);
    show(state, world.second(0), 6 * kSecond);
    return state;
  }
  Counted world;
};

TEST_F(TuiPages, TreesGatherAndFold) {
  ScreenState state = at(24, 100);
  show(state, world.second(7), 7 * kSecond);
  press(state, "t");
  std::string text = drawn(state);
  EXPECT_TRUE(has(text, "tree by namespace")) << text;
  EXPECT_TRUE(has(text, "!▾ netns front (1)  3 listeners  1 in trouble  7.0 lost/s  512 wait"))
      << text;
  EXPECT_TRUE(has(text, "▾ netns back (2)  1 listener")) << text;
  EXPECT_LT(text.find("netns front (1)"), text.find("netns back (2)")) << "the worst is on top";
  handle_key(state, {KeyCode::home});
  handle_key(state, kEnter);
  text = drawn(state);
  EXPECT_TRUE(has(text, "!▸ netns front (1)")) << text;
  EXPECT_FALSE(has(text, ":443 ")) << text;
  EXPECT_EQ(state.page(), Page::table) << "a heading has no page";
  // It stays folded, and selected, with the next sample.
  show(state, world.second(0), 8 * kSecond);
  EXPECT_TRUE(has(drawn(state), "▸ netns front (1)"));
  EXPECT_EQ(state.selected_group, state.groups.at(0).key);
  handle_key(state, kEnter);
  EXPECT_TRUE(has(drawn(state), ":443"));
  press(state, "t");
  text = drawn(state);
  EXPECT_TRUE(has(text, "container 3b1f0c9e5d7a")) << text;
  EXPECT_TRUE(has(text, "in no container  3 listeners")) << text;
  handle_key(state, function(5));
  text = drawn(state);
  EXPECT_TRUE(has(text, "0.0.0.0:80 in netns front  2 listeners")) << text;
  EXPECT_FALSE(has(text, "0.0.0.0:443 in netns front  1")) << "no heading for one alone";
  press(state, "t");
  EXPECT_EQ(state.tree, Tree::none);
  EXPECT_EQ(drawn(state, Charset::ascii).find("▾"), std::string::npos);
}

TEST_F(TuiPages, TotalsInsteadOfRatesAndABaseline) {
  ScreenState state = at(24, 120);
  show(state, world.second(7), 7 * kSecond);
  EXPECT_TRUE(has(drawn(state), "DROPS/s"));
  press(state, "c");
  std::string text = drawn(state);
  EXPECT_FALSE(has(text, "DROPS/s")) << text;
  EXPECT_TRUE(has(text, "ACCEPTS ")) << text;
  press(state, "cb");
  EXPECT_TRUE(state.counters) << "a baseline is about totals";
  text = drawn(state);
  EXPECT_TRUE(has(text, "baseline 14:13:22 (0s)")) << text;
  show(state, world.second(5), 8 * kSecond);
  const Field* const drops = find_field("drops");
  EXPECT_EQ(std::get<std::uint64_t>(value_of(state, *drops, *state.rows.front())), 5U);
  press(state, "b");
  EXPECT_EQ(std::get<std::uint64_t>(value_of(state, *drops, *state.rows.front())), 12U);
}

TEST_F(TuiPages, ABaselineSortsByTheGain) {
  ScreenState state = at(24, 120);
  world.sample.counts[0][Counter::drops] = 1000;
  show(state, world.second(1), 7 * kSecond);
  press(state, "b");
  show(state, world.second(9), 8 * kSecond);
  state.sort = *parse_sort("drops");
  refresh(state);
  EXPECT_EQ(state.rows.front()->raw->port, 443);
  press(state, "b");
  EXPECT_EQ(state.rows.front()->raw->port, 80);
}

TEST_F(TuiPages, TheWideTableHasAllColumnsAndMoves) {
  ScreenState state = at(24, 80);
  EXPECT_FALSE(has(drawn(state), "SOMAXCONN"));
  press(state, "w");
  const std::string first = drawn(state);
  EXPECT_TRUE(has(first, "ADDRESS:PORT")) << first;
  const SortKey before = state.sort;
  std::string text;
  for (int i = 0; i < 30 && !has(text, "SOMAXCONN"); ++i) {
    handle_key(state, {KeyCode::right});
    text = drawn(state);
  }
  EXPECT_TRUE(has(text, "SOMAXCONN")) << text;
  EXPECT_FALSE(has(text, "ADDRESS:PORT")) << text;
  EXPECT_EQ(state.sort.field, before.field) << "there the arrows don't sort";
  for (int i = 0; i < 30; ++i) handle_key(state, {KeyCode::left});
  EXPECT_EQ(drawn(state), first);
  press(state, "w");
  EXPECT_FALSE(state.wide);
}

TEST_F(TuiPages, ColumnsAreChosen) {
  ScreenState state = at(60, 100);
  handle_key(state, function(2));
  EXPECT_TRUE(has(drawn(state), "chosen by the width of the window")) << drawn(state);
  EXPECT_FALSE(state.columns_changed);
  press(state, " ");  // the first one goes: the namespace
  EXPECT_TRUE(state.columns_changed);
  ASSERT_FALSE(state.columns.empty());
  EXPECT_EQ(column_id(state.columns[0]), "local");
  handle_key(state, {KeyCode::home});
  press(state, "+");
  EXPECT_EQ(column_id(state.columns[1]), "local");
  EXPECT_EQ(state.pages.back().cursor, 1U) << "the cursor goes along";
  press(state, "-");
  EXPECT_EQ(column_id(state.columns[0]), "local");
  handle_key(state, {KeyCode::end});
  press(state, " ");
  const std::string last(column_id(state.columns.back()));
  EXPECT_FALSE(has(drawn(state), "[ ]    WATERFALL")) << last;
  while (state.columns.size() > 1) {
    handle_key(state, {KeyCode::home});
    press(state, " ");
  }
  press(state, " ");
  EXPECT_EQ(state.columns.size(), 1U);
  EXPECT_TRUE(has(drawn(state), "one column must stay"));
  press(state, "q");
  EXPECT_EQ(visible_columns(state).size(), 1U);
  handle_key(state, function(2));
  press(state, "aq");
  EXPECT_TRUE(state.columns.empty());
}

TEST_F(TuiPages, EveryColumnHasItsOwnId) {
  std::set<std::string_view> ids;
  for (const ColumnChoice& column : all_columns()) {
    EXPECT_TRUE(ids.insert(column_id(column)).second) << column_id(column);
    EXPECT_EQ(find_column(column_id(column)), column);
    EXPECT_FALSE(column_help(column).empty());
  }
  EXPECT_EQ(find_column("no such one"), std::nullopt);
}

TEST_F(TuiPages, TheMouseSelectsSortsOpensAndPresses) {
  ScreenState state = at(24, 100);
  const int top = layout_of(24, 100).table_top;
  handle_key(state, mouse(Mouse::click, top + 3, 10));
  EXPECT_EQ(state.cursor, 2U);
  handle_key(state, mouse(Mouse::wheel_up, 0, 0));
  EXPECT_EQ(state.cursor, 0U);
  handle_key(state, mouse(Mouse::click, top + 20, 10));
  EXPECT_EQ(state.cursor, 0U) << "below the table is nobody";
  handle_key(state, mouse(Mouse::click, top, 9));
  ASSERT_NE(state.sort.field, nullptr);
  EXPECT_EQ(state.sort.field->id, "port");
  const bool ascending = state.sort.ascending;
  handle_key(state, mouse(Mouse::click, top, 9));
  EXPECT_NE(state.sort.ascending, ascending) << "again: the other way";
  handle_key(state, mouse(Mouse::double_click, top + 1, 10));
  EXPECT_EQ(state.page(), Page::detail);
  handle_key(state, mouse(Mouse::click, 23, 0));
  EXPECT_EQ(state.page(), Page::table) << "q Back is there";
  handle_key(state, mouse(Mouse::click, 23, 1));
  EXPECT_EQ(state.page(), Page::help) << "F1 Help is there";
  handle_key(state, mouse(Mouse::wheel_down, 5, 5));
  EXPECT_EQ(state.pages.back().scroll, 3U);
}

TEST_F(TuiPages, EventsLeadToTheirListener) {
  ScreenState state = at(24, 100);
  press(state, "e");
  EXPECT_TRUE(has(drawn(state), "no listener has lost anything since the first sample"));
  show(state, world.second(7), 7 * kSecond);
  show(state, world.second(2), 8 * kSecond);
  std::string text = drawn(state);
  EXPECT_TRUE(
      has(text, "! 14:13:21  goes on    2.0s  0.0.0.0:443  nginx 10     9  ACK full  512/511"))
      << text;
  handle_key(state, kEnter);
  EXPECT_EQ(state.page(), Page::detail);
  EXPECT_TRUE(has(drawn(state), "0.0.0.0:443 in netns front")) << drawn(state);
  handle_key(state, kEscape);
  EXPECT_EQ(state.page(), Page::events) << "back to where one came from";
  for (std::uint64_t i = 0; i < 4; ++i) show(state, world.second(0), (9 + i) * kSecond);
  text = drawn(state);
  EXPECT_TRUE(has(text, "  14:13:21  14:13:23    2.0s")) << text;
  press(state, "e");
  EXPECT_EQ(state.page(), Page::table);
}

TEST_F(TuiPages, InterfacesAndCostShowWhatChanged) {
  RawNic nic;
  nic.netns = NetnsId{1};
  nic.interface = "eth0";
  nic.mode = NicMode::tc;
  nic.ports = {{80, 100, 0, 90, 80, 1, {}}};
  world.sample.nics = {nic};
  world.sample.self.programs = {{"packet", 1000, 50'000}, {"idle", std::nullopt, std::nullopt}};
  world.sample.self.maps = {{"listeners", 5, 100}};
  ScreenState state = at(24, 100);
  press(state, "n");
  EXPECT_TRUE(has(drawn(state), "front  eth0       tc")) << drawn(state);
  world.sample.nics[0].ports[0].syn_in = 160;
  world.sample.self.programs[0] = {"packet", 3000, 250'000};
  world.sample.self.cpu_ns += 12'300'000;
  show(state, world.second(0), 7 * kSecond);
  EXPECT_TRUE(has(drawn(state), "160   60.0       90   80    1")) << drawn(state);
  press(state, "x");
  const std::string text = drawn(state);
  EXPECT_TRUE(has(text, "this process: 1.23 % of a core")) << text;
  EXPECT_TRUE(has(text, "table listeners: 5 of 100 entries")) << text;
  EXPECT_TRUE(has(text, "packet   3,000    2000       100  0.02 %")) << text;
  EXPECT_TRUE(has(text, "idle         -       -         -")) << text;
}

TEST_F(TuiPages, ARecordingIsPlayedByKeys) {
  ScreenState state = at(24, 100);
  using Kind = PlaybackCommand::Kind;
  EXPECT_EQ(handle_key(state, character(U'.')).playback, std::nullopt) << "live has no steps";
  press(state, "@");
  EXPECT_TRUE(has(drawn(state), "this is live"));
  state.playback.emplace();
  for (const auto& [key, kind] :
       {std::pair{U' ', Kind::pause}, std::pair{U'.', Kind::step}, std::pair{U',', Kind::step_back},
        std::pair{U']', Kind::faster}, std::pair{U'[', Kind::slower}}) {
    const auto command = handle_key(state, character(key)).playback;
    ASSERT_TRUE(command);
    EXPECT_EQ(command->kind, kind);
  }
  EXPECT_FALSE(state.frozen) << "Space is for the recording";
  press(state, "@");
  press(state, "tomorrow");
  EXPECT_EQ(handle_key(state, kEnter).playback, std::nullopt);
  EXPECT_TRUE(has(drawn(state), "give a time (UTC) such as 14:13:20")) << drawn(state);
  press(state, "\x15-1m");
  const auto command = handle_key(state, kEnter).playback;
  ASSERT_TRUE(command);
  EXPECT_EQ(command->wall_ns, state.shown.snapshot->sample->wall_ns - 60 * kSecond);
  state.playback->ended = true;
  EXPECT_TRUE(has(drawn(state), " END ")) << drawn(state);
  state.playback = Playback{true, false, 0.5, 0, std::nullopt};
  EXPECT_TRUE(has(drawn(state), " PAUSED "));
  state.playback->paused = false;
  EXPECT_TRUE(has(drawn(state), " PLAYING 1/2x "));
  handle_key(state, character(U'+'));
  EXPECT_TRUE(has(drawn(state), "the interval is the recording's own"));
}

TEST_F(TuiPages, MomentsAreUnderstood) {
  const ScreenState state = at(24, 100);  // shows 14:13:21
  const std::uint64_t now = state.shown.snapshot->sample->wall_ns;
  const std::uint64_t second = now / kSecond;
  const auto seconds = [&](std::string_view text) -> std::optional<std::int64_t> {
    const auto moment = parse_moment(text, state);
    if (!moment) return std::nullopt;
    return static_cast<std::int64_t>(*moment / kSecond) - static_cast<std::int64_t>(second);
  };
  EXPECT_EQ(seconds("14:13:20"), -1);
  EXPECT_EQ(seconds(" 14:14 "), 39);
  EXPECT_EQ(seconds("+30"), 30);
  EXPECT_EQ(seconds("+1.5m"), 90);
  EXPECT_EQ(seconds("-2h"), -7200);
  EXPECT_EQ(parse_moment("start", state), 0U);
  EXPECT_EQ(parse_moment("end", state), UINT64_MAX);
  const std::string date = "2026-09-21T14:13:25Z";
  EXPECT_EQ(seconds(date), 4);
  for (const char* wrong : {"", "x", "24:00", "14:60", "14:13:61", "+", "-x", "1:2:3:4", "+1d",
                            "2026-13-01T00:00:00Z", "+99999999999999"}) {
    EXPECT_EQ(parse_moment(wrong, state), std::nullopt) << wrong;
  }
}

TEST_F(TuiPages, HistoryHasZerosWhereNothingHappenedAndEndsWithTheSamples) {
  History history;
  history.add(*world.snapshot());
  std::shared_ptr<const Snapshot> last;
  for (int i = 0; i < 5; ++i) {
    last = world.second(i == 2 ? 7 : 0);
    history.add(*last);
  }
  const std::uint64_t end = last->sample->monotonic_ns;
  const auto busy = history.series(last->listeners[2], end);
  ASSERT_EQ(busy.samples.size(), 6U);
  EXPECT_EQ(busy.samples[3].point.accept_queue, 512U);
  EXPECT_FLOAT_EQ(busy.samples[3].point.losses_per_second, 7);
  EXPECT_EQ(busy.samples[4].point.accept_queue, 0U);
  EXPECT_EQ(history.points(), 1U) << "what is idle takes nothing";
  // As it was two samples ago: what came later is not known there.
  EXPECT_EQ(history.series(last->listeners[2], end - 2 * kSecond).samples.size(), 4U);
  for (std::size_t i = 0; i < History::kSamples; ++i) history.add(*world.second(0));
  EXPECT_EQ(history.points(), 0U);
  const auto later = history.series(last->listeners[2], UINT64_MAX);
  EXPECT_EQ(later.samples.size(), History::kSamples);
}

TEST(TuiGraph, WhatIsNotNothingShowsAndWhatIsUnknownDoesNot) {
  for (const Charset charset : {Charset::utf8, Charset::ascii}) {
    Canvas canvas(2, 3, charset);
    std::vector<std::optional<double>> values(graph_values(3, charset));
    values.front() = 0.001;
    values.back() = 5;
    draw_graph(canvas, {0, 0, 2, 3}, values, 5, 5);
    if (charset == Charset::utf8) {
      EXPECT_EQ(canvas.to_text(), "  ⢸\n⡀ ⢸\n");
    } else {
      EXPECT_EQ(canvas.to_text(), "  |\n. |\n");
    }
    EXPECT_EQ(canvas.at(0, 2).style, Style::bad);
    EXPECT_EQ(canvas.at(1, 0).style, Style::good);
  }
}

}  // namespace
}  // namespace listenq::tui
