// SPDX-License-Identifier: Apache-2.0
//
// See parts.h.
#include "parts.h"

namespace listenq::test {

RawListener listener(std::uint64_t socket, const Listen& listen) {
  RawListener raw;
  raw.netns = listen.netns;
  raw.cookie = SocketCookie{4096 + socket};
  raw.inode = 70'000 + socket;
  raw.family = listen.family;
  raw.address = listen.address;
  raw.port = listen.port;
  raw.uid = listen.uid;
  raw.cgroup_id = 2000 + socket;
  raw.accept_queue_len = listen.accept_queue;
  raw.accept_queue_limit = listen.limit;
  raw.syn_queue_len = listen.syn_queue;
  raw.syn_queue_young = listen.syn_queue - listen.syn_queue / 3;
  raw.fastopen_queue_len = 0;
  raw.fastopen_queue_limit = 0;
  raw.sk_drops = listen.drops;
  return raw;
}

MibCounters counters(const std::map<std::string, std::uint64_t>& values) {
  MibCounters mib;
  for (const char* name :
       {"SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "EmbryonicRsts", "ListenOverflows",
        "ListenDrops", "TCPReqQFullDoCookies", "TCPReqQFullDrop", "TCPFastOpenPassive",
        "TCPFastOpenListenOverflow", "PassiveOpens", "AttemptFails"}) {
    const auto value = values.find(name);
    mib.emplace_back(name, value != values.end() ? value->second : 0);
  }
  return mib;
}

Sample sample_at(double seconds, const std::string& host, const std::string& kernel,
                 const std::string& backend) {
  const auto ns = static_cast<std::uint64_t>(seconds * 1e9);
  Sample sample;
  sample.wall_ns = kNoon + ns;
  sample.monotonic_ns = 5'000 * kSecond + ns;
  sample.host = host;
  sample.kernel = kernel;
  sample.backend = backend;
  sample.self = {1'250'000, 40'000'000 + ns / 200, 9'437'184, 1, {{"vanished", 0}}, {}, {}};
  return sample;
}

Counting everything_counted() {
  Counting counting;
  for (std::size_t i = 0; i < kCounters; ++i) counting.add(static_cast<Counter>(i));
  counting.peaks = counting.accept_wait = counting.handshake_time = true;
  return counting;
}

Histogram times(std::uint64_t count, std::size_t bucket) {
  Histogram histogram;
  histogram.counts.at(bucket) = count - count / 10;
  histogram.counts.at(bucket + 2) = count / 10;
  histogram.sum_ns = count * 1000 << bucket;
  histogram.max_ns = std::uint64_t{3000} << bucket;
  return histogram;
}

ListenerCounts& count(Sample& sample, const Counts& values) {
  sample.listeners.back().counts = static_cast<std::uint32_t>(sample.counts.size());
  ListenerCounts& counts = sample.counts.emplace_back();
  for (const auto& [counter, value] : values) counts[counter] = value;
  return counts;
}

void sum_up(Sample& sample, const std::map<NetnsId, ListenerCounts>& closed) {
  for (RawNamespace& netns : sample.namespaces) {
    ListenerCounts sum;
    if (const auto found = closed.find(netns.netns); found != closed.end()) sum = found->second;
    for (const RawListener& raw : sample.listeners) {
      if (raw.netns != netns.netns || !raw.counts) continue;
      for (std::size_t i = 0; i < kCounters; ++i) {
        sum.values.at(i) += sample.counts.at(*raw.counts).values.at(i);
      }
    }
    netns.counted = static_cast<std::uint32_t>(sample.counts.size());
    sample.counts.push_back(sum);
  }
}

void count_served(Sample& sample, std::uint64_t connections, std::uint32_t peak) {
  if (connections == 0) return;
  ListenerCounts& counts = count(sample, {{Counter::syns, connections},
                                          {Counter::synacks, connections},
                                          {Counter::handshake_acks, connections},
                                          {Counter::accepts, connections}});
  counts.accept_queue_peak = peak;
  counts.syn_queue_peak = peak / 2;
  counts.accept_wait = times(connections, 8);
  counts.handshake_time = times(connections, 14);
}

RawNic interface(NetnsId netns, std::string name, std::uint32_t ifindex, std::uint64_t frames) {
  RawNic nic;
  nic.netns = netns;
  nic.interface = std::move(name);
  nic.ifindex = ifindex;
  nic.mode = NicMode::tc;
  nic.passed = frames;
  nic.handshake_times = true;
  return nic;
}

}  // namespace listenq::test
