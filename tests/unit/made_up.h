// SPDX-License-Identifier: Apache-2.0
//
// Made-up samples for the tests of the model and its views: a test says what matters to it, the
// rest is the same everywhere.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/derive.h"

namespace listenq::made_up {

inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr NetnsId kNetns{4026531840};

/// IPv4, port 80, limit 511, cookie 1.
inline RawListener listener(std::uint64_t cookie = 1) {
  RawListener raw;
  raw.netns = kNetns;
  raw.cookie = SocketCookie{cookie};
  raw.port = 80;
  raw.accept_queue_limit = 511;
  return raw;
}

inline RawNamespace netns(NetnsId id = kNetns) {
  RawNamespace raw;
  raw.netns = id;
  raw.sysctls.somaxconn = 4096;
  raw.sysctls.tcp_max_syn_backlog = 1024;
  raw.sysctls.tcp_syncookies = 1;
  return raw;
}

/// At `second` of both clocks, with the namespace above.
inline Sample sample(std::uint64_t second, std::vector<RawListener> listeners = {}) {
  Sample made;
  made.wall_ns = 1'700'000'000 * kSecond + second * kSecond;
  made.monotonic_ns = second * kSecond;
  made.host = "host";
  made.kernel = "6.1.0";
  made.backend = "iter";
  made.listeners = std::move(listeners);
  made.namespaces.push_back(netns());
  return made;
}

inline std::shared_ptr<const Snapshot> derive(Deriver& deriver, Sample sample) {
  return deriver.derive(std::make_shared<const Sample>(std::move(sample)));
}

/// Everything is counted; `listeners` have the counts that follow, in their order.
inline Sample counting(Sample sample, const std::vector<ListenerCounts>& counts = {}) {
  sample.counting.emplace();
  for (std::size_t i = 0; i < kCounters; ++i) sample.counting->add(static_cast<Counter>(i));
  sample.counting->peaks = sample.counting->accept_wait = sample.counting->handshake_time = true;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    sample.listeners.at(i).counts = static_cast<std::uint32_t>(sample.counts.size());
    sample.counts.push_back(counts[i]);
  }
  return sample;
}

inline ListenerCounts counts(std::initializer_list<std::pair<Counter, std::uint64_t>> values) {
  ListenerCounts made;
  for (const auto& [counter, value] : values) made[counter] = value;
  return made;
}

/// The Snapshot of one sample alone.
inline std::shared_ptr<const Snapshot> derive(Sample sample) {
  Deriver deriver;
  return derive(deriver, std::move(sample));
}

/// Process `pid` holds the socket `inode`, which the sample's only listener gets.
inline void own(Sample& sample, std::int32_t pid, Process process) {
  auto owners = std::make_shared<OwnerTable>();
  if (sample.owners) *owners = *sample.owners;
  const std::uint64_t inode = 1000 + owners->by_inode.size();
  sample.listeners.at(owners->by_inode.size()).inode = inode;
  owners->by_inode[inode] = {static_cast<std::uint32_t>(owners->pids.size()), 1};
  owners->pids.push_back(pid);
  owners->processes[pid] = std::move(process);
  sample.owners = owners;
}

inline std::vector<const ListenerRow*> rows_of(const Snapshot& snapshot) {
  std::vector<const ListenerRow*> rows;
  for (const ListenerRow& row : snapshot.listeners) rows.push_back(&row);
  return rows;
}

}  // namespace listenq::made_up
