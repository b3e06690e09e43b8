// SPDX-License-Identifier: Apache-2.0
//
// See rest.h.
#include "export/rest.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "export/families.h"
#include "export/labels.h"

namespace listenq {
namespace {

/// One family; its head is written with its first line.
class Lines {
 public:
  Lines(std::string& out, bool openmetrics, std::string_view name, MetricType type,
        std::string_view help)
      : out_(out), name_(name), type_(type), help_(help), openmetrics_(openmetrics) {}

  /// `labels` as they stand between the braces; may be empty.
  template <class T>
  void add(std::string_view labels, T value) {
    if (!std::exchange(begun_, true)) out_ += family_head(name_, type_, help_, openmetrics_);
    out_ += name_;
    if (!labels.empty()) {
      out_ += '{';
      out_ += labels;
      out_ += '}';
    }
    out_ += ' ';
    append_value(out_, value);
    out_ += '\n';
  }

 private:
  std::string& out_;
  std::string_view name_;
  MetricType type_;
  std::string_view help_;
  bool openmetrics_;
  bool begun_ = false;
};

/// Writes families one after the other.
class Rest {
 public:
  Rest(std::string& out, bool openmetrics) : out_(out), openmetrics_(openmetrics) {}

  [[nodiscard]] Lines gauge(std::string_view name, std::string_view help) const {
    return {out_, openmetrics_, name, MetricType::gauge, help};
  }
  [[nodiscard]] Lines counter(std::string_view name, std::string_view help) const {
    return {out_, openmetrics_, name, MetricType::counter, help};
  }
  [[nodiscard]] Lines info(std::string_view name, std::string_view help) const {
    return {out_, openmetrics_, name, MetricType::info, help};
  }

