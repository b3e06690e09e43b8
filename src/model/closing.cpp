// SPDX-License-Identifier: Apache-2.0
//
// Deriver: listeners that are gone. Where the kernel told that one closed, with its last counts,
// that word holds; else one is gone when a sample misses it.
#include <algorithm>
#include <utility>

#include "model/derive.h"

namespace listenq {
namespace {

constexpr std::size_t kClosedKept = 1000;

/// As the kernel told it, with what only earlier samples knew.
RawListener completed(const RawListener& closed, const RawListener& last) {
  RawListener raw = closed;
  const auto fill = [](auto& value, const auto& known) {
    if (!value) value = known;
  };
  if (raw.inode == 0) raw.inode = last.inode;
  if (raw.interface.empty()) raw.interface = last.interface;
  fill(raw.uid, last.uid);
  fill(raw.cgroup_id, last.cgroup_id);
  raw.cgroup = last.cgroup;  // the row's container points into it
  fill(raw.syn_queue_len, last.syn_queue_len);
  fill(raw.syn_queue_young, last.syn_queue_young);
  fill(raw.fastopen_queue_len, last.fastopen_queue_len);
  fill(raw.fastopen_queue_limit, last.fastopen_queue_limit);
  fill(raw.sk_drops, last.sk_drops);
  fill(raw.listen_requested, last.listen_requested);
  return raw;
}

/// Modulo 2^64, so that it is right on both sides of the sample's own moment.
std::uint64_t wall_time(const RawClosed& closed, const Sample& sample) {
  return sample.wall_ns - (sample.monotonic_ns - closed.monotonic_ns);
}

}  // namespace

bool Deriver::is_missing(const ListenerRow& row) const {
  const auto entry = history_.find(key_of(*row.raw));
  return entry != history_.end() && entry->second.sample != samples_;
}

/// null when the Snapshot with it is no longer there.
const ListenerRow* Deriver::last_row(const History& history, const RawClosed& closed,
                                     const Snapshot& snapshot) const {
  if (history.sample == samples_) return &snapshot.listeners[history.row];
  if (history.sample + 1 == samples_) return &previous_->listeners[history.row];
  const auto missed = unread_.find(closed.listener.netns);
  if (missed == unread_.end()) return nullptr;
  const auto& rows = missed->second.last->listeners;
  if (history.row >= rows.size()) return nullptr;
  const ListenerRow& row = rows[history.row];
  return key_of(*row.raw) == key_of(closed.listener) ? &row : nullptr;
}

/// What was pushed for one that was found missing; null: nothing, or it is no longer kept.
std::shared_ptr<const ClosedListener>* Deriver::guess_of(
    const std::unordered_map<Key, std::uint64_t, KeyHash>& guesses, const Key& key) {
  const auto guessed = guesses.find(key);
  if (guessed == guesses.end()) return nullptr;
  const std::uint64_t age = closed_count_ - guessed->second;  // 1: the newest
  if (age > closed_.size()) return nullptr;
  return &closed_[closed_.size() - static_cast<std::size_t>(age)];
}

/// Before close_seen(), which forgets it.
Deriver::LastSeen Deriver::last_seen(const RawClosed& closed, const Snapshot& snapshot) {
  const Key key = key_of(closed.listener);
  LastSeen last;
  if (const auto entry = history_.find(key); entry != history_.end()) {
    last.row = last_row(entry->second, closed, snapshot);
    last.is_listed = entry->second.sample == samples_;
  }
  const auto* const guess = guess_of(guessed_, key);
  if (last.row == nullptr && guess != nullptr) last.row = &(*guess)->row;
  return last;
}

/// With what those that closed gained in their last moments.
void Deriver::derive_waterfalls(Snapshot& snapshot) {
  for (const RawClosed& closed : snapshot.sample->closed) {
    const LastSeen last = last_seen(closed, snapshot);
    waterfalls_.see_closed(closed, last.row, last.is_listed);
  }
  waterfalls_.finish();
}

bool Deriver::closed_before(const Key& key) const {
  return std::any_of(closed_.begin(), closed_.end(),
                     [&](const auto& closed) { return key_of(*closed->row.raw) == key; });
}

void Deriver::derive_episodes(Snapshot& snapshot) {
  const Sample& sample = *snapshot.sample;
  for (const RawClosed& closed : sample.closed) {
    ListenerRow row;
    row.raw = &closed.listener;
    row.counting = sample.counting ? &snapshot.counting : nullptr;
    row.counts = counts_at(sample, closed.listener.counts);
    if (row.counts == nullptr || !Episodes::brings_losses(row)) continue;
    const LastSeen last = last_seen(closed, snapshot);
    if (last.row == nullptr && closed_before(key_of(closed.listener))) continue;
    RawNamespace unknown;
    unknown.netns = closed.listener.netns;
    NamespaceRow nowhere;
    nowhere.raw = &unknown;
    row.netns = &nowhere;
    if (const auto netns = namespaces_.find(number(unknown.netns));
        netns != namespaces_.end() && netns->second.sample == samples_) {
      row.netns = &snapshot.namespaces[netns->second.row];
    }
    RawListener raw = closed.listener;
    if (last.row != nullptr) {
      raw = completed(raw, *last.row->raw);
      row.raw = &raw;
      row.netns = last.row->netns;
      row.process = last.row->process;
      row.pids = last.row->pids;
    } else if (sample.owners) {
      set_owner(row, *sample.owners);
    }
    set_queues(row, last.row);
    episodes_.see_closed(row, last.row, last.is_listed);
  }
  for (const auto& [row, lost] : episodes_.ports_losing_before_tcp()) {
    History& history = history_.at(key_of(*row->raw));
    episodes_.lose_before_tcp(*row, lost, known_as(history, *row), history.episode);
  }
  episodes_.finish();
}

void Deriver::close_seen(Snapshot& snapshot) {
  guessed_before_ = std::exchange(guessed_, {});
  const auto& all = snapshot.sample->closed;
  std::vector<const RawClosed*> in_order;
  in_order.reserve(all.size());
  for (const RawClosed& closed : all) in_order.push_back(&closed);
  std::stable_sort(in_order.begin(), in_order.end(), [](const RawClosed* a, const RawClosed* b) {
    return a->monotonic_ns < b->monotonic_ns;
  });
  for (std::size_t i = 0; i < in_order.size(); ++i) {
    close_seen(*in_order[i], in_order.size() - i <= kClosedKept, snapshot);
  }
}

/// One that so many others follow that it would not be kept is only forgotten.
void Deriver::close_seen(const RawClosed& closed, bool is_kept, Snapshot& snapshot) {
  const Sample& sample = *snapshot.sample;
  const std::uint64_t wall_ns = wall_time(closed, sample);
  const Key key = key_of(closed.listener);
  const ListenerRow* last = nullptr;
  if (const auto entry = history_.find(key); entry != history_.end()) {
    last = last_row(entry->second, closed, snapshot);
    if (entry->second.sample == samples_) {
      entry->second.closed_since = true;  // listed and closed then, or it listens again
    } else {
      history_.erase(entry);
    }
  }
  std::shared_ptr<const ClosedListener>* const guess = guess_of(guessed_before_, key);
  guessed_before_.erase(key);
  if (!is_kept) return;
  if (last == nullptr && guess != nullptr) last = &(*guess)->row;
  if (last == nullptr) return close_unlisted(closed, wall_ns, snapshot);

  const RawListener raw = completed(closed.listener, *last->raw);
  ListenerRow row = *last;
  row.raw = &raw;
  row.counting = sample.counting ? &snapshot.counting : nullptr;
  row.counts = counts_at(sample, raw.counts);
  const Waterfall* const waterfall = waterfalls_.find(raw.netns, raw.port);
  if (waterfall != nullptr && waterfall->since_seconds > 0) row.waterfall = waterfall;
  set_queues(row, last);
  auto made = std::make_shared<const ClosedListener>(row, wall_ns);
  if (guess != nullptr) {
    *guess = std::move(made);
  } else {
    push_closed(std::move(made));
  }
}

/// Came and went between two samples.
void Deriver::close_unlisted(const RawClosed& closed, std::uint64_t wall_ns, Snapshot& snapshot) {
  const Sample& sample = *snapshot.sample;
  RawNamespace unknown;
  unknown.netns = closed.listener.netns;
  NamespaceRow nowhere;
  nowhere.raw = &unknown;
  ListenerRow row;
  row.raw = &closed.listener;
  row.netns = &nowhere;
  if (const auto netns = namespaces_.find(number(unknown.netns)); netns != namespaces_.end()) {
    // Its row is that of the last sample which held it; older ones are not kept.
    const std::uint64_t held_by = netns->second.sample;
    if (held_by == samples_) row.netns = &snapshot.namespaces[netns->second.row];
    if (held_by + 1 == samples_ && previous_) row.netns = &previous_->namespaces[netns->second.row];
  }
  row.counting = sample.counting ? &snapshot.counting : nullptr;
  row.counts = counts_at(sample, closed.listener.counts);
  const Waterfall* const waterfall = waterfalls_.find(closed.listener.netns, closed.listener.port);
  if (waterfall != nullptr && waterfall->since_seconds > 0) row.waterfall = waterfall;
  if (sample.owners) set_owner(row, *sample.owners);
  derive_cgroup(row, nullptr, snapshot);
  set_queues(row, nullptr);
  std::optional<std::uint32_t> clamped;
  set_limit_origin(row, clamped);
  push_closed(std::make_shared<const ClosedListener>(row, wall_ns));
}

/// A namespace that is missing as a whole is gone, or could not be read this once. Its listeners
/// get one more sample before they count as closed, at the time they were first missed.
void Deriver::close_missing(const Snapshot& snapshot) {
  const std::uint64_t now = snapshot.sample->wall_ns;
  if (history_.size() == seen_) {
    unread_.clear();
  } else {
    const auto unread = std::exchange(unread_, {});
    for (const auto& [netns, missed] : unread) {
      for (const ListenerRow& row : missed.last->listeners) {
        if (row.raw->netns != netns || !is_missing(row)) continue;
        close_guessed(row, holds(netns) ? now : missed.wall_ns);
      }
    }
    if (previous_) {
      for (const ListenerRow& row : previous_->listeners) {
        if (!is_missing(row)) continue;
        if (holds(row.raw->netns)) {
          close_guessed(row, now);
        } else {
          unread_.try_emplace(row.raw->netns, Unread{previous_, now});
        }
      }
    }
  }
  std::erase_if(namespaces_, [&](const auto& entry) { return entry.second.sample + 1 < samples_; });
}

void Deriver::close_guessed(const ListenerRow& row, std::uint64_t wall_ns) {
  const Key key = key_of(*row.raw);
  const auto entry = history_.find(key);
  const bool known = entry->second.closed_since;
  history_.erase(entry);
  if (known) return;
  guessed_[key] = closed_count_;
  push_closed(std::make_shared<const ClosedListener>(row, wall_ns));
}

void Deriver::push_closed(std::shared_ptr<const ClosedListener> closed) {
  closed_.push_back(std::move(closed));
  ++closed_count_;
  if (closed_.size() > kClosedKept) closed_.pop_front();
}

}  // namespace listenq
