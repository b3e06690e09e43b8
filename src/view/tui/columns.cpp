// SPDX-License-Identifier: Apache-2.0
//
// Columns of the table: what the rows need, and what the width allows.
#include "view/tui/columns.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <unordered_set>

#include "util/text.h"
#include "view/tui/canvas.h"

namespace listenq::tui {

namespace {

int digits(std::uint64_t value) {
  int count = 1;
  for (; value >= 10; value /= 10) ++count;
  return count;
}

int size_of(std::string_view text) {
  return static_cast<int>(std::min<std::size_t>(text.size(), 1000));
}

/// Cells of local_text() without writing it for the addresses that most listeners have.
int local_width(const RawListener& raw) {
  const int port = 1 + digits(raw.port);
  if (raw.family == Family::ipv4 && raw.interface.empty()) {
    int width = 3;
    for (std::size_t i = 0; i < 4; ++i) width += digits(raw.address[i]);
    return width + port;
  }
  return text_width(local_text(raw), Charset::utf8);
}

/// Spec::total of a column that has no place among totals.
constexpr std::string_view kNone = "none";

/// How a column gets its width: it comes in as wide as its content, but at least `least` and at
/// most `enough`; what is left over in the end widens it up to its content or `most`.
struct Spec {
  ColumnKind kind = ColumnKind::field;
  std::string_view id;           ///< field shown, or what the column sorts by
  std::string_view short_title;  ///< empty: the field's, whatever the width
  int priority = 0;              ///< low numbers come in first
  int least = 0;
  int enough = 0;
  int most = 0;
  bool right = false;
  /// Cells that the rows need; 0: leave the column out.
  int (*content)(const Contents&) = nullptr;
  std::string_view total{};  ///< field in its place where totals are wanted; "none": nothing
};

int always(const Contents& /*contents*/) {
  return 1;
}

int counted(const Contents& contents) {
  return contents.counted ? 1 : 0;
}

int uncounted(const Contents& contents) {
  return contents.counted ? 0 : 1;
}

constexpr int kBarMost = 20;  ///< cells inside the brackets

constexpr int kRoomy = 100;  ///< a window of this width is a wide one

/// A wider screen has longer bars before it has further columns.
int least_bar(int width) {
  return std::clamp((width - 80) / 10, 3, kBarMost);
}

/// "[|||] 512/511"
int queue_width(const Contents& contents, int bar) {
  return bar + 3 + queue_number_width(contents);
}

// In the order of the screen.
constexpr auto kSpecs = std::to_array<Spec>({
    {ColumnKind::netns, "netns_name", "", 6, 5, 6, 24, false,
     [](const Contents& c) { return c.namespaces > 1 ? c.netns : 0; }},
    {ColumnKind::local, "port", "", 1, 12, 14, 45, false,
     [](const Contents& c) { return c.local; }},
    {ColumnKind::accept_queue, "accept_queue_fill", "", 2, 0, 0, 0, false,
     [](const Contents& c) { return queue_width(c, kBarMost); }},
    {ColumnKind::syn_queue, "syn_queue_len", "", 5, 0, 0, 0, false,
     [](const Contents& c) { return c.syn_queue ? queue_width(c, kBarMost) : 1; }},
    {ColumnKind::field, "oldest_wait_seconds", "", 7, 6, 6, 6, true,
     [](const Contents& c) { return c.waits ? 1 : 0; }},
    {ColumnKind::field, "accepts_per_second", "ACC/s", 8, 6, 9, 9, true, counted, "accepts"},
    {ColumnKind::field, "drops_per_second", "", 4, 7, 7, 8, true, counted, "drops"},
    {ColumnKind::field, "drops", "", 10, 5, 8, 10, true,
     [](const Contents& c) { return c.counted ? c.drops_digits : 0; }, kNone},
    {ColumnKind::field, "accept_queue_peak", "", 12, 4, 6, 8, true,
     [](const Contents& c) { return c.counted ? c.queue_digits : 0; }},
    {ColumnKind::field, "syns_per_second", "", 14, 6, 8, 8, true, counted, "syns"},
    {ColumnKind::field, "sk_drops_per_second", "SK-DR/S", 4, 7, 10, 10, true, uncounted,
     "sk_drops"},
    {ColumnKind::field, "sk_drops", "SK-DR", 10, 5, 10, 10, true,
     [](const Contents& c) { return c.counted ? 0 : c.drops_digits; }, kNone},
    {ColumnKind::limit_set_by, "limit_set_by", "BY", 9, 5, 5, 11, false,
     [](const Contents& /*c*/) { return 11; }},
    {ColumnKind::field, "somaxconn", "", 13, 9, 9, 9, true, always},
    {ColumnKind::field, "accept_queue_fill", "", 15, 5, 5, 6, true, always},
    {ColumnKind::field, "reuseport", "", 16, 9, 9, 9, true,
     [](const Contents& c) { return c.reuseport ? 1 : 0; }},
    {ColumnKind::field, "pid", "", 11, 4, 10, 10, true,
     [](const Contents& c) { return c.pid_digits; }},
    {ColumnKind::field, "process", "", 3, 7, 8, 24, false,
     [](const Contents& c) { return std::max(c.process, 1); }},
    {ColumnKind::field, "uid", "", 17, 5, 10, 10, true, always},
    {ColumnKind::field, "container", "", 18, 12, 12, 64, false,
     [](const Contents& c) { return c.container ? 64 : 0; }},
    {ColumnKind::field, "pod", "", 19, 36, 36, 36, false,
     [](const Contents& c) { return c.pod ? 36 : 0; }},
    {ColumnKind::field, "cgroup", "", 20, 12, 20, 80, false,
     [](const Contents& c) { return c.cgroup; }},
});

std::string_view full_title(ColumnKind kind, const Field& field) {
  switch (kind) {
    case ColumnKind::local:
      return "ADDRESS:PORT";
    case ColumnKind::accept_queue:
      return "ACCEPT QUEUE";
    case ColumnKind::syn_queue:
      return "SYN QUEUE";
    case ColumnKind::field:
    case ColumnKind::netns:
    case ColumnKind::limit_set_by:
      break;
  }
  return field.title;
}

bool is_queue(ColumnKind kind) {
  return kind == ColumnKind::accept_queue || kind == ColumnKind::syn_queue;
}

/// The smallest width that is worth showing, and the largest that is of use.
std::pair<int, int> bounds(const Spec& spec, const Contents& contents, const Field& field,
                           int width) {
  const int content = spec.content(contents);
  const int title = size_of(full_title(spec.kind, field));
  if (is_queue(spec.kind)) {
    const bool plain = spec.kind == ColumnKind::syn_queue && !contents.syn_queue;
    return plain ? std::pair(title, title)
                 : std::pair(std::max(queue_width(contents, least_bar(width)), title),
                             queue_width(contents, kBarMost));
  }
  const int short_title = spec.short_title.empty() ? title : size_of(spec.short_title);
  // In a wide window the first columns are whole before there are more of them.
  const int enough = width < kRoomy
                         ? spec.enough
                         : std::max(spec.enough, std::min(spec.most, 2 * spec.enough + 1));
  const int least = std::clamp(std::max(content, short_title), spec.least, enough);
  const int most = std::clamp(std::max(content, title), least, std::max(spec.most, least));
  return {least, most};
}

}  // namespace

std::string local_text(const RawListener& raw) {
  const std::string address = address_text(raw);
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, raw.port)
                                                : fmt::format("[{}]:{}", address, raw.port);
}

