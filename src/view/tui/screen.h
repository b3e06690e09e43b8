// SPDX-License-Identifier: Apache-2.0
//
// The screen without a terminal: its state, what a key does to it, and how it is drawn. Nothing
// here reads, waits or writes, so tests feed keys and read the drawn text; Tui joins it to a
// Terminal.
//
// Order of calls: set_size() and show() whenever there is something new, handle_key() for each key;
// draw_screen() after any of them. The first three keep the sorted rows up to date; drawing
// looks only at the rows it shows.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/fields.h"
#include "model/filter.h"
#include "model/snapshot.h"
#include "view/tui/canvas.h"
#include "view/tui/columns.h"
#include "view/tui/history.h"
#include "view/tui/key.h"

namespace listenq::tui {

/// A Snapshot as it came in.
struct Shown {
  std::shared_ptr<const Snapshot> snapshot;  ///< null: none yet
  std::uint64_t arrived_ns = 0;              ///< monotonic time
};

/// Where the playing of a recording stands.
struct Playback {
  bool paused = false;
  bool ended = false;  ///< its last sample is shown
  double speed = 1;
  std::uint64_t first_wall_ns = 0;               ///< of its first sample
  std::optional<std::uint64_t> seeking_wall_ns;  ///< on the way there
};

struct PlaybackCommand {
  enum class Kind : std::uint8_t { pause, step, step_back, faster, slower, seek };
  Kind kind = Kind::pause;    ///< pause: or go on
  std::uint64_t wall_ns = 0;  ///< seek: to the last sample that is not later, or the first
};

enum class Prompt : std::uint8_t { none, search, filter, seek };

/// The line being edited at the bottom.
struct LineEdit {
  Prompt prompt = Prompt::none;
  std::u32string text;
  std::size_t cursor = 0;  ///< in code points
  std::string error;       ///< why the last Enter was refused
};

enum class Page : std::uint8_t { table, detail, events, interfaces, cost, columns, help };

/// A page upon the table, and where one is in it.
struct OpenPage {
  Page page = Page::table;
  std::size_t cursor = 0;
  std::size_t scroll = 0;
};

/// What the table is grouped by.
enum class Tree : std::uint8_t { none, netns, container, reuseport };

/// A heading of the tree.
struct Group {
  std::string key;  ///< the same in the next Snapshot
  std::string name;
  bool folded = false;
  std::size_t listeners = 0;
  std::size_t in_trouble = 0;
  std::uint64_t accept_queue_len = 0;
  std::optional<std::uint64_t> syn_queue_len;  ///< nullopt: nobody in it knows
  std::optional<double> accepts_per_second;
  std::optional<double> losses_per_second;
};

/// A line of the table: a listener, or the heading of a group.
struct TableLine {
  const ListenerRow* row = nullptr;  ///< null: the heading
  std::uint32_t group = 0;           ///< in ScreenState::groups; of no meaning without a tree
};

/// Counts as they were when the user asked for a baseline.
struct Baseline {
  struct Counts {
    std::array<std::uint64_t, kCounters> values{};
    std::uint32_t sk_drops = 0;
  };
  std::uint64_t wall_ns = 0;
  std::unordered_map<ListenerId, Counts, ListenerIdHash> counts;
};

struct ScreenState {
  // Chosen by the user.
  SortKey sort;
  Filter filter;
  std::string filter_text;
  std::string search;                 ///< empty: none in force
  std::vector<ColumnChoice> columns;  ///< empty: those that fit
  double interval_seconds = 1;        ///< chosen; a sample tells how long it really was
  bool interval_changed = false;      ///< since the last sample
  bool hide_idle = false;
  bool frozen = false;
  bool counters = false;  ///< totals instead of rates
  bool wide = false;      ///< every column, whole; the table is wider than the window
  std::size_t first_column = 0;
  Tree tree = Tree::none;
  std::set<std::string> folded;  ///< keys of groups
  std::shared_ptr<const Baseline> baseline;
  bool columns_changed = false;  ///< and not yet saved
  std::vector<OpenPage> pages;   ///< on top of the table; the last one is shown
  LineEdit edit;
  std::optional<ListenerId> selected;  ///< nullopt: whatever is at the top
  std::string selected_group;          ///< key of the heading that is; empty: none
  std::optional<ListenerId> detail;    ///< whose page is open
  std::string message;                 ///< one sentence for the bottom line, until the next key

  // What is shown.
  std::optional<Playback> playback;  ///< nullopt: live
  int height = 24;
  int width = 80;
  std::uint64_t now_ns = 0;  ///< monotonic; set before drawing, for the age of the sample
  Shown live;                ///< the latest
  Shown shown;               ///< the same, or an older one when frozen

  // Follows from the above; kept by show(), set_size() and handle_key().
  History history;                       ///< of all that came in, frozen or not
  std::vector<const ListenerRow*> rows;  ///< filtered and sorted
  std::vector<Group> groups;             ///< empty without a tree
  std::vector<TableLine> lines;          ///< the table; with a tree only, else the rows are
  Contents contents;
  std::size_t cursor = 0;  ///< of the selected line
  std::size_t scroll = 0;  ///< of the first visible line

  [[nodiscard]] Page page() const { return pages.empty() ? Page::table : pages.back().page; }
  [[nodiscard]] std::size_t line_count() const {
    return tree == Tree::none ? rows.size() : lines.size();
  }
  [[nodiscard]] TableLine line(std::size_t index) const {
    return tree == Tree::none ? TableLine{rows[index], 0} : lines[index];
  }
};

/// Which part of the screen has how many rows.
struct Layout {
  bool too_small = false;
  int header = 0;
  int table_top = 0;  ///< row of the column titles
  int table = 0;      ///< listeners
  int context = 0;    ///< words about the selected listener
};
constexpr int kMinHeight = 6;
constexpr int kMinWidth = 40;
[[nodiscard]] Layout layout_of(int height, int width);

/// What a key asks of the application.
struct KeyResult {
  bool quit = false;
  bool repaint = false;  ///< the terminal may show something else: paint every cell anew
  std::optional<double> interval_seconds = {};  ///< newly chosen
  std::optional<PlaybackCommand> playback = {};
};

void show(ScreenState& state, std::shared_ptr<const Snapshot> snapshot, std::uint64_t now_ns);
void set_size(ScreenState& state, int height, int width);
KeyResult handle_key(ScreenState& state, Key key);

/// What comes next is not the continuation of what came: forgets all but the user's choices.
void restart(ScreenState& state);

/// Draws all of the canvas, whose size must be that of set_size(). `cursor` gets the cell of the
/// text cursor while a line is edited.
struct CursorCell {
  int row = 0;
  int column = 0;
};
std::optional<CursorCell> draw_screen(Canvas& canvas, const ScreenState& state);

}  // namespace listenq::tui
