// SPDX-License-Identifier: Apache-2.0
//
// Which columns the table shows in a given width. The two queues and the address with its port are
// drawn by the screen from several fields; all else is a field by id, shown as the field table
// says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/fields.h"
#include "model/snapshot.h"

namespace listenq::tui {

/// What the rows need in width, measured once per Snapshot.
struct Contents {
  int netns = 0;               ///< cells of the longest namespace name
  int local = 0;               ///< of the longest address:port
  int process = 0;             ///< of the longest process name
  int queue_digits = 1;        ///< of the largest queue length or limit
  int drops_digits = 1;        ///< of the largest count of losses
  int pid_digits = 1;          ///< of the largest pid shown
  int cgroup = 0;              ///< of the longest path
  std::size_t namespaces = 0;  ///< that have a listener
  bool syn_queue = false;      ///< some row knows its SYN queue
  bool counted = false;        ///< events are counted
  bool waits = false;          ///< some row knows how long its oldest connection waits
  bool container = false;      ///< some row is in one
  bool pod = false;
  bool reuseport = false;  ///< some group has members
};
[[nodiscard]] Contents measure(const std::vector<ListenerRow>& rows);

enum class ColumnKind : std::uint8_t { field, netns, local, accept_queue, syn_queue, limit_set_by };

/// A column that was asked for by name.
struct ColumnChoice {
  ColumnKind kind = ColumnKind::field;
  const Field* field = nullptr;  ///< shown, or what the column sorts by; never null

  bool operator==(const ColumnChoice&) const = default;
};

/// All that the table can show: what the screen draws from several fields, then every field.
[[nodiscard]] const std::vector<ColumnChoice>& all_columns();
/// As settings name it: the id of the field, or one of the screen's own.
[[nodiscard]] std::string_view column_id(const ColumnChoice& column);
[[nodiscard]] std::optional<ColumnChoice> find_column(std::string_view id);
[[nodiscard]] std::string_view column_title(const ColumnChoice& column);
[[nodiscard]] std::string_view column_help(const ColumnChoice& column);

struct Column {
  ColumnKind kind = ColumnKind::field;
  const Field* field = nullptr;  ///< shown, or what the column sorts by; never null
  std::string_view title;        ///< of the field, or a shorter one
  int width = 0;
  bool right = false;  ///< aligned to the right
};

/// What the columns shall say.
struct ColumnView {
  int width = 80;         ///< cells for all of them
  bool counters = false;  ///< totals instead of rates
  bool wide = false;      ///< all of them, each as wide as its content; `width` is no limit
};

/// The columns that fit, with one blank between, in their order on the screen. The most needed ones
/// come in first, what is left over widens them.
[[nodiscard]] std::vector<Column> choose_columns(const ColumnView& view, const Contents& contents);

/// The columns somebody asked for by name, as many as fit; widths from the rows given.
[[nodiscard]] std::vector<Column> columns_of(const std::vector<ColumnChoice>& choices,
                                             const ColumnView& view, const Contents& contents,
                                             const std::vector<const ListenerRow*>& rows);

/// "address:port", the address in brackets where it holds colons.
[[nodiscard]] std::string local_text(const RawListener& raw);

/// Name of the namespace, else its number.
[[nodiscard]] std::string netns_text(const RawNamespace& netns);

/// Digits of the largest queue number shown, so that all bars begin in one column.
[[nodiscard]] int queue_number_width(const Contents& contents);

}  // namespace listenq::tui