std::string netns_text(const RawNamespace& netns) {
  return netns.name ? printable(*netns.name) : fmt::format("{}", number(netns.netns));
}

int queue_number_width(const Contents& contents) {
  return 2 * contents.queue_digits + 1;
}

Contents measure(const std::vector<ListenerRow>& rows) {
  Contents all;
  std::uint64_t queue = 0;
  std::uint64_t drops = 0;
  std::uint64_t pid = 0;
  std::unordered_set<const NamespaceRow*> namespaces;
  for (const ListenerRow& row : rows) {
    const RawListener& raw = *row.raw;
    if (namespaces.insert(row.netns).second) {
      all.netns = std::max(all.netns, text_width(netns_text(*row.netns->raw), Charset::utf8));
    }
    all.local = std::max(all.local, local_width(raw));
    queue =
        std::max<std::uint64_t>({queue, raw.accept_queue_len, raw.accept_queue_limit,
                                 raw.syn_queue_len.value_or(0), row.syn_queue_limit.value_or(0)});
    drops = std::max(drops, losses(row).value_or(0));
    all.counted = all.counted || row.counts != nullptr;
    all.waits = all.waits || raw.oldest_wait_ns.has_value();
    if (row.process != nullptr) all.process = std::max(all.process, size_of(row.process->name));
    if (!row.pids.empty()) pid = std::max(pid, static_cast<std::uint64_t>(row.pids.front()));
    if (row.cgroup) all.cgroup = std::max(all.cgroup, size_of(*row.cgroup));
    all.syn_queue = all.syn_queue || raw.syn_queue_len.has_value();
    all.container = all.container || !row.container.empty();
    all.pod = all.pod || !row.pod.empty();
    all.reuseport = all.reuseport || row.reuseport > 1;
  }
  all.namespaces = namespaces.size();
  all.queue_digits = std::max(digits(queue), 3);
  all.drops_digits = digits(drops);
  all.pid_digits = digits(pid);
  return all;
}

