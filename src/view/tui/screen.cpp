// SPDX-License-Identifier: Apache-2.0
//
// The screen's state: takes Snapshots in and keeps rows, selection and scrolling in step with them.
#include "view/tui/screen.h"

#include <algorithm>

namespace listenq::tui {

namespace {

bool same_place(const ListenerId& a, const ListenerId& b) {
  return a.netns == b.netns && a.port == b.port && a.address == b.address;
}

std::uint64_t socket_of(const RawListener& raw) {
  return raw.cookie ? number(*raw.cookie) : raw.inode;
}

/// Where the selected listener is now: itself, else one in its place, else whatever moved up.
std::size_t find_selected(const ScreenState& state) {
  if (!state.selected || state.rows.empty()) return 0;
  std::optional<std::size_t> in_place;
  for (std::size_t i = 0; i < state.rows.size(); ++i) {
    const ListenerId id = id_of(*state.rows[i]->raw);
    if (id.netns == state.selected->netns && id.socket == state.selected->socket) return i;
    if (!in_place && same_place(id, *state.selected)) in_place = i;
  }
  return in_place.value_or(std::min(state.cursor, state.rows.size() - 1));
}

void keep_cursor_visible(ScreenState& state) {
  const auto page =
      static_cast<std::size_t>(std::max(layout_of(state.height, state.width).table, 1));
  const std::size_t count = state.rows.size();
  state.scroll = std::min(state.scroll, count > page ? count - page : 0);
  if (state.cursor < state.scroll) state.scroll = state.cursor;
  if (state.cursor >= state.scroll + page) state.scroll = state.cursor - page + 1;
}

}  // namespace

ListenerId id_of(const RawListener& raw) {
  return {number(raw.netns), socket_of(raw), raw.address, raw.port};
}

bool is_idle(const ListenerRow& row) {
  return row.raw->accept_queue_len == 0 && row.raw->syn_queue_len.value_or(0) == 0 &&
         losses_per_second(row).value_or(0) <= 0;
}

Layout layout_of(int height, int width) {
  Layout layout;
  if (height < kMinHeight || width < kMinWidth) {
    layout.too_small = true;
    return layout;
  }
  layout.header = height >= 20 ? 4 : height >= 12 ? 2 : 1;
  layout.context = height >= 24 ? 4 : height >= 20 ? 3 : height >= 10 ? 2 : 0;
  layout.table_top = layout.header;
  layout.table = height - layout.header - 1 - layout.context - 1;  // titles, keys
  return layout;
}

std::vector<Column> visible_columns(const ScreenState& state) {
  const int width = state.width - 2;  // the mark of trouble and a blank
  return state.columns.empty() ? choose_columns(width, state.contents)
                               : columns_of(state.columns, width, state.rows);
}

void refresh(ScreenState& state) {
  state.rows.clear();
  if (!state.shown.snapshot) return;
  const auto& listeners = state.shown.snapshot->listeners;
  state.rows.reserve(listeners.size());
  for (const ListenerRow& row : listeners) {
    if (state.hide_idle && is_idle(row)) continue;
    if (state.filter.matches(row)) state.rows.push_back(&row);
  }
  sort_rows(state.rows, state.sort);
  state.cursor = find_selected(state);
  if (state.selected && !state.rows.empty()) {
    state.selected = id_of(*state.rows[state.cursor]->raw);
  }
  keep_cursor_visible(state);
}

void show(ScreenState& state, std::shared_ptr<const Snapshot> snapshot, std::uint64_t now_ns) {
  state.live = {std::move(snapshot), now_ns};
  state.now_ns = now_ns;
  state.interval_changed = false;
  if (state.frozen && state.shown.snapshot) return;
  state.shown = state.live;
  state.contents = measure(state.shown.snapshot->listeners);
  refresh(state);
}

void set_size(ScreenState& state, int height, int width) {
  state.height = std::max(height, 1);
  state.width = std::max(width, 1);
  keep_cursor_visible(state);
}

}  // namespace listenq::tui
