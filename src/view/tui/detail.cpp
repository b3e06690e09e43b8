// SPDX-License-Identifier: Apache-2.0
//
// The page of one listener, opened by Enter: what is wrong, the way of its connections, its queues
// over time, who holds it and what they do, who waits, its limits.
#include "view/tui/detail.h"

#include <fmt/core.h>

namespace listenq::tui {

void PageWriter::skip(int rows) {
  row_ += rows;
  if (row_ + kAhead > canvas_.rows()) canvas_.set_rows(row_ + 3 * kAhead);
}

void PageWriter::text(std::string_view words, Style style) {
  for (const std::string& line : wrap_text(words, canvas_.columns() - 2, canvas_.charset())) {
    canvas_.put(row_, 2, line, style);
    skip(1);
  }
}

void PageWriter::marked(std::string_view words, Style style) {
  canvas_.put(row_, 0, "!", style);
  text(words, style);
}

void PageWriter::heading(std::string_view words) {
  if (row_ > 0) skip(1);
  text(words, Style::strong);
}

Canvas detail_page(const ScreenState& state, Charset charset) {
  Canvas canvas(PageWriter::kAhead, state.width, charset);
  PageWriter page(canvas);
  const Snapshot& snapshot = *state.shown.snapshot;
  const Subject subject = state.detail ? subject_of(snapshot, *state.detail) : Subject{};
  if (subject.row == nullptr) {
    page.text("nothing is known of it any more: only the latest 1,000 that closed are kept",
              Style::dim);
    canvas.set_rows(page.row());
    return canvas;
  }
  const DetailContext context{state, snapshot, *subject.row, subject.closed == nullptr};
  const std::uint64_t wall_ns =
      context.open ? snapshot.sample->wall_ns : subject.closed->closed_wall_ns;
  if (!context.open) {
    page.text("CLOSED at " + clock_text(wall_ns) + " UTC, as it was then", Style::notice);
  }
  const Description words = describe(context.row, *snapshot.sample);
  if (words.now) page.marked(words.verdict, Style::bad);
  page.text(words.state, words.now ? Style::strong : Style::normal);
  write_waterfall(page, context, wall_ns);
  if (context.open) {
    write_sharers(page, context);
    write_graphs(page, context);
    write_waiting(page, context);
  }
  write_histograms(page, context);
  write_limits(page, context);
  if (context.open) {
    write_members(page, context);
    write_interfaces(page, context);
  }
  canvas.set_rows(page.row());
  return canvas;
}

}  // namespace listenq::tui