namespace {

struct Candidate {
  const Spec* spec;
  const Field* field;
  int least;
  int most;
  int width = 0;  ///< 0: not shown
};

std::vector<Candidate> candidates_of(const ColumnView& view, const Contents& contents) {
  std::vector<Candidate> candidates;
  for (const Spec& spec : kSpecs) {
    const bool total = view.counters && !spec.total.empty();
    if (total && spec.total == kNone) continue;
    const Field* field = find_field(total ? spec.total : spec.id);
    assert(field != nullptr);
    if (field == nullptr || spec.content(contents) == 0) continue;
    auto [least, most] = bounds(spec, contents, *field, view.width);
    if (total) {
      // A total has more digits than a rate, and its title is another one.
      least = std::max(spec.least, size_of(field->title));
      most = std::max(least, 12);
    }
    candidates.push_back({&spec, field, least, most});
  }
  return candidates;
}

/// What is left goes to the most needed first; the bars last, they can use any width and share it.
void widen(const std::vector<Candidate*>& by_need, int left) {
  auto bars = static_cast<int>(
      std::count_if(by_need.begin(), by_need.end(), [](const Candidate* candidate) {
        return candidate->width != 0 && is_queue(candidate->spec->kind);
      }));
  for (const bool queues : {false, true}) {
    for (Candidate* candidate : by_need) {
      if (candidate->width == 0 || is_queue(candidate->spec->kind) != queues) continue;
      const int share = queues ? left / std::max(bars--, 1) : left;
      const int more = std::min(share, candidate->most - candidate->width);
      candidate->width += more;
      left -= more;
    }
  }
}

void share_width(std::vector<Candidate>& candidates, int width) {
  std::vector<Candidate*> by_need;
  by_need.reserve(candidates.size());
  for (Candidate& candidate : candidates) by_need.push_back(&candidate);
  std::sort(by_need.begin(), by_need.end(), [](const Candidate* a, const Candidate* b) {
    return a->spec->priority < b->spec->priority;
  });
  int left = width;
  for (Candidate* candidate : by_need) {
    const int needed = candidate->least + (left == width ? 0 : 1);
    if (needed > left) break;  // one that is needed less must not take its place
    candidate->width = candidate->least;
    left -= needed;
  }
  widen(by_need, left);
}

/// Columns of the screen's own, by the names that settings have for them.
struct OwnColumn {
  ColumnKind kind;
  std::string_view id;
  std::string_view field;
  std::string_view help;
};
constexpr auto kOwnColumns = std::to_array<OwnColumn>({
    {ColumnKind::local, "local", "port", "Address and port in one"},
    {ColumnKind::accept_queue, "accept_queue", "accept_queue_fill",
     "Accept queue as a bar, with its length, its limit and its peak"},
    {ColumnKind::syn_queue, "syn_queue", "syn_queue_len",
     "SYN queue as a bar, with its length, its limit and its peak"},
});

const OwnColumn* own_column(ColumnKind kind) {
  const auto* const found = std::find_if(kOwnColumns.begin(), kOwnColumns.end(),
                                         [&](const OwnColumn& own) { return own.kind == kind; });
  return found == kOwnColumns.end() ? nullptr : found;
}

/// The namespace's name is as good as its number, and shorter where there is none.
ColumnKind kind_of(const Field& field) {
  return field.id == "netns_name" ? ColumnKind::netns : ColumnKind::field;
}

}  // namespace

