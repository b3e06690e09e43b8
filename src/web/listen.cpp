// SPDX-License-Identifier: Apache-2.0
//
// Opens sockets, takes over those of systemd, and talks to it.
#include "web/listen.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "util/text.h"

namespace listenq::web {
namespace {

constexpr int kBacklog = 511;

struct HostPort {
  std::string host;  ///< empty: all addresses
  std::string port;
};

std::optional<HostPort> split_address(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  constexpr std::int64_t kHighestPort = 65535;
  const bool digits =
      !port.empty() && port.find_first_not_of("0123456789") == std::string_view::npos;
  const auto number = digits ? parse_integer(port) : std::nullopt;
  if (!number || *number > kHighestPort) return std::nullopt;
  if (host.starts_with('[')) {
    if (!host.ends_with(']') || host.size() == 2 || host.find(':') == std::string_view::npos) {
      return std::nullopt;
    }
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[] /") != std::string_view::npos) {
    return std::nullopt;
  }
  return HostPort{std::string(host), std::to_string(*number)};
}

/// The errno of what failed, as the second.
std::pair<Fd, int> open_listener(const addrinfo& address) {
  Fd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {Fd(), errno};
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) return {Fd(), errno};
  // Its port is free for the socket of the other family.
  if (address.ai_family == AF_INET6 &&
      setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) {
    return {Fd(), errno};
  }
  if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) < 0) return {Fd(), errno};
  if (::listen(fd.get(), kBacklog) < 0) return {Fd(), errno};
  return {std::move(fd), 0};
}

std::optional<std::string> taken_from_environment(const char* name) {
  const char* const value = getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string copy = value;
  unsetenv(name);
  return copy;
}

template <class T>
std::optional<T> socket_option(int fd, int option) {
  T value{};
  socklen_t length = sizeof(value);
  if (getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0) return std::nullopt;
  return value;
}

bool is_listener(int fd) {
  constexpr std::array<int, 3> kFamilies = {AF_INET, AF_INET6, AF_UNIX};
  const int family = socket_option<int>(fd, SO_DOMAIN).value_or(AF_UNSPEC);
  return socket_option<int>(fd, SO_TYPE) == SOCK_STREAM &&
         socket_option<int>(fd, SO_ACCEPTCONN).value_or(0) != 0 &&
         std::find(kFamilies.begin(), kFamilies.end(), family) != kFamilies.end();
}

}  // namespace

Result<std::vector<Fd>> listen_at(std::string_view address) {
  const std::string shown = printable(address);
  const auto parts = split_address(address);
  if (!parts) {
    return failure(ErrorKind::usage, "'" + shown +
                                         "' is no address to listen at: HOST:PORT, [IPv6]:PORT or "
                                         ":PORT");
  }
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(parts->host.empty() ? nullptr : parts->host.c_str(),
                                parts->port.c_str(), &hints, &found);
  if (error != 0) {
    return failure(ErrorKind::unsupported,
                   "can't listen at " + shown + ": " +
                       (error == EAI_SYSTEM ? errno_text(errno) : gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::vector<Fd> sockets;
  int absent = 0;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    auto [socket, problem] = open_listener(*each);
    // A name or ":PORT" has addresses of a family that this machine may be without.
    const bool missing = problem == EAFNOSUPPORT || problem == EADDRNOTAVAIL;
    if (missing) {
      absent = problem;
      continue;
    }
    if (problem != 0) {
      return failure(ErrorKind::unsupported,
                     "can't listen at " + shown + ": " + errno_text(problem));
    }
    sockets.push_back(std::move(socket));
  }
  if (sockets.empty()) {
    return failure(ErrorKind::unsupported, "can't listen at " + shown + ": " + errno_text(absent));
  }
  return sockets;
}

Result<std::vector<Fd>> sockets_from_systemd() {
  constexpr int kFirst = 3;
  constexpr std::int64_t kMost = 1024;
  const auto pid = taken_from_environment("LISTEN_PID");
  const auto count = taken_from_environment("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  std::vector<Fd> sockets;
  if (!pid || !count || parse_integer(*pid) != getpid()) return sockets;
  const auto number = parse_integer(*count);
  if (!number || *number < 0 || *number > kMost) {
    return failure(ErrorKind::usage, "LISTEN_FDS is no number of sockets");
  }
  for (int fd = kFirst; fd < kFirst + static_cast<int>(*number); ++fd) {
    if (!is_listener(fd)) {
      return failure(ErrorKind::usage, "descriptor " + std::to_string(fd) +
                                           " of LISTEN_FDS is no listening stream socket");
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets.emplace_back(fd);
  }
  return sockets;
}

std::string url_of(const Fd& socket, bool tls) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) return {};
  if (address.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(address);
    const std::size_t size = length - offsetof(sockaddr_un, sun_path);
    std::string path(local.sun_path, std::min(size, sizeof(local.sun_path)));
    if (path.starts_with('\0')) return "unix:@" + printable(path.substr(1));
    return "unix:" + printable(path.c_str());
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host.data(), host.size(),
                  port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  const bool v6 = address.ss_family == AF_INET6;
  return std::string(tls ? "https://" : "http://") + (v6 ? "[" : "") + host.data() +
         (v6 ? "]:" : ":") + port.data();
}

void notify_systemd(std::string_view state) {
  const char* const path = getenv("NOTIFY_SOCKET");
  if (path == nullptr) return;
  const std::size_t size = std::strlen(path);
  sockaddr_un address{};
  if (size < 2 || size > sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  // Nobody to hear it is systemd's trouble, not ours.
  (void)::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace listenq::web
