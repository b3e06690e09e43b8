// SPDX-License-Identifier: Apache-2.0
//
// The screen's state: takes Snapshots in and keeps rows, selection and scrolling in step with them.
#include "view/tui/screen.h"

#include <algorithm>

#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

bool same_place(const ListenerId& a, const ListenerId& b) {
  return a.netns == b.netns && a.port == b.port && a.address == b.address;
}

/// Where the selected line is now: itself, else a listener in its place, else whatever moved up.
std::size_t find_selected(const ScreenState& state) {
  const std::size_t count = state.line_count();
  if (count == 0) return 0;
  if (!state.selected && state.selected_group.empty()) return 0;
  std::optional<std::size_t> in_place;
  for (std::size_t i = 0; i < count; ++i) {
    const TableLine line = state.line(i);
    if (line.row == nullptr) {
      if (state.groups[line.group].key == state.selected_group) return i;
      continue;
    }
    if (!state.selected) continue;
    const ListenerId id = id_of(*line.row->raw);
    if (id == *state.selected) return i;
    if (!in_place && same_place(id, *state.selected)) in_place = i;
  }
  return in_place.value_or(std::min(state.cursor, count - 1));
}

void keep_cursor_visible(ScreenState& state) {
  const auto page = static_cast<std::size_t>(std::max(table_rows(state), 1));
  const std::size_t count = state.line_count();
  state.scroll = std::min(state.scroll, count > page ? count - page : 0);
  if (state.cursor < state.scroll) state.scroll = state.cursor;
  if (state.cursor >= state.scroll + page) state.scroll = state.cursor - page + 1;
}

/// What is under the cursor is the selected one from now on.
void select_cursor(ScreenState& state) {
  const TableLine line = state.line(state.cursor);
  state.selected.reset();
  state.selected_group.clear();
  if (line.row != nullptr) {
    state.selected = id_of(*line.row->raw);
  } else {
    state.selected_group = state.groups[line.group].key;
  }
}

void sort(ScreenState& state) {
  const Field* const field = state.sort.field;
  const bool since_baseline =
      state.baseline != nullptr && field != nullptr && field->kind == Kind::counter;
  sort_rows(state.rows, state.sort);
  if (!since_baseline) return;
  // What is shown is what sorts: the gain, not the sum.
  std::stable_sort(
      state.rows.begin(), state.rows.end(), [&](const ListenerRow* a, const ListenerRow* b) {
        const int order = compare(value_of(state, *field, *a), value_of(state, *field, *b));
        return state.sort.ascending ? order < 0 : order > 0;
      });
}

}  // namespace

bool is_idle(const ListenerRow& row) {
  return row.raw->accept_queue_len == 0 && row.raw->syn_queue_len.value_or(0) == 0 &&
         losses_per_second(row).value_or(0) <= 0 && !Snapshot::in_trouble(row);
}

Layout layout_of(int height, int width) {
  Layout layout;
  if (height < kMinHeight || width < kMinWidth) {
    layout.too_small = true;
    return layout;
  }
  layout.header = height >= 20 ? 4 : height >= 12 ? 2 : 1;
  layout.context = height >= 24 ? 5 : height >= 20 ? 4 : height >= 14 ? 3 : height >= 10 ? 2 : 0;
  layout.table_top = layout.header;
  layout.table = height - layout.header - 1 - layout.context - 1;  // titles, keys
  return layout;
}

int table_rows(const ScreenState& state) {
  return layout_of(state.height, state.width).table;
}

std::vector<Column> visible_columns(const ScreenState& state) {
  const ColumnView view{.width = state.width - 2,  // the mark of trouble and a blank
                        .counters = state.counters,
                        .wide = state.wide};
  return state.columns.empty() ? choose_columns(view, state.contents)
                               : columns_of(state.columns, view, state.contents, state.rows);
}

const ListenerRow* selected_row(const ScreenState& state) {
  const std::size_t count = state.line_count();
  return count == 0 ? nullptr : state.line(std::min(state.cursor, count - 1)).row;
}

Subject subject_of(const Snapshot& snapshot, const ListenerId& wanted) {
  for (const ListenerRow& row : snapshot.listeners) {
    if (id_of(*row.raw) == wanted) return {&row, nullptr};
  }
  const auto newest =
      std::find_if(snapshot.closed.rbegin(), snapshot.closed.rend(),
                   [&](const auto& closed) { return id_of(*closed->row.raw) == wanted; });
  if (newest == snapshot.closed.rend()) return {};
  return {&(*newest)->row, newest->get()};
}

const RawCloseUp* close_up_of(const Sample& sample, const RawListener& raw) {
  const auto found =
      std::find_if(sample.close_ups.begin(), sample.close_ups.end(), [&](const RawCloseUp& each) {
        return each.netns == raw.netns &&
               (raw.cookie ? each.cookie == raw.cookie : each.inode == raw.inode);
      });
  return found == sample.close_ups.end() ? nullptr : &*found;
}

Value value_of(const ScreenState& state, const Field& field, const ListenerRow& row) {
  Value value = field.get(row);
  if (state.baseline == nullptr || field.kind != Kind::counter) return value;
  auto* const number = std::get_if<std::uint64_t>(&value);
  const auto found = state.baseline->counts.find(id_of(*row.raw));
  // One that came later has gained all that it has.
  if (number == nullptr || found == state.baseline->counts.end()) return value;
  std::uint64_t before = 0;
  if (field.id == "sk_drops") {
    before = found->second.sk_drops;
  } else {
    for (std::size_t i = 0; i < kCounters; ++i) {
      if (counter_name(static_cast<Counter>(i)) == field.id) before = found->second.values.at(i);
    }
  }
  return *number >= before ? Value(*number - before) : Value(*number);
}

void move_to(ScreenState& state, std::size_t line) {
  if (state.line_count() == 0) return;
  state.cursor = std::min(line, state.line_count() - 1);
  select_cursor(state);
  keep_cursor_visible(state);
}

void refresh(ScreenState& state) {
  state.rows.clear();
  state.groups.clear();
  state.lines.clear();
  if (!state.shown.snapshot) return;
  const auto& listeners = state.shown.snapshot->listeners;
  state.rows.reserve(listeners.size());
  for (const ListenerRow& row : listeners) {
    if (state.hide_idle && is_idle(row)) continue;
    if (state.filter.matches(row)) state.rows.push_back(&row);
  }
  sort(state);
  if (state.tree != Tree::none) build_tree(state);
  state.cursor = find_selected(state);
  const bool chosen = state.selected || !state.selected_group.empty();
  if (chosen && state.line_count() > 0) select_cursor(state);
  keep_cursor_visible(state);
}

void show(ScreenState& state, std::shared_ptr<const Snapshot> snapshot, std::uint64_t now_ns) {
  state.history.add(*snapshot);
  state.live = {std::move(snapshot), now_ns};
  state.now_ns = now_ns;
  state.interval_changed = false;
  if (state.frozen && state.shown.snapshot) return;
  state.shown = state.live;
  state.contents = measure(state.shown.snapshot->listeners);
  refresh(state);
}

void restart(ScreenState& state) {
  state.live = {};
  state.shown = {};
  state.baseline = nullptr;
  state.history.clear();
  refresh(state);
}

void set_size(ScreenState& state, int height, int width) {
  state.height = std::max(height, 1);
  state.width = std::max(width, 1);
  keep_cursor_visible(state);
}

}  // namespace listenq::tui
