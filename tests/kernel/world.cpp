// SPDX-License-Identifier: Apache-2.0
// The test world: see world.h.
#include "world.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "process.h"
#include "ss.h"

namespace lqtest {
namespace {

std::unique_ptr<World> the_world;

std::string shown_address(const ListenerSpec& spec) {
  return spec.device.empty() ? spec.address : spec.address + "%" + spec.device;
}

std::string shown_family(const ListenerSpec& spec) {
  if (spec.address.find(':') == std::string::npos) return "ipv4";
  return spec.address == "::" && !spec.v6only ? "dual" : "ipv6";
}

void require(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("the test world: ") + what);
}

// Sockets that are no listeners and must not be taken for one.
void keep_noise(OwnerBody& body) {
  Fd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  require(udp.valid(), "UDP socket");
  body.keep(std::move(udp));
  Fd local(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};  // an abstract name the kernel chooses
  name.sun_family = AF_UNIX;
  require(::bind(local.get(), reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)) == 0 &&
              ::listen(local.get(), 5) == 0,
          "UNIX listener");
  body.keep(std::move(local));
  body.keep(open_bound({.address = "127.0.0.1", .port = 8200}));
}

// A busy server: connections accepted, one of them closed by the far end.
void keep_connections(OwnerBody& body, const ListenerSpec& spec) {
  const Fd& listener = body.keep(open_listener(spec));
  for (int i = 0; i < 4; ++i) {
    Fd client = connect_to(spec.address, spec.port);
    body.keep(accept_from(listener));
    if (i > 0) body.keep(std::move(client));
  }
}

void build_v4(WorldNamespace& space) {
  space.netns.add_silent_interface();
  space.add("lq-v4", {
                         {{.address = "0.0.0.0", .port = 8000, .backlog = 511}},
                         {{.address = "127.0.0.1", .port = 8001, .backlog = 0}},
                         {{.address = "127.0.0.1", .port = 8002, .backlog = 1}},
                         {{.address = "127.0.0.1", .port = 8003, .backlog = 3}},
                         {{.address = "10.77.0.1", .port = 8004, .backlog = 100000}},
                         {{.address = "0.0.0.0", .port = 8005, .backlog = -1}},
                         {{.address = "0.0.0.0", .port = 8006, .device = "silent0"}},
                         {{.address = "0.0.0.0", .port = 1, .backlog = 4095}},
                         {{.address = "0.0.0.0", .port = 65535, .backlog = 4096}},
                     });
  // One port several times, and yet no group: another address, another device.
  space.add("lq-twins", {
                            {{.address = "127.0.0.1", .port = 8100}},
                            {{.address = "127.0.0.2", .port = 8100}},
                            {{.address = "0.0.0.0", .port = 8101, .device = "silent0"}},
                            {{.address = "0.0.0.0", .port = 8101, .device = "lo"},
                             {.connects = 2, .address = "127.0.0.1"}},
                        });
  const ListenerSpec busy{.address = "127.0.0.1", .port = 8300, .backlog = 50};
  space.owners.emplace_back(OwnerOptions{.name = "lq-busy", .netns_fd = space.netns.fd()},
                            [&](OwnerBody& body) {
                              keep_noise(body);
                              keep_connections(body, busy);
                            });
  space.add_expected({busy}, {"lq-busy"});
}

