// SPDX-License-Identifier: Apache-2.0
//
// See diag_backend.h.
#include "probe/diag_backend.h"

#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <initializer_list>

#include "util/fd.h"

namespace listenq {
namespace {

// linux/inet_diag.h of Debian 12 has them all; the numbers are kernel ABI.
constexpr std::size_t kReceiveBuffer = 64UL * 1024;

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

struct Ask {
  std::uint32_t states = 1U << TCP_LISTEN;
  bool sk_drops = true;
};

Result<void> send_request(int socket, int family, const Ask& ask) {
  Request request;
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = static_cast<__u8>(family);
  request.body.sdiag_protocol = IPPROTO_TCP;
  if (ask.sk_drops) request.body.idiag_ext = 1U << (INET_DIAG_SKMEMINFO - 1);
  request.body.idiag_states = ask.states;
  if (::send(socket, &request, sizeof(request), 0) < 0) {
    return failure(ErrorKind::unsupported,
                   fmt::format("sock_diag refused the request: {}", errno_text(errno)));
  }
  return {};
}

RawListener parse(const inet_diag_msg& message, std::size_t length, NetnsId netns) {
  RawListener listener;
  listener.netns = netns;
  const std::uint64_t cookie =
      (static_cast<std::uint64_t>(message.id.idiag_cookie[1]) << 32U) | message.id.idiag_cookie[0];
  if (cookie != 0) listener.cookie = static_cast<SocketCookie>(cookie);
  listener.inode = message.idiag_inode;
  listener.uid = message.idiag_uid;
  listener.port = ntohs(message.id.idiag_sport);
  listener.accept_queue_len = message.idiag_rqueue;
  listener.accept_queue_limit = message.idiag_wqueue;
  const bool inet6 = message.idiag_family == AF_INET6;
  std::memcpy(listener.address.data(), message.id.idiag_src, inet6 ? 16 : 4);
  if (message.id.idiag_if != 0) {
    std::array<char, IF_NAMESIZE> name{};
    listener.interface = ::if_indextoname(message.id.idiag_if, name.data()) != nullptr
                             ? std::string(name.data())
                             : std::to_string(message.id.idiag_if);
  }

  bool v6only = false;
  const auto* attribute = reinterpret_cast<const rtattr*>(&message + 1);
  auto rest = static_cast<unsigned>(length - sizeof(message));
  for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
    const auto* data = reinterpret_cast<const unsigned char*>(attribute) + RTA_LENGTH(0);
    const std::size_t size = RTA_PAYLOAD(attribute);
    if (attribute->rta_type == INET_DIAG_SKV6ONLY && size >= 1) v6only = data[0] != 0;
    if (attribute->rta_type == INET_DIAG_CGROUP_ID && size >= sizeof(std::uint64_t)) {
      std::uint64_t id = 0;
      std::memcpy(&id, data, sizeof(id));
      if (id != 0) listener.cgroup_id = id;
    }
    constexpr std::size_t kDrops = 8;  // SK_MEMINFO_DROPS
    if (attribute->rta_type == INET_DIAG_SKMEMINFO && size >= (kDrops + 1) * sizeof(__u32)) {
      std::uint32_t drops = 0;
      std::memcpy(&drops, data + kDrops * sizeof(__u32), sizeof(drops));
      listener.sk_drops = drops;
    }
  }
  const bool wildcard = std::all_of(listener.address.begin(), listener.address.end(),
                                    [](std::uint8_t byte) { return byte == 0; });
  listener.family = !inet6 ? Family::ipv4 : wildcard && !v6only ? Family::dual : Family::ipv6;
  return listener;
}

/// One buffer of messages; true when the dump is over.
Result<bool> parse_messages(const char* data, std::size_t size, NetnsId netns,
                            std::vector<RawListener>& listeners) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(data);
  for (auto rest = static_cast<unsigned>(size); NLMSG_OK(header, rest);
       header = NLMSG_NEXT(header, rest)) {
    if (header->nlmsg_type == NLMSG_DONE) return true;
    const auto* payload = reinterpret_cast<const char*>(header) + NLMSG_HDRLEN;
    const std::size_t length = header->nlmsg_len - NLMSG_HDRLEN;
    if (header->nlmsg_type == NLMSG_ERROR && length >= sizeof(nlmsgerr)) {
      const int error = -reinterpret_cast<const nlmsgerr*>(payload)->error;
      return failure(ErrorKind::unsupported,
                     error == ENOENT
                         ? "the kernel has no sock_diag for TCP (modules inet_diag and tcp_diag)"
                         : fmt::format("sock_diag answered: {}", errno_text(error)));
    }
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || length < sizeof(inet_diag_msg)) continue;
    const auto& message = *reinterpret_cast<const inet_diag_msg*>(payload);
    if (message.idiag_state == TCP_LISTEN) listeners.push_back(parse(message, length, netns));
  }
  return false;
}

Result<void> dump_family(int socket, int family, const Ask& ask, NetnsId netns,
                         std::vector<RawListener>& listeners) {
  if (auto sent = send_request(socket, family, ask); !sent) return sent;
  alignas(nlmsghdr) static thread_local std::array<char, kReceiveBuffer> buffer;
  for (;;) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return failure(ErrorKind::unsupported,
                     fmt::format("sock_diag stopped answering: {}", errno_text(errno)));
    }
    const auto done =
        parse_messages(buffer.data(), static_cast<std::size_t>(got), netns, listeners);
    if (!done) return tl::unexpected<Error>(done.error());
    if (*done) return {};
  }
}

class DiagBackend final : public Backend {
 public:
  Result<void> read_namespace(NetnsId netns, const ReadRequest& request,
                              std::vector<RawListener>& listeners) override {
    return dump_listeners(netns, request.sk_drops, listeners);
  }
  void complete(std::vector<RawListener>& /*listeners*/, const ReadRequest& /*request*/,
                const Enter& /*enter*/) override {}
  std::optional<std::vector<ListenerHolder>> take_holders() override { return std::nullopt; }
  void read_waiting(std::vector<RawCloseUp>& /*close_ups*/, const Enter& /*enter*/) override {}
  void account(RawSelf& /*self*/) const override {}
  void list_programs(std::vector<RawProgram>& /*programs*/) const override {}
};

Result<void> dump(std::initializer_list<int> families, const Ask& ask, NetnsId netns,
                  std::vector<RawListener>& listeners) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket) {
    return failure(ErrorKind::unsupported,
                   fmt::format("no netlink socket for sock_diag: {}", errno_text(errno)));
  }
  for (const int family : families) {
    auto dumped = dump_family(socket.get(), family, ask, netns, listeners);
    if (!dumped) return dumped;
  }
  return {};
}

}  // namespace

Result<void> dump_listeners(NetnsId netns, bool sk_drops, std::vector<RawListener>& listeners) {
  return dump({AF_INET, AF_INET6}, {.sk_drops = sk_drops}, netns, listeners);
}

std::string sock_diag_missing() {
  // No state at all: the kernel answers at once that this was all.
  std::vector<RawListener> none;
  const auto dumped = dump({AF_INET}, {.states = 0, .sk_drops = false}, NetnsId{}, none);
  return dumped ? std::string() : dumped.error().message;
}

std::unique_ptr<Backend> make_diag_backend() {
  return std::make_unique<DiagBackend>();
}

}  // namespace listenq
