// SPDX-License-Identifier: Apache-2.0
//
// Episodes of losses. What a sample shows of a listener without losses ends in gained(); all else
// runs for the few that lose.
#include "model/episodes.h"

#include <algorithm>

namespace listenq {
namespace {

constexpr std::size_t kEpisodesKept = 1000;
constexpr std::uint64_t kShortestPause = 3'000'000'000;  // with no loss, until it is over

bool same_listener(const RawListener& a, const RawListener& b) {
  if (a.netns != b.netns || a.port != b.port || a.cookie != b.cookie) return false;
  return a.cookie || (a.inode == b.inode && a.address == b.address);
}

/// 0 where it went back: then it is counted anew.
std::uint64_t grown(std::uint64_t now, std::uint64_t before) {
  return now > before ? now - before : 0;
}

void raise(std::optional<std::uint32_t>& peak, const std::optional<std::uint32_t>& length) {
  if (length) peak = std::max(peak.value_or(0), *length);
}

/// As it is now; totals and peaks are not.
void describe(Episode& episode, const ListenerRow& row) {
  episode.listener = *row.raw;
  if (row.netns->raw->name) episode.netns_name = row.netns->raw->name;
  if (row.process != nullptr) episode.process = row.process->name;
  if (!row.pids.empty()) episode.pid = row.pids.front();
  episode.accept_queue_limit = row.raw->accept_queue_limit;
  if (row.syn_queue_limit) episode.syn_queue_limit = row.syn_queue_limit;
}

}  // namespace

void Episodes::restart() {
  entries_.clear();
  previous_ = nullptr;
}

void Episodes::begin(Snapshot& snapshot, const Snapshot* previous) {
  snapshot_ = &snapshot;
  previous_ = previous;
  ++samples_;
}

/// Drops where these are counted, else overflows, as losses_per_second() does.
Episodes::Gain Episodes::gained(const Counting& now, const ListenerCounts& counts,
                                const Counting& then, const ListenerCounts* counts_before) {
  Gain gain;
  const auto of = [&](Counter counter) -> std::uint64_t {
    if (!now.counts(counter)) return 0;
    if (counts_before == nullptr) return counts[counter];
    return then.counts(counter) ? grown(counts[counter], (*counts_before)[counter]) : 0;
  };
  gain.overflows_syn = of(Counter::overflows_syn);
  gain.overflows_ack = of(Counter::overflows_ack);
  gain.drops =
      now.counts(Counter::drops) ? of(Counter::drops) : gain.overflows_syn + gain.overflows_ack;
  return gain;
}

Episodes::Gain Episodes::gained(const ListenerRow& row, const ListenerRow* before, Known known) {
  const bool is_new = known == Known::appeared;
  if (before == nullptr && !is_new) return {};
  if (row.counts != nullptr) {
    const CountingPeriod& period = *row.counting;
    const Counting& now = period.now;
    const bool told = now.counts(Counter::drops) ||
                      (now.counts(Counter::overflows_syn) && now.counts(Counter::overflows_ack));
    if (told) {
      if (is_new) return gained(now, *row.counts, now, nullptr);
      // Nothing has happened to it: both are the same zeros.
      if (row.counts_before == nullptr || row.counts_before == row.counts) return {};
      return gained(now, *row.counts, period.before, row.counts_before);
    }
  }
  Gain gain;
  if (!row.raw->sk_drops) return gain;
  if (is_new) {
    gain.unknown = *row.raw->sk_drops;
  } else if (before->raw->sk_drops) {
    // It wraps. What would be a step of more than half its range is one backwards.
    const std::uint32_t step = *row.raw->sk_drops - *before->raw->sk_drops;
    if (step <= 0x7fff'ffffU) gain.unknown = step;
  }
  return gain;
}

bool Episodes::brings_losses(const ListenerRow& row) {
  return gained(row, nullptr, Known::appeared).any();
}

Episodes::Entry* Episodes::find(Id id) {
  const auto entry = std::lower_bound(entries_.begin(), entries_.end(), id,
                                      [](const Entry& e, Id wanted) { return e.id < wanted; });
  return entry != entries_.end() && entry->id == id ? &*entry : nullptr;
}

Episodes::Entry* Episodes::latest_of(const RawListener& raw) {
  const auto entry = std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& known) {
    const Episode& episode = known.open ? known.open->episode : *known.shown;
    return same_listener(episode.listener, raw);
  });
  return entry != entries_.rend() ? &*entry : nullptr;
}

