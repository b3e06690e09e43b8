// SPDX-License-Identifier: Apache-2.0
//
// Draws the table: titles, a line for each listener with its two queues as bars, and the headings
// of the tree.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "util/text.h"
#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

constexpr double kNearlyFull = 0.8;

Style fill_style(double fill) {
  return fill >= 1.0 ? Style::bad : fill >= kNearlyFull ? Style::warn : Style::good;
}

/// Cells of a bar that this fill takes: what is not empty shows, what is not full leaves a gap.
int bar_cells(double fill, int cells) {
  if (fill <= 0) return 0;
  if (fill >= 1.0) return cells;
  return std::clamp(static_cast<int>(std::ceil(fill * static_cast<double>(cells))), 1, cells - 1);
}

/// "[||  *]", the * where it was at its longest; a full one says so in words, for those who see no
/// colour.
void draw_bar(Canvas& canvas, int row, int column, int cells, double fill, double peak) {
  std::string bar(static_cast<std::size_t>(cells), ' ');
  const int bars = bar_cells(fill, cells);
  bar.replace(0, static_cast<std::size_t>(bars), static_cast<std::size_t>(bars), '|');
  if (fill >= 1.0) {
    const std::string_view word = cells >= 4 ? "FULL" : "!!!";
    bar.replace((bar.size() - word.size()) / 2, word.size(), word);
  }
  canvas.put(row, column, "[", Style::dim);
  canvas.put(row, column + 1, bar, fill_style(fill));
  const int peak_cells = bar_cells(peak, cells);
  if (peak_cells > bars) canvas.put(row, column + peak_cells, "*", fill_style(peak));
  canvas.put(row, column + 1 + cells, "]", Style::dim);
}

struct Queue {
  std::optional<std::uint32_t> len;
  std::optional<std::uint32_t> limit;
  std::optional<double> fill;
  std::optional<double> peak;  ///< fill at its longest
};

Queue accept_queue_of(const ListenerRow& row) {
  const RawListener& raw = *row.raw;
  Queue queue{raw.accept_queue_len, raw.accept_queue_limit, row.accept_queue_fill, {}};
  if (row.accept_queue_peak) {
    queue.peak = static_cast<double>(*row.accept_queue_peak) /
                 (static_cast<double>(raw.accept_queue_limit) + 1.0);
  }
  return queue;
}

Queue syn_queue_of(const ListenerRow& row) {
  Queue queue{row.raw->syn_queue_len, row.syn_queue_limit, row.syn_queue_fill, {}};
  if (row.syn_queue_peak && row.syn_queue_limit) {
    queue.peak = static_cast<double>(*row.syn_queue_peak) /
                 static_cast<double>(std::max(*row.syn_queue_limit, 1U));
  }
  return queue;
}

void draw_queue(Canvas& canvas, int row, int at, const Column& column, const Queue& queue,
                const Contents& contents) {
  const int number_cells = queue_number_width(contents);
  const int bar = column.width - number_cells - 3;
  if (!queue.len || bar < 1) {
    canvas.put_right(row, at, "-", Style::dim, column.width);
    return;
  }
  draw_bar(canvas, row, at, bar, queue.fill.value_or(0), queue.peak.value_or(0));
  const std::string text = queue.limit ? fmt::format("{}/{}", *queue.len, *queue.limit)
                                       : fmt::format("{}/-", *queue.len);
  const Style style = *queue.len == 0                         ? Style::dim
                      : queue.fill.value_or(0) >= kNearlyFull ? fill_style(*queue.fill)
                                                              : Style::strong;
  canvas.put_right(row, at + column.width - number_cells, text, style, number_cells);
}

/// The port is never cut; the address gives way.
void draw_local(Canvas& canvas, int row, int at, int width, const ListenerRow& listener,
                Style style) {
  const std::string text = local_text(*listener.raw);
  const std::size_t colon = text.rfind(':');
  const std::string_view port = std::string_view(text).substr(colon);
  const int address_cells = width - static_cast<int>(port.size());
  const int end =
      canvas.put(row, at, std::string_view(text).substr(0, colon), style, address_cells);
  canvas.put(row, end, port, style, at + width - end);
}

