// SPDX-License-Identifier: Apache-2.0
//
// The page of one listener, opened by Enter: the way of its connections from the interface to
// accept() as one line a step, where they get lost, and what each interface saw of the port.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "util/clock.h"
#include "util/text.h"
#include "view/tui/screen.h"

namespace listenq::tui {

namespace {

using Step = WaterfallStep;

struct Line {
  std::string_view label;
  Waterfall::Sum count;
  std::vector<Step> lost;  ///< on the way to here
  std::string now{};       ///< what else there is to say, such as who still waits
};

std::vector<Line> lines_of(const Waterfall& flow) {
  std::vector<Line> lines;
  if (flow.has_nic()) lines.push_back({"NIC SYN", flow.nic_syns(), {}});
  lines.push_back({"listener SYN", flow.syns(), {Step::before_tcp}});
  lines.push_back({"SYN-ACK", flow.synacks(), {Step::at_syn}});
  lines.push_back({"handshake ACK",
                   flow.handshake_acks(),
                   {Step::synack_out, Step::unanswered, Step::ack_before_tcp}});
  lines.push_back({"queued", flow.queued(), {Step::at_ack}});
  lines.push_back({"accepted", flow.accepts(), {Step::unaccepted}});
  if (flow.syn_queue_known && flow.in_syn_queue > 0) {
    lines[lines.size() - 3].now = fmt::format("{} half-open", grouped(flow.in_syn_queue));
  }
  if (flow.in_accept_queue > 0) {
    const bool one = flow.in_accept_queue == 1;
    lines.back().now = fmt::format("{} wait{}", grouped(flow.in_accept_queue), one ? "s" : "");
  }
  return lines;
}

std::string_view short_name(Step step) {
  switch (step) {
    case Step::before_tcp:
    case Step::ack_before_tcp:
      return "lost before TCP";
    case Step::at_syn:
      return "refused at the SYN";
    case Step::synack_out:
      return "lost on the way out";
    case Step::unanswered:
      return "unanswered";
    case Step::at_ack:
      return "refused at the ACK";
    case Step::unaccepted:
    case Step::count_:
      break;
  }
  return "thrown away";
}

/// Rounded up: what is not nothing shows.
int bar_cells(std::uint64_t count, std::uint64_t most, int cells) {
  if (most == 0) return 0;
  const double share = static_cast<double>(count) / static_cast<double>(most);
  return std::min(static_cast<int>(std::ceil(share * static_cast<double>(cells))), cells);
}

/// A page from top to bottom; what does not fit is left out.
class Page {
 public:
  explicit Page(Canvas& canvas) : canvas_(canvas), end_(canvas.rows() - 1) {}

  [[nodiscard]] int row() const { return row_; }
  [[nodiscard]] int rows_left() const { return end_ - row_; }
  [[nodiscard]] bool full() const { return row_ >= end_; }
  void next() { ++row_; }

  void text(std::string_view words, Style style) {
    for (const std::string& line : wrap_text(words, canvas_.columns() - 2, canvas_.charset())) {
      if (full()) return;
      canvas_.put(row_++, 2, line, style);
    }
  }
  /// The same with a mark before it, for those who see no colour.
  void alarm(std::string_view words) {
    if (!full()) canvas_.put(row_, 0, "!", Style::bad);
    text(words, Style::bad);
  }

