// SPDX-License-Identifier: Apache-2.0
//
// A web server whose two workers hang: they read a file from an NFS server that does not answer any
// more, so nobody calls accept(). The queue fills within five seconds, then connections are lost.
// Some time before, a burst was too much for Redis. One sample a second.
#include "incident.h"

#include <algorithm>
#include <string>

#include "parts.h"

namespace listenq::test {

namespace {

constexpr NetnsId kRedisNetns{4026532561};
constexpr const char* kWebCgroup = "/system.slice/nginx.service";
constexpr const char* kRedisCgroup =
    "/system.slice/"
    "docker-3b1f0c9e5d7a48626f1e0d9c8b7a695847362514f0e1d2c3b4a5968778695a4b.scope";

constexpr int kSamples = 45;
constexpr int kHangs = 22;  ///< from this second on nobody accepts
constexpr int kBurst = 8;   ///< of clients of Redis, in this second
constexpr std::uint64_t kArrivals = 120;
constexpr std::uint64_t kLimit = 511;

/// The web server after so many seconds, carried from second to second.
struct Web {
  std::uint64_t syns = 0;
  std::uint64_t refused_at_syn = 0;
  std::uint64_t acks = 0;
  std::uint64_t refused_at_ack = 0;
  std::uint64_t accepts = 0;
  std::uint64_t queue = 0;
  std::uint64_t half_open = 0;
  std::uint64_t retransmits = 0;
  std::uint64_t lost_last = 0;  ///< clients that come again

