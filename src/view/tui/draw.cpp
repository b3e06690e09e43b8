// SPDX-License-Identifier: Apache-2.0
//
// Draws the state onto a Canvas: header, table, the selected listener in words, keys.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "util/clock.h"
#include "util/text.h"
#include "view/tui/screen.h"

namespace listenq::tui {

namespace {

constexpr double kNearlyFull = 0.8;

/// Items side by side; one that does not fit whole is left out.
class Line {
 public:
  Line(Canvas& canvas, int row, int end) : canvas_(canvas), row_(row), end_(end) {}

  void item(std::string_view label, std::string_view value, Style style) {
    const Charset charset = canvas_.charset();
    const int gap = column_ == 0 ? 0 : 2;
    const int label_cells = label.empty() ? 0 : text_width(label, charset) + 1;
    if (column_ + gap + label_cells + text_width(value, charset) > end_) return;
    column_ += gap;
    if (!label.empty()) {
      canvas_.put(row_, column_, label, Style::dim);
      column_ += label_cells;
    }
    column_ = canvas_.put(row_, column_, value, style, end_ - column_);
  }

  /// Takes what is left, cut if need be.
  void rest(std::string_view label, std::string_view value, Style style) {
    const int gap = column_ == 0 ? 0 : 2;
    const int label_cells = text_width(label, canvas_.charset()) + 1;
    if (column_ + gap + label_cells + 3 > end_) return;
    column_ += gap;
    canvas_.put(row_, column_, label, Style::dim);
    column_ = canvas_.put(row_, column_ + label_cells, value, style, end_ - column_ - label_cells);
  }