 private:
  Canvas& canvas_;
  int row_ = 1;
  int end_;
};

constexpr int kLabelCells = 14;
constexpr int kCountCells = 13;

void draw_step(Canvas& canvas, int row, const Line& line, const Waterfall& flow,
               std::uint64_t most) {
  const int bar = std::clamp((canvas.columns() - kLabelCells - kCountCells) / 2 - 4, 4, 60);
  canvas.put(row, 2, line.label, Style::normal, kLabelCells);
  const int at = 2 + kLabelCells + kCountCells + 1;
  if (line.count) {
    canvas.put_right(row, 2 + kLabelCells, grouped(*line.count), Style::strong, kCountCells);
    const auto cells = static_cast<std::size_t>(bar_cells(*line.count, most, bar));
    canvas.put(row, at, std::string(cells, '|'), Style::good);
  } else {
    canvas.put_right(row, 2 + kLabelCells, "-", Style::dim, kCountCells);
  }
  int column = at + bar + 1;
  const auto worst = flow.lost_at();
  for (const Step step : line.lost) {
    const std::uint64_t lost = flow.lost(step).value_or(0);
    if (lost == 0) continue;
    // A few clients that vanish are no trouble: only what is called a loss gets the mark.
    const bool is_worst = worst == step;
    const Style style = is_worst ? Style::bad : worst ? Style::warn : Style::dim;
    if (is_worst) canvas.put(row, 0, "!", Style::bad);
    column = canvas.put(row, column, fmt::format("{} {}", grouped(lost), short_name(step)), style);
    column += 2;
  }
  canvas.put(row, column, line.now, Style::dim);
}

/// "14:13:20 UTC"
std::string clock_of(std::uint64_t wall_ns) {
  return rfc3339(wall_ns).substr(11, 8) + " UTC";
}

std::string age_of(double seconds) {
  static const Field* const field = find_field("state_age_seconds");
  return display(*field, Value(seconds));
}

void draw_verdict(Page& page, const Waterfall& flow, std::uint64_t wall_ns) {
  const auto since = static_cast<std::uint64_t>(flow.since_seconds * 1e9);
  const std::string when =
      fmt::format("since {} ({})", clock_of(wall_ns - since), age_of(flow.since_seconds));
  if (const auto step = flow.lost_at()) {
    page.alarm(loss_text(flow, *step));
    return;
  }
  bool known = false;
  bool some = false;
  for (std::size_t i = 0; i < kWaterfallSteps; ++i) {
    const auto lost = flow.lost(static_cast<Step>(i));
    known = known || lost.has_value();
    some = some || lost.value_or(0) > 0;
  }
  if (!known) {
    page.text("what is lost is not known here", Style::dim);
  } else if (flow.since_seconds <= 0) {
    page.text("the port is watched from now on", Style::normal);
  } else if (some) {
    page.text("no more is lost than usual " + when, Style::good);
  } else {
    page.text("nothing lost " + when, Style::good);
  }
}

void draw_waterfall(Canvas& canvas, Page& page, const ListenerRow& row, std::uint64_t wall_ns) {
  if (row.waterfall == nullptr) {
    page.text("nothing is counted here: what gets lost on the way is not known", Style::dim);
    return;
  }
  const Waterfall& flow = *row.waterfall;
  std::string title = fmt::format("The way of connections to port {}", row.raw->port);
  if (flow.listeners > 1) title += fmt::format(", all {} listeners of it", flow.listeners);
  page.text(title, Style::strong);
  const std::vector<Line> lines = lines_of(flow);
  std::uint64_t most = 0;
  for (const Line& line : lines) most = std::max(most, line.count.value_or(0));
  for (const Line& line : lines) {
    if (page.full()) return;
    draw_step(canvas, page.row(), line, flow, most);
    page.next();
  }
  draw_verdict(page, flow, wall_ns);
  if (const std::string note = flow.note(); !note.empty()) page.text(note, Style::notice);
}

std::string nic_text(const RawNic& nic, std::uint16_t port) {
  const std::string note = nic.note.empty() ? std::string() : ": " + nic.note;
  if (!nic.mode) return "not watched" + note;
  std::string text(nic_mode_name(*nic.mode));
  const auto found = std::find_if(nic.ports.begin(), nic.ports.end(),
                                  [&](const NicPort& each) { return each.port == port; });
  if (found == nic.ports.end()) {
    text += "  port not watched";
  } else {
    text += fmt::format("  SYN {}", grouped(found->syn_in));
    if (found->syn_known > 0) text += fmt::format(" ({} known)", grouped(found->syn_known));
    text += fmt::format("  SYN-ACK {}  ACK {}  RST {}", grouped(found->synack_out),
                        grouped(found->ack_in), grouped(found->rst_in));
    if (nic.handshake_times && found->handshake_time.count() > 0) {
      text += "  handshake p50 " + age_of(found->handshake_time.quantile(0.5));
    }
  }
  return text + note;
}

void draw_nics(Canvas& canvas, Page& page, const ListenerRow& row, const Sample& sample) {
  std::vector<const RawNic*> nics;
  int name_cells = 0;
  for (const RawNic& nic : sample.nics) {
    if (nic.netns != row.raw->netns) continue;
    nics.push_back(&nic);
    name_cells = std::max(name_cells, text_width(nic.interface, canvas.charset()));
  }
  if (page.rows_left() < 3) return;
  page.next();
  if (nics.empty()) {
    page.text("No interface of this namespace is watched (--nic)", Style::dim);
    return;
  }
  page.text("Interfaces, for this port and since each watches it", Style::strong);
  name_cells = std::min(name_cells, 16);  // as long as the kernel lets a name be
  for (std::size_t i = 0; i < nics.size() && !page.full(); ++i) {
    if (page.rows_left() == 1 && i + 1 < nics.size()) {
      page.text(fmt::format("and {} more", nics.size() - i), Style::dim);
      return;
    }
    const RawNic& nic = *nics[i];
    canvas.put(page.row(), 2, nic.interface, Style::strong, name_cells);
    canvas.put(page.row(), 2 + name_cells + 2, nic_text(nic, row.raw->port),
               nic.mode ? Style::normal : Style::warn);
    page.next();
  }
}

bool same_socket(const ListenerId& a, const ListenerId& b) {
  return a.netns == b.netns && a.socket == b.socket && a.port == b.port;
}

/// The listener that the page is about, open or closed.
struct Subject {
  const ListenerRow* row = nullptr;
  const ClosedListener* closed = nullptr;
};

Subject subject_of(const Snapshot& snapshot, const ListenerId& wanted) {
  for (const ListenerRow& row : snapshot.listeners) {
    if (same_socket(id_of(*row.raw), wanted)) return {&row, nullptr};
  }
  const auto newest = std::find_if(
      snapshot.closed.rbegin(), snapshot.closed.rend(),
      [&](const auto& closed) { return same_socket(id_of(*closed->row.raw), wanted); });
  if (newest == snapshot.closed.rend()) return {};
  return {&(*newest)->row, newest->get()};
}

void draw_detail_keys(Canvas& canvas, const ScreenState& state) {
  struct Hint {
    std::string_view key;
    std::string_view text;
  };
  const std::array hints = {Hint{"Esc q", "Back"}, Hint{"arrows", "Other listener"},
                            Hint{"Space", state.frozen ? "Go on" : "Freeze"}, Hint{"F1", "Help"}};
  int at = 0;
  for (const Hint& hint : hints) {
    at = canvas.put(canvas.rows() - 1, at, hint.key, Style::key);
    at = canvas.put(canvas.rows() - 1, at + 1, hint.text, Style::key_text) + 2;
  }
  if (state.frozen) canvas.put_right(0, 0, " FROZEN ", Style::notice, canvas.columns());
}

}  // namespace

void draw_detail(Canvas& canvas, const ScreenState& state) {
  const Snapshot& snapshot = *state.shown.snapshot;
  const Subject subject = subject_of(snapshot, *state.detail);
  canvas.fill(0, 0, canvas.columns(), Style::title);
  if (subject.row == nullptr) {
    canvas.put(0, 0, "this listener is gone", Style::title);
    draw_detail_keys(canvas, state);
    return;
  }
  const ListenerRow& row = *subject.row;
  const Description words = describe(row);
  canvas.put(0, 0, words.who, Style::title);
  Page page(canvas);
  const std::uint64_t wall_ns =
      subject.closed != nullptr ? subject.closed->closed_wall_ns : snapshot.sample->wall_ns;
  if (subject.closed != nullptr) {
    page.text("CLOSED at " + clock_of(wall_ns) + ", as it was then", Style::notice);
  }
  page.text(words.state, Snapshot::in_trouble(row) ? Style::strong : Style::normal);
  if (page.rows_left() > 10) page.next();
  draw_waterfall(canvas, page, row, wall_ns);
  if (subject.closed == nullptr) draw_nics(canvas, page, row, *snapshot.sample);
  draw_detail_keys(canvas, state);
}

bool detail_key(ScreenState& state, Key key) {
  const auto move = [&](bool up) {
    if (state.rows.empty()) return;
    const std::size_t last = state.rows.size() - 1;
    const std::size_t at = std::min(state.cursor, last);
    state.cursor = up ? at - std::min<std::size_t>(at, 1) : std::min(at + 1, last);
    state.selected = state.detail = id_of(*state.rows[state.cursor]->raw);
    set_size(state, state.height, state.width);  // scrolls
  };
  const bool is_character = key.code == KeyCode::character;
  if (key.code == KeyCode::up || (is_character && key.value == U'k')) {
    move(true);
  } else if (key.code == KeyCode::down || (is_character && key.value == U'j')) {
    move(false);
  } else if (key.code == KeyCode::escape || key.code == KeyCode::enter ||
             key.code == KeyCode::backspace || (is_character && key.value == U'q')) {
    state.detail.reset();
  } else {
    return false;
  }
  return true;
}

}  // namespace listenq::tui
