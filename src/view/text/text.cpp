// SPDX-License-Identifier: Apache-2.0
//
// The table: see text.h.
#include "view/text/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <vector>

#include "util/clock.h"
#include "util/text.h"

namespace listenq {
namespace {

/// Cells that a valid UTF-8 text takes, wide characters counted as one.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

/// With one namespace there is nothing to tell apart. Names tell more than numbers, and the
/// machine's own has none; numbers come in where two without a name could not be told apart.
std::vector<const Field*> netns_columns(const Snapshot& snapshot) {
  if (snapshot.namespaces.size() < 2) return {};
  const auto nameless =
      std::count_if(snapshot.namespaces.begin(), snapshot.namespaces.end(),
                    [](const NamespaceRow& row) { return !row.raw->name.has_value(); });
  const bool named = static_cast<std::size_t>(nameless) < snapshot.namespaces.size();
  std::vector<const Field*> columns;
  if (!named || nameless > 1) columns.push_back(find_field("netns"));
  if (named) columns.push_back(find_field("netns_name"));
  return columns;
}

/// One table of many has the same columns as the others, whatever comes and goes in between: what
/// is counted does not change while one watches.
std::vector<const Field*> default_columns(const Snapshot& snapshot, bool one_of_many) {
  std::vector<const Field*> columns =
      one_of_many ? std::vector{find_field("netns"), find_field("netns_name")}
                  : netns_columns(snapshot);
  constexpr std::array kUncounted = {"address",
                                     "port",
                                     "accept_queue_len",
                                     "accept_queue_limit",
                                     "accept_queue_fill",
                                     "oldest_wait_seconds",
                                     "syn_queue_len",
                                     "syn_queue_limit",
                                     "sk_drops",
                                     "sk_drops_per_second",
                                     "limit_set_by",
                                     "pid",
                                     "process"};
  constexpr std::array kCounted = {"address",
                                   "port",
                                   "accept_queue_len",
                                   "accept_queue_peak",
                                   "accept_queue_limit",
                                   "accept_queue_fill",
                                   "oldest_wait_seconds",
                                   "syn_queue_len",
                                   "syn_queue_peak",
                                   "syn_queue_limit",
                                   "accepts_per_second",
                                   "drops",
                                   "drops_per_second",
                                   "limit_set_by",
                                   "pid",
                                   "process"};
  const auto add = [&](const auto& ids) {
    for (const std::string_view id : ids) {
      const Field* const field = find_field(id);
      if (field->kind == Kind::rate && !one_of_many && !snapshot.interval_seconds) continue;
      columns.push_back(field);
    }
  };
  if (snapshot.sample->counting) {
    add(kCounted);
  } else {
    add(kUncounted);
  }
  return columns;
}

/// The cells of a table in one string, so that ten thousand rows are not ten times as many strings.
class Table {
 public:
  explicit Table(std::vector<const Field*> columns)
      : columns_(std::move(columns)), widths_(columns_.size(), 0) {
    for (const Field* field : columns_) add(field->title);
  }

  void add_row(const ListenerRow& row) {
    for (const Field* field : columns_) add(display(*field, field->get(row)));
  }

  void write(std::string& out) const {
    std::size_t start = 0;
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      const std::size_t column = i % columns_.size();
      const auto cell = std::string_view(text_).substr(start, ends_[i] - start);
      start = ends_[i];
      const bool last = column + 1 == columns_.size();
      const std::size_t padding = widths_[column] - width_of(cell);
      const bool right = columns_[column]->type == Type::number;
      if (right) out.append(padding, ' ');
      out += cell;
      if (!right && !last) out.append(padding, ' ');
      out += last ? "\n" : "  ";
    }
  }

 private:
  void add(std::string_view cell) {
    std::size_t& width = widths_[ends_.size() % columns_.size()];
    width = std::max(width, width_of(cell));
    text_ += cell;
    ends_.push_back(text_.size());
  }

