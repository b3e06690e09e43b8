// SPDX-License-Identifier: Apache-2.0
//
// The table as a tree: rows gathered under a heading by namespace, container or reuseport group.
// The order of the rows is kept; a group stands where its first row does, so that with the usual
// order the group with the worst trouble is on top.
#include <fmt/core.h>

#include <unordered_map>

#include "util/text.h"
#include "view/tui/pages.h"

namespace listenq::tui {

namespace {

/// Listeners that share address and port in one namespace.
std::string reuseport_key(const ListenerRow& row) {
  return fmt::format("{} {}", number(row.raw->netns), local_text(*row.raw));
}

std::string key_of(const ListenerRow& row, Tree tree) {
  switch (tree) {
    case Tree::container:
      return std::string(row.container.empty() ? row.pod : row.container);
    case Tree::reuseport:
      return reuseport_key(row);
    case Tree::netns:
    case Tree::none:
      break;
  }
  return fmt::format("{}", number(row.raw->netns));
}

std::string name_of(const ListenerRow& row, Tree tree) {
  switch (tree) {
    case Tree::container: {
      if (row.container.empty() && row.pod.empty()) return "in no container";
      std::string name = fmt::format("container {}", printable(row.container.substr(0, 12)));
      if (!row.pod.empty()) name += fmt::format(", pod {}", printable(row.pod));
      return name;
    }
    case Tree::reuseport:
      return fmt::format("{} in netns {}", local_text(*row.raw), netns_text(*row.netns->raw));
    case Tree::netns:
    case Tree::none:
      break;
  }
  const RawNamespace& netns = *row.netns->raw;
  return netns.name ? fmt::format("netns {} ({})", printable(*netns.name), number(netns.netns))
                    : fmt::format("netns {}", number(netns.netns));
}

template <class T>
void add(std::optional<T>& sum, const std::optional<T>& value) {
  if (value) sum = sum.value_or(T{}) + *value;
}

void add_row(Group& group, const ListenerRow& row) {
  ++group.listeners;
  if (Snapshot::in_trouble(row)) ++group.in_trouble;
  group.accept_queue_len += row.raw->accept_queue_len;
  add(group.syn_queue_len,
      row.raw->syn_queue_len ? std::optional<std::uint64_t>(std::uint64_t{*row.raw->syn_queue_len})
                             : std::nullopt);
  add(group.accepts_per_second, per_second(row, Counter::accepts));
  add(group.losses_per_second, losses_per_second(row));
}

}  // namespace

void build_tree(ScreenState& state) {
  std::unordered_map<std::string, std::uint32_t> places;
  std::vector<std::vector<const ListenerRow*>> members;
  for (const ListenerRow* row : state.rows) {
    std::string key = key_of(*row, state.tree);
    const auto [found, is_new] =
        places.try_emplace(std::move(key), static_cast<std::uint32_t>(state.groups.size()));
    if (is_new) {
      Group group;
      // Not empty, for the container tree has a group of those without one.
      group.key = fmt::format("{} {}", static_cast<int>(state.tree), found->first);
      group.name = name_of(*row, state.tree);
      group.folded = state.folded.contains(group.key);
      state.groups.push_back(std::move(group));
      members.emplace_back();
    }
    add_row(state.groups[found->second], *row);
    members[found->second].push_back(row);
  }
  for (std::uint32_t i = 0; i < state.groups.size(); ++i) {
    // Few listeners share their port; a heading for each of the others would only be in the way.
    const bool alone = state.tree == Tree::reuseport && members[i].size() == 1;
    if (!alone) state.lines.push_back({nullptr, i});
    if (state.groups[i].folded && !alone) continue;
    for (const ListenerRow* row : members[i]) state.lines.push_back({row, i});
  }
}

}  // namespace listenq::tui