/// `text` without its middle, so that it fits: names that a tool made up differ at the end.
std::string without_middle(const std::string& text, int width, Charset charset) {
  if (text_width(text, charset) <= width) return text;
  const std::u32string codes = decode_utf8(text);
  const auto take = [&](bool from_end, int cells) {
    std::u32string part;
    int used = 0;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const char32_t code = codes[from_end ? codes.size() - 1 - i : i];
      used += std::max(cell_width(code), 0);
      if (used > cells) break;
      part.insert(from_end ? part.begin() : part.end(), code);
    }
    return part;
  };
  const int head = (width - 1) / 2;
  std::string out;
  for (const char32_t code : take(false, head)) append_utf8(out, code);
  out += charset == Charset::utf8 ? "…" : "~";
  for (const char32_t code : take(true, width - 1 - head)) append_utf8(out, code);
  return out;
}

/// Numbers of namespaces are told apart by their end alone.
void draw_netns(Canvas& canvas, int row, int at, int width, const RawNamespace& netns,
                Style style) {
  std::string text = netns_text(netns);
  if (netns.name) {
    text = without_middle(text, width, canvas.charset());
  } else if (text.size() > static_cast<std::size_t>(width)) {
    text = (canvas.charset() == Charset::utf8 ? "…" : "~") +
           text.substr(text.size() - static_cast<std::size_t>(width) + 1);
  }
  canvas.put(row, at, text, style, width);
}

std::string field_text(const ScreenState& state, const Column& column,
                       const ListenerRow& listener) {
  std::string text = display(*column.field, value_of(state, *column.field, listener));
  if (column.kind == ColumnKind::limit_set_by &&
      text.size() > static_cast<std::size_t>(column.width)) {
    switch (listener.limit_set_by) {
      case LimitSetBy::application:
        return "app";
      case LimitSetBy::somaxconn:
        return "somax";
      case LimitSetBy::unknown:
        return "?";
    }
  }
  // A container is known by the first digits of its id.
  if (column.field->id == "container" && text.size() > static_cast<std::size_t>(column.width)) {
    text.resize(static_cast<std::size_t>(column.width));
  }
  return text;
}

/// A number that is bad when it is not 0: of what is lost now, or since the baseline.
bool is_loss(const ScreenState& state, const Column& column) {
  const std::string_view id = column.field->id;
  const Kind kind = column.field->kind;
  const bool of_late = kind == Kind::rate || (kind == Kind::counter && state.baseline != nullptr);
  return of_late &&
         (id.starts_with("drops") || id.starts_with("overflows") || id.starts_with("sk_drops"));
}

struct Place {
  int row = 0;
  int column = 0;
};

void draw_field(Canvas& canvas, Place at, const ScreenState& state, const Column& column,
                const ListenerRow& listener, Style style) {
  const std::string text = field_text(state, column, listener);
  if (text == "-") style = Style::dim;
  if (is_loss(state, column) && text != "-" && text != "0") style = Style::bad;
  if (column.right) {
    canvas.put_right(at.row, at.column, text, style, column.width);
  } else {
    canvas.put(at.row, at.column, text, style, column.width);
  }
}

