// SPDX-License-Identifier: Apache-2.0
//
// What keys do: fed in one by one, no terminal.
#include <gtest/gtest.h>

#include "tui_world.h"

namespace listenq::tui {
namespace {

constexpr Key kEnter{KeyCode::enter};
constexpr Key kEscape{KeyCode::escape};
constexpr Key kDown{KeyCode::down};
constexpr Key kUp{KeyCode::up};
constexpr Key kPageDown{KeyCode::page_down};

Key function(char32_t number) {
  return {KeyCode::function, number};
}

std::uint16_t selected_port(const ScreenState& state) {
  return state.rows.at(state.cursor)->raw->port;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

class TuiKeys : public testing::Test {
 protected:
  World world;
  ScreenState small() { return showing(small_machine(world), 24, 80); }
  ScreenState large(int count) { return showing(large_machine(world, count), 24, 80); }
};

TEST_F(TuiKeys, QuitAndBack) {
  ScreenState state = small();
  EXPECT_TRUE(handle_key(state, character(U'q')).quit);
  EXPECT_TRUE(handle_key(state, function(10)).quit);
  EXPECT_FALSE(handle_key(state, kEscape).quit);
  for (const Key open : {character(U'h'), character(U'?'), function(1)}) {
    for (const Key back : {character(U'q'), kEscape, function(10), character(U'h')}) {
      handle_key(state, open);
      ASSERT_EQ(state.page(), Page::help);
      EXPECT_FALSE(handle_key(state, back).quit);
      ASSERT_EQ(state.page(), Page::table);
    }
  }
}

TEST_F(TuiKeys, HelpShowsKeysAndFieldsAndScrolls) {
  ScreenState state = small();
  press(state, "?");
  EXPECT_TRUE(has(drawn(state), "sort by the column"));
  handle_key(state, {KeyCode::end});
  const std::size_t last = state.pages.back().scroll;
  EXPECT_TRUE(has(drawn(state), "handshake_time_max"));
  handle_key(state, kDown);
  EXPECT_EQ(state.pages.back().scroll, last);
  press(state, "g");
  EXPECT_EQ(state.pages.back().scroll, 0U);
  handle_key(state, kUp);
  EXPECT_EQ(state.pages.back().scroll, 0U);
  handle_key(state, kPageDown);
  EXPECT_EQ(state.pages.back().scroll, 21U);
  // A wider window has fewer lines: no blank page is left behind.
  handle_key(state, {KeyCode::end});
  set_size(state, 200, 200);
  EXPECT_TRUE(has(drawn(state), "Keys\n"));
}

TEST_F(TuiKeys, MovesAndScrolls) {
  ScreenState state = large(100);
  const int page = layout_of(24, 80).table;
  EXPECT_EQ(page, 13);
  handle_key(state, kUp);
  EXPECT_EQ(state.cursor, 0U);
  handle_key(state, kDown);
  press(state, "jj");
  EXPECT_EQ(state.cursor, 3U);
  press(state, "k");
  EXPECT_EQ(state.cursor, 2U);
  handle_key(state, kPageDown);
  EXPECT_EQ(state.cursor, 14U);
  EXPECT_EQ(state.scroll, 2U);
  handle_key(state, {KeyCode::page_up});
  EXPECT_EQ(state.cursor, 2U);
  EXPECT_EQ(state.scroll, 2U);
  press(state, "G");
  EXPECT_EQ(state.cursor, 99U);
  EXPECT_EQ(state.scroll, 87U);
  handle_key(state, kPageDown);
  EXPECT_EQ(state.cursor, 99U);
  press(state, "g");
  EXPECT_EQ(state.cursor, 0U);
  EXPECT_EQ(state.scroll, 0U);
}

TEST_F(TuiKeys, ASmallerWindowKeepsTheSelectedRowInSight) {
  ScreenState state = large(100);
  handle_key(state, kPageDown);
  const std::uint16_t port = selected_port(state);
  for (const int height : {10, 50, 6, 1, 24}) {
    set_size(state, height, 80);
    EXPECT_EQ(selected_port(state), port);
    const auto page = static_cast<std::size_t>(std::max(layout_of(height, 80).table, 1));
    EXPECT_GE(state.cursor, state.scroll);
    EXPECT_LT(state.cursor, state.scroll + page);
  }
}

TEST_F(TuiKeys, KeysOnNoRowsAtAll) {
  World empty;
  ScreenState state = showing(empty.snapshot(), 24, 80);
  ScreenState before;  // not even a Snapshot
  for (ScreenState* one : {&state, &before}) {
    for (const Key key : {kDown, kUp, kPageDown, Key{KeyCode::end}, Key{KeyCode::home},
                          character(U'n'), character(U'>'), character(U'I'), character(U'z'),
                          character(U' '), character(U' '), function(6), kEnter}) {
      handle_key(*one, key);
      drawn(*one).size();
    }
    press(*one, "/x");
    handle_key(*one, kEnter);
    EXPECT_EQ(one->cursor, 0U);
  }
}

TEST_F(TuiKeys, TheWorstIsSelectedUntilSomebodyMoves) {
  ScreenState state = small();
  EXPECT_EQ(selected_port(state), 80);
  world.sample.listeners[0].accept_queue_len = 0;
  world.sample.listeners[1].accept_queue_len = 4097;
  show(state, world.snapshot(), 6 * kSecond);
  EXPECT_EQ(selected_port(state), 5432);
}

TEST_F(TuiKeys, SelectionSticksToTheListener) {
  ScreenState state = small();
  handle_key(state, kDown);
  EXPECT_EQ(selected_port(state), 5432);
  press(state, ">");  // another order
  EXPECT_EQ(selected_port(state), 5432);
  press(state, "I");
  EXPECT_EQ(selected_port(state), 5432);
  // Another one vanishes.
  world.sample.listeners.erase(world.sample.listeners.begin());
  show(state, world.snapshot(), 6 * kSecond);
  EXPECT_EQ(selected_port(state), 5432);
  // It is restarted: another socket in the same place.
  world.sample.listeners[0].cookie = SocketCookie{99};
  world.sample.listeners[0].inode = 99;
  show(state, world.snapshot(), 7 * kSecond);
  EXPECT_EQ(selected_port(state), 5432);
  // It goes for good: whatever is there now.
  world.sample.listeners.erase(world.sample.listeners.begin());
  show(state, world.snapshot(), 8 * kSecond);
  EXPECT_EQ(selected_port(state), 2049);
  world.sample.listeners.clear();
  show(state, world.snapshot(), 9 * kSecond);
  EXPECT_TRUE(state.rows.empty());
}

TEST_F(TuiKeys, EqualPortsInOtherNamespacesAreOtherListeners) {
  World two;
  two.add_netns(1, "a");
  two.add_netns(2, "b");
  two.add({.netns = 1, .port = 80});
  two.add({.netns = 2, .port = 80});
  ScreenState state = showing(two.snapshot(), 24, 80);
  handle_key(state, kDown);
  EXPECT_EQ(state.rows[state.cursor]->netns->raw->name, "b");
  two.sample.listeners[1].accept_queue_len = 400;  // now the first
  show(state, two.snapshot(), 6 * kSecond);
  EXPECT_EQ(state.cursor, 0U);
  EXPECT_EQ(state.rows[state.cursor]->netns->raw->name, "b");
}

TEST_F(TuiKeys, SortsByTheNextColumn) {
  ScreenState state = small();
  EXPECT_EQ(state.sort.field, nullptr);
  press(state, ">");
  ASSERT_NE(state.sort.field, nullptr);
  EXPECT_EQ(state.sort.field->id, "port");
  EXPECT_EQ(state.rows.back()->raw->port, 5432);
  EXPECT_TRUE(has(drawn(state), "sorted by PORT ascending"));
  press(state, "I");
  EXPECT_EQ(state.rows.back()->raw->port, 80);
  EXPECT_TRUE(has(drawn(state), "sorted by PORT descending"));
  handle_key(state, {KeyCode::right});
  EXPECT_EQ(state.sort.field->id, "accept_queue_fill");
  EXPECT_FALSE(state.sort.ascending);
  handle_key(state, {KeyCode::left});
  press(state, "<");
  EXPECT_EQ(state.sort.field, nullptr);
  press(state, "<");
  EXPECT_EQ(state.sort.field->id, "process") << "around the end";
  EXPECT_EQ(state.rows.front()->raw->port, 2049) << "text: from a on, absent first";
  handle_key(state, function(6));
  EXPECT_EQ(state.sort.field, nullptr);
}

TEST_F(TuiKeys, FilterIsEditedAndItsErrorShown) {
  ScreenState state = small();
  press(state, "f");
  press(state, "prot == 80");
  handle_key(state, kEnter);
  EXPECT_EQ(state.edit.prompt, Prompt::filter) << "stays open to be corrected";
  EXPECT_FALSE(state.edit.error.empty());
  EXPECT_TRUE(has(drawn(state), "Filter: prot == 80"));
  EXPECT_TRUE(has(drawn(state), state.edit.error.substr(0, 30)));
  EXPECT_EQ(state.rows.size(), 3U);
  // Correct it in place: Home, over "pr", out with "ot", in with "rt".
  handle_key(state, {KeyCode::home});
  for (int i = 0; i < 2; ++i) handle_key(state, {KeyCode::right});
  for (int i = 0; i < 2; ++i) handle_key(state, {KeyCode::del});
  EXPECT_TRUE(state.edit.error.empty());
  handle_key(state, {KeyCode::backspace});
  press(state, "ort");
  handle_key(state, kEnter);
  EXPECT_EQ(state.edit.prompt, Prompt::none);
  EXPECT_EQ(state.filter_text, "port == 80");
  ASSERT_EQ(state.rows.size(), 1U);
  EXPECT_EQ(selected_port(state), 80);
  EXPECT_TRUE(has(drawn(state), "filter port == 80"));
  EXPECT_TRUE(has(drawn(state), "shown 1"));
  // The next edit begins with it; Esc leaves it as it is; empty shows all.
  handle_key(state, function(4));
  EXPECT_EQ(state.edit.text, U"port == 80");
  handle_key(state, kEscape);
  EXPECT_EQ(state.rows.size(), 1U);
  press(state, "\\\x15");  // Ctrl-U
  handle_key(state, kEnter);
  EXPECT_EQ(state.filter_text, "");
  EXPECT_EQ(state.rows.size(), 3U);
}

TEST_F(TuiKeys, LettersInTheEditLineAreText) {
  ScreenState state = small();
  press(state, "f");
  for (const char32_t code : std::u32string_view(U"qhzZ/ +-")) {
    EXPECT_FALSE(handle_key(state, character(code)).quit);
  }
  EXPECT_EQ(state.edit.text, U"qhzZ/ +-");
  handle_key(state, character(27));  // controls are none
  handle_key(state, character(0x9b));
  EXPECT_EQ(state.edit.text, U"qhzZ/ +-");
  press(state, "\x17");  // Ctrl-W
  EXPECT_EQ(state.edit.text, U"qhzZ/ ");
  press(state, "日");
  EXPECT_EQ(state.edit.text, U"qhzZ/ 日");
}

TEST_F(TuiKeys, ALongLineScrollsWithItsCursor) {
  ScreenState state = showing(small_machine(world), 24, 40);
  press(state, "f");
  press(state, std::string(100, 'a') + "end");
  Canvas canvas(24, 40, Charset::utf8);
  const auto cursor = draw_screen(canvas, state);
  ASSERT_TRUE(cursor);
  EXPECT_EQ(cursor->row, 23);
  EXPECT_EQ(cursor->column, 39);
  EXPECT_TRUE(has(canvas.to_text(), "aaaend\n"));
  handle_key(state, {KeyCode::home});
  Canvas again(24, 40, Charset::utf8);
  EXPECT_EQ(draw_screen(again, state)->column, 8);
}

TEST_F(TuiKeys, SearchGoesFromOneToTheNext) {
  ScreenState state = large(100);
  press(state, "/");
  press(state, "WORKER-7");
  handle_key(state, kEnter);
  const auto first = state.cursor;
  EXPECT_EQ(state.rows[first]->process->name, "worker-7");
  handle_key(state, function(3));
  const auto second = state.cursor;
  EXPECT_NE(second, first);
  EXPECT_EQ(state.rows[second]->process->name, "worker-7");
  press(state, "N");
  EXPECT_EQ(state.cursor, first);
  handle_key(state, function(3));
  EXPECT_EQ(state.cursor, second);
  press(state, "/");  // empty: again
  handle_key(state, kEnter);
  EXPECT_EQ(state.rows[state.cursor]->process->name, "worker-7");
  EXPECT_TRUE(has(drawn(state), "search WORKER-7"));
  handle_key(state, kEscape);
  EXPECT_FALSE(has(drawn(state), "search WORKER-7"));
  press(state, "/nothing like it");
  const auto before = state.cursor;
  handle_key(state, kEnter);
  EXPECT_EQ(state.cursor, before);
  EXPECT_TRUE(has(drawn(state), "no listener shown holds \"nothing like it\""));
  handle_key(state, kDown);
  EXPECT_FALSE(has(drawn(state), "no listener shown holds"));
}

TEST_F(TuiKeys, SearchLooksAtPlaceAndOwner) {
  ScreenState state = small();
  for (const auto& [text, port] : {std::pair{"127.0.0.1", 5432},
                                   {":2049", 2049},
                                   {"nginx", 80},
                                   {"812", 5432},
                                   {"postgresql.serv", 5432},
                                   {"1237", 80}}) {
    press(state, "g/");
    press(state, text);
    handle_key(state, kEnter);
    EXPECT_EQ(selected_port(state), port) << text;
  }
}

TEST_F(TuiKeys, FreezeHoldsTheNumbersAndTheRestGoesOn) {
  ScreenState state = small();
  press(state, " ");
  EXPECT_TRUE(has(drawn(state), " FROZEN "));
  world.sample.listeners[0].accept_queue_len = 7;
  show(state, world.snapshot(), 9 * kSecond);
  EXPECT_TRUE(has(drawn(state), "512/511"));
  EXPECT_TRUE(has(drawn(state), "14:13:21 UTC, 4.0 s ago"));
  press(state, ">I");
  EXPECT_EQ(state.rows.front()->raw->port, 5432) << "by port, descending";
  press(state, "f");
  press(state, "accept_queue_fill >= 1");
  handle_key(state, kEnter);
  ASSERT_EQ(state.rows.size(), 1U);
  EXPECT_EQ(selected_port(state), 80);
  press(state, "Z");
  EXPECT_TRUE(state.rows.empty()) << "the live numbers, through the same filter";
  EXPECT_FALSE(has(drawn(state), "FROZEN"));
  EXPECT_TRUE(has(drawn(state), "14:13:22 UTC"));
}

TEST_F(TuiKeys, HideIdle) {
  ScreenState state = small();
  press(state, "z");
  EXPECT_EQ(state.rows.size(), 2U);
  EXPECT_TRUE(has(drawn(state), "idle ones hidden"));
  EXPECT_TRUE(has(drawn(state), "shown 2"));
  press(state, "z");
  EXPECT_EQ(state.rows.size(), 3U);
}

TEST_F(TuiKeys, IntervalGoesInStepsAndEnds) {
  ScreenState state = small();
  std::vector<double> seen;
  const auto press_until_end = [&](char32_t key) {
    while (const auto chosen = handle_key(state, character(key)).interval_seconds) {
      seen.push_back(*chosen);
    }
  };
  press_until_end(U'+');
  EXPECT_EQ(seen, (std::vector<double>{2, 5, 10}));
  seen.clear();
  press_until_end(U'-');
  EXPECT_EQ(seen, (std::vector<double>{5, 2, 1, 0.5, 0.2, 0.1}));
  EXPECT_TRUE(has(drawn(state), "every 0.1 s"));
  // One from the command line lies between the steps.
  state.interval_seconds = 3;
  EXPECT_EQ(handle_key(state, character(U'-')).interval_seconds, 2);
  state.interval_seconds = 3;
  EXPECT_EQ(handle_key(state, character(U'+')).interval_seconds, 5);
  state.interval_seconds = 60;
  EXPECT_EQ(handle_key(state, character(U'+')).interval_seconds, std::nullopt);
}

TEST_F(TuiKeys, RepaintEverywhere) {
  ScreenState state = small();
  EXPECT_TRUE(handle_key(state, character(12)).repaint);
  press(state, "?");
  EXPECT_TRUE(handle_key(state, character(12)).repaint);
  press(state, "qf");
  EXPECT_TRUE(handle_key(state, character(12)).repaint);
}

TEST_F(TuiKeys, AnyKeysInAnyOrderLeaveAScreen) {
  ScreenState state = large(300);
  std::uint32_t random = 12345;
  const auto next = [&] { return random = random * 1664525U + 1013904223U; };
  const std::string letters =
      "hjkgGnN/fzZI<>+- ?q\x0c\x15tcbwext.,[]@a"
      "aport==1";
  for (int i = 0; i < 5000; ++i) {
    Key key{static_cast<KeyCode>(next() / 65536U % 16U), 0};
    if (key.code == KeyCode::character) {
      key.value = static_cast<char32_t>(letters[next() / 65536U % letters.size()]);
    } else if (key.code == KeyCode::function) {
      key.value = next() / 65536U % 13U;
    }
    if (key.code == KeyCode::mouse) {
      key.mouse = static_cast<Mouse>(next() / 65536U % 4U);
      key.row = static_cast<int>(next() / 65536U % 70U);
      key.column = static_cast<int>(next() / 65536U % 160U);
    }
    handle_key(state, key);
    if (i % 50 == 0) {
      set_size(state, static_cast<int>(next() / 65536U % 60U),
               static_cast<int>(next() / 65536U % 150U));
    }
    if (i % 100 == 0) show(state, world.snapshot(), static_cast<std::uint64_t>(i) * kSecond);
    ASSERT_TRUE(state.line_count() == 0 || state.cursor < state.line_count());
    const std::string text = drawn(state);
    ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), state.height);
  }
}

}  // namespace
}  // namespace listenq::tui
