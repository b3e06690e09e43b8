// SPDX-License-Identifier: Apache-2.0
//
// What counts as a rewriter of destinations, on invented chains and texts.
#include "nic/nat.h"

#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink_bytes.h"

namespace listenq {
namespace {

using test::attribute;
using test::Bytes;
using test::bytes_of;
using test::joined;
using test::text_bytes;

/// In the byte order of nftables.
Bytes number(std::uint32_t value) {
  return bytes_of(__builtin_bswap32(value));
}

Bytes chain(std::string_view type, std::uint32_t hook, std::uint32_t rules) {
  const Bytes hooks = joined(
      {attribute(NFTA_HOOK_HOOKNUM, number(hook)), attribute(NFTA_HOOK_PRIORITY, number(0))});
  return joined({bytes_of(nfgenmsg{}), attribute(NFTA_CHAIN_TABLE, text_bytes("t")),
                 attribute(NFTA_CHAIN_NAME, text_bytes("nat")),
                 attribute(NFTA_CHAIN_HOOK | NLA_F_NESTED, hooks),
                 attribute(NFTA_CHAIN_TYPE, text_bytes(type)),
                 attribute(NFTA_CHAIN_USE, number(rules))});
}

TEST(NftChain, RewritesDestinationsAtTheseHooksOnly) {
  EXPECT_TRUE(chain_rewrites(chain("nat", NF_INET_PRE_ROUTING, 1)));
  EXPECT_TRUE(chain_rewrites(chain("nat", NF_INET_LOCAL_OUT, 1)));
  EXPECT_FALSE(chain_rewrites(chain("nat", NF_INET_POST_ROUTING, 1)));
  EXPECT_FALSE(chain_rewrites(chain("nat", NF_INET_LOCAL_IN, 1)));
}

TEST(NftChain, WithoutRulesDoesNothing) {
  EXPECT_FALSE(chain_rewrites(chain("nat", NF_INET_PRE_ROUTING, 0)));
}

TEST(NftChain, OfAnotherTypeRewritesNothing) {
  EXPECT_FALSE(chain_rewrites(chain("filter", NF_INET_PRE_ROUTING, 5)));
}

TEST(NftChain, WithoutAHookIsReachedFromOthersOnly) {
  EXPECT_FALSE(
      chain_rewrites(joined({bytes_of(nfgenmsg{}), attribute(NFTA_CHAIN_TYPE, text_bytes("nat")),
                             attribute(NFTA_CHAIN_USE, number(3))})));
  EXPECT_FALSE(chain_rewrites({}));
}

TEST(IpVs, ServicesOfTcpAndOfMarks) {
  constexpr std::string_view kNone =
      "IP Virtual Server version 1.2.1 (size=4096)\n"
      "Prot LocalAddress:Port Scheduler Flags\n"
      "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
  const std::string none(kNone);
  EXPECT_FALSE(has_tcp_service(""));
  EXPECT_FALSE(has_tcp_service(none));
  EXPECT_FALSE(has_tcp_service(none + "UDP  0A000001:0035 rr \n  -> 0A000002:0035 Masq 1 0 0\n"));
  EXPECT_TRUE(has_tcp_service(none + "TCP  0A000001:0050 rr \n  -> 0A000002:0050 Masq 1 0 0\n"));
  EXPECT_TRUE(has_tcp_service(none + "TCP  [2001:0db8::0001]:0050 rr \n"));
  EXPECT_TRUE(has_tcp_service(none + "FWM  00000001 rr \n"));
}

}  // namespace
}  // namespace listenq
