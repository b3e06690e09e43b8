// SPDX-License-Identifier: Apache-2.0
//
// The pages that are lists: episodes of losses, interfaces, what the tool itself costs.
#include <fmt/core.h>

#include <algorithm>

#include "util/text.h"
#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

// --- events

/// The page shows the newest first.
const Episode& episode_at(const Snapshot& snapshot, std::size_t row) {
  return *snapshot.episodes[snapshot.episodes.size() - 1 - row];
}

double seconds_between(std::uint64_t from_ns, std::uint64_t to_ns) {
  return to_ns > from_ns ? static_cast<double>(to_ns - from_ns) / 1e9 : 0;
}

/// Where most was lost, and whether the accept queue was what refused.
std::string step_text(const Episode& episode) {
  const std::uint64_t most = std::max(
      {episode.lost_before_tcp, episode.lost_at_syn, episode.lost_at_ack, episode.lost_unknown});
  const std::string_view step = most == episode.lost_at_ack       ? "ACK"
                                : most == episode.lost_at_syn     ? "SYN"
                                : most == episode.lost_before_tcp ? "before TCP"
                                                                  : "unknown";
  return fmt::format("{}{}", step, episode.overflows > 0 ? " full" : "");
}

std::string queue_text(const std::optional<std::uint32_t>& peak,
                       const std::optional<std::uint32_t>& limit) {
  if (!peak) return "-";
  return limit ? fmt::format("{}/{}", *peak, *limit) : fmt::format("{}/-", *peak);
}

ListPage::Row row_of(const Episode& episode, const Snapshot& snapshot) {
  const std::uint64_t end = episode.ended ? episode.last_wall_ns : snapshot.sample->wall_ns;
  const RawListener& raw = episode.listener;
  std::string process = episode.process.empty() ? "-" : printable(episode.process);
  if (episode.pid != 0) process += fmt::format(" {}", episode.pid);
  ListPage::Row row;
  row.style = episode.ended ? Style::normal : Style::bad;
  row.cells = {
      (episode.may_be_older ? "<" : "") + clock_text(episode.start_wall_ns),
      episode.ended ? clock_text(end) : "goes on",
      duration_text(seconds_between(episode.start_wall_ns, end)),
      local_text(raw),
      process,
      grouped(episode.lost()),
      step_text(episode),
      queue_text(episode.accept_queue_peak, episode.accept_queue_limit),
      queue_text(episode.syn_queue_peak, episode.syn_queue_limit),
      episode.netns_name ? printable(*episode.netns_name) : fmt::format("{}", number(raw.netns))};
  return row;
}

// --- interfaces

const RawNic* find_nic(const Sample* sample, const RawNic& wanted) {
  if (sample == nullptr) return nullptr;
  const auto& nics = sample->nics;
  const auto found = std::find_if(nics.begin(), nics.end(), [&](const RawNic& nic) {
    return nic.netns == wanted.netns && nic.ifindex == wanted.ifindex;
  });
  return found == nics.end() ? nullptr : &*found;
}

std::string netns_of(const Snapshot& snapshot, NetnsId netns) {
  for (const NamespaceRow& row : snapshot.namespaces) {
    if (row.raw->netns == netns) return netns_text(*row.raw);
  }
  return fmt::format("{}", number(netns));
}

std::uint64_t sum(const RawNic& nic, std::uint64_t NicPort::*member) {
  std::uint64_t all = 0;
  for (const NicPort& port : nic.ports) all += port.*member;
  return all;
}

std::optional<double> gain_per_second(std::uint64_t now, std::uint64_t before,
                                      const std::optional<double>& seconds) {
  if (!seconds || *seconds <= 0 || now < before) return std::nullopt;
  return static_cast<double>(now - before) / *seconds;
}

ListPage::Row row_of(const RawNic& nic, const Snapshot& snapshot) {
  ListPage::Row row;
  row.cells = {netns_of(snapshot, nic.netns), printable(nic.interface),
               nic.mode ? std::string(nic_mode_name(*nic.mode)) : "not watched"};
  if (!nic.mode) {
    row.style = Style::warn;
    row.cells.resize(9, "-");
  } else {
    const RawNic* const before = find_nic(snapshot.before.get(), nic);
    std::optional<double> syns;
    if (before != nullptr && before->mode) {
      syns = gain_per_second(sum(nic, &NicPort::syn_in), sum(*before, &NicPort::syn_in),
                             snapshot.interval_seconds);
    }
    row.cells.push_back(grouped(nic.passed));
    row.cells.push_back(grouped(sum(nic, &NicPort::syn_in)));
    row.cells.push_back(rate_text(syns));
    row.cells.push_back(grouped(sum(nic, &NicPort::synack_out)));
    row.cells.push_back(grouped(sum(nic, &NicPort::ack_in)));
    row.cells.push_back(grouped(sum(nic, &NicPort::rst_in)));
  }
  std::string note = printable(nic.note);
  const auto add = [&](std::uint64_t count, std::string_view what) {
    if (count == 0) return;
    note += fmt::format("{}{} {}", note.empty() ? "" : ", ", grouped(count), what);
  };
  add(nic.malformed, "malformed");
  add(nic.fragments, "fragments");
  add(nic.evictions.value_or(0), "forgotten");
  row.cells.push_back(note);
  return row;
}