void build_v6(WorldNamespace& space) {
  space.netns.add_silent_interface();
  const std::string v4_mapped = "::ffff:127.0.0.1";
  space.add("lq-v6",
            {
                {{.address = "::", .port = 9000, .backlog = 100, .v6only = true}},
                {{.address = "::", .port = 9001, .backlog = 100}},
                {{.address = "::1", .port = 9002}, {.connects = 2, .address = "::1"}},
                {{.address = "fd77::1", .port = 9003}, {.connects = 3, .address = "fd77::1"}},
                {{.address = "fe80::77%silent0", .port = 9004}},
                {{.address = v4_mapped, .port = 9005}, {.connects = 1, .address = "127.0.0.1"}},
                {{.address = "::", .port = 9006, .device = "lo"}},
                {{.address = "::", .port = 9006, .v6only = true, .device = "silent0"}},
            });
  // IPv4 and IPv6 side by side on one port, and a dual-stack listener asked over both.
  space.add("lq-both", {
                           {{.address = "0.0.0.0", .port = 9007}, {.connects = 1}},
                           {{.address = "::", .port = 9007, .v6only = true},
                            {.connects = 2, .address = "fd77::1"}},
                           {{.address = "::", .port = 9008, .backlog = 64},
                            {.connects = 4, .half_open = 6, .address = "10.77.0.1"}},
                           {{.address = "::", .port = 9009, .backlog = 64},
                            {.connects = 5, .half_open = 8, .address = "fd77::1"}},
                       });
}

void build_groups(WorldNamespace& space) {
  space.netns.add_silent_interface();
  space.add_group("lq-wrk", 3,
                  {{.address = "0.0.0.0", .port = 7000, .backlog = 64, .reuseport = true},
                   {.connects = 9, .half_open = 12}});
  space.add_group(
      "lq-six", 3,
      {{.address = "::", .port = 7001, .backlog = 64, .v6only = true, .reuseport = true},
       {.connects = 5, .address = "fd77::1"}});
  space.add_group("lq-dual", 2, {{.address = "::", .port = 7004, .reuseport = true}, {}});
  space.add("lq-alone", {{{.address = "127.0.0.1", .port = 7002, .reuseport = true}}});
  // Two members in one process, and a third that never listens.
  const ListenerSpec pair{.address = "127.0.0.1", .port = 7003, .backlog = 20, .reuseport = true};
  space.owners.emplace_back(OwnerOptions{.name = "lq-pair", .netns_fd = space.netns.fd()},
                            [&](OwnerBody& body) {
                              body.keep(open_listener(pair));
                              body.keep(open_listener(pair));
                              body.keep(open_bound(pair));
                            });
  const Listener listener{pair, {.connects = 3, .address = "127.0.0.1"}};
  space.add_expected(listener, {"lq-pair"}, 2);
  space.apply_traffic({listener});
}

void build_queues(WorldNamespace& space) {
  space.netns.add_silent_interface();
  space.add("lq-queues", {
                             {{.port = 8000, .backlog = 3}, {.connects = 4}},
                             {{.port = 8001, .backlog = 3}, {.connects = 4, .lost_syns = 5}},
                             {{.port = 8002, .backlog = 10}, {.connects = 4}},
                             {{.port = 8003, .backlog = 511}, {.connects = 40, .half_open = 100}},
                             {{.port = 8004, .backlog = 0}, {.connects = 1}},
                             {{.port = 8005, .backlog = 64}, {.half_open = 20}},
                             {{.port = 8006, .backlog = 64}, {.connects = 3, .half_open = 5}},
                             {{.address = "::", .port = 8007, .backlog = 64, .v6only = true},
                              {.connects = 1, .half_open = 7, .address = "fd77::1"}},
                             {{.address = "::", .port = 8008, .backlog = 1, .v6only = true},
                              {.connects = 2, .lost_syns = 3, .address = "fd77::1"}},
                             {{.port = 8009, .backlog = 1}, {.connects = 2}},
                         });
}

