// SPDX-License-Identifier: Apache-2.0
//
// On the page of a listener: both queues and its losses over the last minutes, how long connections
// waited, and the limits with what set them.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "util/text.h"
#include "view/tui/detail.h"
#include "view/tui/graph.h"

namespace listenq::tui {

namespace {

// --- over time

using Values = std::vector<std::optional<double>>;

/// The time that a graph spans, and the moment at its right end.
struct Span {
  double seconds = 0;
  std::uint64_t end_ns = 0;
};

/// As short as it holds all that there is, so that a graph is not a line at its right end; the
/// steps are few, so that it does not change all the time.
double span_seconds(const DetailContext& context, const History::Series& series,
                    std::uint64_t end_ns) {
  const double measured =
      context.snapshot.interval_seconds.value_or(context.state.interval_seconds);
  // Not a bit longer and shorter with each sample.
  const double interval = std::max(std::round(measured * 10) / 10, 0.1);
  const double longest = interval * static_cast<double>(History::kSamples);
  double covered = 0;
  if (!series.samples.empty()) {
    covered = static_cast<double>(end_ns - series.samples.front().monotonic_ns) / 1e9;
  }
  for (const double share : {0.1, 0.2, 0.4}) {
    if (covered <= share * longest) return share * longest;
  }
  return longest;
}

/// One number of the samples, spread over `count` places of equal time. A sample stands for the
/// time since the one before it; where several fall together the largest counts.
template <class Get>
Values spread(const History::Series& series, const Span& span, std::size_t count, Get get) {
  Values values(count);
  const double place_seconds = span.seconds / static_cast<double>(count);
  // From the right end, for that is where the time is known to the nanosecond.
  const auto places_ago = [&](std::uint64_t time_ns) {
    const double ago = static_cast<double>(span.end_ns - time_ns) / 1e9 / place_seconds;
    return static_cast<std::size_t>(std::min(ago, static_cast<double>(count)));
  };
  std::optional<std::uint64_t> before;
  for (const History::Sampled& sampled : series.samples) {
    const std::size_t newest = places_ago(sampled.monotonic_ns);
    const std::size_t oldest = before ? std::max(places_ago(*before), newest + 1) : newest + 1;
    before = sampled.monotonic_ns;
    const auto value = static_cast<double>(get(sampled.point));
    for (std::size_t ago = newest; ago < std::min(oldest, count); ++ago) {
      auto& at = values[count - 1 - ago];
      at = std::max(at.value_or(0), value);
    }
  }
  return values;
}

double most_of(const Values& values) {
  double most = 0;
  for (const auto& value : values) most = std::max(most, value.value_or(0));
  return most;
}

struct Graph {
  std::string title;
  Values values;
  double top = 0;
  double bad_from = 0;
};

void draw_one(Canvas& canvas, const GraphArea& area, const Graph& graph, const Span& span) {
  canvas.put(area.row, area.column, graph.title, Style::normal, area.columns);
  GraphArea inner = area;
  inner.row += 1;
  inner.rows -= 2;
  const int axis = inner.row + inner.rows;
  draw_graph(canvas, inner, graph.values, graph.top, graph.bad_from);
  const std::string_view line = canvas.charset() == Charset::utf8 ? "─" : "-";
  for (int i = 0; i < area.columns; ++i) {
    canvas.put(axis, area.column + i, line, Style::dim);
  }
  canvas.put(axis, area.column, "-" + duration_text(span.seconds) + " ", Style::dim);
  canvas.put_right(axis, area.column, " now", Style::dim, area.columns);
}

Graph accept_queue_graph(const ListenerRow& row, Values values) {
  const double limit = row.raw->accept_queue_limit;
  const double most = most_of(values);
  return {fmt::format("accept queue: {:.0f} at most, limit {}", most, row.raw->accept_queue_limit),
          std::move(values), std::max(limit, most), limit + 1};
}

Graph syn_queue_graph(const ListenerRow& row, Values values) {
  const double most = most_of(values);
  if (!row.raw->syn_queue_len) return {"SYN queue: not known here", {}, 0, 0};
  if (!row.syn_queue_limit) {
    return {fmt::format("SYN queue: {:.0f} at most", most), std::move(values), most, most + 1};
  }
  const double limit = *row.syn_queue_limit;
  return {fmt::format("SYN queue: {:.0f} at most, limit {}", most, *row.syn_queue_limit),
          std::move(values), std::max(limit, most), limit};
}

Graph loss_graph(const ListenerRow& row, Values values) {
  if (!losses_per_second(row) && most_of(values) <= 0) return {"lost: not known yet", {}, 0, 0};
  const double most = most_of(values);
  return {fmt::format("lost: {}/s at most", rate_text(most)), std::move(values), most, 0.0001};
}

// --- times

/// Neighbouring buckets as one line.
struct Bar {
  double bound = 0;  ///< seconds, its upper end
  std::uint64_t count = 0;
};

std::vector<Bar> bars_of(const Histogram& histogram) {
  constexpr std::size_t kMostBars = 10;
  const auto& counts = histogram.counts;
  std::size_t first = 0;
  while (first < Histogram::kBuckets && counts.at(first) == 0) ++first;
  std::size_t last = Histogram::kBuckets;
  while (last > first && counts.at(last - 1) == 0) --last;
  std::size_t together = 1;
  while ((last - first + together - 1) / together > kMostBars) ++together;
  std::vector<Bar> bars;
  for (std::size_t i = first; i < last; i += together) {
    Bar bar;
    for (std::size_t k = i; k < std::min(i + together, last); ++k) bar.count += counts.at(k);
    bar.bound = Histogram::bound(std::min(i + together, last) - 1);
    bars.push_back(bar);
  }
  return bars;
}

/// Returns the rows that it took.
int draw_histogram(Canvas& canvas, int row, int column, int width, std::string_view title,
                   const Histogram* histogram) {
  if (histogram == nullptr || histogram->count() == 0) {
    const std::string_view why =
        histogram == nullptr ? ": not measured here (--explain says why)" : ": none yet";
    canvas.put(row, column, std::string(title) + std::string(why), Style::dim, width);
    return 1;
  }
  canvas.put(
      row, column,
      fmt::format("{}: p50 {}, p99 {}, max {}", title, duration_text(histogram->quantile(0.5)),
                  duration_text(histogram->quantile(0.99)),
                  duration_text(static_cast<double>(histogram->max_ns) / 1e9)),
      Style::normal, width);
  const std::vector<Bar> bars = bars_of(*histogram);
  std::uint64_t most = 1;
  for (const Bar& bar : bars) most = std::max(most, bar.count);
  constexpr int kBoundCells = 9;
  constexpr int kCountCells = 12;
  const int cells = std::max(width - kBoundCells - kCountCells - 2, 4);
  int line = row + 1;
  for (const Bar& bar : bars) {
    const std::string bound = std::isinf(bar.bound) ? "longer" : "<= " + duration_text(bar.bound);
    canvas.put_right(line, column, bound, Style::dim, kBoundCells);
    const double share = static_cast<double>(bar.count) / static_cast<double>(most);
    const auto length = static_cast<std::size_t>(std::ceil(share * cells));
    canvas.put(line, column + kBoundCells + 1, std::string(length, '|'), Style::good, cells);
    canvas.put_right(line, column + width - kCountCells, grouped(bar.count), Style::normal,
                     kCountCells);
    ++line;
  }
  return line - row;
}

// --- limits

struct Limit {
  std::string_view name;
  std::string value;
  std::string meaning;
};

std::string number_or_dash(const std::optional<std::int64_t>& value) {
  return value ? fmt::format("{}", *value) : std::string("-");
}

std::string origin(const ListenerRow& row) {
  const auto& asked = row.raw->listen_requested;
  const std::string seen = asked ? fmt::format(", listen() asked for {}", *asked) : std::string();
  switch (row.limit_set_by) {
    case LimitSetBy::application:
      return "set by the application" + seen + ": a larger somaxconn changes nothing";
    case LimitSetBy::somaxconn:
      return "cut to somaxconn" + seen +
             ": raise net.core.somaxconn, then the program must call listen() again";
    case LimitSetBy::unknown:
      break;
  }
  return "what set it is not known" + seen;
}

std::string cookies_meaning(const std::optional<std::int64_t>& cookies) {
  if (!cookies) return "";
  switch (*cookies) {
    case 0:
      return "off: SYNs are refused when the SYN queue is full";
    case 1:
      return "SYNs are answered by cookies when the SYN queue is full";
    default:
      return "always: the SYN queue is not used";
  }
}

std::vector<Limit> limits_of(const ListenerRow& row) {
  const Sysctls& sysctls = row.netns->raw->sysctls;
  std::vector<Limit> limits;
  limits.push_back({"accept queue", fmt::format("{}", row.raw->accept_queue_limit), origin(row)});
  limits.push_back({"SYN queue",
                    row.syn_queue_limit ? fmt::format("{}", *row.syn_queue_limit) : "-",
                    "from here on SYNs are refused, or answered by cookies"});
  limits.push_back({"somaxconn", number_or_dash(sysctls.somaxconn),
                    row.somaxconn_raised_since.value_or(false)
                        ? "raised since: a new listen() would get more"
                        : "the most that listen() gets in this namespace"});
  limits.push_back({"tcp_max_syn_backlog", number_or_dash(sysctls.tcp_max_syn_backlog),
                    "without cookies, SYNs of unknown clients are refused above 3/4 of it"});
  limits.push_back({"tcp_syncookies", number_or_dash(sysctls.tcp_syncookies),
                    cookies_meaning(sysctls.tcp_syncookies)});
  const auto& abort = sysctls.tcp_abort_on_overflow;
  limits.push_back({"tcp_abort_on_overflow", number_or_dash(abort),
                    !abort        ? ""
                    : *abort == 0 ? "a final ACK that finds the accept queue full is dropped"
                                  : "a final ACK that finds the accept queue full is reset"});
  limits.push_back({"tcp_synack_retries", number_or_dash(sysctls.tcp_synack_retries), ""});
  return limits;
}

}  // namespace

void write_graphs(PageWriter& page, const DetailContext& context) {
  const std::uint64_t end_ns = context.snapshot.sample->monotonic_ns;
  const History::Series series = context.state.history.series(context.row, end_ns);
  const Span span{span_seconds(context, series, end_ns), end_ns};
  page.heading(fmt::format("The last {}", duration_text(span.seconds)));
  if (series.no_place) {
    page.text("not kept: too many listeners are busy at once", Style::dim);
    return;
  }
  constexpr int kSideBySide = 110;
  const bool beside = page.width() >= kSideBySide;
  const int columns = beside ? (page.width() - 2 - 2 * 3) / 3 : page.width() - 4;
  const int rows = (context.state.height >= 40 ? 6 : 4) + 2 - (beside ? 0 : 1);
  const std::size_t count = graph_values(columns, page.canvas().charset());
  const ListenerRow& row = context.row;
  const std::array graphs = {
      accept_queue_graph(
          row, spread(series, span, count, [](const History::Point& p) { return p.accept_queue; })),
      loss_graph(row, spread(series, span, count,
                             [](const History::Point& p) { return p.losses_per_second; })),
      syn_queue_graph(
          row, spread(series, span, count, [](const History::Point& p) { return p.syn_queue; }))};
  int at = 2;
  for (const Graph& graph : graphs) {
    draw_one(page.canvas(), {page.row(), at, rows, columns}, graph, span);
    if (beside) {
      at += columns + 3;
    } else {
      page.skip(rows);
    }
  }
  if (beside) page.skip(rows);
}

void write_histograms(PageWriter& page, const DetailContext& context) {
  const ListenerRow& row = context.row;
  const auto histogram = [&](std::string_view id) -> const Histogram* {
    const Field* const field = find_field(id);
    const Value value = field == nullptr ? Value() : field->get(row);
    const auto* const found = std::get_if<const Histogram*>(&value);
    return found == nullptr ? nullptr : *found;
  };
  page.heading("Times since the listener was first seen");
  constexpr int kSideBySide = 100;
  const bool beside = page.width() >= kSideBySide;
  const int width = beside ? (page.width() - 2 - 3) / 2 : page.width() - 4;
  const int waits = draw_histogram(page.canvas(), page.row(), 2, width, "in the accept queue",
                                   histogram("accept_wait"));
  if (!beside) page.skip(waits);
  const int handshakes = draw_histogram(page.canvas(), page.row(), beside ? 2 + width + 3 : 2,
                                        width, "handshake", histogram("handshake_time"));
  page.skip(beside ? std::max(waits, handshakes) : handshakes);
}

void write_limits(PageWriter& page, const DetailContext& context) {
  page.heading("Limits, and who sets them");
  constexpr int kNameCells = 21;
  constexpr int kValueCells = 10;
  for (const Limit& limit : limits_of(context.row)) {
    page.canvas().put(page.row(), 2, limit.name, Style::normal, kNameCells);
    page.canvas().put_right(page.row(), 2 + kNameCells + 1, limit.value, Style::strong,
                            kValueCells);
    constexpr int kMeaning = 2 + kNameCells + 1 + kValueCells + 2;
    const auto lines = wrap_text(limit.meaning, page.width() - kMeaning, page.canvas().charset());
    for (const std::string& line : lines) {
      page.canvas().put(page.row(), kMeaning, line, Style::dim);
      page.skip(1);
    }
    if (lines.empty()) page.skip(1);
  }
}

}  // namespace listenq::tui
