// SPDX-License-Identifier: Apache-2.0
//
// First what follows from one sample alone, then what follows from its history. Runs for every
// listener at every interval, so nothing here allocates for a listener that was there before.
#include "model/derive.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <utility>

namespace listenq {
namespace {

// Defaults of net.core.somaxconn: before Linux 5.4, and since.
constexpr std::uint32_t kOldSomaxconn = 128;
constexpr std::uint32_t kNewSomaxconn = 4096;

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 32U)) * 0x9e3779b97f4a7c15ULL;
  return value ^ (value >> 29U);
}

std::uint64_t address_hash(const RawListener& raw) {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, raw.address.data(), sizeof high);
  std::memcpy(&low, raw.address.data() + sizeof high, sizeof low);
  return mixed(high ^ mixed(low));
}

/// Who shares this among listeners is one SO_REUSEPORT group.
bool same_endpoint(const RawListener& a, const RawListener& b) {
  return a.port == b.port && a.netns == b.netns && a.family == b.family && a.address == b.address &&
         a.interface == b.interface;
}

/// The number of listeners at each row's endpoint: a hash table of the first row of each group,
/// open addressing, twice as many slots as rows.
void count_groups(std::vector<ListenerRow>& rows) {
  std::size_t slots = 16;
  while (slots < rows.size() * 2) slots *= 2;
  std::vector<ListenerRow*> first(slots, nullptr);
  std::vector<ListenerRow*> group(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RawListener& raw = *rows[i].raw;
    std::uint64_t place = (std::uint64_t{number(raw.netns)} << 16U) | raw.port;
    place = mixed(place ^ address_hash(raw));
    std::size_t slot = static_cast<std::size_t>(place) & (slots - 1);
    while (first[slot] != nullptr && !same_endpoint(*first[slot]->raw, raw)) {
      slot = (slot + 1) & (slots - 1);
    }
    if (first[slot] == nullptr) {
      first[slot] = &rows[i];
    } else {
      ++first[slot]->reuseport;
    }
    group[i] = first[slot];
  }
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].reuseport = group[i]->reuseport;
}

/// What each counter gained. One that went back was reset or is no counter (CurrEstab): left out.
MibCounters gained(const MibCounters& now, const MibCounters& first) {
  MibCounters result;
  result.reserve(now.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    const auto same_name = [&](const auto& counter) { return counter.first == now[i].first; };
    const bool same_place = i < first.size() && same_name(first[i]);
    const auto base = same_place ? first.begin() + static_cast<std::ptrdiff_t>(i)
                                 : std::find_if(first.begin(), first.end(), same_name);
    if (base == first.end() || base->second > now[i].second) continue;
    result.emplace_back(now[i].first, now[i].second - base->second);
  }
  return result;
}

std::optional<std::uint64_t> value_of(const std::optional<MibCounters>& counters,
                                      std::string_view name) {
  if (!counters) return std::nullopt;
  for (const auto& [counter, value] : *counters) {
    if (counter == name) return value;
  }
  return std::nullopt;
}

template <class T>
void add(std::optional<T>& sum, const std::optional<T>& value) {
  if (value) sum = sum.value_or(T{}) + *value;
}

/// What several counters gained per second together; nullopt when one is not counted or went back.
std::optional<double> rate_of(const CountingPeriod& period, const ListenerCounts& now,
                              const ListenerCounts& before,
                              std::initializer_list<Counter> counters) {
  std::uint64_t gain = 0;
  for (const Counter counter : counters) {
    if (!period.now.counts(counter) || !period.before.counts(counter)) return std::nullopt;
    if (now[counter] < before[counter]) return std::nullopt;
    gain += now[counter] - before[counter];
  }
  return static_cast<double>(gain) / period.seconds;
}

void add_unexplained(std::vector<Unexplained>& all, const Residual& residual) {
  for (const auto& [name, count] : residual) {
    if (count == 0) continue;
    auto entry = std::find_if(all.begin(), all.end(), [&, wanted = name](const Unexplained& u) {
      return u.name == wanted;
    });
    if (entry == all.end()) entry = all.insert(all.end(), {name, 0, 0});
    const auto amount = static_cast<std::uint64_t>(count);
    if (count > 0) {
      entry->not_attributed += amount;
    } else {
      entry->not_in_kernel += 0 - amount;
    }
  }
}

