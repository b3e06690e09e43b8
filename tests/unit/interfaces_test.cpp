// SPDX-License-Identifier: Apache-2.0
//
// The choice of --nic auto on invented interfaces, the reading of invented messages, and the lists
// of the namespace that the tests run in.
#include "nic/interfaces.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "netlink_bytes.h"
#include "nic/local_addresses.h"

namespace listenq {
namespace {

using test::attribute;
using test::Bytes;
using test::bytes_of;
using test::joined;
using test::text_bytes;

Interface made_up(std::uint32_t ifindex, std::string kind, std::uint32_t lower = 0,
                  std::uint32_t master = 0) {
  Interface interface;
  interface.ifindex = ifindex;
  interface.name = "if" + std::to_string(ifindex);
  interface.hardware = ARPHRD_ETHER;
  interface.up = true;
  interface.kind = std::move(kind);
  interface.lower = lower;
  interface.master = master;
  return interface;
}

/// Names of those that --nic auto takes.
std::vector<std::string> chosen(const std::vector<Interface>& all) {
  std::vector<std::string> names;
  for (const Interface& interface : all) {
    if (brings_packets_in(interface, all)) names.push_back(interface.name);
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(BringsPacketsIn, LoopbackHardwareVethAndTap) {
  Interface loopback = made_up(1, "");
  loopback.hardware = ARPHRD_LOOPBACK;
  EXPECT_EQ(chosen({loopback, made_up(2, ""), made_up(3, "veth"), made_up(4, "tun")}),
            (Names{"if1", "if2", "if3", "if4"}));
}

TEST(BringsPacketsIn, NothingThatIsDown) {
  Interface down = made_up(2, "");
  down.up = false;
  EXPECT_EQ(chosen({down}), Names{});
}

TEST(BringsPacketsIn, PortsRatherThanTheirMaster) {
  for (const char* kind : {"bridge", "bond", "team", "vrf", "hsr", "openvswitch"}) {
    EXPECT_EQ(chosen({made_up(2, "", 0, 3), made_up(3, kind)}), Names{"if2"}) << kind;
    EXPECT_EQ(chosen({made_up(3, kind)}), Names{}) << kind;
  }
  // net_failover has no kind.
  EXPECT_EQ(chosen({made_up(2, "", 0, 3), made_up(3, "")}), Names{"if2"});
}

TEST(BringsPacketsIn, TheLowerDeviceRatherThanWhatIsStackedOnIt) {
  for (const char* kind : {"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"}) {
    EXPECT_EQ(chosen({made_up(2, ""), made_up(3, kind, 2)}), Names{"if2"}) << kind;
  }
  // A VLAN on a bridge: its tagged frames pass the bridge's ports.
  EXPECT_EQ(chosen({made_up(2, "", 0, 3), made_up(3, "bridge"), made_up(4, "vlan", 3)}),
            Names{"if2"});
}

TEST(BringsPacketsIn, WhatIsStackedOnAnotherNamespacesDevice) {
  EXPECT_EQ(chosen({made_up(3, "macvlan"), made_up(4, "ipvlan"), made_up(5, "vlan")}),
            (Names{"if3", "if4", "if5"}));
}

TEST(BringsPacketsIn, BothEndsOfAVethPair) {
  EXPECT_EQ(chosen({made_up(2, "veth", 3), made_up(3, "veth", 2)}), (Names{"if2", "if3"}));
}

TEST(BringsPacketsIn, TunnelsAndTheirLowerDevice) {
  const std::array<std::pair<const char*, std::uint16_t>, 6> tunnels = {{{"wireguard", ARPHRD_NONE},
                                                                         {"ipip", ARPHRD_TUNNEL},
                                                                         {"sit", ARPHRD_SIT},
                                                                         {"gre", ARPHRD_IPGRE},
                                                                         {"vxlan", ARPHRD_ETHER},
                                                                         {"macsec", ARPHRD_ETHER}}};
  for (const auto& [kind, hardware] : tunnels) {
    Interface tunnel = made_up(3, kind, 2);
    tunnel.hardware = hardware;
    EXPECT_EQ(chosen({made_up(2, ""), tunnel}), (Names{"if2", "if3"})) << kind;
    EXPECT_NE(has_ethernet_header(tunnel), has_ip_header(tunnel)) << kind;
    EXPECT_EQ(has_ethernet_header(tunnel), hardware == ARPHRD_ETHER) << kind;
  }
}

TEST(BringsPacketsIn, NotWhatBringsNothing) {
  Interface can = made_up(5, "vcan");
  can.hardware = ARPHRD_CAN;
  EXPECT_EQ(chosen({made_up(2, "dummy"), made_up(3, "ifb"), made_up(4, "nlmon"), can}), Names{});
}

Bytes link_message(std::initializer_list<Bytes> attributes) {
  ifinfomsg header{};
  header.ifi_index = 7;
  header.ifi_type = ARPHRD_ETHER;
  header.ifi_flags = IFF_UP | IFF_BROADCAST;
  return joined({bytes_of(header), joined(attributes)});
}

TEST(ParseInterface, ReadsItsAttributes) {
  const auto interface = parse_interface(link_message(
      {attribute(IFLA_IFNAME, text_bytes("eth0.5")), attribute(IFLA_LINK, bytes_of(2U)),
       attribute(IFLA_MASTER, bytes_of(9U)),
       attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, text_bytes("vlan"))),
       attribute(IFLA_XDP,
                 joined({attribute(IFLA_XDP_ATTACHED, bytes_of(std::uint8_t{XDP_ATTACHED_SKB})),
                         attribute(IFLA_XDP_PROG_ID, bytes_of(41U))}))}));
  ASSERT_TRUE(interface);
  EXPECT_EQ(interface->ifindex, 7U);
  EXPECT_EQ(interface->name, "eth0.5");
  EXPECT_EQ(interface->hardware, ARPHRD_ETHER);
  EXPECT_TRUE(interface->up);
  EXPECT_EQ(interface->kind, "vlan");
  EXPECT_EQ(interface->lower, 2U);
  EXPECT_EQ(interface->master, 9U);
  EXPECT_EQ(interface->xdp_program, 41U);
  EXPECT_EQ(interface->xdp_mode, XdpMode::generic);
}

TEST(ParseInterface, ALowerDeviceOfAnotherNamespaceIsNone) {
  // In either order, and one that names itself.
  const Bytes link = attribute(IFLA_LINK, bytes_of(2U));
  const Bytes elsewhere = attribute(IFLA_LINK_NETNSID, bytes_of(0U));
  EXPECT_EQ(parse_interface(link_message({link, elsewhere}))->lower, 0U);
  EXPECT_EQ(parse_interface(link_message({elsewhere, link}))->lower, 0U);
  EXPECT_EQ(parse_interface(link_message({attribute(IFLA_LINK, bytes_of(7U))}))->lower, 0U);
}

TEST(ParseInterface, ProgramsInSeveralModes) {
  const auto interface = parse_interface(link_message({attribute(
      IFLA_XDP, joined({attribute(IFLA_XDP_ATTACHED, bytes_of(std::uint8_t{XDP_ATTACHED_MULTI})),
                        attribute(IFLA_XDP_DRV_PROG_ID, bytes_of(5U)),
                        attribute(IFLA_XDP_HW_PROG_ID, bytes_of(0U))}))}));
  EXPECT_EQ(interface->xdp_program, 5U);
  EXPECT_EQ(interface->xdp_mode, XdpMode::several);
}

TEST(ParseInterface, NeedsItsHeader) {
  Bytes message = link_message({});
  EXPECT_TRUE(parse_interface(message));
  message.pop_back();
  EXPECT_FALSE(parse_interface(message));
}

/// What `command` prints; "" when it can't be run.
std::string output(const char* command) {
  std::FILE* opened = ::popen(command, "re");  // NOLINT(cert-env33-c): the commands are ours
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(opened, &::pclose);
  std::string text;
  std::array<char, 4096> part{};
  while (pipe) {
    const std::size_t got = std::fread(part.data(), 1, part.size(), pipe.get());
    if (got == 0) break;
    text.append(part.data(), got);
  }
  return text;
}

TEST(ListInterfaces, ListsThoseOfThisNamespace) {
  const auto interfaces = list_interfaces();
  ASSERT_TRUE(interfaces) << interfaces.error().message;
  const auto loopback = std::find_if(interfaces->begin(), interfaces->end(),
                                     [](const Interface& one) { return one.name == "lo"; });
  ASSERT_NE(loopback, interfaces->end());
  EXPECT_EQ(loopback->hardware, ARPHRD_LOOPBACK);
  EXPECT_TRUE(has_ethernet_header(*loopback));
  EXPECT_EQ(brings_packets_in(*loopback, *interfaces), loopback->up);
}

/// As ip shows it, in the words of Interface.
struct Shown {
  std::uint32_t ifindex = 0;
  std::string name;
  bool up = false;
  std::string kind;
  bool operator==(const Shown&) const = default;
};

TEST(ListInterfaces, AgreesWithIp) {
  const auto interfaces = list_interfaces();
  const std::string text = output("ip -d -j link show 2>/dev/null");
  if (text.empty()) GTEST_SKIP() << "ip of iproute2 is not installed";
  std::vector<Shown> expected;
  for (const auto& link : nlohmann::json::parse(text)) {
    const auto& flags = link.at("flags");
    const auto info = link.value("linkinfo", nlohmann::json::object());
    expected.push_back({link.at("ifindex"), link.at("ifname"),
                        std::find(flags.begin(), flags.end(), "UP") != flags.end(),
                        info.value("info_kind", std::string())});
  }
  std::sort(expected.begin(), expected.end(),
            [](const Shown& a, const Shown& b) { return a.ifindex < b.ifindex; });
  ASSERT_TRUE(interfaces) << interfaces.error().message;
  std::vector<Shown> got;
  for (const Interface& one : *interfaces) got.push_back({one.ifindex, one.name, one.up, one.kind});
  EXPECT_EQ(got, expected);
}

TEST(LocalAddresses, HoldWhatIpShows) {
  const auto addresses = local_addresses();
  ASSERT_TRUE(addresses) << addresses.error().message;
  const std::string text = output("ip -j -4 address show up 2>/dev/null");
  if (text.empty()) GTEST_SKIP() << "ip of iproute2 is not installed";
  if (addresses->all) GTEST_SKIP() << "this namespace has too many local addresses";
  EXPECT_TRUE(std::is_sorted(addresses->addresses.begin(), addresses->addresses.end()));
  for (const auto& link : nlohmann::json::parse(text)) {
    for (const auto& info : link.value("addr_info", nlohmann::json::array())) {
      const std::string shown = info.at("local");
      LocalAddresses::Address address{};
      address[10] = address[11] = 0xff;
      ASSERT_EQ(::inet_pton(AF_INET, shown.c_str(), &address[12]), 1);
      const bool listed =
          std::count(addresses->addresses.begin(), addresses->addresses.end(), address) == 1;
      EXPECT_EQ(listed, address[12] != 127) << shown;
    }
  }
}

}  // namespace
}  // namespace listenq