Episodes::Entry& Episodes::start(const ListenerRow& row, Known known) {
  Entry& entry = entries_.emplace_back();
  entry.id = ++last_id_;
  entry.open = std::make_unique<Open>();
  Episode& episode = entry.open->episode;
  const Sample& since = previous_ != nullptr ? *previous_->sample : *snapshot_->sample;
  episode.start_wall_ns = since.wall_ns;
  episode.may_be_older = known == Known::first_sample || known == Known::first_interval;
  describe(episode, row);
  return entry;
}

/// A loss, now; the queues since the last one are the episode's too.
void Episodes::add(Open& open, const ListenerRow& row, const Gain& gain) const {
  Episode& episode = open.episode;
  Gain& sum = open.sum;
  sum.drops += gain.drops;
  sum.overflows_syn += gain.overflows_syn;
  sum.overflows_ack += gain.overflows_ack;
  sum.unknown += gain.unknown;
  episode.lost_at_ack = std::min(sum.overflows_ack, sum.drops);
  episode.lost_at_syn = sum.drops - episode.lost_at_ack;
  episode.overflows = std::min(sum.overflows_syn + sum.overflows_ack, sum.drops);
  episode.lost_unknown = sum.unknown;
  describe(episode, row);
  episode.accept_queue_peak = std::max(episode.accept_queue_peak, open.accept_queue_peak);
  raise(episode.syn_queue_peak, open.syn_queue_peak);
  open.accept_queue_peak = 0;
  open.syn_queue_peak.reset();
  episode.last_wall_ns = snapshot_->sample->wall_ns;
  open.last_loss_ns = snapshot_->sample->monotonic_ns;
  open.changed = true;
}

void Episodes::note(const ListenerRow& row, const ListenerRow* before, Known known,
                    const Gain& gain, Id& id) {
  if (previous_ == nullptr) return;
  Entry* entry = id != 0 ? find(id) : nullptr;
  if (entry == nullptr || !entry->open) {
    id = 0;
    if (!gain.any()) return;
    entry = &start(row, known);
    id = entry->id;
  }
  Open& open = *entry->open;
  open.sample = samples_;
  open.row = static_cast<std::uint32_t>(&row - snapshot_->listeners.data());
  std::uint32_t length = row.raw->accept_queue_len;
  std::optional<std::uint32_t> half_open = row.raw->syn_queue_len;
  if (before != nullptr) {
    length = std::max(length, before->raw->accept_queue_len);
    raise(half_open, before->raw->syn_queue_len);
  }
  length = std::max(length, row.accept_queue_peak.value_or(0));
  raise(half_open, row.syn_queue_peak);
  open.accept_queue_peak = std::max(open.accept_queue_peak, length);
  raise(open.syn_queue_peak, half_open);
  // An overflow may be read a sample after the drop that it is.
  if (gain.any() || gain.overflows_syn + gain.overflows_ack != 0) add(open, row, gain);
}

std::vector<Episodes::LosingPort> Episodes::ports_losing_before_tcp() const {
  std::vector<LosingPort> ports;
  if (previous_ == nullptr || snapshot_->sample->nics.empty()) return ports;
  const auto& all = snapshot_->waterfalls;
  std::vector<std::uint64_t> lost(all.size(), 0);  // since the sample before
  bool any = false;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].loses_before_tcp()) continue;
    lost[i] = *all[i].lost(WaterfallStep::before_tcp) - all[i].lost_before_tcp_last;
    any = true;
  }
  if (!any) return ports;
  const auto& rows = snapshot_->listeners;
  std::vector<bool> stands(rows.size(), false);  // for its port, in an episode that goes on
  for (const Entry& entry : entries_) {
    if (!entry.open || entry.open->sample != samples_) continue;
    stands[entry.open->row] = entry.open->episode.lost_before_tcp > 0;
  }
  const auto syns = [](const ListenerRow& row) { return counted(row, Counter::syns).value_or(0); };
  constexpr auto kNone = static_cast<std::size_t>(-1);
  std::vector<std::size_t> chosen(all.size(), kNone);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].waterfall == nullptr) continue;
    const auto port = static_cast<std::size_t>(rows[i].waterfall - all.data());
    if (lost[port] == 0) continue;
    std::size_t& best = chosen[port];
    if (best == kNone || (stands[i] && !stands[best]) ||
        (stands[i] == stands[best] && syns(rows[i]) > syns(rows[best]))) {
      best = i;
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (chosen[i] != kNone) ports.push_back({&rows[chosen[i]], lost[i]});
  }
  return ports;
}

