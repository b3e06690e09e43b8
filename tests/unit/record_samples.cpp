// SPDX-License-Identifier: Apache-2.0
//
// See record_samples.h.
#include "record_samples.h"

namespace listenq::test {

namespace {

/// All of its members differ from each other and from 0.
ListenerCounts full_counts() {
  ListenerCounts counts;
  for (std::size_t i = 0; i < kCounters; ++i) counts.values[i] = 1000 + i;
  counts.accept_queue_peak = 130;
  counts.syn_queue_peak = 99;
  counts.accept_wait.counts[0] = 3;
  counts.accept_wait.counts[17] = 4;
  counts.accept_wait.counts[31] = 5;
  counts.accept_wait.sum_ns = 8'000'000'000'001;
  counts.accept_wait.max_ns = 2'000'000'000'002;
  counts.handshake_time.counts[9] = 6;
  counts.handshake_time.sum_ns = 3'000'003;
  counts.handshake_time.max_ns = 500'004;
  return counts;
}

std::vector<RawNic> full_nics() {
  RawNic nic;
  nic.netns = NetnsId{4026531840};
  nic.interface = "eth0";
  nic.ifindex = 2;
  nic.mode = NicMode::xdp_generic;
  nic.note = "its XDP is held by another program";
  nic.passed = 20'000'000'001;
  nic.malformed = 201;
  nic.fragments = 202;
  nic.evictions = 203;
  nic.handshake_times = true;
  nic.ports.resize(2);
  nic.ports[0] = {80, 301, 302, 303, 304, 305, full_counts().accept_wait};
  nic.ports[1].port = 443;
  RawNic other = nic;
  other.interface = "eth1";
  other.ifindex = 3;
  other.mode = NicMode::tc;
  other.note.clear();
  other.evictions = std::nullopt;
  other.handshake_times = false;
  RawNic unwatched;
  unwatched.netns = nic.netns;
  unwatched.interface = "eth2";
  unwatched.ifindex = 4;
  unwatched.note = "it is down";
  return {nic, other, unwatched};
}

std::vector<RawCloseUp> full_close_ups() {
  RawSharer nginx;
  nginx.pid = 812;
  nginx.name = "nginx";
  nginx.threads = {{812, "nginx", 'S', "ep_poll", "epoll_wait", 1'000'001, 2'000'002},
                   {813, "a) (b", 'R', std::nullopt, std::nullopt, std::nullopt, std::nullopt}};
  nginx.threads_total = 70;
  RawSharer other;
  other.pid = 815;
  RawWaiting v4;
  v4.address = {192, 0, 2, 9};
  v4.port = 40001;
  v4.received_bytes = 517;
  v4.wait_ns = 12'345'678'901;
  RawWaiting v6;
  v6.family = Family::ipv6;
  v6.address = {0x20, 1, 0xd, 0xb8, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  v6.port = 40002;
  RawCloseUp whole;
  whole.netns = NetnsId{4026531840};
  whole.cookie = SocketCookie{4097};
  whole.inode = 71234;
  whole.sharers = {nginx, other};
  whole.sharers_total = 17;
  whole.throttlings = {{"/system.slice/nginx.service", 50'000'000, 100'000'000, 11, 12, 13},
                       {"/system.slice", 1'000'000, 20'000'000, 0, 0, 0}};
  whole.waiting = {v4, v6};
  RawCloseUp nobody;
  nobody.netns = whole.netns;
  nobody.inode = 5;
  nobody.waiting.emplace();
  RawCloseUp unread;
  unread.netns = whole.netns;
  unread.inode = 6;
  return {whole, nobody, unread};
}

}  // namespace

Sample full_sample() {
  RawListener listener;
  listener.netns = NetnsId{4026531840};
  listener.cookie = SocketCookie{4097};
  listener.inode = 71234;
  listener.family = Family::dual;
  listener.address = {0x20, 1, 0xd, 0xb8, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  listener.port = 443;
  listener.interface = "eth0";
  listener.uid = 33;
  listener.cgroup_id = 8123;
  listener.cgroup = "/system.slice/nginx.service";
  listener.accept_queue_len = 130;
  listener.accept_queue_limit = 129;
  listener.syn_queue_len = 17;
  listener.syn_queue_young = 12;
  listener.fastopen_queue_len = 3;
  listener.fastopen_queue_limit = 256;
  listener.sk_drops = 54321;
  listener.oldest_wait_ns = 12'345'678'901;
  listener.listen_requested = 65535;
  listener.counts = 1;

  RawListener other = listener;
  other.cookie = std::nullopt;
  other.family = Family::ipv4;
  other.address = {192, 0, 2, 1};
  other.syn_queue_len = std::nullopt;
  other.listen_requested = -1;
  other.counts = std::nullopt;

  RawNamespace host;
  host.netns = listener.netns;
  host.name = "blue";
  host.sysctls = {4096, 1024, 1, 2, 5, 6};
  host.mib = MibCounters{{"SyncookiesSent", 7}, {"ListenOverflows", 54000}, {"ListenDrops", 54321}};
  host.mib_after = MibCounters{{"SyncookiesSent", 8}, {"ListenDrops", 54322}};
  host.counted = 0;
  host.nat = "nftables, ipvs";
  host.nics_complete = false;

  auto owners = std::make_shared<OwnerTable>();
  owners->pids = {812, 815, 20000};
  owners->by_inode = {{71234, {0, 2}}, {71235, {2, 1}}};
  owners->processes = {{812, {"nginx", "/system.slice/nginx.service"}},
                       {815, {"nginx", std::nullopt}},
                       {20000, {"sshd", "/"}}};

  Sample sample;
  sample.wall_ns = 1'780'000'000'123'456'789;
  sample.monotonic_ns = 86'400'000'000'001;
  sample.host = "web-3";
  sample.kernel = "6.1.0-18-amd64";
  sample.backend = "iter";
  sample.listeners = {listener, other};
  sample.namespaces = {host};
  sample.owners = owners;
  sample.counting.emplace().add(Counter::syns);
  sample.counting->add(Counter::drops);
  sample.counting->add(Counter::aborted_in_queue);
  sample.counting->peaks = true;
  sample.counting->handshake_time = true;
  sample.counts = {full_counts(), full_counts(), ListenerCounts()};
  sample.counts[1].values[2] = 0;
  sample.closed.resize(2);
  sample.closed[0] = {other, 86'399'999'999'999};
  sample.closed[0].listener.counts = 2;
  sample.closed[1] = {listener, 86'400'000'000'002};
  sample.closed[1].listener.counts = std::nullopt;
  sample.nics = full_nics();
  sample.self = {1'234'567, 89'000'000, 12'582'912, 4, {{"ring full", 2}, {"vanished", 1}}};
  sample.close_ups = full_close_ups();
  sample.self.programs = {{"iter__tcp", 41, 42}, {"syn_in", std::nullopt, std::nullopt}};
  sample.self.maps = {{"listeners", 51, 16384}};
  return sample;
}

Sample small_sample() {
  RawListener listener;
  listener.netns = NetnsId{1};
  listener.address = {127, 0, 0, 1};
  listener.port = 80;
  listener.inode = 9;
  listener.sk_drops = 0;
  auto owners = std::make_shared<OwnerTable>();
  owners->pids = {1};
  owners->by_inode = {{9, {0, 1}}};
  owners->processes = {{1, {"init", std::nullopt}}};
  Sample sample;
  sample.monotonic_ns = 5;
  sample.host = "h";
  sample.listeners = {listener};
  sample.namespaces.resize(1);
  sample.namespaces[0].netns = listener.netns;
  sample.owners = owners;
  return sample;
}

}  // namespace listenq::test
