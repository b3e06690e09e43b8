// SPDX-License-Identifier: Apache-2.0
//
// See netlink.h.
#include "util/netlink.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "util/fd.h"

// linux/netlink.h, since Linux 4.20; not in every libc's sys/socket.h.
#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

namespace listenq {
namespace {

// The kernel puts at most 32 KB into one answer (netlink_dump() in net/netlink/af_netlink.c).
constexpr std::size_t kReceiveBuffer = 64UL * 1024;

tl::unexpected<Error> failed(const NetlinkDump& dump, int error) {
  return failure(ErrorKind::unsupported,
                 fmt::format("the kernel did not list {} (netlink {}, request {}): {}",
                             dump.subject, dump.protocol, dump.type, errno_text(error)));
}

std::size_t aligned(std::size_t length) {
  return (length + NLMSG_ALIGNTO - 1) & ~(std::size_t{NLMSG_ALIGNTO} - 1);
}

Result<Fd> ask(const NetlinkDump& dump) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, dump.protocol));
  if (!socket) return failed(dump, errno);
  // With it the kernel applies what the request's header says (routes of one table) rather than
  // sending everything. Before 4.20 it sends everything, and readers filter anyway.
  const int on = 1;
  (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));

  nlmsghdr header{};
  header.nlmsg_len = static_cast<__u32>(sizeof(header) + dump.body.size());
  header.nlmsg_type = dump.type;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::vector<std::byte> request(header.nlmsg_len);
  std::memcpy(request.data(), &header, sizeof(header));
  std::copy(dump.body.begin(), dump.body.end(), request.begin() + sizeof(header));
  if (::send(socket.get(), request.data(), request.size(), 0) < 0) return failed(dump, errno);
  return socket;
}

enum class Next { more, end, refused };

struct Progress {
  Next next = Next::more;
  int error = 0;         ///< of Next::refused
  bool changed = false;  ///< NLM_F_DUMP_INTR was seen
};

/// The end of a list and an error alike carry a negative errno, 0 or nothing.
Progress ended(std::span<const std::byte> payload, Progress progress) {
  const int error = -netlink_value<int>(payload).value_or(0);
  progress.error = error == ENOENT ? 0 : error;
  progress.next = progress.error == 0 ? Next::end : Next::refused;
  return progress;
}

/// One buffer of messages.
Progress read_messages(std::span<const std::byte> bytes, Progress progress,
                       const std::function<bool(const NetlinkMessage&)>& read) {
  while (const auto header = netlink_value<nlmsghdr>(bytes)) {
    const std::size_t length = header->nlmsg_len;
    if (length < sizeof(nlmsghdr) || length > bytes.size()) break;
    const auto payload = bytes.subspan(sizeof(nlmsghdr), length - sizeof(nlmsghdr));
    if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) progress.changed = true;
    if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
      return ended(payload, progress);
    }
    if (header->nlmsg_type >= NLMSG_MIN_TYPE && !read({header->nlmsg_type, payload})) {
      progress.next = Next::end;
      return progress;
    }
    bytes = bytes.subspan(std::min(aligned(length), bytes.size()));
  }
  return progress;
}

}  // namespace

Result<bool> netlink_dump(const NetlinkDump& dump,
                          const std::function<bool(const NetlinkMessage&)>& read) {
  const auto socket = ask(dump);
  if (!socket) return tl::unexpected<Error>(socket.error());
  std::vector<std::byte> buffer(kReceiveBuffer);
  Progress progress;
  while (progress.next == Next::more) {
    const ssize_t got = ::recv(socket->get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(dump, errno);
    const auto size = static_cast<std::size_t>(got);
    if (size == 0 || size > buffer.size()) return failed(dump, EMSGSIZE);
    progress = read_messages(std::span(buffer).first(size), progress, read);
  }
  if (progress.next == Next::refused) return failed(dump, progress.error);
  return !progress.changed;
}

void for_each_attribute(
    std::span<const std::byte> attributes,
    const std::function<void(std::uint16_t type, std::span<const std::byte> value)>& visit) {
  while (const auto header = netlink_value<nlattr>(attributes)) {
    const std::size_t length = header->nla_len;
    if (length < sizeof(nlattr) || length > attributes.size()) return;
    visit(static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK),
          attributes.subspan(sizeof(nlattr), length - sizeof(nlattr)));
    attributes = attributes.subspan(std::min(aligned(length), attributes.size()));
  }
}

std::string_view netlink_string(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

}  // namespace listenq
