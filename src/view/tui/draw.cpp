// SPDX-License-Identifier: Apache-2.0
//
// Draws the state onto a Canvas: which page, the list pages and the help, the bottom line.
#include <fmt/core.h>

#include <algorithm>

#include "util/text.h"
#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

// --- bottom line

Key function(char32_t number) {
  return {KeyCode::function, number};
}

Key letter(char32_t code) {
  return {KeyCode::character, code};
}

Hint freeze_hint(const ScreenState& state) {
  if (state.playback) return {"Space", state.playback->paused ? "Play" : "Pause", letter(U' ')};
  return {"Space", state.frozen ? "Go on" : "Freeze", letter(U' ')};
}

std::vector<Hint> table_hints(const ScreenState& state) {
  std::vector<Hint> hints = {{"F1", "Help", function(1)},           {"q", "Quit", letter(U'q')},
                             {"Enter", "Detail", {KeyCode::enter}}, {"/", "Search", letter(U'/')},
                             {"f", "Filter", letter(U'f')},         freeze_hint(state)};
  if (state.playback) {
    hints.push_back({", .", "Step", letter(U'.')});
    hints.push_back({"[ ]", "Speed", letter(U']')});
    hints.push_back({"@", "Go to", letter(U'@')});
  }
  const std::vector<Hint> more = {{"e", "Events", letter(U'e')},
                                  {"t", "Tree", letter(U't')},
                                  {"< >", "Sort", letter(U'>')},
                                  {"c", state.counters ? "Rates" : "Totals", letter(U'c')},
                                  {"z", state.hide_idle ? "Show idle" : "Hide idle", letter(U'z')},
                                  {"F2", "Columns", function(2)},
                                  {"b", "Baseline", letter(U'b')},
                                  {"n", "NICs", letter(U'n')},
                                  {"x", "Cost", letter(U'x')},
                                  {"w", state.wide ? "Fit" : "Wide", letter(U'w')},
                                  {"I", "Invert", letter(U'I')},
                                  {"+ -", "Interval", letter(U'+')}};
  hints.insert(hints.end(), more.begin(), more.end());
  return hints;
}

void draw_hints(Canvas& canvas, const ScreenState& state, int end) {
  const int row = canvas.rows() - 1;
  int at = 0;
  for (const Hint& hint : hints_of(state)) {
    const auto cells = static_cast<int>(hint.name.size() + 1 + hint.text.size());
    if (at + cells > end) break;
    at = canvas.put(row, at, hint.name, Style::key);
    at = canvas.put(row, at + 1, hint.text, Style::key_text) + 2;
  }
}

/// Which part of a page that is longer than the window is shown; empty: all of it.
std::string position_text(const ScreenState& state) {
  const PageExtent extent = extent_of(state);
  if (extent.lines <= extent.window) return {};
  const std::size_t first = std::min(state.pages.back().scroll, extent.lines - extent.window);
  return fmt::format(" {}-{} of {}", first + 1, first + extent.window, extent.lines);
}

void draw_bottom(Canvas& canvas, const ScreenState& state) {
  const std::string position = state.page() == Page::table ? "" : position_text(state);
  canvas.put_right(canvas.rows() - 1, 0, position, Style::dim, canvas.columns());
  draw_hints(canvas, state, canvas.columns() - static_cast<int>(position.size()));
}

CursorCell draw_edit(Canvas& canvas, const LineEdit& edit) {
  const int row = canvas.rows() - 1;
  canvas.fill(row, 0, canvas.columns(), Style::normal);
  if (!edit.error.empty() && row > 0) {
    const auto lines = wrap_text(edit.error, canvas.columns(), canvas.charset());
    const int top = std::max(row - static_cast<int>(lines.size()), 0);
    for (int i = top; i < row; ++i) {
      canvas.fill(i, 0, canvas.columns(), Style::bad);
      canvas.put(i, 0, lines[static_cast<std::size_t>(i - top)], Style::bad);
    }
  }
  const std::string_view name = edit.prompt == Prompt::filter ? "Filter: "
                                : edit.prompt == Prompt::seek ? "Go to (14:13:20, +30s, -2m): "
                                                              : "Search: ";
  const int at = canvas.put(row, 0, name, Style::key);
  // The text before the cursor from its end back, as much as fits.
  const int space = std::max(canvas.columns() - at - 1, 1);
  const auto width_of = [&](char32_t code) {
    std::string text;
    append_utf8(text, code);
    return text_width(text, canvas.charset());
  };
  std::size_t start = edit.cursor;
  int used = 0;
  while (start > 0 && used + width_of(edit.text[start - 1]) <= space) {
    used += width_of(edit.text[--start]);
  }
  std::string text;
  for (std::size_t i = start; i < edit.text.size(); ++i) append_utf8(text, edit.text[i]);
  canvas.put(row, at, text, Style::normal);
  return {row, std::min(at + used, canvas.columns() - 1)};
}

