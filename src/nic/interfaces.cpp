// SPDX-License-Identifier: Apache-2.0
//
// See interfaces.h.
#include "nic/interfaces.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "util/netlink.h"

namespace listenq {
namespace {

// Kernel ABI that headers of an older distribution may lack.
constexpr std::uint16_t kRawIp = 519;          // ARPHRD_RAWIP, 4.14
constexpr std::uint32_t kSkipStatistics = 8U;  // RTEXT_FILTER_SKIP_STATS

using Bytes = std::span<const std::byte>;

std::uint32_t number(Bytes value) {
  return netlink_value<std::uint32_t>(value).value_or(0);
}

std::string kind_of(Bytes link_info) {
  std::string kind;
  for_each_attribute(link_info, [&](std::uint16_t type, Bytes value) {
    if (type == IFLA_INFO_KIND) kind = netlink_string(value);
  });
  return kind;
}

XdpMode mode_of(std::uint8_t attached) {
  switch (attached) {
    case XDP_ATTACHED_NONE:
      return XdpMode::none;
    case XDP_ATTACHED_DRV:
      return XdpMode::native;
    case XDP_ATTACHED_SKB:
      return XdpMode::generic;
    case XDP_ATTACHED_HW:
      return XdpMode::offloaded;
    default:
      return XdpMode::several;
  }
}

/// With programs in several modes there is no IFLA_XDP_PROG_ID, only those of the modes.
void read_xdp(Bytes xdp, Interface& interface) {
  for_each_attribute(xdp, [&](std::uint16_t type, Bytes value) {
    switch (type) {
      case IFLA_XDP_ATTACHED:
        interface.xdp_mode = mode_of(netlink_value<std::uint8_t>(value).value_or(0));
        break;
      case IFLA_XDP_PROG_ID:
      case IFLA_XDP_DRV_PROG_ID:
      case IFLA_XDP_SKB_PROG_ID:
      case IFLA_XDP_HW_PROG_ID:
        if (const std::uint32_t id = number(value); id != 0) interface.xdp_program = id;
        break;
      default:
        break;
    }
  });
}

template <std::size_t N>
bool is_one_of(const std::string& kind, const std::array<std::string_view, N>& kinds) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

/// Their packets come in through their ports and are counted there. Most are known by their ports'
/// IFLA_MASTER too, but must not come and go with the first port.
constexpr std::array<std::string_view, 6> kMasters = {"bridge", "bond", "team",
                                                      "vrf",    "hsr",  "openvswitch"};

/// Nothing comes in from outside: dummy holds addresses, ifb is fed from another interface's
/// ingress and gives the packet back to it, nlmon shows netlink.
constexpr std::array<std::string_view, 3> kIdle = {"dummy", "ifb", "nlmon"};

/// Their frames pass the lower device in a form that the parser reads (it looks through VLAN
/// tags). Not so macsec (encrypted there) and tunnels (inside another packet).
constexpr std::array<std::string_view, 5> kStacked = {"vlan", "macvlan", "macvtap", "ipvlan",
                                                      "ipvtap"};

}  // namespace

std::optional<Interface> parse_interface(Bytes payload) {
  const auto header = netlink_value<ifinfomsg>(payload);
  if (!header) return std::nullopt;
  Interface interface;
  interface.ifindex = static_cast<std::uint32_t>(header->ifi_index);
  interface.hardware = header->ifi_type;
  interface.up = (header->ifi_flags & static_cast<unsigned>(IFF_UP)) != 0;
  bool lower_elsewhere = false;
  for_each_attribute(payload.subspan(sizeof(ifinfomsg)), [&](std::uint16_t type, Bytes value) {
    switch (type) {
      case IFLA_IFNAME:
        interface.name = netlink_string(value);
        break;
      case IFLA_LINK:
        interface.lower = number(value);
        break;
      case IFLA_LINK_NETNSID:
        lower_elsewhere = true;
        break;
      case IFLA_MASTER:
        interface.master = number(value);
        break;
      case IFLA_LINKINFO:
        interface.kind = kind_of(value);
        break;
      case IFLA_XDP:
        read_xdp(value, interface);
        break;
      default:
        break;
    }
  });
  // The ifindex of another namespace must not be taken for one of this.
  if (lower_elsewhere || interface.lower == interface.ifindex) interface.lower = 0;
  return interface;
}

Result<std::vector<Interface>> list_interfaces() {
  struct Request {
    ifinfomsg header{};
    rtattr attribute{};
    std::uint32_t mask = kSkipStatistics;  // statistics are most of a message, and of its cost
  };
  Request request;
  request.attribute.rta_len = sizeof(request.attribute) + sizeof(request.mask);
  request.attribute.rta_type = IFLA_EXT_MASK;
  auto interfaces = netlink_collect<std::vector<Interface>>(
      {NETLINK_ROUTE, RTM_GETLINK, std::as_bytes(std::span(&request, 1)), "interfaces"},
      [](const NetlinkMessage& message, std::vector<Interface>& list) {
        if (message.type != RTM_NEWLINK) return true;
        if (auto interface = parse_interface(message.payload))
          list.push_back(std::move(*interface));
        return true;
      });
  if (interfaces) {
    std::sort(interfaces->begin(), interfaces->end(),
              [](const Interface& a, const Interface& b) { return a.ifindex < b.ifindex; });
  }
  return interfaces;
}

bool has_ethernet_header(const Interface& interface) {
  return interface.hardware == ARPHRD_ETHER || interface.hardware == ARPHRD_LOOPBACK;
}

bool has_ip_header(const Interface& interface) {
  switch (interface.hardware) {
    case ARPHRD_NONE:  // tun, wireguard, vxlan-gpe, xfrm
    case ARPHRD_PPP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
    case ARPHRD_IP6GRE:
    case kRawIp:
      return true;
    default:
      return false;
  }
}

bool brings_packets_in(const Interface& interface, std::span<const Interface> all) {
  if (!interface.up) return false;
  // InfiniBand, CAN, 802.11 monitors, netlink...: frames that the parser can't read.
  if (!has_ethernet_header(interface) && !has_ip_header(interface)) return false;
  if (is_one_of(interface.kind, kMasters) || is_one_of(interface.kind, kIdle)) return false;
  // Masters without a kind (net_failover over a virtio and a passed-through device).
  const bool has_ports = std::any_of(all.begin(), all.end(), [&](const Interface& other) {
    return other.master == interface.ifindex;
  });
  if (has_ports) return false;
  // What remains: loopback, hardware, veth, tun and tap, and tunnels. The packet in a tunnel passes
  // twice, but can be read only on the tunnel's device, where it comes out. And what is stacked on
  // a device of another namespace (a container's macvlan) is the bottom of this one.
  const bool lower_is_here = std::any_of(all.begin(), all.end(), [&](const Interface& other) {
    return other.ifindex == interface.lower;
  });
  return !lower_is_here || !is_one_of(interface.kind, kStacked);
}

}  // namespace listenq
