// SPDX-License-Identifier: Apache-2.0
//
// Reading attributes, whole and mutilated, and a real list of the kernel's.
#include "util/netlink.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <string>
#include <utility>

#include "netlink_bytes.h"

namespace listenq {
namespace {

using test::attribute;
using test::Bytes;
using test::bytes_of;
using test::joined;
using test::text_bytes;

using Seen = std::vector<std::pair<int, std::size_t>>;

Seen visit(const Bytes& bytes) {
  Seen seen;
  for_each_attribute(bytes, [&](std::uint16_t type, std::span<const std::byte> value) {
    seen.emplace_back(type, value.size());
  });
  return seen;
}

TEST(NetlinkAttributes, AreVisitedInOrderWithoutPaddingAndFlags) {
  const Bytes bytes = joined({attribute(3, text_bytes("lo")), attribute(7 | NLA_F_NESTED, {}),
                              attribute(9, bytes_of(std::uint32_t{1}))});
  EXPECT_EQ(visit(bytes), (Seen{{3, 3}, {7, 0}, {9, 4}}));
}

TEST(NetlinkAttributes, TheLastNeedsNoPadding) {
  Bytes bytes = attribute(3, text_bytes("lo"));
  bytes.pop_back();
  EXPECT_EQ(visit(bytes), (Seen{{3, 3}}));
}

TEST(NetlinkAttributes, StopAtAWrongLength) {
  const Bytes good = attribute(1, bytes_of(std::uint32_t{5}));
  for (const int length : {0, 1, 3, 9, 65535}) {
    nlattr header{};
    header.nla_len = static_cast<std::uint16_t>(length);
    header.nla_type = 2;
    const Bytes bytes = joined({good, bytes_of(header), bytes_of(std::uint32_t{0})});
    EXPECT_EQ(visit(bytes), (Seen{{1, 4}})) << length;
  }
  EXPECT_EQ(visit({std::byte{8}, std::byte{0}, std::byte{1}}), Seen{});
}

TEST(NetlinkValues, NeedEnoughBytes) {
  const Bytes bytes = bytes_of(std::uint32_t{0x01020304});
  EXPECT_EQ(netlink_value<std::uint32_t>(bytes), 0x01020304U);
  EXPECT_EQ(netlink_value<std::uint64_t>(bytes), std::nullopt);
  EXPECT_EQ(netlink_string(text_bytes("eth0")), "eth0");
  EXPECT_EQ(netlink_string({}), "");
}

NetlinkDump links(const Bytes& body, std::uint16_t type = RTM_GETLINK) {
  return {NETLINK_ROUTE, type, body, "interfaces"};
}

TEST(NetlinkDump, ReadsToTheEndOrUntilEnough) {
  const Bytes body = bytes_of(ifinfomsg{});
  int all = 0;
  const auto whole = netlink_dump(links(body), [&](const NetlinkMessage& message) {
    EXPECT_EQ(message.type, RTM_NEWLINK);
    EXPECT_GE(message.payload.size(), sizeof(ifinfomsg));
    ++all;
    return true;
  });
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_GE(all, 1);  // a namespace has its loopback at least

  int first = 0;
  ASSERT_TRUE(netlink_dump(links(body), [&](const NetlinkMessage&) { return ++first < 1; }));
  EXPECT_EQ(first, 1);
}

TEST(NetlinkDump, SaysWhatTheKernelRefused) {
  const Bytes body = bytes_of(ifinfomsg{});
  constexpr std::uint16_t kNoSuchRequest = 0x7ffe;
  const auto refused =
      netlink_dump(links(body, kNoSuchRequest), [](const NetlinkMessage&) { return true; });
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("interfaces"), std::string::npos);
}

}  // namespace
}  // namespace listenq