std::vector<Column> choose_columns(const ColumnView& view, const Contents& contents) {
  std::vector<Candidate> candidates = candidates_of(view, contents);
  if (view.wide) {
    for (Candidate& candidate : candidates) candidate.width = candidate.most;
  } else {
    share_width(candidates, view.width);
  }
  std::vector<Column> columns;
  for (const Candidate& candidate : candidates) {
    if (candidate.width == 0) continue;
    const Spec& spec = *candidate.spec;
    const std::string_view title = full_title(spec.kind, *candidate.field);
    const bool fits = size_of(title) <= candidate.width || spec.short_title.empty();
    columns.push_back(
        {spec.kind, candidate.field, fits ? title : spec.short_title, candidate.width, spec.right});
  }
  return columns;
}

const std::vector<ColumnChoice>& all_columns() {
  static const std::vector<ColumnChoice> all = [] {
    std::vector<ColumnChoice> columns;
    columns.reserve(kOwnColumns.size() + fields().size());
    for (const OwnColumn& own : kOwnColumns) {
      columns.push_back({own.kind, find_field(own.field)});
    }
    for (const Field& field : fields()) columns.push_back({kind_of(field), &field});
    return columns;
  }();
  return all;
}

std::string_view column_id(const ColumnChoice& column) {
  const OwnColumn* const own = own_column(column.kind);
  return own != nullptr ? own->id : column.field->id;
}

std::string_view column_title(const ColumnChoice& column) {
  return full_title(column.kind, *column.field);
}

std::string_view column_help(const ColumnChoice& column) {
  const OwnColumn* const own = own_column(column.kind);
  return own != nullptr ? own->help : column.field->help;
}

std::optional<ColumnChoice> find_column(std::string_view id) {
  for (const ColumnChoice& column : all_columns()) {
    if (column_id(column) == id) return column;
  }
  return std::nullopt;
}

std::vector<Column> columns_of(const std::vector<ColumnChoice>& choices, const ColumnView& view,
                               const Contents& contents,
                               const std::vector<const ListenerRow*>& rows) {
  constexpr std::size_t kMeasured = 500;  // rows; the rest is cut if it should be wider
  constexpr int kWidest = 80;
  std::vector<Column> columns;
  int left = view.width;
  const auto content_of = [&](const ColumnChoice& choice) {
    switch (choice.kind) {
      case ColumnKind::local:
        return contents.local;
      case ColumnKind::netns:
        return contents.netns;
      case ColumnKind::accept_queue:
      case ColumnKind::syn_queue:
        return queue_width(contents, std::max(least_bar(view.width), 5));
      case ColumnKind::field:
      case ColumnKind::limit_set_by:
        break;
    }
    int content = 0;
    for (std::size_t i = 0; i < std::min(rows.size(), kMeasured); ++i) {
      const Value value = choice.field->get(*rows[i]);
      content = std::max(content, text_width(display(*choice.field, value), Charset::utf8));
    }
    return content;
  };
  for (const ColumnChoice& choice : choices) {
    const std::string_view title = column_title(choice);
    const int content = std::min(std::max(content_of(choice), size_of(title)), kWidest);
    if (!view.wide) {
      if (!columns.empty()) --left;
      if (left < std::min(content, 4)) break;
    }
    const bool right = choice.kind == ColumnKind::field && choice.field->type == Type::number;
    const int width = view.wide ? content : std::min(content, left);
    columns.push_back({choice.kind, choice.field, title, width, right});
    left -= width;
  }
  return columns;
}

}  // namespace listenq::tui