 private:
  std::string& out_;
  bool openmetrics_;
};

std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  append_escaped(text, value);
  text += '"';
  return text;
}

std::string netns_label(NetnsId netns) {
  return label("netns", fmt::to_string(number(netns)));
}

double seconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

void write_namespaces(const Rest& rest, const Snapshot& snapshot) {
  Lines mib = rest.counter("listenq_netns_mib_total",
                           "The kernel's own counters of the network namespace (/proc/net/netstat "
                           "and snmp), by the kernel's name.");
  for (const NamespaceRow& row : snapshot.namespaces) {
    const auto& counters = latest_mib(*row.raw);
    if (!counters) continue;
    for (const auto& [name, value] : *counters) {
      mib.add(netns_label(row.raw->netns) + "," + label("name", name), value);
    }
  }
  Lines coverage = rest.gauge("listenq_netns_coverage_ratio",
                              "Losses counted here, of those that the kernel counted since the "
                              "exporter watches; 1: every loss has an owner. Absent while nothing "
                              "was lost.");
  for (const NamespaceRow& row : snapshot.namespaces) {
    if (row.coverage) coverage.add(netns_label(row.raw->netns), *row.coverage);
  }
  Lines info = rest.info("listenq_netns_info",
                         "Name of the network namespace, as `ip netns` shows it; always 1.");
  for (const NamespaceRow& row : snapshot.namespaces) {
    info.add(netns_label(row.raw->netns) + "," + label("netns_name", row.raw->name.value_or("")),
             std::uint64_t{1});
  }
}

void write_interfaces(const Rest& rest, const Ledger& ledger) {
  Lines packets = rest.counter("listenq_nic_tcp_packets_total",
                               "Packets of handshakes seen at the interface, of ports that have a "
                               "listener; ack_in: only those that end a handshake.");
  for (const auto& [key, totals] : ledger.nics()) {
    const std::string of = fmt::format("{},{},", label("netns", fmt::to_string(key.first)),
                                       label("interface", key.second));
    packets.add(of + R"(kind="syn_in")", totals.syn_in);
    packets.add(of + R"(kind="synack_out")", totals.synack_out);
    packets.add(of + R"(kind="ack_in")", totals.ack_in);
    packets.add(of + R"(kind="rst_in")", totals.rst_in);
  }
}

/// Whether what belongs to a collector is in the sample.
void write_collectors(const Rest& rest, const Snapshot* snapshot, bool sample_failed) {
  Lines up = rest.gauge("listenq_collector_up",
                        "Whether this part of the newest sample could be read; `listenq-top "
                        "--explain` says why one can't.");
  const auto add = [&](std::string_view name, bool is_up) {
    up.add(label("collector", name), std::uint64_t{is_up ? 1U : 0U});
  };
  add("sample", snapshot != nullptr && !sample_failed);
  if (snapshot == nullptr) return;
  const Sample& sample = *snapshot->sample;
  if (!sample.listeners.empty()) {
    add("syn_queue", std::any_of(sample.listeners.begin(), sample.listeners.end(),
                                 [](const auto& raw) { return raw.syn_queue_len.has_value(); }));
  }
  add("counters", sample.counting.has_value());
  add("owners", sample.owners != nullptr);
  add("mib", std::any_of(sample.namespaces.begin(), sample.namespaces.end(),
                         [](const auto& raw) { return raw.mib.has_value(); }));
  if (!sample.nics.empty()) {
    add("nic", std::all_of(sample.nics.begin(), sample.nics.end(),
                           [](const RawNic& nic) { return nic.mode.has_value(); }));
  }
}

void write_programs(const Rest& rest, const RawSelf& self) {
  Lines seconds_run =
      rest.counter("listenq_bpf_program_run_seconds_total",
                   "CPU time of our BPF program, while the kernel's BPF statistics are on.");
  for (const RawProgram& program : self.programs) {
    if (program.run_ns) seconds_run.add(label("program", program.name), seconds(*program.run_ns));
  }
  Lines runs = rest.counter("listenq_bpf_program_runs_total",
                            "Runs of our BPF program, while the kernel's BPF statistics are on.");
  for (const RawProgram& program : self.programs) {
    if (program.runs) runs.add(label("program", program.name), *program.runs);
  }
  Lines entries = rest.gauge("listenq_bpf_map_entries", "Entries in our BPF map.");
  for (const RawMap& map : self.maps) entries.add(label("map", map.name), map.entries);
  Lines most = rest.gauge("listenq_bpf_map_max_entries", "Entries that our BPF map has room for.");
  for (const RawMap& map : self.maps) most.add(label("map", map.name), map.max_entries);
}

void write_sample(const Rest& rest, const Sample& sample) {
  rest.info("listenq_backend_info", "The way in which the kernel is read; always 1.")
      .add(label("backend", sample.backend), std::uint64_t{1});
  rest.gauge("listenq_sample_duration_seconds", "Time that the newest sample took.")
      .add("", seconds(sample.self.sample_ns));
  rest.gauge("listenq_sample_timestamp_seconds", "When the newest sample was taken, since 1970.")
      .add("", seconds(sample.wall_ns));
  write_programs(rest, sample.self);
  Lines lost = rest.counter("listenq_lost_events_total",
                            "What the exporter itself lost or could not read, by cause.");
  for (const auto& [cause, count] : sample.self.lost) lost.add(label("cause", cause), count);
}

template <class T>
void add_if(Lines family, const std::optional<T>& value) {
  if (value) family.add("", *value);
}

void write_process(const Rest& rest, const ExporterFacts& facts) {
  add_if(
      rest.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
      facts.cpu_seconds);
  add_if(rest.gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
         facts.resident_bytes);
  add_if(rest.gauge("process_start_time_seconds",
                    "Start time of the process since unix epoch in seconds."),
         facts.start_time_seconds);
  add_if(rest.gauge("process_open_fds", "Number of open file descriptors."), facts.open_fds);
  add_if(rest.gauge("process_max_fds", "Maximum number of open file descriptors."), facts.max_fds);
}

}  // namespace

void write_rest(std::string& out, const Ledger& ledger, const ExporterFacts& facts,
                const Told& told, bool openmetrics) {
  const Snapshot* const snapshot = ledger.snapshot().get();
  const Rest rest(out, openmetrics);
  if (snapshot != nullptr && !facts.sample_failed) {
    write_namespaces(rest, *snapshot);
    write_interfaces(rest, ledger);
  }
  rest.info("listenq_build_info", "Version of the exporter; always 1.")
      .add(label("version", facts.version), std::uint64_t{1});
  write_collectors(rest, snapshot, facts.sample_failed);
  if (snapshot != nullptr) write_sample(rest, *snapshot->sample);
  Lines dropped = rest.gauge("listenq_series_dropped",
                             "Listeners that are not told, by --max-listeners or by --include and "
                             "--exclude.");
  dropped.add(R"(cause="max_listeners")", std::uint64_t{told.left_by_bound});
  dropped.add(R"(cause="filter")", std::uint64_t{told.left_by_filter});
  write_process(rest, facts);
}

}  // namespace listenq
