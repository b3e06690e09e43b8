// SPDX-License-Identifier: Apache-2.0
//
// The made-up machines themselves.
#include "tui_world.h"

namespace listenq::tui {

World::World() {
  sample.wall_ns = 1'790'000'000ULL * kSecond;  // 2026-09-21T14:13:20Z
  sample.monotonic_ns = 1000 * kSecond;
  sample.host = "web1";
  sample.kernel = "6.18.44";
  sample.backend = "iter";
}

RawNamespace& World::add_netns(std::uint32_t id, std::optional<std::string> name) {
  RawNamespace netns;
  netns.netns = NetnsId{id};
  netns.name = std::move(name);
  netns.sysctls.somaxconn = 4096;
  netns.sysctls.tcp_max_syn_backlog = 4096;
  netns.sysctls.tcp_syncookies = 1;
  netns.mib = MibCounters{{"ListenOverflows", 0}, {"ListenDrops", 0}};
  sample.namespaces.push_back(std::move(netns));
  return sample.namespaces.back();
}

RawListener& World::add(const Where& where) {
  RawListener listener;
  listener.netns = NetnsId{where.netns};
  listener.cookie = SocketCookie{sample.listeners.size() + 1};
  listener.inode = 1000 + sample.listeners.size();
  std::copy(where.address.begin(), where.address.end(), listener.address.begin());
  listener.port = where.port;
  listener.accept_queue_limit = where.limit;
  listener.uid = 33;
  listener.syn_queue_len = 0;
  listener.sk_drops = 0;
  sample.listeners.push_back(listener);
  return sample.listeners.back();
}

void World::own(const RawListener& listener, const std::string& name,
                const std::vector<std::int32_t>& pids, const std::optional<std::string>& cgroup) {
  owners.by_inode[listener.inode] = {static_cast<std::uint32_t>(owners.pids.size()),
                                     static_cast<std::uint32_t>(pids.size())};
  for (const std::int32_t pid : pids) {
    owners.pids.push_back(pid);
    owners.processes[pid] = {name, cgroup};
  }
}

std::shared_ptr<const Snapshot> World::snapshot() {
  sample.owners = std::make_shared<OwnerTable>(owners);
  auto snapshot = deriver.derive(std::make_shared<Sample>(sample));
  sample.wall_ns += kSecond;
  sample.monotonic_ns += kSecond;
  return snapshot;
}

std::shared_ptr<const Snapshot> small_machine(World& world) {
  world.add_netns(4026531840, std::nullopt);
  const std::uint32_t host = 4026531840;
  RawListener& web = world.add({.netns = host, .port = 80});
  web.accept_queue_len = 512;
  web.syn_queue_len = 12;
  web.sk_drops = 1180;
  world.own(web, "nginx", {1234, 1235, 1236, 1237}, "/system.slice/nginx.service");
  RawListener& database =
      world.add({.netns = host, .address = {127, 0, 0, 1}, .port = 5432, .limit = 4096});
  database.accept_queue_len = 3;
  world.own(database, "postgres", {812}, "/system.slice/postgresql.service");
  RawListener& kernel = world.add({.netns = host, .port = 2049, .limit = 64});
  kernel.inode = 0;
  kernel.uid.reset();
  kernel.sk_drops.reset();
  kernel.syn_queue_len.reset();
  auto first = world.snapshot();
  world.sample.listeners[0].sk_drops = 1204;
  world.sample.namespaces[0].mib = MibCounters{{"ListenOverflows", 12}, {"ListenDrops", 12}};
  return world.snapshot();
}

std::shared_ptr<const Snapshot> large_machine(World& world, int count) {
  for (std::uint32_t id = 1; id <= 4; ++id) world.add_netns(id, "pod-" + std::to_string(id));
  for (int i = 0; i < count; ++i) {
    RawListener& listener = world.add({.netns = static_cast<std::uint32_t>(i % 4 + 1),
                                       .address = {10, 0, static_cast<std::uint8_t>(i / 250 % 250),
                                                   static_cast<std::uint8_t>(i % 250)},
                                       .port = static_cast<std::uint16_t>(1000 + i % 50000),
                                       .limit = 128});
    listener.accept_queue_len = i % 100 == 99 ? 129 : static_cast<std::uint32_t>(i % 20);
    world.own(listener, "worker-" + std::to_string(i % 37), {i + 1});
  }
  auto first = world.snapshot();
  return world.snapshot();
}

std::string drawn(const ScreenState& state, Charset charset) {
  Canvas canvas(state.height, state.width, charset);
  draw_screen(canvas, state);
  return canvas.to_text();
}

ScreenState showing(std::shared_ptr<const Snapshot> snapshot, int height, int width) {
  ScreenState state;
  set_size(state, height, width);
  show(state, std::move(snapshot), 5 * kSecond);
  return state;
}

Key character(char32_t code) {
  return {KeyCode::character, code};
}

void press(ScreenState& state, std::string_view text) {
  for (const char32_t code : decode_utf8(text)) handle_key(state, character(code));
}

}  // namespace listenq::tui
