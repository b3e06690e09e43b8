// SPDX-License-Identifier: Apache-2.0
//
// The page that chooses the table's columns (F2): those that are shown, in their order, then all
// others. As long as nobody changes anything here, the columns are chosen by the window's width.
#include <algorithm>

#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

/// What the table shows now, as choices.
std::vector<ColumnChoice> chosen_columns(const ScreenState& state) {
  if (!state.columns.empty()) return state.columns;
  std::vector<ColumnChoice> chosen;
  for (const Column& column : visible_columns(state)) {
    // What sets the limit is shortened in a narrow table only.
    const bool shortened = column.kind == ColumnKind::limit_set_by;
    chosen.push_back({shortened ? ColumnKind::field : column.kind, column.field});
  }
  return chosen;
}

/// All columns: the chosen ones first.
std::vector<ColumnChoice> offered_columns(const std::vector<ColumnChoice>& chosen) {
  std::vector<ColumnChoice> offered = chosen;
  for (const ColumnChoice& column : all_columns()) {
    if (std::find(chosen.begin(), chosen.end(), column) == chosen.end()) {
      offered.push_back(column);
    }
  }
  return offered;
}

void change(ScreenState& state, std::vector<ColumnChoice> columns) {
  state.columns = std::move(columns);
  state.columns_changed = true;
}

void toggle(ScreenState& state) {
  std::vector<ColumnChoice> chosen = chosen_columns(state);
  std::size_t& at = state.pages.back().cursor;
  const std::vector<ColumnChoice> offered = offered_columns(chosen);
  if (at >= offered.size()) return;
  if (at >= chosen.size()) {
    chosen.push_back(offered[at]);
    at = chosen.size() - 1;
  } else if (chosen.size() > 1) {
    chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(at));
  } else {
    state.message = "one column must stay";
    return;
  }
  change(state, std::move(chosen));
}

void move(ScreenState& state, bool later) {
  std::vector<ColumnChoice> chosen = chosen_columns(state);
  std::size_t& at = state.pages.back().cursor;
  if (at >= chosen.size() || (later ? at + 1 >= chosen.size() : at == 0)) return;
  const std::size_t to = later ? at + 1 : at - 1;
  std::swap(chosen[at], chosen[to]);
  at = to;
  change(state, std::move(chosen));
}

}  // namespace

ListPage chooser_page(const ScreenState& state) {
  ListPage page;
  page.title = "Columns of the table";
  page.notes = {
      state.columns.empty()
          ? "chosen by the width of the window; any change here makes them yours"
          : "your own, saved when this page is left; a: by the width of the window again"};
  page.columns = {{"SHOWN"}, {"COLUMN"}, {"ID"}, {"WHAT IT IS"}};
  const std::vector<ColumnChoice> chosen = chosen_columns(state);
  for (const ColumnChoice& column : offered_columns(chosen)) {
    const bool shown = page.rows.size() < chosen.size();
    page.rows.push_back({{shown ? "[x]" : "[ ]", std::string(column_title(column)),
                          std::string(column_id(column)), std::string(column_help(column))},
                         shown ? Style::strong : Style::normal});
  }
  return page;
}

bool chooser_key(ScreenState& state, Key key) {
  if (key.code == KeyCode::insert) {
    toggle(state);
    return true;
  }
  if (key.code != KeyCode::character) return false;
  switch (key.value) {
    case U' ':
      toggle(state);
      return true;
    case U'+':
    case U'=':
    case U'>':
      move(state, true);
      return true;
    case U'-':
    case U'<':
      move(state, false);
      return true;
    case U'a':
      change(state, {});
      return true;
    default:
      return false;
  }
}

}  // namespace listenq::tui