// --- own cost

const RawProgram* find_program(const Sample* sample, const std::string& name, std::size_t index) {
  if (sample == nullptr) return nullptr;
  const auto& programs = sample->self.programs;
  return index < programs.size() && programs[index].name == name ? &programs[index] : nullptr;
}

ListPage::Row row_of(const RawProgram& program, const RawProgram* before,
                     const std::optional<double>& seconds) {
  ListPage::Row row;
  row.cells = {printable(program.name), "-", "-", "-", ""};
  if (!program.runs || !program.run_ns) return row;
  row.cells[1] = grouped(*program.runs);
  if (before == nullptr || !before->runs || !before->run_ns) return row;
  const auto runs = gain_per_second(*program.runs, *before->runs, seconds);
  const auto busy_ns = gain_per_second(*program.run_ns, *before->run_ns, seconds);
  row.cells[2] = rate_text(runs);
  if (!runs || !busy_ns) return row;
  if (*runs > 0) row.cells[3] = fmt::format("{:.0f}", *busy_ns / *runs);
  row.cells[4] = fmt::format("{:.2f} %", *busy_ns / 1e7);
  return row;
}

std::string process_cost(const Snapshot& snapshot) {
  const RawSelf& self = snapshot.sample->self;
  std::string text = "this process: ";
  std::optional<double> busy;
  if (snapshot.before != nullptr) {
    busy = gain_per_second(self.cpu_ns, snapshot.before->self.cpu_ns, snapshot.interval_seconds);
  }
  text += busy ? fmt::format("{:.2f} % of a core", *busy / 1e7) : std::string("CPU not known yet");
  text += fmt::format(", {} of memory at most; a sample takes {}", bytes_text(self.memory_bytes),
                      duration_text(static_cast<double>(self.sample_ns) / 1e9));
  if (self.connection_hash_walks > 0) {
    text += fmt::format(", {} walk{} of the connection hash", grouped(self.connection_hash_walks),
                        self.connection_hash_walks == 1 ? "" : "s");
  }
  return text;
}

std::string lost_text(const RawSelf& self) {
  std::string text;
  for (const auto& [cause, count] : self.lost) {
    if (count == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", grouped(count), printable(cause));
  }
  return "lost: " + (text.empty() ? std::string("nothing") : text);
}

}  // namespace

std::optional<ListenerId> event_listener(const ScreenState& state, std::size_t row) {
  if (!state.shown.snapshot || row >= state.shown.snapshot->episodes.size()) return std::nullopt;
  return id_of(episode_at(*state.shown.snapshot, row).listener);
}

ListPage events_page(const ScreenState& state) {
  const Snapshot& snapshot = *state.shown.snapshot;
  ListPage page;
  page.title = "Events: when listeners lost connections, the newest first";
  page.notes = {
      "step: where most was lost; full: because the accept queue was. Queues at their worst."};
  page.columns = {{"SINCE"},      {"UNTIL"}, {"LASTED", true},  {"LISTENER"},   {"PROCESS"},
                  {"LOST", true}, {"STEP"},  {"ACCEPTQ", true}, {"SYNQ", true}, {"NETNS"}};
  for (std::size_t i = 0; i < snapshot.episodes.size(); ++i) {
    page.rows.push_back(row_of(episode_at(snapshot, i), snapshot));
  }
  page.when_empty = "no listener has lost anything since the first sample";
  return page;
}

ListPage interfaces_page(const ScreenState& state) {
  ListPage page;
  page.title = "Interfaces: what came and went for ports that have a listener";
  page.columns = {{"NETNS"},     {"INTERFACE"},   {"MODE"},          {"FRAMES", true},
                  {"SYN", true}, {"SYN/s", true}, {"SYN-ACK", true}, {"ACK", true},
                  {"RST", true}, {"NOTE"}};
  for (const RawNic& nic : state.shown.snapshot->sample->nics) {
    page.rows.push_back(row_of(nic, *state.shown.snapshot));
  }
  page.when_empty = "no interface is watched; --nic auto, or --nic eth0, does";
  return page;
}

ListPage cost_page(const ScreenState& state) {
  const Snapshot& snapshot = *state.shown.snapshot;
  const RawSelf& self = snapshot.sample->self;
  ListPage page;
  page.title = "Own cost";
  page.notes = {process_cost(snapshot), lost_text(self)};
  for (const RawMap& map : self.maps) {
    page.notes.push_back(fmt::format("table {}: {} of {} entries", printable(map.name),
                                     grouped(map.entries), grouped(map.max_entries)));
  }
  page.notes.emplace_back("BPF programs (the kernel measures their time while this page is open):");
  page.columns = {{"PROGRAM"}, {"RUNS", true}, {"RUNS/s", true}, {"NS A RUN", true}, {"OF A CORE"}};
  for (std::size_t i = 0; i < self.programs.size(); ++i) {
    const RawProgram& program = self.programs[i];
    page.rows.push_back(row_of(program, find_program(snapshot.before.get(), program.name, i),
                               snapshot.interval_seconds));
  }
  page.when_empty = state.playback ? "none in this sample of the recording" : "none known yet";
  return page;
}

}  // namespace listenq::tui