  void second(int now) {
    const std::uint64_t comes = kArrivals + lost_last;
    lost_last = 0;
    syns += comes;
    const bool full = queue > kLimit;
    if (full) {  // no SYN gets in; those half-open try once more
      refused_at_syn += comes;
      lost_last = comes / 3;
      const std::uint64_t again = half_open / 2;
      acks += again;
      refused_at_ack += again;
      retransmits += half_open;
      half_open -= again;
      return;
    }
    acks += comes;
    const std::uint64_t place = kLimit + 1 - queue;
    const std::uint64_t entered = now < kHangs ? comes : std::min(comes, place);
    const std::uint64_t left_over = comes - entered;
    refused_at_ack += left_over;
    half_open = left_over + 2;
    if (now < kHangs) {
      accepts += entered;
    } else {
      queue += entered;
    }
  }
};

void add_web(Sample& sample, Owners& owners, const Web& web, int now) {
  owners.process(812, "nginx", kWebCgroup);
  owners.process(815, "nginx", kWebCgroup);
  owners.process(816, "nginx", kWebCgroup);
  RawListener raw = listener(1, {.port = 443,
                                 .limit = kLimit,
                                 .accept_queue = static_cast<std::uint32_t>(web.queue),
                                 .syn_queue = static_cast<std::uint32_t>(web.half_open),
                                 .uid = 33});
  raw.listen_requested = 511;
  raw.sk_drops = static_cast<std::uint32_t>(web.refused_at_syn + 2 * web.refused_at_ack);
  const auto waits = static_cast<std::uint64_t>(std::max(now - kHangs, 0)) * kSecond;
  raw.oldest_wait_ns = web.queue > 0 ? waits + 640'000'000 : 0;
  owners.holds(raw, {812, 815, 816});
  sample.listeners.push_back(raw);
  ListenerCounts& counts =
      count(sample, {{Counter::syns, web.syns},
                     {Counter::synacks, web.syns - web.refused_at_syn},
                     {Counter::synack_retransmits, web.retransmits},
                     {Counter::handshake_acks, web.acks},
                     {Counter::accepts, web.accepts},
                     {Counter::overflows_syn, web.refused_at_syn},
                     {Counter::overflows_ack, web.refused_at_ack},
                     {Counter::drops, web.refused_at_syn + web.refused_at_ack}});
  counts.accept_queue_peak = static_cast<std::uint32_t>(web.queue > 0 ? web.queue : 4);
  counts.syn_queue_peak = static_cast<std::uint32_t>(web.half_open + 3);
  Histogram waited;
  for (std::size_t i = 0; i < 8; ++i) {
    constexpr std::array<std::uint64_t, 8> kShares = {2, 9, 31, 38, 14, 4, 1, 1};
    waited.counts.at(5 + i) = web.accepts * kShares.at(i) / 100;
  }
  waited.sum_ns = web.accepts * 260'000;
  waited.max_ns = web.accepts > 0 ? 3'900'000 : 0;
  counts.accept_wait = waited;
  counts.handshake_time = times(web.acks - web.refused_at_ack, 14);
}

void add_redis(Sample& sample, Owners& owners, int now) {
  owners.process(3010, "redis-server", kRedisCgroup);
  const bool burst = now == kBurst;
  RawListener raw = listener(2, {.netns = kRedisNetns,
                                 .port = 6379,
                                 .limit = 128,
                                 .accept_queue = burst ? 129U : 0U,
                                 .uid = 999});
  raw.listen_requested = 511;
  raw.oldest_wait_ns = burst ? 41'000'000 : 0;
  const std::uint64_t lost = now >= kBurst ? 73 : 0;
  const auto served = static_cast<std::uint64_t>(now) * 4 + (now >= kBurst ? 300 : 0);
  raw.sk_drops = static_cast<std::uint32_t>(2 * lost);
  owners.holds(raw, {3010});
  sample.listeners.push_back(raw);
  ListenerCounts& counts = count(sample, {{Counter::syns, served + lost},
                                          {Counter::synacks, served + lost},
                                          {Counter::handshake_acks, served + lost},
                                          {Counter::accepts, served - (burst ? 129 : 0)},
                                          {Counter::overflows_ack, lost},
                                          {Counter::drops, lost}});
  counts.accept_queue_peak = burst ? 129 : 1;
  counts.syn_queue_peak = burst ? 128 : 1;
  counts.accept_wait = times(served, 7);
  counts.handshake_time = times(served, 9);
}

void add_others(Sample& sample, Owners& owners, int now) {
  const auto served = static_cast<std::uint64_t>(now);
  const auto add = [&](const RawListener& raw, std::int32_t pid, const std::string& name,
                       const std::string& cgroup, std::uint64_t connections) {
    sample.listeners.push_back(raw);
    sample.listeners.back().oldest_wait_ns = 0;
    owners.process(pid, name, cgroup);
    owners.holds(raw, {pid});
    count_served(sample, connections, 1);
  };
  add(listener(3, {.port = 22, .limit = 128}), 640, "sshd", "/system.slice/ssh.service",
      served / 10);
  add(listener(4, {.address = kLoopback, .port = 5432, .limit = 200, .uid = 113}), 905, "postgres",
      "/system.slice/postgresql.service", served * 6);
  add(listener(5, {.family = Family::dual, .port = 9100, .limit = 4096, .uid = 998}), 1204,
      "node_exporter", "/system.slice/node_exporter.service", served / 5);
  add(listener(6, {.family = Family::ipv6, .address = kLoopback6, .port = 631, .limit = 128}), 1310,
      "cupsd", "/system.slice/cups.service", 0);
}

RawThread thread(std::int32_t tid, const std::string& name, char state, const char* channel,
                 const char* call, int now) {
  RawThread thread;
  thread.tid = tid;
  thread.name = name;
  thread.state = state;
  thread.wait_channel = channel;
  thread.system_call = call;
  const auto seconds = static_cast<std::uint64_t>(std::min(now, kHangs));
  thread.cpu_ns = 90 * kSecond + (state == 'D' ? seconds * 180'000'000 : 0);
  thread.run_delay_ns = seconds * 1'000'000;
  return thread;
}

RawCloseUp near(const Sample& sample, const Web& web, int now) {
  const RawListener& raw = sample.listeners.front();
  RawCloseUp close_up;
  close_up.netns = raw.netns;
  close_up.cookie = raw.cookie;
  close_up.inode = raw.inode;
  close_up.sharers_total = 3;
  close_up.sharers = {
      {812, "nginx", {thread(812, "nginx", 'S', "sigsuspend", "rt_sigsuspend", now)}, 1},
      {815, "nginx", {thread(815, "nginx", 'D', "rpc_wait_bit_killable", "pread64", now)}, 1},
      {816, "nginx", {thread(816, "nginx", 'D', "rpc_wait_bit_killable", "openat", now)}, 1}};
  RawThrottling limit;
  limit.cgroup = kWebCgroup;
  limit.quota_ns = 200'000'000;
  limit.period_ns = 100'000'000;
  limit.periods = static_cast<std::uint64_t>(now) * 10;
  close_up.throttlings.push_back(limit);
  std::vector<RawWaiting> waiting;
  const std::uint64_t first_wait = raw.oldest_wait_ns.value_or(0);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(web.queue, 64); ++i) {
    RawWaiting each;
    each.address = {203, 0, 113, static_cast<std::uint8_t>(17 + i * 29 % 200)};
    each.port = static_cast<std::uint16_t>(40'000 + i * 773 % 20'000);
    each.received_bytes = i % 5 == 3 ? 0 : 517;  // what a TLS client says first
    each.wait_ns = first_wait - std::min(first_wait, i * kSecond / kArrivals);
    waiting.push_back(each);
  }
  close_up.waiting = std::move(waiting);
  return close_up;
}

std::vector<RawNic> nics(const Web& web, int now) {
  RawNic eth0 = interface(kHost, "eth0", 2, static_cast<std::uint64_t>(now) * 9'412);
  NicPort web_port;
  web_port.port = 443;
  web_port.syn_in = web.syns;
  web_port.synack_out = web.syns - web.refused_at_syn + web.retransmits;
  web_port.ack_in = web.acks;
  web_port.rst_in = web.acks / 400;
  web_port.handshake_time = times(web.acks - web.refused_at_ack, 14);
  NicPort shell;
  shell.port = 22;
  shell.syn_in = shell.synack_out = shell.ack_in = static_cast<std::uint64_t>(now) / 10;
  eth0.ports = {shell, web_port};
  return {eth0};
}

std::vector<RawNamespace> namespaces(const Web& web, int now) {
  RawNamespace host{kHost, std::nullopt, {4096, 4096, 1, 0, 5, 0}, {}, {}, {}, "", true};
  const std::uint64_t lost = web.refused_at_syn + web.refused_at_ack;
  host.mib = counters({{"ListenOverflows", 12 + lost}, {"ListenDrops", 12 + lost}});
  RawNamespace redis{kRedisNetns, "redis", {128, 128, 1, 0, 5, 0}, {}, {}, {}, "", std::nullopt};
  const std::uint64_t burst = now >= kBurst ? 73 : 0;
  redis.mib = counters({{"ListenOverflows", burst}, {"ListenDrops", burst}});
  return {host, redis};
}

}  // namespace

std::vector<Sample> incident_samples() {
  std::vector<Sample> samples;
  Web web;
  for (int now = 0; now < kSamples; ++now) {
    if (now > 0) web.second(now);
    Sample sample = sample_at(now, "web-3", "6.1.0-18-amd64", "fentry");
    sample.counting = everything_counted();
    Owners owners;
    add_web(sample, owners, web, now);
    add_redis(sample, owners, now);
    add_others(sample, owners, now);
    sample.owners = owners.table();
    sample.namespaces = namespaces(web, now);
    sample.nics = nics(web, now);
    if (web.queue > kLimit) sample.close_ups.push_back(near(sample, web, now));
    const auto runs = web.syns * 3;
    sample.self.programs = {{"fentry__tcp_conn_request", web.syns, web.syns * 260},
                            {"fexit__tcp_conn_request", web.syns, web.syns * 310},
                            {"fentry__inet_csk_accept", web.accepts, web.accepts * 120},
                            {"nic_in", runs, runs * 45}};
    sample.self.maps = {{"listeners", 5, 16'384}, {"namespaces", 2, 1'024}};
    sum_up(sample);
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace listenq::test
