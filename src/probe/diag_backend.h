// SPDX-License-Identifier: Apache-2.0
//
// Listeners by NETLINK_SOCK_DIAG, with LISTEN alone in the state mask: then the kernel looks only
// at its listening hash and never at the connections. Needs no rights. Also the base that the BPF
// backend completes.
#pragma once

#include <memory>
#include <vector>

#include "probe/backend.h"

namespace listenq {

/// Dumps the listeners of the namespace the calling thread is in (a netlink socket belongs to the
/// one that it was made in), IPv4 then IPv6. Asking for sk_drops makes each message longer.
[[nodiscard]] Result<void> dump_listeners(NetnsId netns, bool sk_drops,
                                          std::vector<RawListener>& listeners);

/// Whether the kernel answers: "" or why not. Loads the modules inet_diag and tcp_diag if need be.
[[nodiscard]] std::string sock_diag_missing();

[[nodiscard]] std::unique_ptr<Backend> make_diag_backend();

}  // namespace listenq
