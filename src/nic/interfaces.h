// SPDX-License-Identifier: Apache-2.0
//
// The interfaces of a network namespace, and which of them bring packets in: what --nic auto
// watches. Asked by whoever attaches the programs, with its thread inside the namespace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "util/result.h"

namespace listenq {

/// How an XDP program sits on an interface, as the kernel says it.
enum class XdpMode : std::uint8_t { none, native, generic, offloaded, several };

struct Interface {
  std::uint32_t ifindex = 0;
  std::string name;
  std::uint16_t hardware = 0;  ///< ARPHRD_*
  bool up = false;             ///< IFF_UP
  /// "veth", "bridge", "vlan"...; empty: a device of its own (hardware, loopback).
  std::string kind;
  /// The device it is built on or paired with, when that is another one of this namespace; else 0.
  std::uint32_t lower = 0;
  std::uint32_t master = 0;       ///< the bridge, bond, VRF... that it is a port of; else 0
  std::uint32_t xdp_program = 0;  ///< id of the XDP program on it, any of several; 0: none
  XdpMode xdp_mode = XdpMode::none;
};

/// The interfaces of the calling thread's namespace by ascending ifindex.
[[nodiscard]] Result<std::vector<Interface>> list_interfaces();

/// One RTM_NEWLINK message after its nlmsghdr; nullopt when it is too short for one.
[[nodiscard]] std::optional<Interface> parse_interface(std::span<const std::byte> payload);

/// Its frames begin with an Ethernet header (of 14 bytes, VLAN tags may follow).
[[nodiscard]] bool has_ethernet_header(const Interface& interface);

/// Its frames begin with the IP header.
[[nodiscard]] bool has_ip_header(const Interface& interface);

/// The choice of --nic auto: the interfaces where every packet to the namespace `all` is seen, and
/// each but once.
[[nodiscard]] bool brings_packets_in(const Interface& interface, std::span<const Interface> all);

}  // namespace listenq