/// What a sample could not read this time, and runs of programs that were left out: most of these
/// are about other sockets than listeners, so they are no count of lost events.
bool is_no_lost_event(std::string_view cause) {
  return cause == "missed_runs" || cause == "walks_put_off" || cause == "marks_refused" ||
         cause == "iterator_errors" || cause == "namespaces_unreadable" ||
         cause == "count_read_errors";
}

}  // namespace

std::optional<std::uint32_t> applying_syn_queue_limit(std::uint32_t limit, const Sysctls& sysctls) {
  if (!sysctls.tcp_syncookies || *sysctls.tcp_syncookies == 2) return std::nullopt;
  if (*sysctls.tcp_syncookies != 0) return limit;
  if (!sysctls.tcp_max_syn_backlog) return std::nullopt;
  const std::int64_t most = *sysctls.tcp_max_syn_backlog;
  // The kernel computes with int; below 1 it refuses all that it may refuse.
  const std::int64_t three_quarters = most > 0 ? most - (most >> 2U) : 0;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(limit, three_quarters));
}

const ListenerCounts* counts_at(const Sample& sample, std::optional<std::uint32_t> index) {
  static const ListenerCounts nothing;
  if (!sample.counting) return nullptr;
  return index && *index < sample.counts.size() ? &sample.counts[*index] : &nothing;
}

void set_owner(ListenerRow& row, const OwnerTable& owners) {
  const auto range = owners.by_inode.find(row.raw->inode);
  if (row.raw->inode == 0 || range == owners.by_inode.end() || range->second.count == 0) return;
  row.pids = std::span(owners.pids).subspan(range->second.first, range->second.count);
  const auto process = owners.processes.find(row.pids.front());
  if (process != owners.processes.end()) row.process = &process->second;
}

void set_queues(ListenerRow& row, const ListenerRow* before) {
  const RawListener& raw = *row.raw;
  row.accept_queue_fill = static_cast<double>(raw.accept_queue_len) /
                          (static_cast<double>(raw.accept_queue_limit) + 1.0);
  row.syn_queue_limit = applying_syn_queue_limit(raw.accept_queue_limit, row.netns->raw->sysctls);
  if (row.syn_queue_limit && raw.syn_queue_len) {
    // A limit of 0 holds one request on most kernels, none on older ones.
    row.syn_queue_fill = static_cast<double>(*raw.syn_queue_len) /
                         static_cast<double>(std::max(*row.syn_queue_limit, 1U));
  }
  if (row.counts == nullptr || !row.counting->now.peaks) return;
  // What only leaves a queue is not seen at what enters it: the lengths at both ends count too.
  row.accept_queue_peak = std::max(row.counts->accept_queue_peak, raw.accept_queue_len);
  row.syn_queue_peak = raw.syn_queue_len;
  if (row.counts->syn_queue_peak > raw.syn_queue_len.value_or(0)) {
    row.syn_queue_peak = row.counts->syn_queue_peak;
  }
  if (before == nullptr) return;
  row.accept_queue_peak = std::max(*row.accept_queue_peak, before->raw->accept_queue_len);
  if (row.syn_queue_peak && before->raw->syn_queue_len) {
    row.syn_queue_peak = std::max(*row.syn_queue_peak, *before->raw->syn_queue_len);
  }
}

void set_limit_origin(ListenerRow& row, std::optional<std::uint32_t>& clamped) {
  const std::uint32_t limit = row.raw->accept_queue_limit;
  if (clamped && *clamped != limit) clamped.reset();
  const auto& somaxconn = row.netns->raw->sysctls.somaxconn;
  std::optional<std::uint32_t> requested;  // the kernel takes a negative one for a very large one
  if (row.raw->listen_requested) requested = static_cast<std::uint32_t>(*row.raw->listen_requested);
  if (requested == limit) {
    clamped.reset();
    row.limit_set_by = LimitSetBy::application;
    row.somaxconn_raised_since = false;
    return;
  }
  const bool was_cut = requested && *requested > limit;
  if (was_cut || somaxconn == std::int64_t{limit}) clamped = limit;
  if (clamped) {
    row.limit_set_by = LimitSetBy::somaxconn;
    if (somaxconn) row.somaxconn_raised_since = *somaxconn > std::int64_t{limit};
    return;
  }
  const bool was_default = limit == kOldSomaxconn || limit == kNewSomaxconn;
  if (!somaxconn || std::int64_t{limit} >= *somaxconn || was_default) return;
  row.limit_set_by = LimitSetBy::application;
  row.somaxconn_raised_since = false;
}