void draw_listener(Canvas& canvas, int row, const std::vector<Column>& columns,
                   const ListenerRow& listener, const ScreenState& state) {
  const Contents& contents = state.contents;
  const bool trouble = Snapshot::in_trouble(listener);
  const Style style = trouble ? Style::strong : is_idle(listener) ? Style::dim : Style::normal;
  if (trouble) canvas.put(row, 0, "!", Style::bad);
  int at = 2;
  for (const Column& column : columns) {
    switch (column.kind) {
      case ColumnKind::netns:
        draw_netns(canvas, row, at, column.width, *listener.netns->raw, style);
        break;
      case ColumnKind::local:
        draw_local(canvas, row, at, column.width, listener, style);
        break;
      case ColumnKind::accept_queue:
        draw_queue(canvas, row, at, column, accept_queue_of(listener), contents);
        break;
      case ColumnKind::syn_queue:
        draw_queue(canvas, row, at, column, syn_queue_of(listener), contents);
        break;
      case ColumnKind::field:
      case ColumnKind::limit_set_by:
        draw_field(canvas, {row, at}, state, column, listener, style);
        break;
    }
    at += column.width + 1;
  }
}

void draw_titles(Canvas& canvas, int row, const std::vector<Column>& columns, const SortKey& sort) {
  canvas.fill(row, 0, canvas.columns(), Style::title);
  int at = 2;
  for (const Column& column : columns) {
    const Style style = column.field == sort.field ? Style::title_sorted : Style::title;
    if (column.right) {
      canvas.put_right(row, at, column.title, style, column.width);
    } else {
      canvas.put(row, at, column.title, style, column.width);
    }
    at += column.width + 1;
  }
}

/// "v netns blue (4026532700)  4 listeners  1 in trouble  512 wait  12 half-open  300 accepts/s"
void draw_group(Canvas& canvas, int row, const Group& group) {
  const bool trouble = group.in_trouble > 0;
  if (trouble) canvas.put(row, 0, "!", Style::bad);
  const std::string_view mark = canvas.charset() == Charset::ascii ? (group.folded ? "+" : "-")
                                : group.folded                     ? "▸"
                                                                   : "▾";
  canvas.put(row, 1, mark, Style::key);
  const int at = 3;
  int end = canvas.put(row, at, group.name, Style::strong, canvas.columns() - at);
  const auto item = [&](const std::string& text, Style style) {
    if (end + 2 + text_width(text, canvas.charset()) > canvas.columns()) return;
    end = canvas.put(row, end + 2, text, style);
  };
  item(fmt::format("{} listener{}", group.listeners, group.listeners == 1 ? "" : "s"),
       Style::normal);
  if (trouble) item(fmt::format("{} in trouble", group.in_trouble), Style::bad);
  const auto& losses = group.losses_per_second;
  if (losses.value_or(0) > 0) item(rate_text(losses) + " lost/s", Style::bad);
  if (group.accept_queue_len > 0) {
    item(fmt::format("{} wait", group.accept_queue_len), Style::normal);
  }
  if (group.syn_queue_len.value_or(0) > 0) {
    item(fmt::format("{} half-open", *group.syn_queue_len), Style::normal);
  }
  if (group.accepts_per_second) {
    item(rate_text(group.accepts_per_second) + " accepts/s", Style::normal);
  }
}

}  // namespace

void draw_table(Canvas& canvas, const ScreenState& state, const Layout& layout) {
  std::vector<Column> columns = visible_columns(state);
  if (state.wide) {
    const std::size_t first = std::min(state.first_column, columns.size());
    columns.erase(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(first));
  }
  draw_titles(canvas, layout.table_top, columns, state.sort);
  const int top = layout.table_top + 1;
  if (state.rows.empty()) {
    const bool none = state.shown.snapshot->listeners.empty();
    canvas.put(top, 2,
               none ? "no listening TCP socket"
                    : "no listener to show: f changes the filter, z shows idle ones",
               Style::notice);
    return;
  }
  for (int i = 0; i < layout.table; ++i) {
    const std::size_t index = state.scroll + static_cast<std::size_t>(i);
    if (index >= state.line_count()) break;
    const TableLine line = state.line(index);
    if (line.row != nullptr) {
      draw_listener(canvas, top + i, columns, *line.row, state);
    } else {
      draw_group(canvas, top + i, state.groups[line.group]);
    }
    if (index == state.cursor) canvas.select_row(top + i);
  }
}

}  // namespace listenq::tui
