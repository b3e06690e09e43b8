// SPDX-License-Identifier: Apache-2.0
//
// What the files of the screen share among themselves: the parts that draw_screen() draws, the keys
// that each page takes, and small pieces of text. Nobody outside of this folder needs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "view/tui/screen.h"

namespace listenq::tui {

// --- state (screen.cpp, tree.cpp)

/// Filters, sorts and finds the selected line again.
void refresh(ScreenState& state);

/// state.groups and state.lines from state.rows.
void build_tree(ScreenState& state);

/// Whole rows that the table shows at once.
[[nodiscard]] int table_rows(const ScreenState& state);

/// The line becomes the selected one, and visible.
void move_to(ScreenState& state, std::size_t line);

/// The selected listener; null: a heading is, or there is none.
[[nodiscard]] const ListenerRow* selected_row(const ScreenState& state);

/// The columns of the table, all of them where the table is wide.
[[nodiscard]] std::vector<Column> visible_columns(const ScreenState& state);

/// Nothing waits, nothing is lost.
[[nodiscard]] bool is_idle(const ListenerRow& row);

/// The listener that the detail page is about, open or closed; `row` is null when nobody knows it.
struct Subject {
  const ListenerRow* row = nullptr;
  const ClosedListener* closed = nullptr;
};
[[nodiscard]] Subject subject_of(const Snapshot& snapshot, const ListenerId& wanted);

/// The look from near at a listener that a sample holds; null: none.
[[nodiscard]] const RawCloseUp* close_up_of(const Sample& sample, const RawListener& raw);

/// The value of a field as the table shows it: counters since the baseline, if there is one.
[[nodiscard]] Value value_of(const ScreenState& state, const Field& field, const ListenerRow& row);

// --- keys

void open_page(ScreenState& state, Page page);
void close_page(ScreenState& state);
void open_detail(ScreenState& state, const ListenerId& listener);
void open_edit(ScreenState& state, Prompt prompt);
[[nodiscard]] KeyResult edit_key(ScreenState& state, Key key);
[[nodiscard]] KeyResult mouse_key(ScreenState& state, Key key);
/// Sorts by the field, or turns the order around if it sorts already.
void sort_by(ScreenState& state, const Field* field);
/// The next listener that holds the searched text, from `distance` lines away on and around.
void search(ScreenState& state, std::size_t distance, bool backwards = false);
/// Rows that a movement key goes in a window of `page` rows; nullopt: it is none.
[[nodiscard]] std::optional<int> movement(Key key, int page);
[[nodiscard]] bool is_home(Key key);
[[nodiscard]] bool is_end(Key key);
[[nodiscard]] inline bool is_character(Key key, char32_t code) {
  return key.code == KeyCode::character && key.value == code;
}
[[nodiscard]] constexpr char32_t control(char letter) {
  return static_cast<char32_t>(letter) & 0x1fU;
}
/// "14:13:20", "14:13", "+30s", "-2m", an RFC 3339 time, "start", "end" -> a wall time, from what
/// is shown now. nullopt: none of these.
[[nodiscard]] std::optional<std::uint64_t> parse_moment(std::string_view text,
                                                        const ScreenState& state);

/// Page::columns.
[[nodiscard]] bool chooser_key(ScreenState& state, Key key);

// --- words

/// The listener in words.
struct Description {
  std::string who;      ///< its place and its owners
  std::string verdict;  ///< what is wrong, since when; empty: nothing is
  std::string state;    ///< what its row tells, and what it doesn't know
  bool now = false;     ///< the verdict is about now, not about what was
};
[[nodiscard]] Description describe(const ListenerRow& row, const Sample& sample);

/// "14:13:20"
[[nodiscard]] std::string clock_text(std::uint64_t wall_ns);
/// "1.2 s" below 10 s, else whole seconds, minutes, hours.
[[nodiscard]] std::string seconds_text(double seconds);
/// As a field that is one shows it: "1.2ms".
[[nodiscard]] std::string duration_text(double seconds);
[[nodiscard]] std::string rate_text(const std::optional<double>& rate);
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);

// --- drawing

/// Items side by side; one that does not fit whole is left out.
class Line {
 public:
  Line(Canvas& canvas, int row, int end) : canvas_(canvas), row_(row), end_(end) {}

  void item(std::string_view label, std::string_view value, Style style);
  /// Takes what is left, cut if need be.
  void rest(std::string_view label, std::string_view value, Style style);

 private:
  Canvas& canvas_;
  int row_;
  int end_;
  int column_ = 0;
};

/// A key and what it does, at the bottom; a click on it is the key.
struct Hint {
  std::string_view name;
  std::string_view text;
  Key key;
};
[[nodiscard]] std::vector<Hint> hints_of(const ScreenState& state);
/// The key whose hint is at this column of the bottom line.
[[nodiscard]] std::optional<Key> hint_at(const ScreenState& state, int column);

void draw_header(Canvas& canvas, const ScreenState& state, const Layout& layout);
void draw_table(Canvas& canvas, const ScreenState& state, const Layout& layout);
void draw_context(Canvas& canvas, const ScreenState& state, const Layout& layout);

/// Time of what is shown, and its age where it is not the newest that one may expect.
[[nodiscard]] std::string time_text(const ScreenState& state);
/// What keeps the numbers from following the time, or how a recording is played; empty: nothing.
[[nodiscard]] std::string standstill(const ScreenState& state);

/// The whole page of state.detail, as high as it needs to be; there must be a Snapshot.
[[nodiscard]] Canvas detail_page(const ScreenState& state, Charset charset);

/// A page that is a list: its lines, of which one may be selected.
struct ListPage {
  struct Column {
    std::string title;
    bool right = false;
  };
  struct Row {
    std::vector<std::string> cells;  ///< the last takes what is left of the width
    Style style = Style::normal;
  };
  std::string title;
  std::vector<std::string> notes;  ///< above the list
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::string when_empty;
};
[[nodiscard]] ListPage events_page(const ScreenState& state);
[[nodiscard]] ListPage interfaces_page(const ScreenState& state);
[[nodiscard]] ListPage cost_page(const ScreenState& state);
[[nodiscard]] ListPage chooser_page(const ScreenState& state);
/// The listener of a line of the events page.
[[nodiscard]] std::optional<ListenerId> event_listener(const ScreenState& state, std::size_t row);
/// Lines that a page holds, and those of them that the window shows.
struct PageExtent {
  std::size_t lines = 0;
  std::size_t window = 0;
};
[[nodiscard]] PageExtent extent_of(const ScreenState& state);

/// The help page, one entry a line, wrapped to `width` cells.
struct HelpLine {
  std::string key;  ///< a key or a column; empty: goes on, or a heading
  std::string text;
  Style style = Style::normal;
};
[[nodiscard]] std::vector<HelpLine> help_lines(int width, Charset charset);

}  // namespace listenq::tui