// --- pages

ListPage list_of(const ScreenState& state) {
  switch (state.page()) {
    case Page::events:
      return events_page(state);
    case Page::interfaces:
      return interfaces_page(state);
    case Page::cost:
      return cost_page(state);
    case Page::columns:
      return chooser_page(state);
    case Page::table:
    case Page::detail:
    case Page::help:
      break;
  }
  return {};
}

/// With notes that fit into the window.
ListPage list_page(const ScreenState& state) {
  ListPage page = list_of(state);
  std::vector<std::string> lines;
  for (const std::string& note : page.notes) {
    for (std::string& line : wrap_text(note, state.width - 2, Charset::utf8)) {
      lines.push_back(std::move(line));
    }
  }
  page.notes = std::move(lines);
  return page;
}

bool has_cursor(Page page) {
  return page == Page::events || page == Page::interfaces || page == Page::columns;
}

/// Lines above the list itself: the title, the notes, and the titles of the columns.
int head_of(const ListPage& list) {
  return 2 + static_cast<int>(list.notes.size());
}

/// Cells of each column; the last takes what is left.
std::vector<int> widths_of(const ListPage& list, Charset charset) {
  constexpr int kWidest = 40;
  std::vector<int> widths;
  for (std::size_t i = 0; i < list.columns.size(); ++i) {
    int width = text_width(list.columns[i].title, charset);
    for (const ListPage::Row& row : list.rows) {
      if (i < row.cells.size()) width = std::max(width, text_width(row.cells[i], charset));
    }
    widths.push_back(std::min(width, kWidest));
  }
  return widths;
}

void draw_cells(Canvas& canvas, int row, const ListPage& list, const std::vector<int>& widths,
                const std::vector<std::string>& cells, Style style) {
  int at = 2;
  for (std::size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
    const bool last = i + 1 == widths.size();
    if (list.columns[i].right && !last) {
      canvas.put_right(row, at, cells[i], style, widths[i]);
    } else {
      canvas.put(row, at, cells[i], style, last ? Canvas::kWhole : widths[i]);
    }
    at += widths[i] + 2;
  }
}

void draw_page_title(Canvas& canvas, const ScreenState& state, std::string_view title) {
  canvas.fill(0, 0, canvas.columns(), Style::title);
  const std::string time = " " + time_text(state);
  int end = canvas.columns() - text_width(time, canvas.charset());
  canvas.put_right(0, 0, time, Style::title, canvas.columns());
  if (const std::string word = standstill(state); !word.empty()) {
    end -= static_cast<int>(word.size()) + 2;
    canvas.put(0, end, " " + word + " ", Style::notice);
  }
  canvas.put(0, 0, title, Style::title, end);
}

void draw_list(Canvas& canvas, const ScreenState& state) {
  const ListPage list = list_page(state);
  const OpenPage& open = state.pages.back();
  draw_page_title(canvas, state, list.title);
  int row = 1;
  for (const std::string& note : list.notes) canvas.put(row++, 2, note, Style::normal);
  const std::vector<int> widths = widths_of(list, canvas.charset());
  std::vector<std::string> titles;
  for (const ListPage::Column& column : list.columns) titles.push_back(column.title);
  draw_cells(canvas, row++, list, widths, titles, Style::strong);
  if (list.rows.empty()) canvas.put(row, 2, list.when_empty, Style::dim);
  const auto window = static_cast<std::size_t>(std::max(canvas.rows() - 1 - row, 0));
  const std::size_t most = list.rows.size() > window ? list.rows.size() - window : 0;
  for (std::size_t i = std::min(open.scroll, most); i < list.rows.size() && row < canvas.rows() - 1;
       ++i, ++row) {
    draw_cells(canvas, row, list, widths, list.rows[i].cells, list.rows[i].style);
    if (list.rows[i].style == Style::bad) canvas.put(row, 0, "!", Style::bad);
    if (has_cursor(open.page) && i == open.cursor) canvas.select_row(row);
  }
}

void draw_help(Canvas& canvas, const ScreenState& state) {
  const auto lines = help_lines(canvas.columns(), canvas.charset());
  const int page = canvas.rows() - 2;
  canvas.fill(0, 0, canvas.columns(), Style::title);
  canvas.put(0, 0, "listenq-top: help", Style::title);
  // A window that grew needs no blank lines below.
  const auto window = static_cast<std::size_t>(std::max(page, 0));
  const std::size_t most = lines.size() > window ? lines.size() - window : 0;
  const std::size_t scroll = std::min(state.pages.back().scroll, most);
  for (int i = 0; i < page; ++i) {
    const std::size_t index = scroll + static_cast<std::size_t>(i);
    if (index >= lines.size()) break;
    const HelpLine& line = lines[index];
    const bool heading = line.key.empty() && line.style == Style::strong;
    canvas.put(1 + i, 0, line.key, Style::strong, 14);
    canvas.put(1 + i, heading ? 0 : 15, line.text, line.style);
  }
}

