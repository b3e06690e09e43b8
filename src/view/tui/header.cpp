// SPDX-License-Identifier: Apache-2.0
//
// Draws the lines above the table: which machine, when, the totals, and how the table is looked at.
#include <fmt/core.h>

#include <algorithm>

#include "util/clock.h"
#include "util/text.h"
#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

/// From sample to sample as it was, else as it was chosen.
double interval_of(const ScreenState& state) {
  const auto& measured = state.shown.snapshot->interval_seconds;
  return state.interval_changed ? state.interval_seconds
                                : measured.value_or(state.interval_seconds);
}

std::string speed_text(double speed) {
  return speed >= 1 ? fmt::format("{:.0f}x", speed) : fmt::format("1/{:.0f}x", 1 / speed);
}

void draw_identity(Canvas& canvas, const ScreenState& state) {
  const Sample& sample = *state.shown.snapshot->sample;
  int end = canvas.columns();
  const std::string time = time_text(state);
  end -= text_width(time, canvas.charset());
  canvas.put(0, std::max(end, 0), time, Style::strong);
  if (const std::string word = standstill(state); !word.empty()) {
    end -= static_cast<int>(word.size()) + 3;
    canvas.put(0, std::max(end, 0), " " + word + " ", Style::notice);
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

/// Names of the interfaces that are watched; those that could not be have a mark.
void draw_interfaces(Line& line, const Sample& sample) {
  if (sample.nics.empty()) return;
  std::string names;
  bool all = true;
  for (const RawNic& nic : sample.nics) {
    if (!names.empty()) names += ",";
    names += printable(nic.interface);
    if (!nic.mode) names += "!";
    all = all && nic.mode.has_value();
  }
  line.rest("nic", names, all ? Style::normal : Style::warn);
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
  draw_interfaces(line, *snapshot.sample);
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

std::string_view tree_text(Tree tree) {
  switch (tree) {
    case Tree::netns:
      return "by namespace";
    case Tree::container:
      return "by container";
    case Tree::reuseport:
      return "by reuseport group";
    case Tree::none:
      break;
  }
  return "";
}

void draw_view(Canvas& canvas, const ScreenState& state, int row) {
  Line line(canvas, row, canvas.columns());
  const bool usual = state.sort.field == nullptr && !state.sort.ascending;
  line.item("sorted by", sort_text(state.sort), usual ? Style::normal : Style::strong);
  if (state.tree != Tree::none) line.item("tree", tree_text(state.tree), Style::strong);
  if (state.baseline != nullptr) {
    const std::uint64_t now = state.shown.snapshot->sample->wall_ns;
    const std::uint64_t then = state.baseline->wall_ns;
    const double age = now > then ? static_cast<double>(now - then) / 1e9 : 0;
    line.item("", fmt::format("baseline {} ({})", clock_text(then), duration_text(age)),
              Style::notice);
  } else if (state.counters) {
    line.item("", "totals", Style::strong);
  }
  if (state.hide_idle) line.item("", "idle ones hidden", Style::notice);
  if (!state.search.empty()) line.item("search", state.search, Style::notice);
  if (!state.filter_text.empty()) line.rest("filter", state.filter_text, Style::notice);
}

}  // namespace

std::string standstill(const ScreenState& state) {
  if (!state.playback) return state.frozen ? "FROZEN" : "";
  const Playback& playback = *state.playback;
  if (playback.seeking_wall_ns) {
    return *playback.seeking_wall_ns == UINT64_MAX
               ? std::string("GOING TO THE END")
               : fmt::format("GOING TO {}", clock_text(std::max(*playback.seeking_wall_ns,
                                                                playback.first_wall_ns)));
  }
  if (playback.ended) return "END";
  return playback.paused ? "PAUSED" : fmt::format("PLAYING {}", speed_text(playback.speed));
}

std::string time_text(const ScreenState& state) {
  const std::string time = rfc3339(state.shown.snapshot->sample->wall_ns);
  const bool with_date = state.width >= 100;
  std::string text = (with_date ? time.substr(0, 10) + " " : "") + time.substr(11, 8) + " UTC";
  if (state.playback) return text;  // the time of a recording has no age
  const std::uint64_t arrived = state.shown.arrived_ns;
  const double age = state.now_ns > arrived ? static_cast<double>(state.now_ns - arrived) / 1e9 : 0;
  const double usual = std::max(state.interval_seconds, interval_of(state));
  if (state.frozen || age > 1.5 * usual + 0.5) {
    text += fmt::format(", {} ago", seconds_text(age));
  }
  return text;
}

void draw_header(Canvas& canvas, const ScreenState& state, const Layout& layout) {
  if (layout.header == 1) {
    draw_totals(canvas, state, 0);
    if (const std::string word = standstill(state); !word.empty()) {
      canvas.put_right(0, 0, " " + word + " ", Style::notice, canvas.columns());
    }
    return;
  }
  draw_identity(canvas, state);
  draw_totals(canvas, state, 1);
  if (layout.header < 4) return;
  draw_events(canvas, state, 2);
  draw_view(canvas, state, 3);
}

}  // namespace listenq::tui
