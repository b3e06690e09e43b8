// SPDX-License-Identifier: Apache-2.0
// Sockets of the test world: see sockets.h.
#include "sockets.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

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

// Internet checksum over the pseudo header and the segment.
class Checksum {
 public:
  void add(const void* data, size_t size) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    for (size_t i = 0; i < size; i += 2) {
      const unsigned high = bytes[i];
      const unsigned low = i + 1 < size ? bytes[i + 1] : 0U;
      sum_ += (high << 8U) | low;
    }
  }
  [[nodiscard]] uint16_t value() const {
    uint32_t sum = sum_;
    while ((sum >> 16U) != 0) sum = (sum & 0xffffU) + (sum >> 16U);
    return htons(static_cast<uint16_t>(~sum & 0xffffU));
  }

 private:
  uint32_t sum_ = 0;
};

std::vector<uint8_t> make_segment(uint16_t source, uint16_t target, const std::string& payload) {
  tcphdr header{};
  header.source = htons(source);
  header.dest = htons(target);
  header.seq = htonl(0x10203040U);
  header.doff = sizeof(header) / 4;
  header.syn = 1;
  header.window = htons(65535);
  std::vector<uint8_t> segment(sizeof(header) + payload.size());
  std::memcpy(segment.data(), &header, sizeof(header));
  std::memcpy(segment.data() + sizeof(header), payload.data(), payload.size());
  return segment;
}

void seal(std::vector<uint8_t>& segment, const void* source, const void* target, size_t size) {
  Checksum sum;
  sum.add(source, size);
  sum.add(target, size);
  const std::array<uint8_t, 4> rest{0, IPPROTO_TCP, static_cast<uint8_t>(segment.size() >> 8U),
                                    static_cast<uint8_t>(segment.size() & 0xffU)};
  sum.add(rest.data(), rest.size());
  sum.add(segment.data(), segment.size());
  const uint16_t value = sum.value();
  std::memcpy(segment.data() + offsetof(tcphdr, check), &value, sizeof(value));
}

template <typename Header>
std::vector<uint8_t> join(const Header& header, const std::vector<uint8_t>& segment) {
  std::vector<uint8_t> packet(sizeof(header) + segment.size());
  std::memcpy(packet.data(), &header, sizeof(header));
  std::memcpy(packet.data() + sizeof(header), segment.data(), segment.size());
  return packet;
}

std::vector<uint8_t> v4_packet(const Address& target, uint32_t number,
                               std::vector<uint8_t> segment) {
  const auto& to = reinterpret_cast<const sockaddr_in&>(target.storage);
  iphdr header{};
  header.version = 4;
  header.ihl = 5;
  header.tot_len = htons(static_cast<uint16_t>(sizeof(header) + segment.size()));
  header.ttl = 64;
  header.protocol = IPPROTO_TCP;
  // 10.77.1.0 upwards, never a .0 or .255 at the end.
  const uint32_t source = 0x0a4d0100U + (number / 250U) * 256U + 1U + number % 250U;
  header.saddr = htonl(source);
  header.daddr = to.sin_addr.s_addr;
  seal(segment, &header.saddr, &header.daddr, sizeof(header.saddr));
  return join(header, segment);
}

std::vector<uint8_t> v6_packet(const Address& target, uint32_t number,
                               std::vector<uint8_t> segment) {
  const auto& to = reinterpret_cast<const sockaddr_in6&>(target.storage);
  ip6_hdr header{};
  header.ip6_flow = htonl(6U << 28U);
  header.ip6_plen = htons(static_cast<uint16_t>(segment.size()));
  header.ip6_nxt = IPPROTO_TCP;
  header.ip6_hlim = 64;
  ::inet_pton(AF_INET6, "fd77::1:0:0", &header.ip6_src);
  const uint32_t tail = htonl(number + 1U);
  std::memcpy(&header.ip6_src.s6_addr[12], &tail, sizeof(tail));
  header.ip6_dst = to.sin6_addr;
  seal(segment, &header.ip6_src, &header.ip6_dst, sizeof(header.ip6_src));
  return join(header, segment);
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

Fd connect_to(const std::string& address, uint16_t port) {
  const Address target = parse_address(address, port);
  Fd socket(::socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) throw_errno("socket");
  // Bounds connect(), too, so that a queue that is full by mistake is an error, not a hang.
  const timeval limit{20, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(socket.get(), target.raw(), target.size) != 0) throw_errno("connect " + address);
  return socket;
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
    const auto source_port = static_cast<uint16_t>(20000 + number % 10000);
    std::vector<uint8_t> segment = make_segment(source_port, flow.port, flow.payload);
    const std::vector<uint8_t> packet = to.is_v6() ? v6_packet(to, number, std::move(segment))
                                                   : v4_packet(to, number, std::move(segment));
    if (::sendto(socket.get(), packet.data(), packet.size(), 0, to.raw(), to.size) < 0)
      throw_errno("send a SYN");
  }
}

}  // namespace lqtest