void Episodes::lose_before_tcp(const ListenerRow& row, std::uint64_t lost, Known known, Id& id) {
  Entry* entry = id != 0 ? find(id) : nullptr;
  if (entry == nullptr || !entry->open) {
    entry = &start(row, known);
    id = entry->id;
    entry->open->sample = samples_;
    entry->open->row = static_cast<std::uint32_t>(&row - snapshot_->listeners.data());
    entry->open->accept_queue_peak = row.accept_queue_peak.value_or(row.raw->accept_queue_len);
    entry->open->syn_queue_peak = row.syn_queue_peak ? row.syn_queue_peak : row.raw->syn_queue_len;
  }
  entry->open->episode.lost_before_tcp += lost;
  add(*entry->open, row, {});
}

void Episodes::reopen(Entry& entry) {
  auto open = std::make_unique<Open>();
  const Episode& episode = open->episode = *entry.shown;
  open->sum.overflows_ack = episode.lost_at_ack;
  open->sum.overflows_syn = episode.overflows - std::min(episode.overflows, episode.lost_at_ack);
  open->sum.drops = episode.lost_at_ack + episode.lost_at_syn;
  open->sum.unknown = episode.lost_unknown;
  open->episode.ended = false;
  entry.open = std::move(open);
}

/// What it lost between the last sample and its close.
void Episodes::see_closed(const ListenerRow& closed, const ListenerRow* last, bool is_listed) {
  if (previous_ == nullptr || closed.counts == nullptr) return;
  const Counting& now = closed.counting->now;
  const ListenerCounts* then = nullptr;
  if (last != nullptr) {
    if (last->counts == nullptr) return;
    const ListenerCounts* const before = last->counts_before;
    const bool anew = is_listed && before != nullptr &&
                      (*last->counts)[Counter::drops] < (*before)[Counter::drops];
    then = anew ? before : last->counts;
  }
  const Counting& counted_then =
      last != nullptr && !is_listed ? last->counting->now : closed.counting->now;
  const Gain gain = gained(now, *closed.counts, counted_then, then);
  if (!gain.any()) return;
  Entry* entry = last != nullptr ? latest_of(*closed.raw) : nullptr;
  // The word of the kernel may come a sample late: what seemed over then was not quite.
  const bool is_late = entry != nullptr && !entry->open && entry->missed_since + 1 == samples_;
  if (is_late) {
    reopen(*entry);
  } else if (entry == nullptr || !entry->open) {
    entry = &start(closed, last != nullptr ? Known::longer : Known::appeared);
  }
  Open& open = *entry->open;
  if (!is_listed) open.sample = 0;
  const RawListener& raw = *closed.raw;
  open.accept_queue_peak = std::max(
      {open.accept_queue_peak, raw.accept_queue_len, closed.accept_queue_peak.value_or(0)});
  raise(open.syn_queue_peak, closed.syn_queue_peak);
  add(open, closed, gain);
}

bool Episodes::is_over(const Open& open) const {
  const Sample& sample = *snapshot_->sample;
  if (open.sample != samples_) {
    // Its namespace may have been unreadable this once.
    const NetnsId netns = open.episode.listener.netns;
    const auto& all = snapshot_->namespaces;
    const bool is_here = std::any_of(
        all.begin(), all.end(), [&](const NamespaceRow& row) { return row.raw->netns == netns; });
    return is_here || open.sample + 1 != samples_;
  }
  const auto two_intervals =
      static_cast<std::uint64_t>(2e9 * snapshot_->interval_seconds.value_or(0));
  return sample.monotonic_ns - open.last_loss_ns >= std::max(kShortestPause, two_intervals);
}

/// The oldest that are over go; those that go on only when there are too many of them alone.
void Episodes::trim() {
  if (entries_.size() <= kEpisodesKept) return;
  std::size_t surplus = entries_.size() - kEpisodesKept;
  std::erase_if(entries_, [&](const Entry& entry) {
    if (surplus == 0 || entry.open) return false;
    --surplus;
    return true;
  });
}

void Episodes::finish() {
  for (Entry& entry : entries_) {
    if (!entry.open) continue;
    Open& open = *entry.open;
    if (is_over(open)) {
      open.episode.ended = true;
      if (open.sample != samples_) entry.missed_since = samples_;
      if (open.sample == samples_) describe(open.episode, snapshot_->listeners[open.row]);
      entry.shown = std::make_shared<const Episode>(std::move(open.episode));
      entry.open.reset();
    } else if (open.changed) {
      entry.shown = std::make_shared<const Episode>(open.episode);
      open.changed = false;
    }
  }
  trim();
  const std::size_t hidden = entries_.size() - std::min(entries_.size(), kEpisodesKept);
  snapshot_->episodes.reserve(entries_.size() - hidden);
  for (std::size_t i = hidden; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    snapshot_->episodes.push_back(entry.shown);
    if (entry.open && entry.open->sample == samples_) {
      snapshot_->listeners[entry.open->row].episode = entry.shown.get();
    }
  }
}

}  // namespace listenq
