// SPDX-License-Identifier: Apache-2.0
//
// See ledger.h.
#include "export/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "export/labels.h"
#include "model/derive.h"
#include "model/fields.h"

namespace listenq {
namespace {

/// A listener that a sample misses may come back in the next (its namespace could not be read), or
/// the word of its end may come late; after that it is gone.
constexpr std::uint64_t kMissedUpdates = 3;
/// A server that is restarted within this time goes on counting where it was.
constexpr std::uint64_t kRememberedNs = 3'600'000'000'000;
constexpr std::size_t kRemembered = 1000;

void add(Histogram& to, const Histogram& from, int sign) {
  for (std::size_t i = 0; i < to.counts.size(); ++i) {
    to.counts[i] += static_cast<std::uint64_t>(sign) * from.counts[i];
  }
  to.sum_ns += static_cast<std::uint64_t>(sign) * from.sum_ns;
}

const ListenerRow* row_at(const Snapshot* snapshot, std::uint32_t row) {
  return snapshot != nullptr && row < snapshot->listeners.size() ? &snapshot->listeners[row]
                                                                 : nullptr;
}

/// What it lost since the counts before.
bool has_lost_since(const ListenerCounts& now, const ListenerCounts* before) {
  const auto grew = [&](Counter counter) {
    return now[counter] > (before != nullptr ? (*before)[counter] : 0);
  };
  return grew(Counter::drops) || grew(Counter::overflows_syn) || grew(Counter::overflows_ack) ||
         grew(Counter::closed_unaccepted);
}

}  // namespace

void WindowMax::add(std::uint64_t now_ns, std::uint32_t value) {
  const std::uint64_t slot = now_ns / kSlotNs;
  for (std::uint64_t passed = slot_ + 1; passed <= slot && passed <= slot_ + kSlots; ++passed) {
    most_[passed % kSlots] = 0;
  }
  slot_ = std::max(slot_, slot);
  most_[slot_ % kSlots] = std::max(most_[slot_ % kSlots], value);
}

std::uint32_t WindowMax::get(std::uint64_t now_ns) const {
  const std::uint64_t now = now_ns / kSlotNs;
  std::uint32_t most = 0;
  for (std::uint64_t back = 0; back < kSlots && back <= slot_; ++back) {
    if (now < slot_ - back + kSlots) most = std::max(most, most_[(slot_ - back) % kSlots]);
  }
  return most;
}

std::size_t Ledger::IdHash::operator()(const Id& id) const {
  const std::uint64_t mixed =
      (id.number ^ (std::uint64_t{id.netns} << 32U) ^ id.port) * 0x9e3779b97f4a7c15U;
  return static_cast<std::size_t>(mixed ^ (mixed >> 32U));
}

Ledger::Id Ledger::id_of(const RawListener& raw) {
  return {.number = raw.cookie ? number(*raw.cookie) : raw.inode,
          .netns = number(raw.netns),
          .port = raw.port};
}

std::string Ledger::labels_of(const RawListener& raw) const {
  std::string labels = fmt::format(R"(netns="{}",address=")", number(raw.netns));
  append_escaped(labels, address_text(raw));
  labels += fmt::format(R"(",port="{}")", raw.port);
  if (options_.members) labels += fmt::format(R"(,member="{}")", id_of(raw).number);
  return labels;
}

Series& Ledger::series_of(const RawListener& raw) {
  std::string labels = labels_of(raw);
  if (const auto known = by_labels_.find(labels); known != by_labels_.end()) return *known->second;
  Series& series = *series_.emplace_back(std::make_unique<Series>());
  series.labels = std::move(labels);
  by_labels_.emplace(series.labels, &series);
  return series;
}

void Ledger::add_gone(Series& series, const ListenerCounts& counts, int sign) {
  if (!series.gone) series.gone = std::make_unique<ListenerCounts>();
  for (std::size_t i = 0; i < kCounters; ++i) {
    series.gone->values[i] += static_cast<std::uint64_t>(sign) * counts.values[i];
  }
  add(series.gone->accept_wait, counts.accept_wait, sign);
  add(series.gone->handshake_time, counts.handshake_time, sign);
}

/// What was taken for gone is not.
void Ledger::come_back(Member& member) {
  if (!member.missed) return;
  add_gone(*member.series, *member.missed, -1);
  member.series->gone_sk_drops -= member.missed_sk_drops;
  member.missed.reset();
}

void Ledger::place(const ListenerRow& row, std::uint32_t index, Member& member) {
  if (member.series == nullptr) member.series = &series_of(*row.raw);
  come_back(member);
  member.closed = false;
  member.seen = updates_;
  member.row = index;
  Series& series = *member.series;
  next_rows_[index] = std::exchange(series.first_row, index);
  series.ended_ns.reset();
  if (row.accept_queue_peak) series.accept_queue_peak.add(now_ns_, *row.accept_queue_peak);
  if (row.syn_queue_peak) series.syn_queue_peak.add(now_ns_, *row.syn_queue_peak);
  if (row.episode != nullptr) series.lost_ns = now_ns_;
}

/// Mostly the rows are those of the Snapshot before, in the same order: then nothing is looked up.
void Ledger::place_rows() {
  const auto& rows = snapshot_->listeners;
  for (const auto& series : series_) series->first_row = Series::kNoRow;
  rows_.resize(rows.size(), nullptr);
  next_rows_.assign(rows.size(), Series::kNoRow);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Id id = id_of(*rows[i].raw);
    Members::value_type*& entry = rows_[i];
    if (entry == nullptr || !(entry->first == id)) entry = &*members_.try_emplace(id).first;
    place(rows[i], static_cast<std::uint32_t>(i), entry->second);
  }
}

