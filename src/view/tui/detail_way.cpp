// SPDX-License-Identifier: Apache-2.0
//
// On the page of a listener: the way of its connections from the interface to accept() as one line
// a step, where they get lost, and what each interface saw of the port.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "util/text.h"
#include "view/tui/detail.h"

namespace listenq::tui {

namespace {

using Step = WaterfallStep;

struct StepLine {
  std::string_view label;
  Waterfall::Sum count;
  std::vector<Step> lost;  ///< on the way to here
  std::string now{};       ///< what else there is to say, such as who still waits
};

std::vector<StepLine> lines_of(const Waterfall& flow) {
  std::vector<StepLine> lines;
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

constexpr int kLabelCells = 14;
constexpr int kCountCells = 13;

void draw_step(Canvas& canvas, int row, const StepLine& line, const Waterfall& flow,
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

void write_verdict(PageWriter& page, const Waterfall& flow, std::uint64_t wall_ns) {
  const auto since = static_cast<std::uint64_t>(flow.since_seconds * 1e9);
  const std::string when =
      fmt::format("since {} ({})", clock_text(wall_ns - since), duration_text(flow.since_seconds));
  if (const auto step = flow.lost_at()) {
    page.marked(loss_text(flow, *step), Style::bad);
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
      text += "  handshake p50 " + duration_text(found->handshake_time.quantile(0.5));
    }
  }
  return text + note;
}

}  // namespace

void write_waterfall(PageWriter& page, const DetailContext& context, std::uint64_t wall_ns) {
  const ListenerRow& row = context.row;
  if (row.waterfall == nullptr) {
    page.text("nothing is counted here: what gets lost on the way is not known", Style::dim);
    return;
  }
  const Waterfall& flow = *row.waterfall;
  std::string title = fmt::format("The way of connections to port {}", row.raw->port);
  if (flow.listeners > 1) title += fmt::format(", all {} listeners of it", flow.listeners);
  page.heading(title);
  const std::vector<StepLine> lines = lines_of(flow);
  std::uint64_t most = 0;
  for (const StepLine& line : lines) most = std::max(most, line.count.value_or(0));
  for (const StepLine& line : lines) {
    draw_step(page.canvas(), page.row(), line, flow, most);
    page.skip(1);
  }
  write_verdict(page, flow, wall_ns);
  if (const std::string note = flow.note(); !note.empty()) page.text(note, Style::notice);
}

void write_interfaces(PageWriter& page, const DetailContext& context) {
  constexpr std::size_t kMost = 32;
  std::vector<const RawNic*> nics;
  int name_cells = 0;
  for (const RawNic& nic : context.snapshot.sample->nics) {
    if (nic.netns != context.row.raw->netns) continue;
    nics.push_back(&nic);
    name_cells = std::max(name_cells, text_width(nic.interface, page.canvas().charset()));
  }
  page.heading("Interfaces, for this port and since each watches it");
  if (nics.empty()) page.text("no interface of this namespace is watched (--nic)", Style::dim);
  name_cells = std::min(name_cells, 16);  // as long as the kernel lets a name be
  for (std::size_t i = 0; i < std::min(nics.size(), kMost); ++i) {
    const RawNic& nic = *nics[i];
    page.canvas().put(page.row(), 2, nic.interface, Style::strong, name_cells);
    page.canvas().put(page.row(), 2 + name_cells + 2, nic_text(nic, context.row.raw->port),
                      nic.mode ? Style::normal : Style::warn);
    page.skip(1);
  }
  if (nics.size() > kMost) {
    page.text(fmt::format("and {} more (n shows all)", nics.size() - kMost), Style::dim);
  }
}

}  // namespace listenq::tui
