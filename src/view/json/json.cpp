// SPDX-License-Identifier: Apache-2.0
//
// See json.h.
#include "view/json/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "util/clock.h"
#include "util/text.h"

namespace listenq {
namespace {

constexpr std::size_t kPiece = std::size_t{64} * 1024;

/// Safe as it is between quotes.
bool is_plain(char c) {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void append_text(std::string& out, std::string_view text) {
  out += '"';
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    out += text;
  } else {
    for (const char c : printable(text)) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
}

template <class T>
void append_number(std::string& out, T number) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append(std::string& out, bool flag) {
  out += flag ? "true" : "false";
}
void append(std::string& out, std::integral auto number) {
  append_number(out, number);
}
void append(std::string& out, double number) {
  constexpr double kExact = 1e15;
  if (number > -kExact && number < kExact && std::trunc(number) == number) {
    append_number(out, static_cast<std::int64_t>(number));  // most rates are 0
  } else if (std::isfinite(number)) {
    append_number(out, number);
  } else {
    out += "null";  // JSON knows no infinity
  }
}
void append(std::string& out, std::string_view text) {
  append_text(out, text);
}
void append(std::string& out, const std::string& text) {
  append_text(out, text);
}
void append(std::string& out, std::span<const std::int32_t> list) {
  char before = '[';
  for (const std::int32_t element : list) {
    out += std::exchange(before, ',');
    append_number(out, element);
  }
  out += list.empty() ? "[]" : "]";
}
void append(std::string& out, std::monostate /*absent*/) {
  out += "null";
}

/// {"bounds":[...],"counts":[: the bounds are the same in all of them.
const std::string& histogram_head() {
  static const std::string head = [] {
    std::string text = "{\"bounds\":[";
    for (std::size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
      if (i != 0) text += ',';
      append_number(text, Histogram::bound(i));
    }
    return text + "],\"counts\":[";
  }();
  return head;
}

/// One count more than bounds: those above the last. Times in seconds.
void append(std::string& out, const Histogram* times) {
  out += histogram_head();
  for (const std::uint64_t count : times->counts) {
    append_number(out, count);
    out += ',';
  }
  out.back() = ']';
  out += ",\"sum\":";
  append_number(out, static_cast<double>(times->sum_ns) / 1e9);
  out += ",\"max\":";
  append_number(out, static_cast<double>(times->max_ns) / 1e9);
  out += '}';
}

/// {"name":number,...}, or null where it could not be read.
template <class Counters>
void append_counters(std::string& out, const Counters& counters) {
  char before = '{';
  for (const auto& [name, value] : counters) {
    out += std::exchange(before, ',');
    append_text(out, name);
    out += ':';
    append_number(out, value);
  }
  out += counters.empty() ? "{}" : "}";
}
void append(std::string& out, const MibCounters& counters) {
  append_counters(out, counters);
}
void append(std::string& out, const Residual& residual) {
  append_counters(out, residual);
}

template <class T>
void append(std::string& out, const std::optional<T>& value) {
  if (value) {
    append(out, *value);
  } else {
    out += "null";
  }
}

/// `key` is known to need no escapes.
template <class T>
void member(std::string& out, std::string_view key, const T& value) {
  out += ",\"";
  out += key;
  out += "\":";
  append(out, value);
}

/// {"before_tcp":number,...}
void append_lost(std::string& out, const Waterfall& waterfall) {
  char before = '{';
  for (std::size_t i = 0; i < kWaterfallSteps; ++i) {
    const auto step = static_cast<WaterfallStep>(i);
    out += std::exchange(before, ',');
    append_text(out, step_name(step));
    out += ':';
    append(out, waterfall.lost(step));
  }
  out += '}';
}

void append(std::string& out, const Waterfall* waterfall) {
  const auto lost_at = waterfall->lost_at();
  const std::string note = waterfall->note();
  out += "{\"nic_syns\":";
  append(out, waterfall->nic_syns());
  member(out, "nic_syns_known", waterfall->nic_syns_known());
  member(out, "syns", waterfall->syns());
  member(out, "synacks", waterfall->synacks());
  member(out, "nic_synacks", waterfall->nic_synacks());
  member(out, "handshake_acks", waterfall->handshake_acks());
  member(out, "nic_acks", waterfall->nic_acks());
  member(out, "nic_rsts", waterfall->nic_rsts());
  member(out, "queued", waterfall->queued());
  member(out, "accepts", waterfall->accepts());
  out += ",\"lost\":";
  append_lost(out, *waterfall);
  member(out, "lost_at", lost_at ? std::optional(step_name(*lost_at)) : std::nullopt);
  member(out, "since_seconds", waterfall->since_seconds);
  member(out, "listeners", waterfall->listeners);
  member(out, "note", note.empty() ? std::nullopt : std::optional(note));
  out += '}';
}

/// The listeners of one document: the columns with their keys ready to copy.
class ListenerWriter {
 public:
  explicit ListenerWriter(std::span<const Field* const> columns) {
    for (const Field* field : columns) add(*field);
    if (!columns.empty()) return;
    for (const Field& field : fields()) add(field);
  }

  void write(std::string& out, const ListenerRow& row) const {
    for (const Column& column : columns_) {
      out += column.key;
      std::visit([&](const auto& value) { append(out, value); }, column.field->get(row));
    }
  }

 private:
  struct Column {
    const Field* field;
    std::string key;  ///< with what separates it from the one before
  };

  void add(const Field& field) {
    std::string key = columns_.empty() ? "{\"" : ",\"";
    key.append(field.id).append("\":");
    columns_.push_back({&field, std::move(key)});
  }

  std::vector<Column> columns_;
};

void write_namespace(std::string& out, const NamespaceRow& row) {
  const RawNamespace& raw = *row.raw;
  out += "{\"netns\":";
  append(out, number(raw.netns));
  member(out, "netns_name", raw.name);
  member(out, "somaxconn", raw.sysctls.somaxconn);
  member(out, "tcp_max_syn_backlog", raw.sysctls.tcp_max_syn_backlog);
  member(out, "tcp_syncookies", raw.sysctls.tcp_syncookies);
  member(out, "tcp_abort_on_overflow", raw.sysctls.tcp_abort_on_overflow);
  member(out, "tcp_synack_retries", raw.sysctls.tcp_synack_retries);
  member(out, "tcp_migrate_req", raw.sysctls.tcp_migrate_req);
  member(out, "mib", latest_mib(raw));
  member(out, "mib_since_start", row.mib_since_start);
  member(out, "counted_since_start", row.counted_since_start);
  member(out, "coverage", row.coverage);
  member(out, "residual", row.residual);
  member(out, "nat", raw.nat);
  member(out, "nics_complete", raw.nics_complete);
  out += '}';
}

void write_nic_port(std::string& out, const RawNic& nic, const NicPort& of) {
  out += "{\"port\":";
  append(out, of.port);
  member(out, "syn_in", of.syn_in);
  member(out, "syn_known", of.syn_known);
  member(out, "synack_out", of.synack_out);
  member(out, "ack_in", of.ack_in);
  member(out, "rst_in", of.rst_in);
  if (nic.handshake_times) {
    member(out, "handshake_time", &of.handshake_time);
  } else {
    member(out, "handshake_time", std::monostate());
  }
  out += '}';
}

/// What an interface that is not watched saw is not known.
void write_nic(std::string& out, const RawNic& nic, const NamespaceRow* netns) {
  const auto watched = [&](std::uint64_t value) {
    return nic.mode ? std::optional(value) : std::nullopt;
  };
  out += "{\"netns\":";
  append(out, number(nic.netns));
  member(out, "netns_name", netns != nullptr ? netns->raw->name : std::nullopt);
  member(out, "interface", nic.interface);
  member(out, "mode", nic.mode ? std::optional(nic_mode_name(*nic.mode)) : std::nullopt);
  member(out, "note", nic.note.empty() ? std::nullopt : std::optional(nic.note));
  member(out, "passed", watched(nic.passed));
  member(out, "malformed", watched(nic.malformed));
  member(out, "fragments", watched(nic.fragments));
  member(out, "evictions", nic.mode ? nic.evictions : std::nullopt);
  out += ",\"ports\":[";
  bool first = true;
  for (const NicPort& of : nic.ports) {
    if (!std::exchange(first, false)) out += ',';
    write_nic_port(out, nic, of);
  }
  out += "]}";
}

/// null: not read. Values are null while the kernel does not measure them.
void write_programs(std::string& out, const std::vector<RawProgram>& programs) {
  if (programs.empty()) return member(out, "programs", std::monostate());
  out += ",\"programs\":";
  char before = '[';
  for (const RawProgram& program : programs) {
    out += std::exchange(before, ',');
    out += "{\"name\":";
    append(out, program.name);
    member(out, "runs", program.runs);
    member(
        out, "run_seconds",
        program.run_ns ? std::optional(static_cast<double>(*program.run_ns) / 1e9) : std::nullopt);
    out += '}';
  }
  out += ']';
}

/// null: there are none.
void write_maps(std::string& out, const std::vector<RawMap>& maps) {
  if (maps.empty()) return member(out, "maps", std::monostate());
  out += ",\"maps\":";
  char before = '[';
  for (const RawMap& map : maps) {
    out += std::exchange(before, ',');
    out += "{\"name\":";
    append(out, map.name);
    member(out, "entries", map.entries);
    member(out, "max_entries", map.max_entries);
    out += '}';
  }
  out += ']';
}

void write_self(std::string& out, const RawSelf& self) {
  out += "{\"sample_milliseconds\":";
  append(out, static_cast<double>(self.sample_ns) / 1e6);
  member(out, "cpu_seconds", static_cast<double>(self.cpu_ns) / 1e9);
  member(out, "memory_bytes", self.memory_bytes);
  member(out, "connection_hash_walks", self.connection_hash_walks);
  out += ",\"lost\":";
  append_counters(out, self.lost);
  write_programs(out, self.programs);
  write_maps(out, self.maps);
  out += '}';
}

void write_head(std::string& out, const Snapshot& snapshot) {
  const Sample& sample = *snapshot.sample;
  out += "{\"schema\":1";
  member(out, "time", rfc3339(sample.wall_ns));
  member(out, "host", sample.host);
  member(out, "kernel", sample.kernel);
  member(out, "backend", sample.backend);
  member(out, "interval_seconds", snapshot.interval_seconds);
}

}  // namespace

void write_json(std::string& out, const Snapshot& snapshot,
                std::span<const ListenerRow* const> rows, const JsonOptions& options) {
  const auto flush = [&] {
    if (options.flush && out.size() >= kPiece) options.flush(out);
  };
  // Elements of an array, each begun by what separates it from the one before.
  char before = 0;
  const auto next = [&] {
    flush();
    if (before != 0) out += before;
    before = ',';
  };
  const ListenerWriter writer(options.columns);
  write_head(out, snapshot);
  out += ",\"listeners\":[";
  for (const ListenerRow* row : rows) {
    next();
    const std::size_t start = out.size();
    writer.write(out, *row);
    out += '}';
    // Growing by doubling would hold the document twice.
    if (row == rows.front() && !options.flush) {
      out.reserve(start + (out.size() - start) * (rows.size() + rows.size() / 8 + 1));
    }
  }
  before = 0;
  out += "],\"closed\":[";
  for (const auto& closed : snapshot.closed) {
    if (options.filter != nullptr && !options.filter->matches(closed->row)) continue;
    next();
    writer.write(out, closed->row);
    member(out, "closed_at", rfc3339(closed->closed_wall_ns));
    out += '}';
  }
  before = 0;
  out += "],\"namespaces\":[";
  for (const NamespaceRow& row : snapshot.namespaces) {
    next();
    write_namespace(out, row);
  }
  before = 0;
  out += R"(],"nics":[)";
  for (const RawNic& nic : snapshot.sample->nics) {
    next();
    const auto netns =
        std::find_if(snapshot.namespaces.begin(), snapshot.namespaces.end(),
                     [&](const NamespaceRow& row) { return row.raw->netns == nic.netns; });
    write_nic(out, nic, netns != snapshot.namespaces.end() ? &*netns : nullptr);
  }
  out += R"(],"self":)";
  write_self(out, snapshot.sample->self);
  out += "}\n";
}

}  // namespace listenq