 private:
  Canvas& canvas_;
  int row_;
  int end_;
  int column_ = 0;
};

std::string seconds_text(double seconds) {
  return seconds < 9.95 ? fmt::format("{:.1f} s", seconds)
                        : fmt::format("{:.0f} s", std::floor(seconds));
}

std::string rate_text(const std::optional<double>& rate) {
  static const Field* const field = find_field("sk_drops_per_second");
  return display(*field, rate ? Value(*rate) : Value());
}

// --- header

/// From sample to sample as it was, else as it was chosen.
double interval_of(const ScreenState& state) {
  const auto& measured = state.shown.snapshot->interval_seconds;
  return state.interval_changed ? state.interval_seconds
                                : measured.value_or(state.interval_seconds);
}

/// Time of the sample, and its age where it is not the newest that one may expect.
std::string time_text(const ScreenState& state) {
  const std::string time = rfc3339(state.shown.snapshot->sample->wall_ns);
  const bool with_date = state.width >= 100;
  std::string text = (with_date ? time.substr(0, 10) + " " : "") + time.substr(11, 8) + " UTC";
  const std::uint64_t arrived = state.shown.arrived_ns;
  const double age = state.now_ns > arrived ? static_cast<double>(state.now_ns - arrived) / 1e9 : 0;
  const double usual = std::max(state.interval_seconds, interval_of(state));
  if (state.frozen || age > 1.5 * usual + 0.5) {
    text += fmt::format(", {} ago", seconds_text(age));
  }
  return text;
}

void draw_identity(Canvas& canvas, const ScreenState& state) {
  const Sample& sample = *state.shown.snapshot->sample;
  int end = canvas.columns();
  const std::string time = time_text(state);
  end -= text_width(time, canvas.charset());
  canvas.put(0, std::max(end, 0), time, Style::strong);
  if (state.frozen) {
    end -= 8;
    canvas.put(0, std::max(end, 0), " FROZEN ", Style::notice);
  }
  Line line(canvas, 0, end - 1);
  line.item("", "listenq-top", Style::strong);
  line.item("", sample.host, Style::normal);
  line.item("kernel", sample.kernel, Style::normal);
  line.item("backend", sample.backend, Style::normal);
  line.item("every", seconds_text(interval_of(state)), Style::normal);
}

void draw_rate(Line& line, std::string_view label, const std::optional<double>& rate, Style style) {
  line.item(label, rate_text(rate), rate ? style : Style::dim);
}

/// Losses are bad, whatever their number.
void draw_loss_rate(Line& line, std::string_view label, const std::optional<double>& rate) {
  draw_rate(line, label, rate, rate.value_or(0) > 0 ? Style::bad : Style::strong);
}

/// What narrow windows must not leave out comes first.
void draw_totals(Canvas& canvas, const ScreenState& state, int row) {
  const Snapshot& snapshot = *state.shown.snapshot;
  const Totals& totals = snapshot.totals;
  Line line(canvas, row, canvas.columns());
  line.item("listeners", fmt::format("{}", snapshot.listeners.size()), Style::strong);
  line.item("in trouble", fmt::format("{}{}", totals.in_trouble, totals.in_trouble > 0 ? "!" : ""),
            totals.in_trouble > 0 ? Style::bad : Style::good);
  if (state.rows.size() != snapshot.listeners.size()) {
    line.item("shown", fmt::format("{}", state.rows.size()), Style::notice);
  }
  if (const std::string coverage = coverage_text(totals); !coverage.empty()) {
    line.item("coverage", coverage, coverage == "1.0" ? Style::good : Style::bad);
  }
  if (totals.lost_events > 0) {
    line.item("lost events", fmt::format("{}!", totals.lost_events), Style::bad);
  }
  if (snapshot.sample->counting) {
    if (layout_of(state.height, state.width).header < 4) {
      draw_loss_rate(line, "drops/s", totals.drops_per_second);
      draw_loss_rate(line, "overflows/s", totals.overflows_per_second);
    }
  } else {
    draw_loss_rate(line, "sk_drops/s", totals.sk_drops_per_second);
  }
  line.item("namespaces", fmt::format("{}", snapshot.namespaces.size()), Style::strong);
}

std::string since_start(const std::optional<std::uint64_t>& count) {
  return count ? fmt::format("{} since start", *count) : std::string("- since start");
}

/// As they were counted; without that, as the kernel counts them by namespace.
void draw_events(Canvas& canvas, const ScreenState& state, int row) {
  const Totals& totals = state.shown.snapshot->totals;
  Line line(canvas, row, canvas.columns());
  if (state.shown.snapshot->sample->counting) {
    draw_rate(line, "SYN/s", totals.syns_per_second, Style::strong);
    draw_rate(line, "accepts/s", totals.accepts_per_second, Style::strong);
    draw_loss_rate(line, "overflows/s", totals.overflows_per_second);
    draw_loss_rate(line, "drops/s", totals.drops_per_second);
    line.item("", since_start(totals.listen_drops_since_start), Style::normal);
    return;
  }
  draw_loss_rate(line, "ListenOverflows/s", totals.listen_overflows_per_second);
  line.item("", since_start(totals.listen_overflows_since_start), Style::normal);
  draw_loss_rate(line, "ListenDrops/s", totals.listen_drops_per_second);
  line.item("", since_start(totals.listen_drops_since_start), Style::normal);
}

std::string sort_text(const SortKey& sort) {
  if (sort.field == nullptr) return sort.ascending ? "trouble last" : "trouble first";
  return fmt::format("{} {}", sort.field->title, sort.ascending ? "ascending" : "descending");
}

void draw_view(Canvas& canvas, const ScreenState& state, int row) {
  Line line(canvas, row, canvas.columns());
  const bool usual = state.sort.field == nullptr && !state.sort.ascending;
  line.item("sorted by", sort_text(state.sort), usual ? Style::normal : Style::strong);
  if (state.hide_idle) line.item("", "idle ones hidden", Style::notice);
  if (!state.search.empty()) line.item("search", state.search, Style::notice);
  if (!state.filter_text.empty()) line.rest("filter", state.filter_text, Style::notice);
}

void draw_header(Canvas& canvas, const ScreenState& state, const Layout& layout) {
  if (layout.header == 1) {
    draw_totals(canvas, state, 0);
    if (state.frozen) canvas.put_right(0, 0, " FROZEN ", Style::notice, canvas.columns());
    return;
  }
  draw_identity(canvas, state);
  draw_totals(canvas, state, 1);
  if (layout.header < 4) return;
  draw_events(canvas, state, 2);
  draw_view(canvas, state, 3);
}

// --- table

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

std::string field_text(const Column& column, const ListenerRow& listener) {
  std::string text = display(*column.field, column.field->get(listener));
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

bool is_loss_rate(const Column& column) {
  const std::string_view id = column.field->id;
  return column.field->kind == Kind::rate &&
         (id.starts_with("drops") || id.starts_with("overflows") || id.starts_with("sk_drops"));
}

void draw_field(Canvas& canvas, int row, int at, const Column& column, const ListenerRow& listener,
                Style style) {
  const std::string text = field_text(column, listener);
  if (text == "-") style = Style::dim;
  if (is_loss_rate(column) && text != "-" && text != "0") style = Style::bad;
  if (column.right) {
    canvas.put_right(row, at, text, style, column.width);
  } else {
    canvas.put(row, at, text, style, column.width);
  }
}

void draw_listener(Canvas& canvas, int row, const std::vector<Column>& columns,
                   const ListenerRow& listener, const Contents& contents) {
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
        draw_field(canvas, row, at, column, listener, style);
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

void draw_table(Canvas& canvas, const ScreenState& state, const Layout& layout) {
  const std::vector<Column> columns = visible_columns(state);
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
    if (index >= state.rows.size()) break;
    draw_listener(canvas, top + i, columns, *state.rows[index], state.contents);
    if (index == state.cursor) canvas.select_row(top + i);
  }
}

/// Where most connections to the port get lost; empty where none are, or nobody knows.
std::string worst_loss(const ListenerRow& listener) {
  if (listener.waterfall == nullptr) return {};
  const auto step = listener.waterfall->lost_at();
  return step ? loss_text(*listener.waterfall, *step) : std::string();
}

void draw_context(Canvas& canvas, const ScreenState& state, const Layout& layout) {
  if (layout.context == 0 || state.rows.empty()) return;
  const ListenerRow& listener = *state.rows[std::min(state.cursor, state.rows.size() - 1)];
  const int top = layout.table_top + 1 + layout.table;
  const Description words = describe(listener);
  canvas.fill(top, 0, canvas.columns(), Style::title);
  canvas.put(top, 0, words.who, Style::title);
  const Style style = Snapshot::in_trouble(listener) ? Style::strong : Style::normal;
  const auto lines = wrap_text(words.state, canvas.columns(), canvas.charset());
  const std::string loss = layout.context > 2 ? worst_loss(listener) : std::string();
  const int end = loss.empty() ? layout.context : layout.context - 1;
  for (int i = 1; i < end; ++i) {
    const auto line = static_cast<std::size_t>(i - 1);
    if (line >= lines.size()) break;
    const bool cut = i + 1 == end && line + 1 < lines.size();
    canvas.put(top + i, 0, cut ? lines[line] + " " + lines[line + 1] : lines[line], style);
  }
  if (!loss.empty()) canvas.put(top + end, 0, "! " + loss, Style::bad);
}

// --- bottom line

void draw_keys(Canvas& canvas, const ScreenState& state) {
  struct Hint {
    std::string_view key;
    std::string_view text;
  };
  const Hint hints[] = {{"F1", "Help"},
                        {"q", "Quit"},
                        {"Enter", "Detail"},
                        {"/", "Search"},
                        {"f", "Filter"},
                        {"< >", "Sort"},
                        {"Space", state.frozen ? "Go on" : "Freeze"},
                        {"z", state.hide_idle ? "Show idle" : "Hide idle"},
                        {"I", "Invert"},
                        {"+ -", "Interval"}};
  const int row = canvas.rows() - 1;
  int at = 0;
  for (const Hint& hint : hints) {
    const int cells = static_cast<int>(hint.key.size() + 1 + hint.text.size());
    if (at + cells > canvas.columns()) break;
    at = canvas.put(row, at, hint.key, Style::key);
    at = canvas.put(row, at + 1, hint.text, Style::key_text) + 2;
  }
}

CursorCell draw_edit(Canvas& canvas, const LineEdit& edit) {
  const int row = canvas.rows() - 1;
  if (!edit.error.empty() && row > 0) {
    const auto lines = wrap_text(edit.error, canvas.columns(), canvas.charset());
    const int top = std::max(row - static_cast<int>(lines.size()), 0);
    for (int i = top; i < row; ++i) {
      canvas.fill(i, 0, canvas.columns(), Style::bad);
      canvas.put(i, 0, lines[static_cast<std::size_t>(i - top)], Style::bad);
    }
  }
  int at = canvas.put(row, 0, edit.prompt == Prompt::filter ? "Filter: " : "Search: ", Style::key);
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

// --- help

void draw_help(Canvas& canvas, const ScreenState& state) {
  const auto lines = help_lines(canvas.columns(), canvas.charset());
  const int page = canvas.rows() - 2;
  const int scroll =
      std::clamp(state.help_scroll, 0, std::max(static_cast<int>(lines.size()) - page, 0));
  canvas.fill(0, 0, canvas.columns(), Style::title);
  canvas.put(0, 0, "listenq-top: help", Style::title);
  for (int i = 0; i < page; ++i) {
    const auto index = static_cast<std::size_t>(scroll) + static_cast<std::size_t>(i);
    if (index >= lines.size()) break;
    const HelpLine& line = lines[index];
    const bool heading = line.key.empty() && line.style == Style::strong;
    canvas.put(1 + i, 0, line.key, Style::strong, 14);
    canvas.put(1 + i, heading ? 0 : 15, line.text, line.style);
  }
  int at = canvas.put(canvas.rows() - 1, 0, "q", Style::key);
  at = canvas.put(canvas.rows() - 1, at + 1, "Back", Style::key_text);
  at = canvas.put(canvas.rows() - 1, at + 2, "arrows PgUp PgDn", Style::key);
  canvas.put(canvas.rows() - 1, at + 1, "Scroll", Style::key_text);
}

}  // namespace

std::optional<CursorCell> draw_screen(Canvas& canvas, const ScreenState& state) {
  const Layout layout = layout_of(canvas.rows(), canvas.columns());
  if (layout.too_small) {
    canvas.put(0, 0,
               fmt::format("need {}x{}, have {}x{}", kMinWidth, kMinHeight, canvas.columns(),
                           canvas.rows()),
               Style::normal);
    return std::nullopt;
  }
  if (state.help) {
    draw_help(canvas, state);
    return std::nullopt;
  }
  if (state.shown.snapshot && state.detail) {
    draw_detail(canvas, state);
    return std::nullopt;
  }
  if (state.shown.snapshot) {
    draw_header(canvas, state, layout);
    draw_table(canvas, state, layout);
    draw_context(canvas, state, layout);
  } else {
    canvas.put(0, 0, "listenq-top: reading the first sample", Style::normal);
  }
  if (state.edit.prompt != Prompt::none) return draw_edit(canvas, state.edit);
  if (state.message.empty()) {
    draw_keys(canvas, state);
  } else {
    canvas.put(canvas.rows() - 1, 0, state.message, Style::notice);
  }
  return std::nullopt;
}

}  // namespace listenq::tui
