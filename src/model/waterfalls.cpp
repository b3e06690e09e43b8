// SPDX-License-Identifier: Apache-2.0
//
// Carries waterfalls from sample to sample: each is the one of the sample before, and what the
// listeners and the interfaces gained since. Runs for every listener at every interval.
#include <algorithm>

#include "model/snapshot.h"
#include "model/waterfall.h"

namespace listenq {
namespace {

std::uint64_t key_of(NetnsId netns, std::uint16_t port) {
  return (std::uint64_t{number(netns)} << 16U) | port;
}

template <std::size_t n>
using Values = std::array<std::uint64_t, n>;

Values<Waterfall::kTcp> values_of(const ListenerCounts& counts) {
  Values<Waterfall::kTcp> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = counts[Waterfall::counter_of(static_cast<Waterfall::Tcp>(i))];
  }
  return values;
}

Values<Waterfall::kNic> values_of(const NicPort& port) {
  return {port.syn_in, port.syn_known, port.synack_out, port.ack_in, port.rst_in};
}

template <std::size_t n>
bool went_back(const Values<n>& now, const Values<n>& before) {
  for (std::size_t i = 0; i < n; ++i) {
    if (now[i] < before[i]) return true;
  }
  return false;
}

/// Adds what was gained; all of it where it went back, for then it is counted anew.
template <std::size_t n>
void add_gain(Values<n>& sum, const Values<n>& now, const Values<n>& before) {
  const bool anew = went_back(now, before);
  for (std::size_t i = 0; i < n; ++i) sum[i] += anew ? now[i] : now[i] - before[i];
}

std::uint64_t nic_key(const RawNic& nic) {
  return (std::uint64_t{number(nic.netns)} << 32U) | nic.ifindex;
}

}  // namespace

void Waterfalls::restart() {
  places_.clear();
  previous_ = nullptr;
}

void Waterfalls::begin(Snapshot& snapshot, const Snapshot* previous) {
  const Sample& sample = *snapshot.sample;
  snapshot_ = &snapshot;
  previous_ = previous;
  ++samples_;
  active_ = sample.counting.has_value() || !sample.nics.empty();
  if (active_) {
    snapshot.waterfalls.reserve(previous != nullptr ? previous->waterfalls.size()
                                                    : sample.listeners.size());
  }
  of_rows_.clear();
  starts_.clear();
}

bool Waterfalls::is_carried(const Place& place) const {
  return place.sample == samples_ || (previous_ != nullptr && place.sample + 1 == samples_);
}

/// The port's waterfall in this Snapshot: as it was in the one before, and of nobody yet.
std::uint32_t Waterfalls::enter(NetnsId netns, std::uint16_t port) {
  auto& all = snapshot_->waterfalls;
  Place& place = places_[key_of(netns, port)];
  if (place.sample == samples_) return place.index;
  const bool carried = place.sample != 0 && is_carried(place);
  Waterfall& waterfall =
      all.emplace_back(carried ? previous_->waterfalls[place.index] : Waterfall());
  // A port without a listener is not watched: what comes after begins anew.
  starts_.push_back(!carried || waterfall.listeners == 0);
  waterfall.lost_before_tcp_last = waterfall.lost(WaterfallStep::before_tcp).value_or(0);
  waterfall.netns = netns;
  waterfall.port = port;
  waterfall.listeners = 0;
  waterfall.listed = false;
  waterfall.in_syn_queue = 0;
  waterfall.in_accept_queue = 0;
  waterfall.syn_queue_known = true;
  waterfall.counters = snapshot_->counting.now.counters;
  place = {samples_, static_cast<std::uint32_t>(all.size() - 1)};
  return place.index;
}

void Waterfalls::see(ListenerRow& row, const ListenerRow* before, bool is_new) {
  if (!active_) return;
  const RawListener& raw = *row.raw;
  const std::uint32_t index = enter(raw.netns, raw.port);
  of_rows_.push_back(index);
  Waterfall& waterfall = snapshot_->waterfalls[index];
  if (waterfall.listeners++ == 0) {
    const RawNamespace& netns = *row.netns->raw;
    waterfall.nics_incomplete = !netns.nics_complete.value_or(true);
    static const std::string nothing;
    const std::string& rewritten = netns.nat ? *netns.nat : nothing;
    if (waterfall.rewritten_by != rewritten) {
      waterfall.rewritten_by = rewritten;
      starts_[index] = true;
    }
  }
  waterfall.in_accept_queue += raw.accept_queue_len;
  waterfall.in_syn_queue += raw.syn_queue_len.value_or(0);
  waterfall.syn_queue_known = waterfall.syn_queue_known && raw.syn_queue_len.has_value();
  if (row.counts == nullptr) return;
  if (row.counts_before != nullptr) {
    add_gain(waterfall.tcp, values_of(*row.counts), values_of(*row.counts_before));
  } else if (before == nullptr && is_new) {
    add_gain(waterfall.tcp, values_of(*row.counts), {});
  } else {
    starts_[index] = true;  // what it gained since nobody knows
  }
}

