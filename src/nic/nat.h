// SPDX-License-Identifier: Apache-2.0
//
// What may give packets another port between the interface and TCP: where something does, the
// counts of a port at the interface and at its listener are not of the same connections, and the
// difference is no loss. Asked by whoever shows the two side by side.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace listenq {

/// Of the calling thread's namespace: "nftables", "iptables", "ipvs" joined by ", "; empty: none,
/// or none that could be asked for. Loads no kernel module.
[[nodiscard]] std::string destination_rewriters();

/// One NFT_MSG_NEWCHAIN message after its nlmsghdr: a chain with rules that may rewrite.
[[nodiscard]] bool chain_rewrites(std::span<const std::byte> payload);

/// The text of /proc/net/ip_vs has a service that TCP can be for.
[[nodiscard]] bool has_tcp_service(std::string_view ip_vs);

}  // namespace listenq
