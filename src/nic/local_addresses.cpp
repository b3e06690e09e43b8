// SPDX-License-Identifier: Apache-2.0
//
// See local_addresses.h. Asked of the routes rather than of the interfaces' addresses: what is
// local is decided by a route of type local, which may cover a network (AnyIP) and need no
// interface.
#include "nic/local_addresses.h"

#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <set>
#include <span>

#include "util/netlink.h"

namespace listenq {
namespace {

using Bytes = std::span<const std::byte>;
using Address = LocalAddresses::Address;

struct Found {
  bool all = false;
  std::set<Address> addresses;
};

struct Query {
  std::uint8_t family = AF_INET;
  std::uint8_t type = RTN_LOCAL;
  std::uint8_t table = RT_TABLE_LOCAL;  ///< RT_TABLE_UNSPEC: every table
};

Address mapped(Bytes ipv4) {
  Address address{};
  address[10] = address[11] = 0xff;
  std::memcpy(&address[12], ipv4.data(), 4);
  return address;
}

/// False when no more need be read.
bool add_route(Bytes payload, const Query& query, Found& found) {
  const auto header = netlink_value<rtmsg>(payload);
  // Held against the query again: kernels before 4.20 list every table and type, and one without
  // IPv6 answers for the other family.
  if (!header || header->rtm_family != query.family || header->rtm_type != query.type) return true;
  if (query.table != RT_TABLE_UNSPEC && header->rtm_table != query.table) return true;
  if ((header->rtm_flags & static_cast<unsigned>(RTM_F_CLONED)) != 0) return true;
  const std::size_t size = query.family == AF_INET6 ? 16 : 4;
  Bytes destination;
  for_each_attribute(payload.subspan(sizeof(rtmsg)), [&](std::uint16_t type, Bytes value) {
    if (type == RTA_DST && value.size() >= size) destination = value.first(size);
  });
  const bool loopback =
      query.family == AF_INET && !destination.empty() && destination[0] == std::byte{127};
  if (loopback) return true;
  if (destination.empty() || header->rtm_dst_len < size * 8) {
    found.all = true;
    return false;
  }
  Address address{};
  if (query.family == AF_INET) {
    address = mapped(destination);
  } else {
    std::memcpy(address.data(), destination.data(), address.size());
  }
  found.addresses.insert(address);
  return found.addresses.size() <= kMostAddresses;
}

Result<Found> routes(const Query& query) {
  rtmsg request{};
  request.rtm_family = query.family;
  request.rtm_table = query.table;
  request.rtm_type = query.type;
  return netlink_collect<Found>(
      {NETLINK_ROUTE, RTM_GETROUTE, std::as_bytes(std::span(&request, 1)), "local addresses"},
      [&query](const NetlinkMessage& message, Found& found) {
        return message.type != RTM_NEWROUTE || add_route(message.payload, query, found);
      });
}

struct Rules {
  bool other_tables = false;
};

/// Local routes live in the table "local", except with a VRF (in its own table) or a rule for a
/// transparent proxy. Only then is every table gone through, which takes long where there are
/// a million routes.
Result<Rules> rules(std::uint8_t family) {
  fib_rule_hdr request{};
  request.family = family;
  return netlink_collect<Rules>(
      {NETLINK_ROUTE, RTM_GETRULE, std::as_bytes(std::span(&request, 1)), "routing rules"},
      [family](const NetlinkMessage& message, Rules& rules) {
        const auto rule = netlink_value<fib_rule_hdr>(message.payload);
        if (message.type != RTM_NEWRULE || !rule || rule->family != family) return true;
        // A rule for VRFs names table 0, one above 255 appears as RT_TABLE_COMPAT.
        rules.other_tables =
            rules.other_tables || (rule->action == FR_ACT_TO_TBL && rule->table != RT_TABLE_LOCAL &&
                                   rule->table != RT_TABLE_MAIN && rule->table != RT_TABLE_DEFAULT);
        return !rules.other_tables;
      });
}

}  // namespace

Result<LocalAddresses> local_addresses() {
  Found found;
  // A SYN to an IPv6 anycast address reaches the listener too (and is dropped there).
  const auto queries = {Query{AF_INET, RTN_LOCAL}, Query{AF_INET6, RTN_LOCAL},
                        Query{AF_INET6, RTN_ANYCAST}};
  for (Query query : queries) {
    const auto policy = rules(query.family);
    // Kernels without CONFIG_IP_MULTIPLE_TABLES know no rules.
    if (policy && policy->other_tables) query.table = RT_TABLE_UNSPEC;
    const auto listed = routes(query);
    if (!listed) return tl::unexpected<Error>(listed.error());
    found.all = found.all || listed->all;
    found.addresses.insert(listed->addresses.begin(), listed->addresses.end());
    if (found.all || found.addresses.size() > kMostAddresses) {
      return LocalAddresses{.all = true, .addresses = {}};
    }
  }
  return LocalAddresses{.all = false,
                        .addresses = {found.addresses.begin(), found.addresses.end()}};
}

}  // namespace listenq
