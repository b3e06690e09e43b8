// SPDX-License-Identifier: Apache-2.0
//
// See nat.h. Asking must not change the host: a request for nftables makes the kernel load
// nf_tables where it is a module not yet loaded (request_module() in nfnetlink_rcv_msg()), and so
// does opening the socket for nfnetlink. The files of /proc load nothing.
#include "nic/nat.h"

#include <endian.h>
#include <linux/in.h>  // not netinet/in.h: linux/netfilter.h brings this one, and they clash
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>

#include "util/fd.h"
#include "util/netlink.h"
#include "util/text.h"

namespace listenq {
namespace {

using Bytes = std::span<const std::byte>;

// Not /proc/net, which is the namespace of the thread group's leader.
constexpr std::string_view kNet = "/proc/thread-self/net/";

/// Where destinations are rewritten. Of a connection rewritten on its way out by loopback, SYN and
/// ACK arrive with the listener's port, but its SYN-ACK leaves with the port that was called.
constexpr std::array<std::uint32_t, 2> kHooks = {NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT};

std::string read_net(std::string_view file) {
  return read_small_file(std::string(kNet).append(file)).value_or(std::string());
}

bool exists(const char* path) {
  return ::access(path, F_OK) == 0;
}

/// A part of the kernel's image, not a module: only the symbols tell for certain. (/sys/module has
/// those parts only that take parameters, and /lib/modules may be that of a container.)
bool find_built_in_nftables() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/kallsyms", "re"),
                                                             &std::fclose);
  if (!file) return false;
  std::array<char, 1024> line{};
  while (std::fgets(line.data(), line.size(), file.get()) != nullptr) {
    const std::string_view text(line.data());
    if (text.find(" nf_tables_getchain") != std::string_view::npos) return true;
  }
  return false;
}

/// Asking for its chains loads nothing.
bool nftables_is_there() {
  if (exists("/sys/module/nf_tables")) return true;
  // Without support for modules there is nothing to load.
  if (!exists("/proc/modules") && exists("/proc/version")) return true;
  // Reading 100,000 lines takes some 50 ms; the answer stays the same while the machine is up.
  static const bool built_in = find_built_in_nftables();
  return built_in;
}

std::uint32_t number(Bytes value) {
  return be32toh(netlink_value<std::uint32_t>(value).value_or(0));
}

bool nftables_rewrites() {
  // Rewriting is done by connection tracking; where the namespace has none, nobody is asked.
  if (!exists("/proc/sys/net/netfilter/nf_conntrack_count") || !nftables_is_there()) return false;
  nfgenmsg request{};  // of all families
  request.version = NFNETLINK_V0;
  const auto type =
      static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8U) | unsigned{NFT_MSG_GETCHAIN});
  bool found = false;
  // Stops at the first: a host with Kubernetes may have ten thousand chains. An error (no right to
  // ask) is as good as none; a list that changed meanwhile is read again at the next call.
  (void)netlink_dump(
      {NETLINK_NETFILTER, type, std::as_bytes(std::span(&request, 1)), "chains of nftables"},
      [&found](const NetlinkMessage& message) {
        if ((message.type & 0xffU) == NFT_MSG_NEWCHAIN) found = chain_rewrites(message.payload);
        return !found;
      });
  return found;
}

/// struct ipt_getinfo and struct ip6t_getinfo: the same layout, and the same option number. Their
/// headers can't be had beside <net/if.h>.
struct TableInfo {
  std::array<char, 32> name{};
  std::uint32_t valid_hooks = 0;
  std::array<std::uint32_t, NF_INET_NUMHOOKS> hook_entry{};
  std::array<std::uint32_t, NF_INET_NUMHOOKS> underflow{};
  std::uint32_t entries = 0;
  std::uint32_t size = 0;
};
constexpr int kGetInfo = 64;  // IPT_SO_GET_INFO, IP6T_SO_GET_INFO

/// The legacy iptables: its table "nat" has a rule at one of the hooks. The table alone is there as
/// soon as anybody looked at it with `iptables -t nat -L`.
bool iptables_rewrites(std::string_view names_file, int family, int level) {
  const std::string names = read_net(names_file);
  const auto tables = split(names, '\n');
  if (std::find(tables.begin(), tables.end(), "nat") == tables.end()) return false;
  TableInfo info{.name = {'n', 'a', 't'}};
  socklen_t size = sizeof(info);
  const Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::getsockopt(socket.get(), level, kGetInfo, &info, &size) != 0) return true;
  // A chain without rules begins at its policy.
  return std::any_of(kHooks.begin(), kHooks.end(), [&info](std::uint32_t hook) {
    return info.hook_entry.at(hook) != info.underflow.at(hook);
  });
}

}  // namespace

bool chain_rewrites(Bytes payload) {
  if (payload.size() < sizeof(nfgenmsg)) return false;
  std::string_view chain_type;
  std::optional<std::uint32_t> hook;
  std::uint32_t rules = 0;
  for_each_attribute(payload.subspan(sizeof(nfgenmsg)), [&](std::uint16_t type, Bytes value) {
    if (type == NFTA_CHAIN_TYPE) chain_type = netlink_string(value);
    // The users of a chain: its rules and the jumps to it, and none can jump to a base chain.
    if (type == NFTA_CHAIN_USE) rules = number(value);
    if (type != NFTA_CHAIN_HOOK) return;
    for_each_attribute(value, [&](std::uint16_t inner, Bytes content) {
      if (inner == NFTA_HOOK_HOOKNUM) hook = number(content);
    });
  });
  const bool at_hook = std::find(kHooks.begin(), kHooks.end(), hook) != kHooks.end();
  return chain_type == "nat" && at_hook && rules > 0;
}

bool has_tcp_service(std::string_view ip_vs) {
  // "TCP  0A000001:0050 rr" or, for what a firewall marked, "FWM  00000001 rr".
  const auto lines = split(ip_vs, '\n');
  return std::any_of(lines.begin(), lines.end(), [](std::string_view line) {
    return line.starts_with("TCP ") || line.starts_with("FWM ");
  });
}

std::string destination_rewriters() {
  std::string rewriters;
  const auto add = [&](bool there, std::string_view name) {
    if (there) rewriters.append(rewriters.empty() ? "" : ", ").append(name);
  };
  add(nftables_rewrites(), "nftables");
  add(iptables_rewrites("ip_tables_names", AF_INET, IPPROTO_IP) ||
          iptables_rewrites("ip6_tables_names", AF_INET6, IPPROTO_IPV6),
      "iptables");
  add(has_tcp_service(read_net("ip_vs")), "ipvs");
  return rewriters;
}

}  // namespace listenq
