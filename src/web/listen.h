// SPDX-License-Identifier: Apache-2.0
//
// The sockets that the exporter listens at: those of --web.listen-address, and those that systemd
// hands over (sd_listen_fds(3)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "util/fd.h"
#include "util/result.h"

namespace listenq::web {

/// "HOST:PORT", "[IPv6]:PORT", ":PORT" (all addresses of both families); HOST may be a name. One
/// socket for each address that the name has. Usage error for what is no such address; else the
/// sentence says what the kernel said (in use, not permitted, not an address of this machine).
[[nodiscard]] Result<std::vector<Fd>> listen_at(std::string_view address);

/// Of LISTEN_FDS, where LISTEN_PID is this process; empty: none. Takes the variables out of the
/// environment. An error when one of them is not a listening TCP or Unix stream socket.
[[nodiscard]] Result<std::vector<Fd>> sockets_from_systemd();

/// As a client would write it: "http://127.0.0.1:9815", "unix:/run/listenq.sock".
[[nodiscard]] std::string url_of(const Fd& socket, bool tls);

/// Tells systemd (sd_notify(3)) "READY=1", "WATCHDOG=1", "STATUS=..."; nothing without a
/// NOTIFY_SOCKET.
void notify_systemd(std::string_view state);

}  // namespace listenq::web
