// SPDX-License-Identifier: Apache-2.0
//
// Small pieces of text that several pages share, and items side by side in a line.
#include <fmt/core.h>

#include <array>
#include <cmath>

#include "util/clock.h"
#include "view/tui/pages.h"

namespace listenq::tui {

std::string clock_text(std::uint64_t wall_ns) {
  return rfc3339(wall_ns).substr(11, 8);
}

std::string duration_text(double seconds) {
  static const Field* const field = find_field("state_age_seconds");
  return display(*field, Value(seconds));
}

std::string seconds_text(double seconds) {
  if (seconds >= 60) return duration_text(seconds);
  return seconds < 9.95 ? fmt::format("{:.1f} s", seconds)
                        : fmt::format("{:.0f} s", std::floor(seconds));
}

std::string rate_text(const std::optional<double>& rate) {
  static const Field* const field = find_field("sk_drops_per_second");
  return display(*field, rate ? Value(*rate) : Value());
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits = {"B", "KiB", "MiB", "GiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes)
                   : fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, kUnits.at(unit));
}

void Line::item(std::string_view label, std::string_view value, Style style) {
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

void Line::rest(std::string_view label, std::string_view value, Style style) {
  const int gap = column_ == 0 ? 0 : 2;
  const int label_cells = text_width(label, canvas_.charset()) + 1;
  if (column_ + gap + label_cells + 3 > end_) return;
  column_ += gap;
  canvas_.put(row_, column_, label, Style::dim);
  column_ = canvas_.put(row_, column_ + label_cells, value, style, end_ - column_ - label_cells);
}

}  // namespace listenq::tui
