// SPDX-License-Identifier: Apache-2.0
//
// What rows tell of their counters. And: a closed listener outlives the Sample it was read in, so
// its row must point at copies.
#include "model/snapshot.h"

namespace listenq {

std::string_view nic_mode_name(NicMode mode) {
  switch (mode) {
    case NicMode::tc:
      return "tc";
    case NicMode::xdp_generic:
      return "xdp-generic";
    case NicMode::xdp:
      break;
  }
  return "xdp";
}

std::optional<std::uint64_t> counted(const ListenerRow& row, Counter counter) {
  if (row.counts == nullptr || !row.counting->now.counts(counter)) return std::nullopt;
  return (*row.counts)[counter];
}

std::optional<double> per_second(const ListenerRow& row, Counter counter) {
  if (row.counts == nullptr || row.counts_before == nullptr) return std::nullopt;
  const CountingPeriod& period = *row.counting;
  if (!period.now.counts(counter) || !period.before.counts(counter)) return std::nullopt;
  const std::uint64_t now = (*row.counts)[counter];
  const std::uint64_t before = (*row.counts_before)[counter];
  // A socket that listens again is counted anew.
  if (now < before) return std::nullopt;
  return static_cast<double>(now - before) / period.seconds;
}

namespace {

bool counts_drops(const ListenerRow& row) {
  return row.counts != nullptr && row.counting->now.counts(Counter::drops);
}

bool counts_overflows(const ListenerRow& row) {
  return row.counts != nullptr && row.counting->now.counts(Counter::overflows_syn) &&
         row.counting->now.counts(Counter::overflows_ack);
}

}  // namespace

std::optional<double> losses_per_second(const ListenerRow& row) {
  if (counts_drops(row)) return per_second(row, Counter::drops);
  if (!counts_overflows(row)) return row.sk_drops_per_second;
  const auto at_syn = per_second(row, Counter::overflows_syn);
  const auto at_ack = per_second(row, Counter::overflows_ack);
  if (!at_syn || !at_ack) return std::nullopt;
  return *at_syn + *at_ack;
}

std::optional<std::uint64_t> losses(const ListenerRow& row) {
  if (counts_drops(row)) return counted(row, Counter::drops);
  if (!counts_overflows(row)) return row.raw->sk_drops;
  return *counted(row, Counter::overflows_syn) + *counted(row, Counter::overflows_ack);
}

ClosedListener::ClosedListener(const ListenerRow& last, std::uint64_t closed_at_wall_ns)
    : closed_wall_ns(closed_at_wall_ns),
      row(last),
      raw_(*last.raw),
      raw_namespace_{last.netns->raw->netns, last.netns->raw->name, last.netns->raw->sysctls,
                     std::nullopt,           std::nullopt,          std::nullopt},
      pids_(last.pids.begin(), last.pids.end()),
      pod_(last.pod) {
  row.raw = &raw_;
  namespace_.raw = &raw_namespace_;
  row.netns = &namespace_;
  if (last.counts != nullptr) {
    counting_ = *last.counting;
    row.counting = &counting_;
    counts_ = std::make_unique<const ListenerCounts>(*last.counts);
    row.counts = counts_.get();
  }
  if (last.waterfall != nullptr) {
    waterfall_ = std::make_unique<const Waterfall>(*last.waterfall);
    row.waterfall = waterfall_.get();
  }
  row.counts_before = nullptr;
  row.episode = nullptr;  // it is of the Snapshot
  row.sk_drops_per_second.reset();
  row.pids = pids_;
  row.pod = pod_;
  if (last.process != nullptr) {
    process_ = *last.process;
    row.process = &process_;
  }
  if (!last.cgroup) return;
  row.cgroup = process_.cgroup ? *process_.cgroup : *raw_.cgroup;
  if (last.container.empty()) return;
  const auto offset = static_cast<std::size_t>(last.container.data() - last.cgroup->data());
  row.container = row.cgroup->substr(offset, last.container.size());
}

}  // namespace listenq
