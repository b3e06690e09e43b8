// SPDX-License-Identifier: Apache-2.0
// Sockets of the test world: see sockets.h.
#include "sockets.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "packets.h"
#include "process.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace lqtest {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] bool is_v6() const { return storage.ss_family == AF_INET6; }
};

// "10.77.0.1", "fd77::1", "fe80::77%silent0".
Address parse_address(const std::string& text, uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof(*v4);
    return address;
  }
  const size_t scope = text.find('%');
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET6, text.substr(0, scope).c_str(), &v6->sin6_addr) != 1)
    throw std::runtime_error("bad address " + text);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  if (scope != std::string::npos)
    v6->sin6_scope_id = ::if_nametoindex(text.substr(scope + 1).c_str());
  address.size = sizeof(*v6);
  return address;
}

void set_option(const Fd& socket, int level, int option, int value, const char* name) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof(value)) != 0) throw_errno(name);
}

// Behind silent0 (see netns.h), each another.
IpAddress silent_source(bool v6, uint32_t number) {
  if (v6) return IpAddress::parse("fd77::1:0:0").plus(number + 1U);
  // 10.77.1.1 upwards, never a .0 or .255 at the end.
  return IpAddress::parse("10.77.1.1").plus((number / 250U) * 256U + number % 250U);
}

IpAddress bytes_of(const Address& address) {
  IpAddress result;
  result.v6 = address.is_v6();
  const void* from = &reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr;
  if (result.v6) from = &reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr;
  std::memcpy(result.bytes.data(), from, result.size());
  return result;
}

}  // namespace

Fd open_bound(const ListenerSpec& spec) {
  Address address = parse_address(spec.address, spec.port);
  Fd socket(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC,
                     spec.mptcp ? IPPROTO_MPTCP : IPPROTO_TCP));
  if (!socket.valid()) throw_errno("socket");
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  if (spec.reuseport) set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  if (address.is_v6())
    set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, spec.v6only ? 1 : 0, "IPV6_V6ONLY");
  if (!spec.device.empty() &&
      ::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, spec.device.c_str(),
                   static_cast<socklen_t>(spec.device.size())) != 0)
    throw_errno("SO_BINDTODEVICE");
  if (::bind(socket.get(), address.raw(), address.size) != 0) throw_errno("bind " + spec.address);
  return socket;
}

Fd open_listener(const ListenerSpec& spec) {
  Fd socket = open_bound(spec);
  if (spec.fastopen > 0)
    set_option(socket, IPPROTO_TCP, TCP_FASTOPEN, spec.fastopen, "TCP_FASTOPEN");
  if (::listen(socket.get(), spec.backlog) != 0) throw_errno("listen " + spec.address);
  return socket;
}

bool kernel_has_mptcp() {
  return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP)).valid();
}

namespace {

Fd connect_with(int protocol, const std::string& address, uint16_t port) {
  const Address target = parse_address(address, port);
  Fd socket(::socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, protocol));
  if (!socket.valid()) throw_errno("socket");
  // Bounds connect(), too, so that a queue that is full by mistake is an error, not a hang.
  const timeval limit{20, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(socket.get(), target.raw(), target.size) != 0) throw_errno("connect " + address);
  return socket;
}

}  // namespace

Fd connect_to(const std::string& address, uint16_t port) {
  return connect_with(0, address, port);
}

Fd connect_mptcp(const std::string& address, uint16_t port) {
  return connect_with(IPPROTO_MPTCP, address, port);
}

Fd start_connect(const std::string& address, uint16_t port) {
  const Address target = parse_address(address, port);
  Fd socket(::socket(target.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) throw_errno("socket");
  if (::connect(socket.get(), target.raw(), target.size) != 0 && errno != EINPROGRESS)
    throw_errno("connect " + address);
  return socket;
}

Fd accept_from(const Fd& listener) {
  Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) throw_errno("accept");
  return socket;
}

void send_syns(const SynFlow& flow) {
  const Address target = parse_address(flow.address, flow.port);
  Fd socket(::socket(target.storage.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!socket.valid()) throw_errno("raw socket");
  // Sources are never used twice in a test run: a second SYN would find its request and add none.
  static std::atomic<uint32_t> next_source{0};
  Address to = target;
  if (to.is_v6()) reinterpret_cast<sockaddr_in6&>(to.storage).sin6_port = 0;
  for (int i = 0; i < flow.count; ++i) {
    const uint32_t number = next_source++;
    const std::vector<uint8_t> packet =
        to_packet({.source = silent_source(to.is_v6(), number),
                   .target = bytes_of(to),
                   .source_port = static_cast<uint16_t>(20000 + number % 10000),
                   .target_port = flow.port,
                   .seq = 0x10203040U,
                   .flags = kSyn,
                   .payload = flow.payload});
    if (::sendto(socket.get(), packet.data(), packet.size(), 0, to.raw(), to.size) < 0)
      throw_errno("send a SYN");
  }
}

}  // namespace lqtest