// Everything about limits that is not the default.
void build_limits(WorldNamespace& space) {
  space.netns.add_silent_interface();
  const Listener before{{.port = 8000, .backlog = 1000}, {.connects = 2, .half_open = 4}};
  space.add("lq-before", {before});
  const std::array<std::pair<const char*, const char*>, 5> sysctls{
      {{"core/somaxconn", "16"},
       {"ipv4/tcp_syncookies", "0"},
       {"ipv4/tcp_max_syn_backlog", "64"},
       {"ipv4/tcp_abort_on_overflow", "1"},
       {"ipv4/tcp_synack_retries", "29"}}};
  for (const auto& [path, value] : sysctls) require(space.netns.write_sysctl(path, value), path);
  space.add("lq-after", {
                            {{.port = 8001, .backlog = 1000}, {.connects = 3}},
                            {{.port = 8002, .backlog = 5}, {.connects = 6, .lost_syns = 2}},
                            {{.port = 8003, .backlog = 16}},
                            {{.port = 8004, .backlog = 15}},
                        });
}

void build_cookies(WorldNamespace& space) {
  space.netns.add_silent_interface();
  require(space.netns.write_sysctl("ipv4/tcp_syncookies", "2"), "tcp_syncookies");
  space.add("lq-cookies", {{{.port = 8000, .backlog = 32}, {.connects = 3}}});
}

// Listeners that are held by others than the process that made them.
void build_owners(WorldNamespace& space, bool mptcp) {
  space.netns.add_silent_interface();
  require(space.netns.write_sysctl("ipv4/tcp_fastopen", "515"), "tcp_fastopen");
  const auto own = [&](OwnerOptions options, const std::function<void(OwnerBody&)>& setup) {
    options.netns_fd = space.netns.fd();
    space.owners.emplace_back(options, setup);
  };
  const auto on = [](uint16_t port) { return ListenerSpec{.port = port, .backlog = 20}; };
  own({.name = "lq-first"}, [&](OwnerBody& body) {
    body.keep(open_listener(on(6000)));
    body.share_with("lq-second");
    body.share_with("lq-third");
  });
  space.add_expected({on(6000)}, {"lq-first", "lq-second", "lq-third"});
  own({.name = "lq-parent"}, [&](OwnerBody& body) {
    body.keep(open_listener(on(6001)));
    body.share_with("lq-heir");
    body.close_own();
  });
  space.add_expected({on(6001)}, {"lq-heir"});
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw_errno("socketpair");
  const Fd sender(ends[0]);
  const Fd receiver(ends[1]);
  own({.name = "lq-sender", .keep_fd = sender.get()},
      [&](OwnerBody&) { send_fd(sender.get(), open_listener(on(6002))); });
  own({.name = "lq-receiver", .keep_fd = receiver.get()},
      [&](OwnerBody& body) { body.keep(receive_fd(receiver.get())); });
  space.add_expected({on(6002)}, {"lq-receiver"});
  own({.name = "lq-inflight"}, [&](OwnerBody& body) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
      throw_errno("socketpair");
    send_fd(pair[0], open_listener(on(6003)));
    body.keep(Fd(pair[0]));
    body.keep(Fd(pair[1]));
  });
  space.add_expected({on(6003)}, {});
  own({.name = "lq-dup"}, [&](OwnerBody& body) {
    const Fd& listener = body.keep(open_listener(on(6004)));
    body.keep(Fd(::dup(listener.get())));
  });
  space.add_expected({on(6004)}, {"lq-dup"});
  own({.name = "lq-inside", .own_pid_namespace = true},
      [&](OwnerBody& body) { body.keep(open_listener(on(6005))); });
  space.add_expected({on(6005)}, {"lq-inside"});
  space.add("lq-user", {{on(6006), {.connects = 2}}}, 1234);
  ListenerSpec fast = on(6007);
  fast.fastopen = 7;
  space.add("lq-fast", {{fast, {.connects = 1, .fastopen = 3}}, {on(6008), {}}});
  if (!mptcp) return;
  require(space.netns.write_sysctl("mptcp/enabled", "1"), "mptcp.enabled");
  ListenerSpec multi = on(6009);
  multi.mptcp = true;
  space.add("lq-mptcp", {{multi, {.connects = 3, .half_open = 4}}});
}

