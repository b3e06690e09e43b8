// SPDX-License-Identifier: Apache-2.0
//
// --columns and --sort: from ids to fields, and the order of rows.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "model/fields.h"
#include "util/text.h"

namespace listenq {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

/// Who writes `fill` means accept_queue_fill, though pid is fewer edits away.
std::string_view nearest_field(std::string_view id) {
  std::string_view nearest;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const Field& field : fields()) {
    const bool part = id.size() >= 3 && field.id.find(id) != std::string_view::npos;
    const std::size_t distance = part ? 1 : edit_distance(id, field.id);
    if (distance >= least) continue;
    least = distance;
    nearest = field.id;
  }
  return nearest;
}

/// Losing now, then how full, then how fast, then how much in all.
int compare_trouble(const ListenerRow& a, const ListenerRow& b) {
  const auto three_way = [](const auto& left, const auto& right) {
    if (left < right) return -1;
    return right < left ? 1 : 0;
  };
  const double rate_a = a.sk_drops_per_second.value_or(0);
  const double rate_b = b.sk_drops_per_second.value_or(0);
  if (const int order = three_way(rate_a > 0, rate_b > 0)) return order;
  if (const int order = three_way(a.accept_queue_fill, b.accept_queue_fill)) return order;
  if (const int order = three_way(rate_a, rate_b)) return order;
  return three_way(a.raw->sk_drops.value_or(0), b.raw->sk_drops.value_or(0));
}

bool before_by_place(const ListenerRow& a, const ListenerRow& b) {
  if (a.raw->netns != b.raw->netns) return a.raw->netns < b.raw->netns;
  if (a.raw->port != b.raw->port) return a.raw->port < b.raw->port;
  if (a.raw->family != b.raw->family) return a.raw->family < b.raw->family;
  return a.raw->address < b.raw->address;
}

}  // namespace

std::string unknown_field(std::string_view id) {
  return fmt::format("there is no field '{}', the nearest is {}; --list-fields shows all",
                     printable(id), nearest_field(id));
}

Result<std::vector<const Field*>> parse_columns(std::string_view list) {
  std::vector<const Field*> columns;
  for (const std::string_view part : split(list, ',')) {
    const std::string_view id = trimmed(part);
    if (id.empty()) {
      return failure(
          ErrorKind::usage,
          fmt::format("a field id is missing in '{}'; --list-fields shows all", printable(list)));
    }
    const Field* const field = find_field(id);
    if (field == nullptr) return failure(ErrorKind::usage, unknown_field(id));
    if (std::find(columns.begin(), columns.end(), field) != columns.end()) {
      return failure(ErrorKind::usage, fmt::format("field {} is named twice", id));
    }
    columns.push_back(field);
  }
  return columns;
}

Result<SortKey> parse_sort(std::string_view text) {
  const auto parts = split(trimmed(text), ':');
  const Field* const field = find_field(trimmed(parts.front()));
  if (field == nullptr) return failure(ErrorKind::usage, unknown_field(trimmed(parts.front())));
  if (parts.size() == 1) return SortKey{field, field->kind == Kind::label};
  const std::string_view direction = trimmed(parts[1]);
  if (parts.size() > 2 || (direction != "asc" && direction != "desc")) {
    return failure(ErrorKind::usage,
                   fmt::format("'{}' is no sort order: after {}: comes asc or desc",
                               printable(text), field->id));
  }
  return SortKey{field, direction == "asc"};
}

void sort_rows(std::vector<const ListenerRow*>& rows, const SortKey& key) {
  struct Entry {
    Value value;
    const ListenerRow* row;
  };
  std::vector<Entry> entries;
  entries.reserve(rows.size());
  for (const ListenerRow* row : rows) {
    entries.push_back({key.field ? key.field->get(*row) : Value(), row});
  }
  std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    const int order = key.field ? compare(a.value, b.value) : compare_trouble(*a.row, *b.row);
    if (order != 0) return key.ascending ? order < 0 : order > 0;
    return before_by_place(*a.row, *b.row);
  });
  std::transform(entries.begin(), entries.end(), rows.begin(),
                 [](const Entry& entry) { return entry.row; });
}

}  // namespace listenq
