// SPDX-License-Identifier: Apache-2.0
//
// What each key does to the screen's state.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "view/tui/screen.h"

namespace listenq::tui {

namespace {

constexpr std::array kIntervals = {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0};

constexpr char32_t control(char letter) {
  return static_cast<char32_t>(letter) & 0x1fU;
}

std::string utf8(const std::u32string& text) {
  std::string out;
  for (const char32_t code : text) append_utf8(out, code);
  return out;
}

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

void move_to(ScreenState& state, std::size_t index) {
  if (state.rows.empty()) return;
  state.cursor = std::min(index, state.rows.size() - 1);
  state.selected = id_of(*state.rows[state.cursor]->raw);
  set_size(state, state.height, state.width);  // scrolls
}

void move_by(ScreenState& state, int rows) {
  const auto step = static_cast<std::size_t>(std::abs(rows));
  if (rows < 0) {
    move_to(state, state.cursor - std::min(state.cursor, step));
  } else {
    move_to(state, state.cursor + step);
  }
}

/// To the first row: from now on whatever is there, the worst one in the usual order.
void move_to_top(ScreenState& state) {
  state.selected.reset();
  state.cursor = 0;
  state.scroll = 0;
}

/// The next row that holds the searched text, from `distance` rows away on and around.
void search(ScreenState& state, std::size_t distance, bool backwards = false) {
  const std::size_t count = state.rows.size();
  if (state.search.empty()) return;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t step = (distance + i) % count;
    const std::size_t index = (state.cursor + (backwards ? count - step : step)) % count;
    if (found_in(*state.rows[index], state.search)) {
      move_to(state, index);
      return;
    }
  }
  state.message = fmt::format("no listener shown holds \"{}\"", state.search);
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
  state.sort = field == nullptr ? SortKey{} : parse_sort(field->id).value_or(SortKey{field, false});
  refresh(state);
}

KeyResult change_interval(ScreenState& state, bool slower) {
  KeyResult result;
  const double now = state.interval_seconds;
  if (slower) {
    const auto next = std::upper_bound(kIntervals.begin(), kIntervals.end(), now);
    if (next != kIntervals.end()) result.interval_seconds = *next;
  } else {
    const auto next = std::lower_bound(kIntervals.begin(), kIntervals.end(), now);
    if (next != kIntervals.begin()) result.interval_seconds = *std::prev(next);
  }
  state.interval_seconds = result.interval_seconds.value_or(now);
  if (result.interval_seconds) state.interval_changed = true;
  return result;
}

void open_edit(ScreenState& state, Prompt prompt) {
  state.edit = {};
  state.edit.prompt = prompt;
  // The filter in force is there to be changed; a search begins anew.
  std::string_view text = prompt == Prompt::filter ? state.filter_text : std::string_view{};
  state.edit.text = decode_utf8(text);
  state.edit.cursor = state.edit.text.size();
}

/// Enter: takes the line over, or says what is wrong with it.
void finish_edit(ScreenState& state) {
  const std::string text = utf8(state.edit.text);
  if (state.edit.prompt == Prompt::search) {
    // An empty line repeats the search before, as in less and vi.
    const bool again = text.empty();
    if (!again) state.search = text;
    state.edit = {};
    search(state, again ? 1 : 0);
    return;
  }
  auto filter = Filter::parse(text);
  if (!filter) {
    state.edit.error = filter.error().message;
    return;
  }
  state.filter = std::move(*filter);
  state.filter_text = text.find_first_not_of(' ') == std::string::npos ? std::string() : text;
  state.edit = {};
  refresh(state);
}

void edit_character(ScreenState& state, char32_t code) {
  LineEdit& edit = state.edit;
  if (code == control('u')) {
    edit.text.erase(0, edit.cursor);
    edit.cursor = 0;
  } else if (code == control('w')) {
    std::size_t start = edit.cursor;
    while (start > 0 && edit.text[start - 1] == U' ') --start;
    while (start > 0 && edit.text[start - 1] != U' ') --start;
    edit.text.erase(start, edit.cursor - start);
    edit.cursor = start;
  } else if (code == control('a')) {
    edit.cursor = 0;
  } else if (code == control('e')) {
    edit.cursor = edit.text.size();
  } else if (cell_width(code) > 0) {
    edit.text.insert(edit.cursor++, 1, code);
  }
}

KeyResult edit_key(ScreenState& state, Key key) {
  LineEdit& edit = state.edit;
  edit.error.clear();
  switch (key.code) {
    case KeyCode::enter:
      finish_edit(state);
      break;
    case KeyCode::escape:
      edit = {};
      break;
    case KeyCode::backspace:
      if (edit.cursor > 0) edit.text.erase(--edit.cursor, 1);
      break;
    case KeyCode::del:
      if (edit.cursor < edit.text.size()) edit.text.erase(edit.cursor, 1);
      break;
    case KeyCode::left:
      if (edit.cursor > 0) --edit.cursor;
      break;
    case KeyCode::right:
      if (edit.cursor < edit.text.size()) ++edit.cursor;
      break;
    case KeyCode::home:
      edit.cursor = 0;
      break;
    case KeyCode::end:
      edit.cursor = edit.text.size();
      break;
    case KeyCode::character:
      if (key.value == control('l')) return {.repaint = true};
      edit_character(state, key.value);
      break;
    default:
      break;
  }
  return {};
}

/// Rows that a movement key goes; nullopt: none of them. Whole pages keep one row for the eye.
std::optional<int> movement(Key key, int page) {
  switch (key.code) {
    case KeyCode::up:
      return -1;
    case KeyCode::down:
      return 1;
    case KeyCode::page_up:
      return -std::max(page - 1, 1);
    case KeyCode::page_down:
      return std::max(page - 1, 1);
    case KeyCode::character:
      if (key.value == U'k') return -1;
      if (key.value == U'j') return 1;
      if (key.value == control('b')) return -std::max(page - 1, 1);
      if (key.value == control('f')) return std::max(page - 1, 1);
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

bool is_home(Key key) {
  return key.code == KeyCode::home || (key.code == KeyCode::character && key.value == U'g');
}

bool is_end(Key key) {
  return key.code == KeyCode::end || (key.code == KeyCode::character && key.value == U'G');
}

KeyResult help_key(ScreenState& state, Key key) {
  const int page = std::max(state.height - 2, 1);
  const auto lines = static_cast<int>(help_lines(state.width, Charset::utf8).size());
  const int last = std::max(lines - page, 0);
  if (const auto rows = movement(key, page)) {
    state.help_scroll = std::clamp(state.help_scroll + *rows, 0, last);
  } else if (is_home(key)) {
    state.help_scroll = 0;
  } else if (is_end(key)) {
    state.help_scroll = last;
  } else if (key.code == KeyCode::character && key.value == control('l')) {
    return {.repaint = true};
  } else if (key.code == KeyCode::escape || key.code == KeyCode::function ||
             (key.code == KeyCode::character &&
              (key.value == U'q' || key.value == U'h' || key.value == U'?'))) {
    state.help = false;
  }
  return {};
}

KeyResult function_key(ScreenState& state, char32_t number) {
  switch (number) {
    case 1:
      state.help = true;
      state.help_scroll = 0;
      break;
    case 3:
      if (state.search.empty()) {
        open_edit(state, Prompt::search);
      } else {
        search(state, 1);
      }
      break;
    case 4:
      open_edit(state, Prompt::filter);
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
    case U'h':
    case U'?':
      return function_key(state, 1);
    case U'/':
      open_edit(state, Prompt::search);
      break;
    case U'n':
      search(state, 1);
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
    case U' ':
    case U'Z':
      set_frozen(state, !state.frozen);
      break;
    case U'z':
      state.hide_idle = !state.hide_idle;
      refresh(state);
      break;
    case U'+':
    case U'=':  // the same key without Shift on many keyboards
      return change_interval(state, true);
    case U'-':
      return change_interval(state, false);
    case control('l'):
      return {.repaint = true};
    default:
      break;
  }
  return {};
}

void open_detail(ScreenState& state) {
  if (state.rows.empty()) return;
  state.cursor = std::min(state.cursor, state.rows.size() - 1);
  state.selected = state.detail = id_of(*state.rows[state.cursor]->raw);
}

/// On a listener's page: its own keys, and those of the table that make sense there too.
KeyResult page_key(ScreenState& state, Key key) {
  if (detail_key(state, key)) return {};
  if (key.code == KeyCode::function && key.value == 1) return function_key(state, 1);
  if (key.code == KeyCode::function && key.value == 10) state.detail.reset();
  if (key.code != KeyCode::character) return {};
  constexpr std::u32string_view kOfTheTable = U"h? Z+=-";
  const bool applies = kOfTheTable.find(key.value) != std::u32string_view::npos;
  return applies || key.value == control('l') ? character_key(state, key.value) : KeyResult{};
}

}  // namespace

KeyResult handle_key(ScreenState& state, Key key) {
  state.message.clear();
  if (state.edit.prompt != Prompt::none) return edit_key(state, key);
  if (state.help) return help_key(state, key);
  if (state.detail) return page_key(state, key);
  if (const auto rows = movement(key, layout_of(state.height, state.width).table)) {
    move_by(state, *rows);
    return {};
  }
  if (is_home(key)) {
    move_to_top(state);
    return {};
  }
  if (is_end(key)) {
    move_to(state, state.rows.size());
    return {};
  }
  switch (key.code) {
    case KeyCode::left:
      sort_by_neighbour(state, -1);
      return {};
    case KeyCode::right:
      sort_by_neighbour(state, 1);
      return {};
    case KeyCode::enter:
      open_detail(state);
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

}  // namespace listenq::tui
