// SPDX-License-Identifier: Apache-2.0
//
// See stories.h.
#include "stories.h"

#include <map>
#include <utility>

#include "incident.h"
#include "parts.h"

namespace listenq::test {

namespace {

/// As sock_diag tells it.
RawListener by_diag(RawListener raw) {
  raw.syn_queue_len = raw.syn_queue_young = std::nullopt;
  raw.fastopen_queue_len = raw.fastopen_queue_limit = std::nullopt;
  return raw;
}

// ---- overflow: one of four nginx workers does not accept any more, and several kinds of listener
// stand around it

constexpr NetnsId kBlue{4026532561};
constexpr NetnsId kPod{4026532700};
constexpr const char* kRedisCgroup =
    "/system.slice/"
    "docker-3b1f0c9e5d7a48626f1e0d9c8b7a695847362514f0e1d2c3b4a5968778695a4b.scope";
constexpr const char* kShopCgroup =
    "/kubepods.slice/kubepods-burstable.slice/"
    "kubepods-burstable-pod5d2c7f10_8a4b_4c3d_9e6f_1a2b3c4d5e6f.slice/"
    "cri-containerd-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0.scope";

std::vector<RawNamespace> overflow_namespaces(std::size_t step) {
  RawNamespace host{kHost, std::nullopt, {4096, 2048, 1, 0, 5, 0}, {}, {}, {}};
  host.mib = counters({{"ListenOverflows", std::array{10'180, 10'692, 11'940}.at(step)},
                       {"ListenDrops", std::array{10'181, 10'693, 11'941}.at(step)},
                       {"PassiveOpens", 2'400'000 + 900 * step},
                       {"TCPFastOpenPassive", 77}});
  if (step == 2) {  // some are lost while the sample is taken
    host.mib_after = host.mib;
    host.mib = counters({{"ListenOverflows", 11'938},
                         {"ListenDrops", 11'939},
                         {"PassiveOpens", 2'400'000 + 900 * step},
                         {"TCPFastOpenPassive", 77}});
  }
  // Redis asked for 511; somaxconn was raised too late for it.
  RawNamespace blue{kBlue, "blue", {step == 0 ? 128 : 1024, 128, 0, 0, 5, 0}, {}, {}, {}};
  blue.mib = counters({{"TCPReqQFullDrop", 40 + 7 * step}, {"ListenDrops", 40 + 7 * step}});
  RawNamespace pod{kPod, std::nullopt, {4096, 1024, 2, 1, 5, std::nullopt}, {}, {}, {}};
  pod.mib = counters({{"SyncookiesSent", 5000 + 300 * step},
                      {"SyncookiesRecv", 4100 + 250 * step},
                      {"SyncookiesFailed", 12}});
  return {host, blue, pod};
}

/// One that refuses, at the ACK and at the SYN, because nobody accepts.
void count_stuck(Sample& sample, std::size_t step) {
  const std::uint64_t at_ack = std::array{2U, 490U, 1680U}.at(step);
  const std::uint64_t at_syn = std::array{1U, 25U, 83U}.at(step);
  ListenerCounts& counts = count(sample, {{Counter::syns, 400 + 700 * step},
                                          {Counter::synacks, 400 + 700 * step - at_syn},
                                          {Counter::synack_retransmits, 11 * step},
                                          {Counter::handshake_acks, at_ack},
                                          {Counter::overflows_syn, at_syn},
                                          {Counter::overflows_ack, at_ack},
                                          {Counter::drops, at_syn + at_ack},
                                          {Counter::requests_expired, 3 * step}});
  counts.accept_queue_peak = 512;
  counts.syn_queue_peak = 388;
}

Sample overflow_sample(std::size_t step) {
  Sample sample = sample_at(static_cast<double>(step), "web-3", "6.1.0-18-amd64", "fentry");
  sample.counting = everything_counted();
  Owners owners;
  const auto add = [&](const RawListener& raw, std::vector<std::int32_t> pids) {
    sample.listeners.push_back(raw);
    // A few milliseconds, as where somebody accepts.
    sample.listeners.back().oldest_wait_ns = raw.accept_queue_len > 0 ? 4'200'000 : 0;
    if (!pids.empty()) owners.holds(raw, std::move(pids));
  };
  const std::string nginx = "/system.slice/nginx.service";
  owners.process(812, "nginx", nginx);
  for (const std::int32_t worker : {815, 816, 817, 818}) owners.process(worker, "nginx", nginx);
  const std::vector<std::int32_t> all_nginx{812, 815, 816, 817, 818};
  // Four members of one SO_REUSEPORT group; the third is full and stays so.
  for (std::uint32_t member = 0; member < 4; ++member) {
    const bool stuck = member == 2;
    add(listener(11 + member,
                 {.port = 443,
                  .limit = 511,
                  .accept_queue = stuck ? 512 : member + static_cast<std::uint32_t>(step),
                  .syn_queue = stuck ? 340U : 6U,
                  .drops = stuck ? std::array{10'240U, 10'752U, 12'000U}.at(step) : 0U,
                  .uid = 33}),
        all_nginx);
    sample.listeners.back().listen_requested = 511;
    if (stuck) {
      sample.listeners.back().oldest_wait_ns = 31'500'000'000 + step * kSecond;
      count_stuck(sample, step);
    } else {
      count_served(sample, 320 * step + 40 * member, 9);
    }
  }
  add(listener(15, {.family = Family::dual, .port = 80, .limit = 511, .uid = 33}), all_nginx);

  owners.process(640, "sshd", "/system.slice/ssh.service");
  add(listener(21, {.port = 22, .limit = 128}), {640});
  sample.listeners.back().listen_requested = 128;
  add(listener(22, {.family = Family::ipv6, .port = 22, .limit = 128}), {640});

  owners.process(905, "postgres",
                 "/system.slice/system-postgresql.slice/postgresql@15-main.service");
  add(listener(23,
               {.address = kLoopback, .port = 5432, .limit = 200, .accept_queue = 161, .uid = 113}),
      {905});
  sample.listeners.back().oldest_wait_ns = 820'000'000;
  count_served(sample, 4 + 2 * step, 201);
  add(listener(
          24,
          {.family = Family::ipv6, .address = kLoopback6, .port = 5432, .limit = 200, .uid = 113}),
      {905});

  owners.process(1204, "node_exporter", "/system.slice/node_exporter.service");
  RawListener exporter = listener(25, {.port = 9100, .limit = 4096, .uid = 999});
  exporter.interface = "eth1";
  add(exporter, {1204});
  owners.process(731, "dnsmasq", "/system.slice/dnsmasq.service");
  RawListener dns = listener(
      26, {.family = Family::ipv6, .address = kLinkLocal, .port = 53, .limit = 32, .uid = 104});
  dns.interface = "br0";
  add(dns, {731});
  owners.process(1377, "haproxy", "/system.slice/haproxy.service");
  add(listener(27, {.family = Family::ipv6,
                    .address = kGlobal6,
                    .port = 8443,
                    .limit = 2000,
                    .accept_queue = 44,
                    .syn_queue = 9,
                    .uid = 108}),
      {1377, 1379});
  owners.process(1379, "haproxy", "/system.slice/haproxy.service");

  owners.process(1500, "h2o", "/system.slice/h2o.service");
  RawListener fast_open = listener(28, {.port = 8080, .limit = 1024, .accept_queue = 2});
  fast_open.fastopen_queue_len = 3;
  fast_open.fastopen_queue_limit = 256;
  add(fast_open, {1500});

  // The kernel's own, and the TCP socket within an MPTCP one: nobody holds a descriptor of them.
  RawListener nfs = listener(29, {.family = Family::dual, .port = 2049, .limit = 64});
  nfs.inode = 0;
  nfs.cgroup_id = std::nullopt;
  add(nfs, {});
  RawListener subflow = listener(30, {.port = 8090, .limit = 100, .uid = 1000});
  subflow.inode = 0;
  subflow.cgroup = "/user.slice/user-1000.slice/session-4.scope";
  add(subflow, {});

  // A backlog of 0 holds one connection: it is full and lost nothing.
  owners.process(2001, "python3", "/user.slice/user-1000.slice/session-4.scope");
  add(listener(31,
               {.address = kLoopback, .port = 8000, .limit = 0, .accept_queue = 1, .uid = 1000}),
      {2001});

  owners.process(3010, "redis-server", kRedisCgroup);
  add(listener(41, {.netns = kBlue,
                    .port = 6379,
                    .limit = 128,
                    .accept_queue = 90,
                    .syn_queue = 96,
                    .drops = 40 + 7 * static_cast<std::uint32_t>(step),
                    .uid = 999}),
      {3010});
  sample.listeners.back().listen_requested = 511;
  count(sample, {{Counter::syns, 20 * step},
                 {Counter::synacks, 13 * step},
                 {Counter::drops, 7 * step},
                 {Counter::drops_syn_queue_full, 7 * step}})
      .accept_queue_peak = 90;
  owners.process(4100, "java", kShopCgroup);
  add(listener(42, {.netns = kPod,
                    .family = Family::dual,
                    .port = 8080,
                    .limit = 50,
                    .accept_queue = 50,
                    .uid = 10001}),
      {4100});
  sample.listeners.back().listen_requested = 50;
  count(sample, {{Counter::syns, 310 * step},
                 {Counter::synacks, 310 * step},
                 {Counter::handshake_acks, 250 * step},
                 {Counter::accepts, 250 * step},
                 {Counter::cookies_sent, 300 * step},
                 {Counter::cookies_valid, 250 * step}})
      .accept_queue_peak = 51;
  sample.namespaces = overflow_namespaces(step);
  sum_up(sample);
  sample.owners = owners.table();
  return sample;
}

// ---- quiet: nothing waits, nothing is lost

Sample quiet_sample() {
  Sample sample = sample_at(0, "db-1", "6.12.9", "iter");
  sample.listeners = {
      listener(1, {.port = 22, .limit = 128}),
      listener(2, {.family = Family::ipv6, .port = 22, .limit = 128}),
      listener(3, {.address = kLoopback, .port = 5432, .limit = 244, .uid = 113}),
  };
  Owners owners;
  owners.process(640, "sshd", "/system.slice/ssh.service");
  owners.process(905, "postgres", "/system.slice/postgresql.service");
  owners.holds(sample.listeners[0], {640});
  owners.holds(sample.listeners[1], {640});
  owners.holds(sample.listeners[2], {905});
  sample.owners = owners.table();
  sample.namespaces = {{kHost, std::nullopt, {4096, 4096, 1, 0, 5, 0}, counters({}), {}, {}}};
  return sample;
}

// ---- unprivileged: sock_diag on an old kernel, and only one's own processes

Sample unprivileged_sample(std::size_t step) {
  Sample sample =
      sample_at(2.5 * static_cast<double>(step), "ci-runner", "5.10.0-28-amd64", "diag");
  const auto drops = static_cast<std::uint32_t>(10 * step);
  RawListener own = listener(1, {.address = kLoopback, .port = 3000, .limit = 511, .uid = 1000});
  sample.listeners = {
      by_diag(listener(2, {.port = 22, .limit = 128})),
      by_diag(own),
      by_diag(listener(3, {.family = Family::dual,
                           .port = 8080,
                           .limit = 128,
                           .accept_queue = 129,
                           .drops = 77 + drops,
                           .uid = 1001})),
  };
  for (RawListener& raw : sample.listeners) raw.cgroup_id = std::nullopt;
  Owners owners;
  owners.process(22'333, "node", "/user.slice/user-1000.slice/session-2.scope");
  owners.holds(own, {22'333});
  sample.owners = owners.table();
  sample.namespaces = {{kHost,
                        std::nullopt,
                        {128, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt},
                        std::nullopt,
                        std::nullopt,
                        std::nullopt}};
  return sample;
}

// ---- churn: listeners and a namespace come and go, under names that want to do harm

constexpr NetnsId kRed{4026533000};

Sample churn_sample(std::size_t step) {
  Sample sample =
      sample_at(std::array{0.0, 1.0, 3.5, 4.5}.at(step), "host\x1b[31m", "6.18.0", "portable");
  // One hook could not be had, and some events were lost: not all that the kernel dropped is known.
  sample.counting = everything_counted();
  sample.counting->counters &= ~(1U << static_cast<unsigned>(Counter::drops_no_route));
  sample.counting->handshake_time = false;
  if (step >= 2) sample.self.lost = {{"map full", 3}};
  Owners owners;
  const auto add = [&](const RawListener& raw, std::int32_t pid, std::string name,
                       std::optional<std::string> cgroup = std::nullopt) {
    sample.listeners.push_back(raw);
    owners.holds(raw, {pid});
    owners.process(pid, std::move(name), std::move(cgroup));
  };
  // Stays all the time; its counter passes 2^32.
  const std::array drops{4'294'967'290U, 4'294'967'295U, 4U, 4U};
  add(listener(1, {.port = 80, .limit = 511, .accept_queue = 7, .drops = drops.at(step)}), 100,
      "a,b\"c'd;e", "/evil,\"quoted\"\n/slice");
  sample.listeners.back().listen_requested = -1;
  sample.listeners.back().oldest_wait_ns = 61'000'000'000;
  // The last sample: the socket listens again and is counted anew.
  const std::uint64_t drops_of_first = std::array{0U, 10U, 17U, 10U}.at(step);
  count(sample, {{Counter::drops, drops_of_first}, {Counter::overflows_ack, drops_of_first}})
      .accept_queue_peak = 12;
  // Takes the place of another on the same port: another cookie, another listener.
  add(listener(step < 2 ? 2 : 12, {.port = 8080, .limit = 128, .drops = step < 2 ? 900U : 0U}),
      step < 2 ? 200 : 201, "\x1b[2J\x1b[Hroot# ");
  if (step == 1) {  // there for one sample only
    RawListener brief = listener(
        3, {.family = Family::dual, .port = 9000, .limit = 5, .accept_queue = 6, .drops = 3});
    brief.cookie = std::nullopt;
    add(brief, 300, "名前サーバー");
  }
  if (step >= 1) add(listener(4, {.port = 7000, .limit = 64}), 400, "tab\there\nnewline");
  add(listener(5, {.address = kLoopback, .port = 7001, .limit = 64}), 500, "\xff\xfe\x80 bytes");
  const std::string right_to_left = std::string("\xe2\x80") + "\xae";
  add(listener(6, {.address = kLoopback, .port = 7002, .limit = 64}), 600,
      "rtl" + right_to_left + "desrever");
  if (step >= 2) add(listener(7, {.address = kLoopback, .port = 7003, .limit = 64}), 700, "=1+1");
  if (step == 2) {
    // The one on port 8080 before, and one that no sample ever held.
    sample.closed.push_back(
        {listener(2, {.port = 8080, .limit = 128, .accept_queue = 2}), 5'001'700'000'000});
    sample.closed.back().listener.counts = static_cast<std::uint32_t>(sample.counts.size());
    sample.counts.emplace_back()[Counter::closed_unaccepted] = 2;
    sample.closed.push_back({listener(8, {.port = 9999, .limit = 4096}), 5'002'900'000'000});
  }
  sample.namespaces = {{kHost,
                        std::nullopt,
                        {4096, 4096, 1, 0, 5, 0},
                        counters({{"ListenOverflows", std::array{500, 510, 517, 527}.at(step)},
                                  {"ListenDrops", 1000 + 10 * step}}),
                        {},
                        {}}};
  if (step < 2) {
    add(listener(31, {.netns = kRed, .port = 6000, .limit = 16, .accept_queue = 3, .drops = 1}),
        900, "worker");
    sample.namespaces.push_back(
        {kRed, "red\rblue", {128, 128, 1, 0, 5, 0}, counters({{"ListenDrops", 1}}), {}, {}});
  }
  std::map<NetnsId, ListenerCounts> closed;
  if (step >= 2) closed[kHost][Counter::closed_unaccepted] = 2;
  if (step == 3) closed[kHost][Counter::drops] = closed[kHost][Counter::overflows_ack] = 17;
  sum_up(sample, closed);
  sample.owners = owners.table();
  return sample;
}

// ---- filtered: one SYN in three is dropped before TCP; elsewhere ports are translated

constexpr NetnsId kEdge{4026534100};

std::vector<RawNic> filtered_nics(std::uint64_t step) {
  RawNic lo = interface(kHost, "lo", 1, 900 * step);
  lo.ports.resize(2);
  lo.ports[0].port = 22;
  lo.ports[1].port = 443;
  RawNic eth0 = interface(kHost, "eth0", 2, 1'234'567 * step);
  eth0.malformed = 3 * step;
  eth0.fragments = 12 * step;
  eth0.ports = {
      {22, 2 * step, 0, 2 * step, 2 * step, 0, times(2 * step, 14)},
      {443, 4700 * step, 20 * step, 3130 * step, 3110 * step, 5 * step, times(3110 * step, 14)}};
  RawNic outer = interface(kEdge, "eth0", 2, 55'000 * step);
  outer.mode = NicMode::xdp_generic;
  outer.note = "its driver has no native XDP";
  outer.handshake_times = false;
  outer.ports.resize(1);
  outer.ports[0].port = 8080;
  RawNic inner = interface(kEdge, "eth1", 3, 0);
  inner.mode = std::nullopt;
  inner.note = "tc can't be attached: another program holds clsact";
  return {lo, eth0, outer, inner};
}

Sample filtered_sample(std::size_t step) {
  Sample sample = sample_at(static_cast<double>(step), "shop-2", "6.6.30", "fentry");
  sample.counting = everything_counted();
  Owners owners;
  const auto add = [&](const RawListener& raw, std::int32_t pid, std::string name) {
    sample.listeners.push_back(raw);
    sample.listeners.back().oldest_wait_ns = 0;
    owners.holds(raw, {pid});
    owners.process(pid, std::move(name), "/system.slice");
  };
  const std::uint32_t waiting = step > 0 ? 3 : 0;
  add(listener(1, {.port = 443,
                   .limit = 511,
                   .accept_queue = waiting,
                   .syn_queue = step > 0 ? 10U : 0U,
                   .uid = 33}),
      812, "nginx");
  // The SYN-ACKs of 10 are not answered yet; 3110 a second are.
  count(sample, {{Counter::syns, 3120 * step},
                 {Counter::synacks, 3120 * step},
                 {Counter::synack_retransmits, 10 * step},
                 {Counter::handshake_acks, 3110 * step},
                 {Counter::accepts, 3110 * step - waiting}});
  add(listener(2, {.port = 22, .limit = 128}), 640, "sshd");
  count_served(sample, 2 * step, 1);
  // Published as port 80 of the host: what comes in at eth0 is for another port.
  add(listener(3, {.netns = kEdge, .port = 8080, .limit = 128, .uid = 1000}), 4100, "envoy");
  count_served(sample, 150 * step, 4);
  sample.namespaces = {
      {kHost, std::nullopt, {4096, 4096, 1, 0, 5, 0}, counters({}), {}, {}, "", true},
      {kEdge, "edge", {4096, 4096, 1, 0, 5, 0}, counters({}), {}, {}, "nftables, ipvs", false}};
  sample.nics = filtered_nics(step);
  sum_up(sample);
  sample.owners = owners.table();
  return sample;
}

}  // namespace

std::vector<Story> stories() {
  std::vector<Story> all{{"overflow", {}},     {"quiet", {quiet_sample()}},
                         {"unprivileged", {}}, {"churn", {}},
                         {"filtered", {}},     {"incident", incident_samples()}};
  for (std::size_t step = 0; step < 3; ++step) all[0].samples.push_back(overflow_sample(step));
  for (std::size_t step = 0; step < 2; ++step) all[2].samples.push_back(unprivileged_sample(step));
  for (std::size_t step = 0; step < 4; ++step) all[3].samples.push_back(churn_sample(step));
  for (std::size_t step = 0; step < 3; ++step) all[4].samples.push_back(filtered_sample(step));
  return all;
}

}  // namespace listenq::test