  std::vector<const Field*> columns_;
  std::vector<std::size_t> widths_;
  std::string text_;
  std::vector<std::size_t> ends_;  ///< of the cells in text_, row by row
};

void write_headline(std::string& out, const Snapshot& snapshot,
                    std::span<const ListenerRow* const> rows) {
  const auto trouble = std::count_if(
      rows.begin(), rows.end(), [](const ListenerRow* row) { return Snapshot::in_trouble(*row); });
  const std::size_t all = snapshot.listeners.size();
  out += rfc3339(snapshot.sample->wall_ns);
  out += "  " + printable(snapshot.sample->backend) + "  ";
  if (rows.size() != all) out += fmt::format("{} of ", rows.size());
  out += fmt::format("{} listener{}, {} in trouble", all, all == 1 ? "" : "s", trouble);
  const std::string coverage = coverage_text(snapshot.totals);
  if (!coverage.empty()) out += ", coverage " + coverage;
  if (snapshot.totals.lost_events > 0) {
    out += fmt::format(", {} lost events", snapshot.totals.lost_events);
  }
  out += '\n';
}

/// Over all of its ports that have a listener.
void write_nic_counts(std::string& out, const RawNic& nic) {
  std::uint64_t syns = 0;
  std::uint64_t synacks = 0;
  std::uint64_t acks = 0;
  std::uint64_t rsts = 0;
  for (const NicPort& port : nic.ports) {
    syns += port.syn_in;
    synacks += port.synack_out;
    acks += port.ack_in;
    rsts += port.rst_in;
  }
  out += fmt::format("{}: {} frame{}, SYN {}, SYN-ACK {}, ACK {}, RST {}", nic_mode_name(*nic.mode),
                     grouped(nic.passed), nic.passed == 1 ? "" : "s", grouped(syns),
                     grouped(synacks), grouped(acks), grouped(rsts));
  if (nic.malformed > 0) out += fmt::format(", {} malformed", grouped(nic.malformed));
}

/// Where there is one namespace alone it needs no name.
void write_nics(std::string& out, const Snapshot& snapshot) {
  for (const RawNic& nic : snapshot.sample->nics) {
    out += "nic " + printable(nic.interface) + " ";
    if (snapshot.namespaces.size() > 1) {
      const auto netns = std::find_if(snapshot.namespaces.begin(), snapshot.namespaces.end(),
                                      [&](const auto& row) { return row.raw->netns == nic.netns; });
      const bool named = netns != snapshot.namespaces.end() && netns->raw->name.has_value();
      out += fmt::format("in netns {} ",
                         named ? printable(*netns->raw->name) : std::to_string(number(nic.netns)));
    }
    if (nic.mode) {
      write_nic_counts(out, nic);
    } else {
      out += "not watched";
    }
    if (!nic.note.empty()) out += (nic.mode ? "; " : ": ") + printable(nic.note);
    out += '\n';
  }
}

/// What only an interface can tell: lost between it and the listener. The rest is in the table.
void write_losses(std::string& out, const Snapshot& snapshot,
                  std::span<const ListenerRow* const> rows) {
  std::vector<const Waterfall*> done;  // listeners of a port share theirs
  for (const ListenerRow* row : rows) {
    const Waterfall* waterfall = row->waterfall;
    if (waterfall == nullptr || std::find(done.begin(), done.end(), waterfall) != done.end()) {
      continue;
    }
    const auto step = waterfall->lost_at();
    if (step != WaterfallStep::before_tcp && step != WaterfallStep::synack_out &&
        step != WaterfallStep::ack_before_tcp) {
      continue;
    }
    done.push_back(waterfall);
    out += fmt::format("! port {}", waterfall->port);
    if (snapshot.namespaces.size() > 1) {
      const auto& name = row->netns->raw->name;
      out += fmt::format(" in netns {}",
                         name ? printable(*name) : std::to_string(number(waterfall->netns)));
    }
    out += ": " + loss_text(*waterfall, *step) + '\n';
  }
}

}  // namespace

void write_text(std::string& out, const Snapshot& snapshot,
                std::span<const ListenerRow* const> rows, const TextOptions& options) {
  if (options.headline) write_headline(out, snapshot, rows);
  Table table(options.columns.empty()
                  ? default_columns(snapshot, options.headline)
                  : std::vector<const Field*>(options.columns.begin(), options.columns.end()));
  for (const ListenerRow* row : rows) table.add_row(*row);
  table.write(out);
  if (!options.headline) return;
  write_nics(out, snapshot);
  write_losses(out, snapshot, rows);
}

}  // namespace listenq