std::size_t Deriver::KeyHash::operator()(const Key& key) const {
  const std::uint64_t place = (std::uint64_t{key.netns} << 16U) | key.port;
  return static_cast<std::size_t>(mixed(key.id ^ mixed(place)));
}

Deriver::Key Deriver::key_of(const RawListener& raw) {
  Key key{0, number(raw.netns), raw.port, Identity::cookie};
  if (raw.cookie) {
    key.id = number(*raw.cookie);
  } else if (raw.inode != 0) {
    key.id = raw.inode;
    key.identity = Identity::inode;
  } else {
    key.id = address_hash(raw);
    key.identity = Identity::address;
  }
  return key;
}

std::shared_ptr<const Snapshot> Deriver::derive(std::shared_ptr<const Sample> sample) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->sample = std::move(sample);
  const Sample& now = *snapshot->sample;
  if (previous_ && !continues(now)) restart();
  ++samples_;
  if (previous_) {
    snapshot->before = previous_->sample;
    snapshot->interval_seconds =
        static_cast<double>(now.monotonic_ns - snapshot->before->monotonic_ns) / 1e9;
    snapshot->counting.before = snapshot->before->counting.value_or(Counting());
  }
  snapshot->counting.now = now.counting.value_or(Counting());
  snapshot->counting.seconds = snapshot->interval_seconds.value_or(0);
  derive_namespaces(*snapshot);
  waterfalls_.begin(*snapshot, previous_.get());
  episodes_.begin(*snapshot, previous_.get());
  derive_listeners(*snapshot);
  derive_waterfalls(*snapshot);
  derive_episodes(*snapshot);
  derive_totals(*snapshot);
  close_seen(*snapshot);
  close_missing(*snapshot);
  snapshot->closed.assign(closed_.begin(), closed_.end());
  previous_ = snapshot;
  return snapshot;
}

bool Deriver::continues(const Sample& sample) const {
  const Sample& before = *previous_->sample;
  return sample.monotonic_ns > before.monotonic_ns && sample.host == before.host &&
         sample.kernel == before.kernel;
}

/// What closed before stays known; whether the rest closed since nobody can tell.
void Deriver::restart() {
  previous_.reset();
  history_.clear();
  namespaces_.clear();
  unread_.clear();
  guessed_.clear();
  guessed_before_.clear();
  waterfalls_.restart();
  episodes_.restart();
}

void Deriver::derive_namespaces(Snapshot& snapshot) {
  const Sample& sample = *snapshot.sample;
  const auto enter = [&](NetnsId netns) -> NamespaceHistory& {
    NamespaceHistory& history = namespaces_[number(netns)];
    if (history.sample != samples_) {
      history.seen_before = history.sample != 0;
      const bool was_there = previous_ && history.sample + 1 == samples_;
      history.before = was_there ? &previous_->namespaces[history.row] : nullptr;
      history.sample = samples_;
      history.row = snapshot.namespaces.size();
    }
    return history;
  };
  snapshot.namespaces.reserve(sample.namespaces.size());
  for (const RawNamespace& raw : sample.namespaces) {
    NamespaceHistory& history = enter(raw.netns);
    NamespaceRow& row = snapshot.namespaces.emplace_back();
    row.raw = &raw;
    if (!raw.mib) continue;
    if (history.first_mib) {
      row.mib_since_start = gained(*latest_mib(raw), *history.first_mib);
    } else {
      history.first_mib = latest_mib(raw);
    }
    if (sample.counting) derive_coverage(row, history, snapshot);
  }
  // One that was not listed and yet holds a listener came to be in between.
  std::optional<NetnsId> last;
  for (const RawListener& raw : sample.listeners) {
    if (last == raw.netns || holds(raw.netns)) {
      last = raw.netns;
      continue;
    }
    enter(raw.netns);
    RawNamespace& unlisted = snapshot.unlisted_namespaces.emplace_back();
    unlisted.netns = raw.netns;
    snapshot.namespaces.emplace_back().raw = &unlisted;
  }
}

