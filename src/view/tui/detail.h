// SPDX-License-Identifier: Apache-2.0
//
// The parts of the page of one listener, from top to bottom; detail.cpp puts them together.
#pragma once

#include <string>
#include <string_view>

#include "view/tui/pages.h"

namespace listenq::tui {

/// Writes a page downwards. It may be longer than the window, which shows a part of it; the canvas
/// grows with it.
class PageWriter {
 public:
  /// Rows that may be drawn below row() before skip() is called.
  static constexpr int kAhead = 32;

  explicit PageWriter(Canvas& canvas) : canvas_(canvas) {}

  [[nodiscard]] Canvas& canvas() { return canvas_; }
  [[nodiscard]] int row() const { return row_; }
  [[nodiscard]] int width() const { return canvas_.columns(); }
  void skip(int rows);

  void text(std::string_view words, Style style);
  /// The same with a mark before it, for those who see no colour.
  void marked(std::string_view words, Style style);
  /// After a blank line.
  void heading(std::string_view words);

 private:
  Canvas& canvas_;
  int row_ = 0;
};

/// What the parts are drawn from.
struct DetailContext {
  const ScreenState& state;
  const Snapshot& snapshot;
  const ListenerRow& row;
  bool open = true;  ///< false: it is a closed one, as it was then
};

void write_waterfall(PageWriter& page, const DetailContext& context, std::uint64_t wall_ns);
void write_interfaces(PageWriter& page, const DetailContext& context);
void write_graphs(PageWriter& page, const DetailContext& context);
void write_histograms(PageWriter& page, const DetailContext& context);
void write_limits(PageWriter& page, const DetailContext& context);
void write_sharers(PageWriter& page, const DetailContext& context);
void write_waiting(PageWriter& page, const DetailContext& context);
void write_members(PageWriter& page, const DetailContext& context);

}  // namespace listenq::tui