// Nobody is in this namespace: the listener's owner left it after opening the listener.
void build_bound(WorldNamespace& space) {
  const Netns home = Netns::initial();
  const Listener listener{{.port = 4000, .backlog = 9}, {.connects = 2, .address = "127.0.0.1"}};
  space.owners.emplace_back(
      OwnerOptions{.name = "lq-gone", .netns_fd = space.netns.fd(), .keep_fd = home.fd()},
      [&](OwnerBody& body) {
        body.keep(open_listener(listener.spec));
        if (::setns(home.fd(), CLONE_NEWNET) != 0) throw_errno("setns");
      });
  space.add_expected(listener, {"lq-gone"});
  space.apply_traffic({listener});
}

// Known to nobody but the process that lives in it.
std::unique_ptr<WorldNamespace> make_unnamed() {
  const ListenerSpec spec{.port = 3000, .backlog = 11};
  Owner owner({.name = "lq-hermit"}, [&](OwnerBody& body) { body.keep(open_listener(spec)); });
  auto space = std::make_unique<WorldNamespace>("unnamed", Netns::of_process(owner.pid()));
  space->owners.push_back(std::move(owner));
  space->add_expected({spec}, {"lq-hermit"});
  return space;
}

std::unique_ptr<World> make_world() {
  auto world = std::make_unique<World>();
  world->has_mptcp = kernel_has_mptcp();
  const auto make = [&](const char* label) -> WorldNamespace& {
    WorldNamespace& space = *world->namespaces.emplace_back(
        std::make_unique<WorldNamespace>(label, Netns::named(label)));
    // Half-open requests shall outlive the tests.
    require(space.netns.write_sysctl("ipv4/tcp_synack_retries", "30"), "tcp_synack_retries");
    return space;
  };
  build_v4(make("v4"));
  build_v6(make("v6"));
  build_groups(make("groups"));
  build_queues(make("queues"));
  build_limits(make("limits"));
  build_cookies(make("cookies"));
  build_owners(make("owners"), world->has_mptcp);
  make("idle").add("lq-idle", {{{.address = "127.0.0.1", .port = 5000}}});
  make("empty");
  world->namespaces.push_back(
      std::make_unique<WorldNamespace>("bound", Netns::bound_to(scratch_directory() + "/bound")));
  build_bound(*world->namespaces.back());
  world->namespaces.push_back(make_unnamed());
  std::string why;
  if (!wait_until([&] { return (why = world_difference(*world)).empty(); }))
    throw std::runtime_error("the test world did not become what was planned:\n" + why);
  return world;
}

}  // namespace

void WorldNamespace::add_expected(const Listener& listener,
                                  const std::vector<std::string>& processes, uint64_t members,
                                  uint64_t uid) {
  const auto count = [](int n) { return static_cast<uint64_t>(n); };
  const ListenerSpec& spec = listener.spec;
  const Traffic& traffic = listener.traffic;
  Expected one{.address = shown_address(spec), .port = spec.port, .family = shown_family(spec)};
  one.members = members;
  // listen() takes a negative backlog as a huge one.
  const uint64_t somaxconn = netns.sysctl("core/somaxconn");
  one.limit = spec.backlog < 0 ? somaxconn : std::min(count(spec.backlog), somaxconn);
  one.accept_queue = count(traffic.connects + traffic.fastopen);
  one.syn_queue = count(traffic.half_open);
  one.drops = count(traffic.lost_syns);
  if (spec.fastopen > 0) one.fastopen_limit = count(spec.fastopen);
  one.fastopen_queue = count(traffic.fastopen);
  one.processes = processes;
  one.uid = uid;
  expected.push_back(one);
}