void Deriver::derive_coverage(NamespaceRow& row, NamespaceHistory& history, Snapshot& snapshot) {
  const Sample& sample = *snapshot.sample;
  const RawNamespace& raw = *row.raw;
  const ListenerCounts& now = *counts_at(sample, raw.counted);
  if (!history.coverage_start) {
    history.coverage_start = {*raw.mib, raw.mib_after, *sample.counting, now};
    return;
  }
  Coverage coverage = coverage_since(*history.coverage_start, raw, *sample.counting, now);
  row.counted_since_start = std::move(coverage.counted_since_start);
  row.residual = std::move(coverage.residual);
  row.coverage = coverage_ratio(coverage.counted_losses, coverage.kernel_losses);
  row.counted_losses = coverage.counted_losses;
  row.kernel_losses = coverage.kernel_losses;
}

void Deriver::derive_totals(Snapshot& snapshot) const {
  Totals& totals = snapshot.totals;
  for (const ListenerRow& row : snapshot.listeners) {
    if (Snapshot::in_trouble(row)) ++totals.in_trouble;
    add(totals.sk_drops_per_second, row.sk_drops_per_second);
  }
  std::uint64_t counted_losses = 0;
  std::uint64_t kernel_losses = 0;
  for (const NamespaceRow& row : snapshot.namespaces) {
    add(totals.listen_overflows_since_start, value_of(row.mib_since_start, "ListenOverflows"));
    add(totals.listen_drops_since_start, value_of(row.mib_since_start, "ListenDrops"));
    counted_losses += row.counted_losses;
    kernel_losses += row.kernel_losses;
    if (row.residual) add_unexplained(totals.unexplained, *row.residual);
    if (const NamespaceRow* before = namespaces_.at(number(row.raw->netns)).before) {
      add_rates(snapshot, row, *before);
    }
  }
  totals.coverage = coverage_ratio(counted_losses, kernel_losses);
  for (const auto& [cause, count] : snapshot.sample->self.lost) {
    if (!is_no_lost_event(cause)) totals.lost_events += count;
  }
}

/// What the namespace gained since the sample before, per second, into the totals.
void Deriver::add_rates(Snapshot& snapshot, const NamespaceRow& row, const NamespaceRow& before) {
  Totals& totals = snapshot.totals;
  const CountingPeriod& period = snapshot.counting;
  const auto mib_rate = [&](std::string_view name) -> std::optional<double> {
    const auto now = value_of(latest_mib(*row.raw), name);
    const auto then = value_of(latest_mib(*before.raw), name);
    if (!now || !then || *now < *then) return std::nullopt;
    return static_cast<double>(*now - *then) / period.seconds;
  };
  add(totals.listen_overflows_per_second, mib_rate("ListenOverflows"));
  add(totals.listen_drops_per_second, mib_rate("ListenDrops"));
  const ListenerCounts* const now = counts_at(*snapshot.sample, row.raw->counted);
  const ListenerCounts* const then = counts_at(*snapshot.before, before.raw->counted);
  if (now == nullptr || then == nullptr) return;
  const auto rate = [&](std::initializer_list<Counter> counters) {
    return rate_of(period, *now, *then, counters);
  };
  add(totals.syns_per_second, rate({Counter::syns}));
  add(totals.accepts_per_second, rate({Counter::accepts}));
  add(totals.overflows_per_second, rate({Counter::overflows_syn, Counter::overflows_ack}));
  add(totals.drops_per_second, rate({Counter::drops}));
}

void Deriver::derive_listeners(Snapshot& snapshot) {
  const Sample& sample = *snapshot.sample;
  snapshot.listeners.resize(sample.listeners.size());
  history_.reserve(sample.listeners.size());
  seen_ = 0;
  if (!owner_names_ || owner_names_->owners != sample.owners) {
    owner_names_ = std::make_shared<OwnerNames>();
    owner_names_->owners = sample.owners;
  }
  snapshot.names_of_owners = owner_names_;
  const ListenerRow* before = nullptr;
  const NamespaceHistory* netns = nullptr;
  for (std::size_t i = 0; i < snapshot.listeners.size(); ++i) {
    ListenerRow& row = snapshot.listeners[i];
    row.raw = &sample.listeners[i];
    if (before == nullptr || before->raw->netns != row.raw->netns) {
      netns = &namespaces_.at(number(row.raw->netns));
    }
    row.netns = &snapshot.namespaces[netns->row];
    if (sample.owners) set_owner(row, *sample.owners);
    derive_cgroup(row, before, snapshot);
    derive_history(i, netns->seen_before, snapshot);
    before = &row;
  }
  count_groups(snapshot.listeners);
}

