// SPDX-License-Identifier: Apache-2.0
//
// The one table of fields. The screen, the text table, JSON, CSV, the metrics, --list-fields,
// --columns, --sort, --filter and docs/fields.md all read it; no view names a column of its own.
// Adding a field is one entry in fields.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/snapshot.h"
#include "util/result.h"

namespace listenq {

enum class Kind : std::uint8_t { label, gauge, counter, rate, ratio, histogram, waterfall };

enum class Type : std::uint8_t { text, number, boolean, list, histogram, waterfall };

enum class Unit : std::uint8_t { none, count, per_second, seconds, ratio };

/// What must be read so that a field has a value. `--explain` prints, per need, what feeds it here
/// or why nothing does; a sample leaves out what no shown field needs.
enum class Need : std::uint8_t {
  listener,     ///< identity, accept queue and limit: every backend
  sk_drops,     ///< the socket's raw drop counter
  syn_queue,    ///< what icsk_accept_queue holds: only BPF reads it
  owner,        ///< processes that hold the socket
  cgroup,       ///< of the owner, else of the socket
  sysctl,       ///< /proc/sys/net of the namespace
  watching,     ///< at least two samples; every rate needs them besides
  listen_call,  ///< listen() seen as it happens
  counters,     ///< events counted in the kernel, and the longest queues seen by the way
  latency,      ///< times measured in the kernel
  nic,          ///< what is counted, and packets seen at the interfaces beside it
  count_,
};

/// monostate: absent. An integer below 0 is a double. A string_view points into the Snapshot; a
/// string is made for the caller.
using Value =
    std::variant<std::monostate, bool, std::uint64_t, double, std::string_view, std::string,
                 std::span<const std::int32_t>, const Histogram*, const Waterfall*>;

/// What stands for a reuseport group in one series.
enum class Across : std::uint8_t {
  sum,
  max,
  window_max,  ///< and over the last minute: each sample's value is its own interval's
};

/// How a field is told to Prometheus.
struct Metric {
  std::string_view name{};   ///< without the prefix; empty: it is not told
  std::string_view label{};  ///< by which it differs from others of this name; empty: it is alone
  std::string_view value{};  ///< of that label; empty: the field's value is the label's
  Across across = Across::sum;
};

struct Field {
  std::string_view id;     ///< JSON key, CSV header, name in --columns, --sort, --filter
  std::string_view title;  ///< column title on the screen and in the text table
  Kind kind;
  Type type;  ///< of the value, when it is there: text goes to the left, numbers to the right
  Unit unit;
  Need need;
  std::string_view help;  ///< one sentence: --list-fields, docs/fields.md, help on the screen
  Value (*get)(const ListenerRow&);
  Metric metric{};
};

/// All fields of a listener, in the order of JSON, CSV and --list-fields.
[[nodiscard]] std::span<const Field> fields();

/// nullptr when there is no such field.
[[nodiscard]] const Field* find_field(std::string_view id);

/// "a,b,c" -> fields; an unknown id is a usage error that names the nearest known one.
[[nodiscard]] Result<std::vector<const Field*>> parse_columns(std::string_view list);

/// As a table shows it: "-" when absent; escaped by printable(); lists joined by ","; ratios in
/// percent, rounded down so that 100% means full; times with their unit.
[[nodiscard]] std::string display(const Field& field, const Value& value);

/// The value as it is, for CSV: "" when absent; escaped by printable(); lists joined by " ".
[[nodiscard]] std::string plain(const Value& value);

/// Three-way for sorting: absent sorts below everything; text by bytes, numbers by value,
/// waterfalls by what they lose where they lose most.
[[nodiscard]] int compare(const Value& a, const Value& b);

struct SortKey {
  const Field* field = nullptr;  ///< nullptr: trouble first (losing now, then fill, then drops)
  bool ascending = false;
};

/// "id" or "id:asc" or "id:desc". Without a direction labels (address, port, process) go ascending,
/// what is measured goes descending.
[[nodiscard]] Result<SortKey> parse_sort(std::string_view text);

/// Sorts pointers to rows; stable, ties by namespace, port and address.
void sort_rows(std::vector<const ListenerRow*>& rows, const SortKey& key);

/// The address as text; a bound device follows as %dev.
[[nodiscard]] std::string address_text(const RawListener& raw);

/// "1.0" when every loss has an owner; else the ratio and how many have none, or more than the
/// kernel knows of. Empty when nothing was lost, or nothing is counted.
[[nodiscard]] std::string coverage_text(const Totals& totals);

/// A usage error's sentence for a field that does not exist; names the nearest that does.
[[nodiscard]] std::string unknown_field(std::string_view id);

/// What a field is made of, for --list-fields and docs/fields.md.
[[nodiscard]] std::string_view kind_name(Kind kind);
[[nodiscard]] std::string_view unit_name(Unit unit);

}  // namespace listenq
