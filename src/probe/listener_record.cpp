// SPDX-License-Identifier: Apache-2.0
//
// See listener_record.h.
#include "probe/listener_record.h"

#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string>

namespace listenq {
namespace {

static_assert(sizeof(listenq_listener_record) == 96);
static_assert(sizeof(listenq_owner_record) == 120);
static_assert(offsetof(listenq_listener_record, address) == 80);

Family family_of(const listenq_listener_record& record) {
  if (record.family != AF_INET6) return Family::ipv4;
  const bool wildcard = std::all_of(std::begin(record.address), std::end(record.address),
                                    [](std::uint8_t byte) { return byte == 0; });
  return wildcard && record.ipv6only == 0 ? Family::dual : Family::ipv6;
}

}  // namespace

void apply(const listenq_listener_record& record, RawListener& listener) {
  listener.accept_queue_len = record.accept_queue_len;
  listener.accept_queue_limit = record.accept_queue_limit;
  listener.syn_queue_len = record.syn_queue_len;
  listener.syn_queue_young = record.syn_queue_young;
  listener.fastopen_queue_len = record.fastopen_queue_len;
  listener.fastopen_queue_limit = record.fastopen_queue_limit;
  listener.sk_drops = record.sk_drops;
  listener.uid = record.uid;
  listener.oldest_wait_ns = (record.has & LISTENQ_HAS_WAIT) != 0
                                ? std::optional<std::uint64_t>(record.oldest_wait_ns)
                                : std::nullopt;
  if ((record.has & LISTENQ_HAS_INODE) != 0) listener.inode = record.inode;
  if ((record.has & LISTENQ_HAS_CGROUP) != 0) listener.cgroup_id = record.cgroup_id;
}

RawListener make_listener(const listenq_listener_record& record, NetnsId netns, DeviceNames names) {
  RawListener listener;
  listener.netns = netns;
  if ((record.has & LISTENQ_HAS_COOKIE) != 0) {
    listener.cookie = static_cast<SocketCookie>(record.cookie);
  }
  listener.family = family_of(record);
  std::memcpy(listener.address.data(), record.address, listener.address.size());
  listener.port = record.port;
  if (record.ifindex != 0) {
    std::array<char, IF_NAMESIZE> name{};
    const bool named =
        names == DeviceNames::of_thread && ::if_indextoname(record.ifindex, name.data()) != nullptr;
    listener.interface = named ? std::string(name.data()) : std::to_string(record.ifindex);
  }
  apply(record, listener);
  return listener;
}

}  // namespace listenq