void WorldNamespace::apply_traffic(const std::vector<Listener>& listeners) {
  netns.run([&] {
    for (const auto& [spec, traffic] : listeners) {
      for (int i = 0; i < traffic.connects; ++i)
        clients.push_back(connect_to(traffic.address, spec.port));
      send_syns({traffic.address, spec.port, traffic.fastopen, "data"});
      send_syns({traffic.address, spec.port, traffic.half_open});
    }
  });
  // The last ACK of a connect() may be on its way still; what shall be lost waits for a full queue.
  const auto full = [&](const Listener& listener) {
    const auto rows = ss_listeners(netns);
    return std::any_of(rows.begin(), rows.end(), [&](const auto& entry) {
      const SsListener& row = entry.second;
      return row.port == listener.spec.port && row.accept_queue_len > row.accept_queue_limit;
    });
  };
  for (const Listener& listener : listeners) {
    const SynFlow lost{listener.traffic.address, listener.spec.port, listener.traffic.lost_syns};
    if (lost.count == 0) continue;
    require(wait_until([&] { return full(listener); }), "a queue did not fill");
    netns.run([&] { send_syns(lost); });
  }
}

void WorldNamespace::add(const std::string& process, const std::vector<Listener>& listeners,
                         uid_t uid) {
  OwnerOptions options{.name = process, .netns_fd = netns.fd()};
  if (uid != 0) options.user = uid;
  owners.emplace_back(options, [&](OwnerBody& body) {
    for (const Listener& listener : listeners) body.keep(open_listener(listener.spec));
  });
  for (const Listener& listener : listeners) add_expected(listener, {process}, 1, uid);
  apply_traffic(listeners);
}

void WorldNamespace::add_group(const std::string& process, int members, const Listener& listener) {
  std::vector<std::string> names;
  for (int i = 0; i < members; ++i) {
    names.push_back(fmt::format("{}{}", process, i));
    owners.emplace_back(OwnerOptions{.name = names.back(), .netns_fd = netns.fd()},
                        [&](OwnerBody& body) { body.keep(open_listener(listener.spec)); });
  }
  add_expected(listener, names, static_cast<uint64_t>(members));
  apply_traffic({listener});
}

WorldNamespace& World::at(const std::string& label) const {
  for (const auto& space : namespaces)
    if (space->label == label) return *space;
  throw std::runtime_error("no namespace " + label);
}

World& world() {
  if (!the_world) the_world = make_world();
  return *the_world;
}

void end_world() {
  the_world.reset();
}

std::string difference(const Expected& expected, const Observed& observed) {
  std::string text;
  const auto check = [&](const char* what, uint64_t want, uint64_t got) {
    if (want != got) text += fmt::format(" {} is {}, not {};", what, got, want);
  };
  check("number of listeners", expected.members, observed.members);
  check("limit", expected.limit, observed.limit);
  check("accept queue", expected.accept_queue, observed.accept_queue);
  if (observed.syn_queue) check("SYN queue", expected.syn_queue, *observed.syn_queue);
  check("drops", expected.drops, observed.drops);
  return text.empty() ? text : fmt::format("{}:{}:{}\n", expected.address, expected.port, text);
}

std::string world_difference(const World& world) {
  std::string text;
  for (const auto& space : world.namespaces) {
    const auto listeners = ss_listeners(space->netns);
    const auto half_open = ss_half_open(space->netns);
    uint64_t planned = 0;
    for (const Expected& expected : space->expected) {
      Observed observed{.syn_queue = 0};
      for (const auto& [cookie, row] : listeners) {
        if (row.address != expected.address || row.port != expected.port) continue;
        ++observed.members;
        observed.limit = row.accept_queue_limit;
        observed.accept_queue += row.accept_queue_len;
        observed.drops += row.drops;
      }
      const auto found = half_open.find(expected.port);
      if (found != half_open.end()) observed.syn_queue = found->second;
      const std::string one = difference(expected, observed);
      if (!one.empty()) text += fmt::format("{}: {}", space->label, one);
      planned += expected.members;
    }
    if (planned != listeners.size())
      text += fmt::format("{}: {} listeners, not {}\n", space->label, listeners.size(), planned);
  }
  return text;
}

}  // namespace lqtest
