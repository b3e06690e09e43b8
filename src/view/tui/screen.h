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
#include <string>
#include <vector>

#include "model/fields.h"
#include "model/filter.h"
#include "model/snapshot.h"
#include "view/tui/canvas.h"
#include "view/tui/columns.h"
#include "view/tui/key.h"

namespace listenq::tui {

/// Enough to find a listener again in the next Snapshot. The socket itself first; if it is gone,
/// one that listens in its place (a restarted service).
struct ListenerId {
  std::uint32_t netns = 0;
  std::uint64_t socket = 0;  ///< cookie; inode where there is none
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;
};
[[nodiscard]] ListenerId id_of(const RawListener& raw);

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

struct ScreenState {
  // Chosen by the user.
  SortKey sort;
  Filter filter;
  std::string filter_text;
  std::string search;                 ///< empty: none in force
  std::vector<const Field*> columns;  ///< empty: those that fit
  double interval_seconds = 1;        ///< chosen; a sample tells how long it really was
  bool interval_changed = false;      ///< since the last sample
  bool hide_idle = false;
  bool frozen = false;
  bool help = false;
  int help_scroll = 0;
  LineEdit edit;
  std::optional<ListenerId> selected;  ///< nullopt: whatever is at the top
  std::optional<ListenerId> detail;    ///< whose page is open; nullopt: the table is
  std::string message;                 ///< one sentence for the bottom line, until the next key

  // What is shown.
  std::optional<Playback> playback;  ///< nullopt: live
  int height = 24;
  int width = 80;
  std::uint64_t now_ns = 0;  ///< monotonic; set before drawing, for the age of the sample
  Shown live;                ///< the latest
  Shown shown;               ///< the same, or an older one when frozen

  // Follows from the above; kept by show(), set_size() and handle_key().
  std::vector<const ListenerRow*> rows;  ///< filtered and sorted
  Contents contents;
  std::size_t cursor = 0;  ///< of the selected row in `rows`
  std::size_t scroll = 0;  ///< of the first visible row in `rows`
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

/// Filters, sorts and finds the selected row again; for code that changed the state by hand.
void refresh(ScreenState& state);

/// Draws all of the canvas, whose size must be that of set_size(). `cursor` gets the cell of the
/// text cursor while a line is edited.
struct CursorCell {
  int row = 0;
  int column = 0;
};
std::optional<CursorCell> draw_screen(Canvas& canvas, const ScreenState& state);

/// The columns that the table shows now.
[[nodiscard]] std::vector<Column> visible_columns(const ScreenState& state);

/// Nothing waits, nothing is lost.
[[nodiscard]] bool is_idle(const ListenerRow& row);

/// The listener in words: who it is, then what its row tells and what it doesn't know.
struct Description {
  std::string who;
  std::string state;
};
[[nodiscard]] Description describe(const ListenerRow& row);

/// The page of the listener state.detail; there must be a Snapshot.
void draw_detail(Canvas& canvas, const ScreenState& state);

/// What a key does on that page; false: nothing that is the page's own.
bool detail_key(ScreenState& state, Key key);

/// The help page, one entry a line, wrapped to `width` cells.
struct HelpLine {
  std::string key;  ///< a key or a column; empty: goes on, or a heading
  std::string text;
  Style style = Style::normal;
};
[[nodiscard]] std::vector<HelpLine> help_lines(int width, Charset charset);

}  // namespace listenq::tui
