// SPDX-License-Identifier: Apache-2.0
// The tests' own ground: the oracle understands ss, and the world is what was planned. If these
// fail no other result counts.
#include "world.h"

#include <gtest/gtest.h>

#include "fixture.h"
#include "ss.h"

namespace lqtest {
namespace {

class TestWorld : public KernelTest {};

TEST(SsOracle, ReadsARow) {
  const SsListener row = parse_listener(
      "LISTEN 3      10     [fe80::77]%silent0:8002    [::]:* "
      "users:((\"a b\",pid=20,fd=7),(\"a b\",pid=20,fd=9),(\"c\",pid=3,fd=1)) uid:1234 ino:27163 "
      "sk:6a cgroup:/x v6only:1 <-> skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d12)");
  EXPECT_EQ(row.address, "fe80::77%silent0");
  EXPECT_EQ(row.port, 8002);
  EXPECT_EQ(row.family, "ipv6");
  EXPECT_EQ(row.accept_queue_len, 3U);
  EXPECT_EQ(row.accept_queue_limit, 10U);
  EXPECT_EQ(row.uid, 1234U);
  EXPECT_EQ(row.inode, 27163U);
  EXPECT_EQ(row.cookie, 0x6aU);
  EXPECT_EQ(row.drops, 12U);
  const std::vector<SsUser> users{{"a b", 20}, {"c", 3}};
  EXPECT_EQ(row.users, users);
}

TEST(SsOracle, ReadsWildcardsAndAbsentOwners) {
  const SsListener row = parse_listener(
      "LISTEN 0      128                  *%lo:9006       *:* ino:381976 sk:1858 cgroup:/ v6only:0 "
      "<-> skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)");
  EXPECT_EQ(row.address, "::%lo");
  EXPECT_EQ(row.family, "dual");
  EXPECT_EQ(row.uid, 0U);
  EXPECT_TRUE(row.users.empty());
}

TEST(SsOracle, RefusesWhatItDoesNotUnderstand) {
  EXPECT_ANY_THROW(parse_listener("LISTEN 0 128 0.0.0.0:80 0.0.0.0:*"));
  EXPECT_ANY_THROW(parse_listener("ESTAB 0 0 1.2.3.4:5 6.7.8.9:10 ino:1 sk:1 skmem:(r0,d0)"));
}

TEST_F(TestWorld, IsWhatWasPlanned) {
  EXPECT_EQ(world_difference(world()), "");
  EXPECT_GE(world().namespaces.size(), 5U);
}

// What the other tests take for granted about lost SYNs: each is one drop of the socket and one
// ListenOverflows of the namespace, which had no other loss.
TEST_F(TestWorld, LostSynsAreCountedOnce) {
  const auto mib = world().at("queues").netns.mib();
  EXPECT_EQ(mib.at("ListenOverflows"), 8);
  EXPECT_EQ(mib.at("ListenDrops"), 8);
}

}  // namespace
}  // namespace lqtest
