// SPDX-License-Identifier: Apache-2.0
//
// What each key does to the screen's state.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

constexpr std::array kIntervals = {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

/// Searched is what tells a listener from another: its place and its owners.
bool found_in(const ListenerRow& row, std::string_view part) {
  if (row.process != nullptr && contains(row.process->name, part)) return true;
  if (row.cgroup && contains(*row.cgroup, part)) return true;
  if (contains(netns_text(*row.netns->raw), part) || contains(local_text(*row.raw), part)) {
    return true;
  }
  return std::any_of(row.pids.begin(), row.pids.end(),
                     [&](std::int32_t pid) { return fmt::format("{}", pid) == part; });
}

void move_by(ScreenState& state, int rows) {
  const auto step = static_cast<std::size_t>(std::abs(rows));
  if (rows < 0) {
    move_to(state, state.cursor - std::min(state.cursor, step));
  } else {
    move_to(state, state.cursor + step);
  }
}

/// To the first line: from now on whatever is there, the worst one in the usual order.
void move_to_top(ScreenState& state) {
  state.selected.reset();
  state.selected_group.clear();
  state.cursor = 0;
  state.scroll = 0;
}

void set_frozen(ScreenState& state, bool frozen) {
  state.frozen = frozen;
  if (frozen || !state.live.snapshot) return;
  state.shown = state.live;
  state.contents = measure(state.shown.snapshot->listeners);
  refresh(state);
}

void sort_by_neighbour(ScreenState& state, int direction) {
  std::vector<const Field*> keys = {nullptr};  // trouble first
  for (const Column& column : visible_columns(state)) {
    if (std::find(keys.begin(), keys.end(), column.field) == keys.end()) {
      keys.push_back(column.field);
    }
  }
  const auto found = std::find(keys.begin(), keys.end(), state.sort.field);
  const auto count = static_cast<int>(keys.size());
  // A column that is not on the screen counts as the one before the first.
  const int at = found == keys.end() ? 0 : static_cast<int>(found - keys.begin());
  const Field* field = keys[static_cast<std::size_t>((at + direction + count) % count)];
  state.sort = {};
  if (field != nullptr) {
    sort_by(state, field);
  } else {
    refresh(state);
  }
}

/// In the wide table the arrows go sideways, in the other they choose what sorts.
void go_sideways(ScreenState& state, int direction) {
  if (!state.wide) {
    sort_by_neighbour(state, direction);
    return;
  }
  const std::size_t count = visible_columns(state).size();
  if (direction < 0) {
    state.first_column -= std::min<std::size_t>(state.first_column, 1);
  } else if (state.first_column + 1 < count) {
    ++state.first_column;
  }
}

KeyResult change_interval(ScreenState& state, bool slower) {
  KeyResult result;
  if (state.playback) {
    state.message = "the interval is the recording's own; [ and ] change how fast it is played";
    return result;
  }
  const double now = state.interval_seconds;
  if (slower) {
    const auto* const next = std::upper_bound(kIntervals.begin(), kIntervals.end(), now);
    if (next != kIntervals.end()) result.interval_seconds = *next;
  } else {
    const auto* const next = std::lower_bound(kIntervals.begin(), kIntervals.end(), now);
    if (next != kIntervals.begin()) result.interval_seconds = *std::prev(next);
  }
  state.interval_seconds = result.interval_seconds.value_or(now);
  if (result.interval_seconds) state.interval_changed = true;
  return result;
}

void change_tree(ScreenState& state) {
  constexpr int kTrees = 4;
  state.tree = static_cast<Tree>((static_cast<int>(state.tree) + 1) % kTrees);
  if (!state.selected_group.empty()) move_to_top(state);
  refresh(state);
}

void change_baseline(ScreenState& state) {
  if (state.baseline != nullptr || !state.shown.snapshot) {
    state.baseline = nullptr;
  } else {
    auto baseline = std::make_shared<Baseline>();
    baseline->wall_ns = state.shown.snapshot->sample->wall_ns;
    for (const ListenerRow& row : state.shown.snapshot->listeners) {
      Baseline::Counts& counts = baseline->counts[id_of(*row.raw)];
      if (row.counts != nullptr) counts.values = row.counts->values;
      counts.sk_drops = row.raw->sk_drops.value_or(0);
    }
    state.baseline = std::move(baseline);
    state.counters = true;
  }
  refresh(state);
}

/// Enter on the heading of a group.
void fold(ScreenState& state, const Group& group) {
  if (group.folded) {
    state.folded.erase(group.key);
  } else {
    state.folded.insert(group.key);
  }
  state.selected.reset();
  state.selected_group = group.key;
  refresh(state);
}

void open_selected(ScreenState& state) {
  if (state.line_count() == 0) return;
  state.cursor = std::min(state.cursor, state.line_count() - 1);
  const TableLine line = state.line(state.cursor);
  if (line.row == nullptr) {
    fold(state, Group(state.groups[line.group]));
  } else {
    open_detail(state, id_of(*line.row->raw));
  }
}

void toggle(ScreenState& state, bool& what) {
  what = !what;
  refresh(state);
}

void search_next(ScreenState& state) {
  if (state.search.empty()) {
    open_edit(state, Prompt::search);
  } else {
    search(state, 1);
  }
}

/// Keys that play a recording; false: none of them, or live.
bool playback_key(const ScreenState& state, Key key, KeyResult& result) {
  if (!state.playback || key.code != KeyCode::character) return false;
  using Kind = PlaybackCommand::Kind;
  switch (key.value) {
    case U' ':
    case U'Z':
      result.playback = PlaybackCommand{Kind::pause};
      return true;
    case U'.':
      result.playback = PlaybackCommand{Kind::step};
      return true;
    case U',':
      result.playback = PlaybackCommand{Kind::step_back};
      return true;
    case U']':
      result.playback = PlaybackCommand{Kind::faster};
      return true;
    case U'[':
      result.playback = PlaybackCommand{Kind::slower};
      return true;
    default:
      return false;
  }
}

/// Keys that do the same on each page but the help; false: none of them.
bool common_key(ScreenState& state, Key key, KeyResult& result) {
  if (playback_key(state, key, result)) return true;
  if (key.code == KeyCode::function && key.value == 1) {
    open_page(state, Page::help);
    return true;
  }
  if (key.code != KeyCode::character) return false;
  switch (key.value) {
    case U'h':
    case U'?':
      open_page(state, Page::help);
      return true;
    case U' ':
    case U'Z':
      set_frozen(state, !state.frozen);
      return true;
    case U'+':
    case U'=':  // the same key without Shift on many keyboards
      result = change_interval(state, true);
      return true;
    case U'-':
      result = change_interval(state, false);
      return true;
    case U'e':
      open_page(state, Page::events);
      return true;
    case U'n':
      open_page(state, Page::interfaces);
      return true;
    case U'x':
      open_page(state, Page::cost);
      return true;
    case U'@':
      if (state.playback) {
        open_edit(state, Prompt::seek);
      } else {
        state.message = "@ goes to a time in a recording; this is live";
      }
      return true;
    default:
      return false;
  }
}

KeyResult function_key(ScreenState& state, char32_t number) {
  switch (number) {
    case 2:
      open_page(state, Page::columns);
      break;
    case 3:
      search_next(state);
      break;
    case 4:
      open_edit(state, Prompt::filter);
      break;
    case 5:
      change_tree(state);
      break;
    case 6:
      sort_by_neighbour(state, 1);
      break;
    case 10:
      return {.quit = true};
    default:
      break;
  }
  return {};
}

KeyResult character_key(ScreenState& state, char32_t code) {
  switch (code) {
    case U'q':
      return {.quit = true};
    case U'/':
      open_edit(state, Prompt::search);
      break;
    case U'N':
      search(state, 1, true);
      break;
    case U'f':
    case U'\\':
      open_edit(state, Prompt::filter);
      break;
    case U'<':
      sort_by_neighbour(state, -1);
      break;
    case U'>':
      sort_by_neighbour(state, 1);
      break;
    case U'I':
      state.sort.ascending = !state.sort.ascending;
      refresh(state);
      break;
    case U't':
      change_tree(state);
      break;
    case U'c':
      toggle(state, state.counters);
      break;
    case U'b':
      change_baseline(state);
      break;
    case U'w':
      state.first_column = 0;
      toggle(state, state.wide);
      break;
    case U'z':
      toggle(state, state.hide_idle);
      break;
    default:
      break;
  }
  return {};
}

KeyResult table_key(ScreenState& state, Key key) {
  if (const auto rows = movement(key, table_rows(state))) {
    move_by(state, *rows);
    return {};
  }
  if (is_home(key)) {
    move_to_top(state);
    return {};
  }
  if (is_end(key)) {
    move_to(state, state.line_count());
    return {};
  }
  switch (key.code) {
    case KeyCode::left:
      go_sideways(state, -1);
      return {};
    case KeyCode::right:
      go_sideways(state, 1);
      return {};
    case KeyCode::enter:
      open_selected(state);
      return {};
    case KeyCode::escape:
      state.search.clear();
      return {};
    case KeyCode::function:
      return function_key(state, key.value);
    case KeyCode::character:
      return character_key(state, key.value);
    default:
      return {};
  }
}

/// The listener above or below in the table, without going back to it.
void next_listener(ScreenState& state, bool up) {
  const std::size_t count = state.line_count();
  if (count == 0) return;
  std::size_t at = std::min(state.cursor, count - 1);
  const std::size_t end = up ? 0 : count - 1;
  // One that is gone from the table left its place to another: that one comes first.
  const ListenerRow* const here = state.line(at).row;
  bool found = here != nullptr && !(id_of(*here->raw) == *state.detail);
  while (!found && at != end) {
    at = up ? at - 1 : at + 1;
    found = state.line(at).row != nullptr;
  }
  if (!found) return;
  move_to(state, at);
  state.detail = state.selected;
  state.pages.back() = {Page::detail};
}

/// What Enter opens on a page; false: nothing.
bool enter_key(ScreenState& state) {
  if (state.page() != Page::events) return false;
  if (const auto listener = event_listener(state, state.pages.back().cursor)) {
    open_detail(state, *listener);
  }
  return true;
}

bool is_list(Page page) {
  return page == Page::events || page == Page::interfaces || page == Page::columns;
}

/// Moves the cursor of a list, or scrolls a page that has none.
void scroll_page(ScreenState& state, Key key, const PageExtent& extent) {
  OpenPage& page = state.pages.back();
  const std::size_t last = extent.lines == 0 ? 0 : extent.lines - 1;
  const std::size_t most_scroll = extent.lines > extent.window ? extent.lines - extent.window : 0;
  const bool list = is_list(page.page);
  std::size_t& at = list ? page.cursor : page.scroll;
  const std::size_t end = list ? last : most_scroll;
  if (const auto rows = movement(key, static_cast<int>(extent.window))) {
    const auto step = static_cast<std::size_t>(std::abs(*rows));
    at = *rows < 0 ? at - std::min(at, step) : std::min(at + step, end);
  } else if (is_home(key)) {
    at = 0;
  } else if (is_end(key)) {
    at = end;
  }
  at = std::min(at, end);
  if (!list) return;
  page.scroll = std::min({page.scroll, page.cursor, most_scroll});
  if (extent.window > 0 && page.cursor >= page.scroll + extent.window) {
    page.scroll = page.cursor - extent.window + 1;
  }
}

bool closes_page(Key key, Page page) {
  if (key.code == KeyCode::escape || key.code == KeyCode::backspace || is_character(key, U'q')) {
    return true;
  }
  if (key.code == KeyCode::function) {
    return key.value == 10 || page == Page::help || (key.value == 2 && page == Page::columns);
  }
  // The key that opened it closes it too.
  switch (page) {
    case Page::help:
      return is_character(key, U'h') || is_character(key, U'?');
    case Page::events:
      return is_character(key, U'e');
    case Page::interfaces:
      return is_character(key, U'n');
    case Page::cost:
      return is_character(key, U'x');
    case Page::detail:
    case Page::columns:
      return key.code == KeyCode::enter;
    case Page::table:
      break;
  }
  return false;
}

KeyResult page_key(ScreenState& state, Key key) {
  const Page page = state.page();
  if (closes_page(key, page)) {
    close_page(state);
    return {};
  }
  KeyResult result;
  if (page == Page::columns && chooser_key(state, key)) return result;
  if (page != Page::help && page != Page::columns && common_key(state, key, result)) return result;
  if (page == Page::help && playback_key(state, key, result)) return result;
  if (key.code == KeyCode::enter && enter_key(state)) return result;
  if (page == Page::detail && (key.code == KeyCode::left || key.code == KeyCode::right)) {
    next_listener(state, key.code == KeyCode::left);
    return result;
  }
  scroll_page(state, key, extent_of(state));
  return result;
}

}  // namespace

