// SPDX-License-Identifier: Apache-2.0
//
// What the mouse does: the wheel scrolls, a click selects, on a title sorts, on a hint at the
// bottom is that key; a double click opens.
#include <algorithm>

#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

constexpr int kWheelLines = 3;

bool is_wheel(Key key) {
  return key.mouse == Mouse::wheel_up || key.mouse == Mouse::wheel_down;
}

/// As if the arrow were pressed a few times.
KeyResult wheel(ScreenState& state, Key key) {
  const KeyCode code = key.mouse == Mouse::wheel_up ? KeyCode::up : KeyCode::down;
  KeyResult result;
  for (int i = 0; i < kWheelLines; ++i) result = handle_key(state, {code});
  return result;
}

void click_title(ScreenState& state, int column) {
  int at = 2;
  const std::vector<Column> columns = visible_columns(state);
  for (std::size_t i = state.wide ? state.first_column : 0; i < columns.size(); ++i) {
    if (column >= at && column < at + columns[i].width) sort_by(state, columns[i].field);
    at += columns[i].width + 1;
  }
}

KeyResult click_table(ScreenState& state, Key key) {
  const Layout layout = layout_of(state.height, state.width);
  if (layout.too_small) return {};
  if (key.row == layout.table_top) {
    click_title(state, key.column);
    return {};
  }
  const int line = key.row - layout.table_top - 1;
  if (line < 0 || line >= layout.table) return {};
  const std::size_t index = state.scroll + static_cast<std::size_t>(line);
  if (index >= state.line_count()) return {};
  move_to(state, index);
  return key.mouse == Mouse::double_click ? handle_key(state, {KeyCode::enter}) : KeyResult{};
}

KeyResult click_list(ScreenState& state, Key key) {
  OpenPage& page = state.pages.back();
  const PageExtent extent = extent_of(state);
  // The window ends above the line of hints.
  const int top = state.height - 1 - static_cast<int>(extent.window);
  const int line = key.row - top;
  if (line < 0 || key.row >= state.height - 1) return {};
  const std::size_t index = page.scroll + static_cast<std::size_t>(line);
  if (index >= extent.lines) return {};
  page.cursor = index;
  return key.mouse == Mouse::double_click ? handle_key(state, {KeyCode::enter}) : KeyResult{};
}

}  // namespace

KeyResult mouse_key(ScreenState& state, Key key) {
  if (is_wheel(key)) return wheel(state, key);
  if (key.row == state.height - 1) {
    const auto hint = hint_at(state, key.column);
    return hint ? handle_key(state, *hint) : KeyResult{};
  }
  switch (state.page()) {
    case Page::table:
      return click_table(state, key);
    case Page::events:
    case Page::interfaces:
    case Page::columns:
      return click_list(state, key);
    case Page::detail:
    case Page::cost:
    case Page::help:
      break;
  }
  return {};
}

}  // namespace listenq::tui
