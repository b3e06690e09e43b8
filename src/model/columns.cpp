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

template <class T>
int three_way(const T& a, const T& b) {
  if (a < b) return -1;
  return b < a ? 1 : 0;
}

/// What the order of trouble looks at, found once a row: the counts of ten thousand are spread over
/// megabytes.
struct Trouble {
  explicit Trouble(const ListenerRow& row)
      : losing(Snapshot::is_losing(row)),
        rate(losses_per_second(row).value_or(0)),
        fill(row.accept_queue_fill),
        all(losses(row).value_or(0)) {}

  bool losing;
  double rate;
  double fill;
  std::uint64_t all;
};

/// Losing now, then how full, then how fast, then how much in all.
int compare_trouble(const Trouble& a, const Trouble& b) {
  if (const int order = three_way(a.losing, b.losing)) return order;
  if (const int order = three_way(a.fill, b.fill)) return order;
  if (const int order = three_way(a.rate, b.rate)) return order;
  return three_way(a.all, b.all);
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

namespace {

/// Sorts by `key_of(row)`, which is asked for once a row.
template <class KeyOf, class Compare>
void sort_by(std::vector<const ListenerRow*>& rows, bool ascending, KeyOf key_of, Compare compare) {
  struct Entry {
    decltype(key_of(*rows.front())) value;
    const ListenerRow* row;
  };
  std::vector<Entry> entries;
  entries.reserve(rows.size());
  for (const ListenerRow* row : rows) entries.push_back({key_of(*row), row});
  std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    const int order = compare(a.value, b.value);
    if (order != 0) return ascending ? order < 0 : order > 0;
    return before_by_place(*a.row, *b.row);
  });
  std::transform(entries.begin(), entries.end(), rows.begin(),
                 [](const Entry& entry) { return entry.row; });
}

}  // namespace

void sort_rows(std::vector<const ListenerRow*>& rows, const SortKey& key) {
  if (key.field != nullptr) {
    sort_by(rows, key.ascending, key.field->get, compare);
  } else {
    sort_by(
        rows, key.ascending, [](const ListenerRow& row) { return Trouble(row); }, compare_trouble);
  }
}

}  // namespace listenq