std::optional<int> movement(Key key, int page) {
  // Whole pages keep one row for the eye.
  const int far = std::max(page - 1, 1);
  switch (key.code) {
    case KeyCode::up:
      return -1;
    case KeyCode::down:
      return 1;
    case KeyCode::page_up:
      return -far;
    case KeyCode::page_down:
      return far;
    case KeyCode::character:
      if (key.value == U'k') return -1;
      if (key.value == U'j') return 1;
      if (key.value == control('b')) return -far;
      if (key.value == control('f')) return far;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

bool is_home(Key key) {
  return key.code == KeyCode::home || is_character(key, U'g');
}

bool is_end(Key key) {
  return key.code == KeyCode::end || is_character(key, U'G');
}

void sort_by(ScreenState& state, const Field* field) {
  if (state.sort.field == field) {
    state.sort.ascending = !state.sort.ascending;
  } else {
    state.sort = parse_sort(field->id).value_or(SortKey{field, false});
  }
  refresh(state);
}

void search(ScreenState& state, std::size_t distance, bool backwards) {
  const std::size_t count = state.line_count();
  if (state.search.empty()) return;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t step = (distance + i) % count;
    const std::size_t index = (state.cursor + (backwards ? count - step : step)) % count;
    const ListenerRow* row = state.line(index).row;
    if (row != nullptr && found_in(*row, state.search)) {
      move_to(state, index);
      return;
    }
  }
  state.message = fmt::format("no listener shown holds \"{}\"", state.search);
}

void open_page(ScreenState& state, Page page) {
  // A page opened from itself, or from one that it led to, is not opened twice.
  const auto found = std::find_if(state.pages.begin(), state.pages.end(),
                                  [&](const OpenPage& open) { return open.page == page; });
  state.pages.erase(found, state.pages.end());
  state.pages.push_back({page});
}

void close_page(ScreenState& state) {
  if (state.page() == Page::detail) state.detail.reset();
  state.pages.pop_back();
}

void open_detail(ScreenState& state, const ListenerId& listener) {
  state.detail = listener;
  // In the table it is the selected one too, if it is there.
  for (std::size_t i = 0; i < state.line_count(); ++i) {
    const ListenerRow* row = state.line(i).row;
    if (row != nullptr && id_of(*row->raw) == listener) {
      move_to(state, i);
      break;
    }
  }
  open_page(state, Page::detail);
}

KeyResult handle_key(ScreenState& state, Key key) {
  state.message.clear();
  if (is_character(key, control('l'))) return {.repaint = true};
  if (state.edit.prompt != Prompt::none) {
    return key.code == KeyCode::mouse ? KeyResult{} : edit_key(state, key);
  }
  if (key.code == KeyCode::mouse) return mouse_key(state, key);
  if (state.page() != Page::table) return page_key(state, key);
  KeyResult result;
  if (common_key(state, key, result)) return result;
  return table_key(state, key);
}

}  // namespace listenq::tui