void Deriver::derive_cgroup(ListenerRow& row, const ListenerRow* before, Snapshot& snapshot) {
  if (row.process == nullptr || !row.process->cgroup) {
    if (!row.raw->cgroup) return;
    CgroupNames names = names_in_cgroup(*row.raw->cgroup);
    row.cgroup = *row.raw->cgroup;
    row.container = names.container;
    if (!names.pod.empty()) row.pod = snapshot.pods.emplace_back(std::move(names.pod));
    return;
  }
  row.cgroup = *row.process->cgroup;
  if (before != nullptr && before->process == row.process) {
    row.container = before->container;
    row.pod = before->pod;
    return;
  }
  const auto [entry, is_new] = owner_names_->names.try_emplace(row.process);
  if (is_new) entry->second = names_in_cgroup(*row.process->cgroup);
  row.container = entry->second.container;
  row.pod = entry->second.pod;
}

void Deriver::derive_history(std::size_t index, bool seen_netns_before, Snapshot& snapshot) {
  ListenerRow& row = snapshot.listeners[index];
  const std::uint64_t now_ns = snapshot.sample->monotonic_ns;
  const auto [entry, is_new] = history_.try_emplace(key_of(*row.raw));
  History second;  // two rows of one key: nothing tells which of them has the history
  const bool is_second = !is_new && entry->second.sample == samples_;
  History& history = is_second ? second : entry->second;
  if (!is_second) ++seen_;
  const bool was_there = previous_ && history.sample + 1 == samples_;
  const ListenerRow* before = was_there ? &previous_->listeners[history.row] : nullptr;
  history.sample = samples_;
  history.row = static_cast<std::uint32_t>(index);
  history.closed_since = false;
  if (snapshot.sample->counting) {
    row.counting = &snapshot.counting;
    row.counts = counts_at(*snapshot.sample, row.raw->counts);
    if (before != nullptr) row.counts_before = before->counts;
  }
  set_queues(row, before);
  waterfalls_.see(row, before, is_new);
  if (is_new && previous_ && seen_netns_before) history.first_seen_ns = now_ns;
  if (is_new) history.first_sample = samples_;
  episodes_.see(row, before, is_second ? Episodes::Known::longer : known_as(history, row),
                history.episode);
  if (history.first_seen_ns) {
    row.state_age_seconds = static_cast<double>(now_ns - *history.first_seen_ns) / 1e9;
  }
  set_limit_origin(row, history.clamped_limit);
  if (!row.raw->sk_drops) return;
  if (history.sk_drops) {
    // The counter wraps. What would be a step of more than half its range is one backwards: not the
    // socket that was there before.
    const std::uint32_t step = *row.raw->sk_drops - *history.sk_drops;
    if (step <= 0x7fff'ffffU) {
      row.sk_drops_per_second =
          static_cast<double>(step) / (static_cast<double>(now_ns - history.sk_drops_ns) / 1e9);
    }
  }
  history.sk_drops = row.raw->sk_drops;
  history.sk_drops_ns = now_ns;
}

Episodes::Known Deriver::known_as(const History& history, const ListenerRow& row) const {
  using Known = Episodes::Known;
  const std::uint64_t samples = samples_ - history.first_sample;
  if (history.first_seen_ns) {
    if (samples > 0) return Known::longer;
    const bool was_missed = Episodes::brings_losses(row) && closed_before(key_of(*row.raw));
    return was_missed ? Known::longer : Known::appeared;
  }
  if (samples == 0) return Known::first_sample;
  return samples == 1 ? Known::first_interval : Known::longer;
}

bool Deriver::holds(NetnsId netns) const {
  const auto entry = namespaces_.find(number(netns));
  return entry != namespaces_.end() && entry->second.sample == samples_;
}

}  // namespace listenq