void draw_detail(Canvas& canvas, const ScreenState& state) {
  const Canvas page = detail_page(state, canvas.charset());
  const Subject subject = subject_of(*state.shown.snapshot, *state.detail);
  draw_page_title(canvas, state,
                  subject.row == nullptr
                      ? "this listener is gone"
                      : describe(*subject.row, *state.shown.snapshot->sample).who);
  const int window = canvas.rows() - 2;
  const int most = std::max(page.rows() - window, 0);
  const int scroll = std::min(static_cast<int>(state.pages.back().scroll), most);
  for (int i = 0; i < window && scroll + i < page.rows(); ++i) {
    canvas.copy_row(1 + i, page, scroll + i);
  }
}

void draw_page(Canvas& canvas, const ScreenState& state) {
  switch (state.page()) {
    case Page::help:
      draw_help(canvas, state);
      return;
    case Page::detail:
      draw_detail(canvas, state);
      return;
    case Page::events:
    case Page::interfaces:
    case Page::cost:
    case Page::columns:
      draw_list(canvas, state);
      return;
    case Page::table:
      break;
  }
  const Layout layout = layout_of(canvas.rows(), canvas.columns());
  draw_header(canvas, state, layout);
  draw_table(canvas, state, layout);
  draw_context(canvas, state, layout);
}

}  // namespace

std::vector<Hint> hints_of(const ScreenState& state) {
  const Hint back = {"q", "Back", letter(U'q')};
  const Hint scroll = {"PgDn", "Scroll", {KeyCode::page_down}};
  const Hint help = {"F1", "Help", function(1)};
  switch (state.page()) {
    case Page::table:
      return table_hints(state);
    case Page::detail:
      return {back,
              {"left right", "Other one", {KeyCode::right}},
              scroll,
              freeze_hint(state),
              {"e", "Events", letter(U'e')},
              help};
    case Page::events:
      return {back, {"Enter", "Detail", {KeyCode::enter}}, freeze_hint(state), help};
    case Page::interfaces:
    case Page::cost:
      return {back, freeze_hint(state), help};
    case Page::columns:
      return {{"q", "Save", letter(U'q')},
              {"Space", "Show or not", letter(U' ')},
              {"+", "Later", letter(U'+')},
              {"-", "Earlier", letter(U'-')},
              {"a", "Automatic", letter(U'a')}};
    case Page::help:
      break;
  }
  return {back, scroll};
}

std::optional<Key> hint_at(const ScreenState& state, int column) {
  int at = 0;
  for (const Hint& hint : hints_of(state)) {
    const auto cells = static_cast<int>(hint.name.size() + 1 + hint.text.size());
    if (at + cells > state.width) break;
    if (column >= at && column < at + cells) return hint.key;
    at += cells + 2;
  }
  return std::nullopt;
}

PageExtent extent_of(const ScreenState& state) {
  const auto window = [&](int head) {
    return static_cast<std::size_t>(std::max(state.height - 1 - head, 0));
  };
  if (state.page() == Page::help) {
    return {help_lines(state.width, Charset::utf8).size(), window(1)};
  }
  if (!state.shown.snapshot) return {};
  if (state.page() == Page::detail) {
    return {static_cast<std::size_t>(detail_page(state, Charset::utf8).rows()), window(1)};
  }
  const ListPage list = list_page(state);
  return {list.rows.size(), window(head_of(list))};
}

std::optional<CursorCell> draw_screen(Canvas& canvas, const ScreenState& state) {
  const Layout layout = layout_of(canvas.rows(), canvas.columns());
  if (layout.too_small) {
    canvas.put(0, 0,
               fmt::format("need {}x{}, have {}x{}", kMinWidth, kMinHeight, canvas.columns(),
                           canvas.rows()),
               Style::normal);
    return std::nullopt;
  }
  if (!state.shown.snapshot && state.page() != Page::help) {
    canvas.put(0, 0, "listenq-top: reading the first sample", Style::normal);
  } else {
    draw_page(canvas, state);
  }
  if (state.edit.prompt != Prompt::none) return draw_edit(canvas, state.edit);
  if (state.message.empty()) {
    draw_bottom(canvas, state);
  } else {
    canvas.put(canvas.rows() - 1, 0, state.message, Style::notice);
  }
  return std::nullopt;
}

}  // namespace listenq::tui