/// The kernel's word, with the last counts. Where it is in the newest Snapshot too it closed while
/// that was taken, and has no counts there; or it listens again, and counts from 0.
void Ledger::close(const RawClosed& closed, const Snapshot* before) {
  const ListenerCounts* const counts = counts_at(*snapshot_->sample, closed.listener.counts);
  const auto known = members_.find(id_of(closed.listener));
  if (known == members_.end()) {
    // It came and went between two samples.
    if (counts == nullptr) return;
    const bool lost = has_lost_since(*counts, nullptr);
    if (!lost && !by_labels_.contains(labels_of(closed.listener))) return;
    Series& series = series_of(closed.listener);
    add_gone(series, *counts, 1);
    if (lost) series.lost_ns = now_ns_;
    left_.push_back(&series);
    return;
  }
  Member& member = known->second;
  Series& series = *member.series;
  const ListenerRow* const last = row_at(before, member.row);
  if (counts != nullptr) {
    const bool was_there = member.seen + 1 >= updates_ && last != nullptr;
    if (has_lost_since(*counts, was_there ? last->counts : nullptr)) series.lost_ns = now_ns_;
    const std::uint32_t sk_drops = member.missed ? member.missed_sk_drops : 0;
    come_back(member);
    add_gone(series, *counts, 1);
    series.gone_sk_drops += sk_drops;
  }
  left_.push_back(&series);
  if (member.seen == updates_) {
    member.closed = true;
    return;
  }
  if (last != nullptr && member.seen + 1 == updates_) {
    series.gone_sk_drops += last->raw->sk_drops.value_or(0);
  }
  members_.erase(known);
}

void Ledger::miss(Member& member, const Snapshot& before) {
  const ListenerRow* const last = row_at(&before, member.row);
  member.missed = std::make_unique<ListenerCounts>();
  if (last != nullptr && last->counts != nullptr && !member.closed) *member.missed = *last->counts;
  member.missed_sk_drops = last != nullptr ? last->raw->sk_drops.value_or(0) : 0;
  add_gone(*member.series, *member.missed, 1);
  member.series->gone_sk_drops += member.missed_sk_drops;
  left_.push_back(member.series);
}

void Ledger::settle_missing(const Snapshot* before) {
  std::size_t seen = 0;
  for (const auto* entry : rows_) seen += entry->second.seen == updates_ ? 1U : 0U;
  if (seen == members_.size()) return;
  for (auto entry = members_.begin(); entry != members_.end();) {
    Member& member = entry->second;
    const std::uint64_t missed = updates_ - member.seen;
    if (missed == 1 && before != nullptr) miss(member, *before);
    if (missed >= kMissedUpdates) {
      left_.push_back(member.series);
      entry = members_.erase(entry);
    } else {
      ++entry;
    }
  }
}

/// A series that a member left.
void Ledger::end_or_forget(Series& series) {
  if (series.first_row != Series::kNoRow || series.ended_ns) return;
  series.ended_ns = now_ns_;
  ended_.emplace_back(now_ns_, &series);
}