void Waterfalls::see_closed(const RawClosed& closed, const ListenerRow* last, bool is_listed) {
  if (!active_) return;
  const RawListener& raw = closed.listener;
  const Sample& sample = *snapshot_->sample;
  if (!sample.counting || !raw.counts || *raw.counts >= sample.counts.size()) return;
  const auto place = places_.find(key_of(raw.netns, raw.port));
  std::uint32_t index = 0;
  if (place != places_.end() && is_carried(place->second)) {
    index = enter(raw.netns, raw.port);
  } else if (last != nullptr && last->waterfall != nullptr) {
    // It was missed in the sample before, and only now the kernel tells.
    const Waterfall& known = *last->waterfall;
    index = enter(raw.netns, raw.port);
    Waterfall& carried = snapshot_->waterfalls[index];
    const std::uint32_t counters = carried.counters;
    carried = known;
    carried.counters = counters;
    carried.listeners = 0;
    carried.listed = false;
    carried.in_syn_queue = carried.in_accept_queue = 0;
    starts_[index] = false;
  } else {
    return;
  }
  Waterfall& waterfall = snapshot_->waterfalls[index];
  if (waterfall.listeners == 0) starts_[index] = false;
  const auto now = values_of(sample.counts[*raw.counts]);
  if (last == nullptr || last->counts == nullptr) return add_gain(waterfall.tcp, now, {});
  const auto then = values_of(*last->counts);
  if (is_listed && last->counts_before != nullptr &&
      went_back(then, values_of(*last->counts_before))) {
    // It listens again and is counted anew: this is what it was before.
    return add_gain(waterfall.tcp, now, values_of(*last->counts_before));
  }
  if (is_listed && went_back(now, then)) return;  // closed before it was read, and opened again
  add_gain(waterfall.tcp, now, then);
}

void Waterfalls::see_nic_port(NetnsId netns, const NicPort& now, const NicPort* before) {
  const auto place = places_.find(key_of(netns, now.port));
  if (place == places_.end() || place->second.sample != samples_) return;
  const std::uint32_t index = place->second.index;
  Waterfall& waterfall = snapshot_->waterfalls[index];
  waterfall.listed = true;
  if (!waterfall.watched) {
    waterfall.watched = true;
    starts_[index] = true;  // from here on the two sides can be compared
    return;
  }
  add_gain(waterfall.nic, values_of(now),
           before != nullptr ? values_of(*before) : Values<Waterfall::kNic>{});
}

void Waterfalls::see_nics() {
  std::unordered_map<std::uint64_t, const RawNic*> before;
  if (previous_ != nullptr) {
    for (const RawNic& nic : previous_->sample->nics) {
      if (nic.mode) before[nic_key(nic)] = &nic;
    }
  }
  for (const RawNic& nic : snapshot_->sample->nics) {
    if (!nic.mode) continue;
    const auto known = before.find(nic_key(nic));
    const std::vector<NicPort> none;
    const std::vector<NicPort>& old = known != before.end() ? known->second->ports : none;
    auto then = old.begin();
    for (const NicPort& now : nic.ports) {
      while (then != old.end() && then->port < now.port) ++then;
      const bool was_there = then != old.end() && then->port == now.port;
      see_nic_port(nic.netns, now, was_there ? &*then : nullptr);
    }
  }
}

void Waterfalls::settle(Waterfall& waterfall, bool starts) const {
  const std::uint64_t now_ns = snapshot_->sample->monotonic_ns;
  // When the last interface goes there is nothing to compare with, until one comes again.
  if (waterfall.listeners > 0 && !waterfall.listed) waterfall.watched = false;
  if (starts) {
    waterfall.nic = {};
    waterfall.tcp = {};
    waterfall.start_ns = now_ns;
    waterfall.entered_queue = 0;
    waterfall.lost_before_tcp_last = 0;
    waterfall.in_syn_queue_at_start = waterfall.in_syn_queue;
    waterfall.in_accept_queue_at_start = waterfall.in_accept_queue;
  }
  waterfall.since_seconds = static_cast<double>(now_ns - waterfall.start_ns) / 1e9;
  const auto value = [&](Waterfall::Tcp which) {
    return waterfall.tcp[static_cast<std::size_t>(which)];
  };
  const std::uint64_t left = value(Waterfall::Tcp::accepts) +
                             value(Waterfall::Tcp::closed_unaccepted) + waterfall.in_accept_queue;
  // A listener that is gone, and what was in its queue with it, did not leave the queue backwards.
  const std::uint64_t start = waterfall.in_accept_queue_at_start;
  waterfall.entered_queue = std::max(waterfall.entered_queue, left - std::min(left, start));
}

void Waterfalls::finish() {
  if (!active_) return places_.clear();
  see_nics();
  auto& all = snapshot_->waterfalls;
  for (std::size_t i = 0; i < all.size(); ++i) settle(all[i], starts_[i]);
  for (std::size_t i = 0; i < of_rows_.size(); ++i) {
    const Waterfall& waterfall = all[of_rows_[i]];
    if (waterfall.counters != 0 || waterfall.has_nic()) {
      snapshot_->listeners[i].waterfall = &waterfall;
    }
  }
  std::erase_if(places_, [&](const auto& entry) { return entry.second.sample != samples_; });
}

const Waterfall* Waterfalls::find(NetnsId netns, std::uint16_t port) const {
  const auto place = places_.find(key_of(netns, port));
  if (place == places_.end() || place->second.sample != samples_) return nullptr;
  return &snapshot_->waterfalls[place->second.index];
}

}  // namespace listenq