void Ledger::forget_old() {
  std::vector<const Series*> forgotten;
  while (!ended_.empty()) {
    const auto [ended_ns, series] = ended_.front();
    const bool still = series->ended_ns == ended_ns;
    if (still && ended_.size() <= kRemembered && now_ns_ - ended_ns < kRememberedNs) break;
    ended_.pop_front();
    if (still) forgotten.push_back(series);
  }
  if (forgotten.empty()) return;
  std::sort(forgotten.begin(), forgotten.end());
  for (const Series* series : forgotten) by_labels_.erase(series->labels);
  std::erase_if(members_, [&](const auto& entry) {
    return std::binary_search(forgotten.begin(), forgotten.end(), entry.second.series);
  });
  std::erase_if(series_, [&](const auto& series) {
    return std::binary_search(forgotten.begin(), forgotten.end(), series.get());
  });
}

void Ledger::add_nics(const Sample& sample) {
  std::map<NicPortKey, NicTotals> ports;
  std::map<std::pair<std::uint32_t, std::string>, NicTotals> nics;
  for (const RawNic& nic : sample.nics) {
    if (!nic.mode) continue;
    const std::pair key(number(nic.netns), nic.interface);
    NicTotals& total = nics[key];
    if (const auto before = nics_.find(key); before != nics_.end()) total = before->second;
    for (const NicPort& port : nic.ports) {
      const NicPortKey port_key(number(nic.netns), nic.ifindex, port.port);
      const NicTotals now{port.syn_in, port.synack_out, port.ack_in, port.rst_in};
      const auto last = nic_ports_.find(port_key);
      const auto grow = [&](std::uint64_t NicTotals::*kind) {
        // A port that is listed anew begins at 0.
        const std::uint64_t before = last != nic_ports_.end() ? last->second.*kind : 0;
        total.*kind += now.*kind >= before ? now.*kind - before : now.*kind;
      };
      grow(&NicTotals::syn_in);
      grow(&NicTotals::synack_out);
      grow(&NicTotals::ack_in);
      grow(&NicTotals::rst_in);
      ports[port_key] = now;
    }
  }
  nic_ports_ = std::move(ports);
  nics_ = std::move(nics);
}

void Ledger::update(std::shared_ptr<const Snapshot> snapshot) {
  const std::shared_ptr<const Snapshot> before = std::exchange(snapshot_, std::move(snapshot));
  ++updates_;
  now_ns_ = snapshot_->sample->monotonic_ns;
  left_.clear();
  place_rows();
  for (const RawClosed& closed : snapshot_->sample->closed) close(closed, before.get());
  settle_missing(before.get());
  for (Series* series : left_) end_or_forget(*series);
  forget_old();
  add_nics(*snapshot_->sample);
}

bool Ledger::is_left(const Series& series, const Selection& selection) const {
  const auto matches_any = [](const std::vector<Filter>& filters, const ListenerRow& row) {
    return std::any_of(filters.begin(), filters.end(),
                       [&](const Filter& filter) { return filter.matches(row); });
  };
  bool included = selection.include.empty();
  for (std::uint32_t row = series.first_row; row != Series::kNoRow; row = next_rows_[row]) {
    const ListenerRow& listener = snapshot_->listeners[row];
    if (matches_any(selection.exclude, listener)) return true;
    included = included || matches_any(selection.include, listener);
  }
  return !included;
}

bool Ledger::has_lost_late(const Series& series) const {
  constexpr std::uint64_t kLateNs = WindowMax::kWindowNs;
  return series.ended_ns && series.lost_ns && *series.lost_ns + kLateNs >= *series.ended_ns &&
         now_ns_ - *series.ended_ns < kLateNs;
}

Told Ledger::tell(const Selection& selection) {
  Told told;
  told.series.reserve(series_.size());
  for (const auto& series : series_) {
    if (series->first_row != Series::kNoRow) {
      series->left_by_filter = is_left(*series, selection);
    } else if (!has_lost_late(*series)) {
      continue;
    }
    if (series->left_by_filter) {
      ++told.left_by_filter;
    } else {
      told.series.push_back(series.get());
    }
  }
  if (selection.max_listeners != 0 && told.series.size() > selection.max_listeners) {
    std::stable_partition(told.series.begin(), told.series.end(),
                          [](const Series* series) { return series->lost_ns.has_value(); });
    told.left_by_bound = told.series.size() - selection.max_listeners;
    told.series.resize(selection.max_listeners);
  }
  return told;
}

}  // namespace listenq
