// SPDX-License-Identifier: Apache-2.0
// Queues as they fill, drain and lose, each in a namespace of its own; and many listeners at once.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "compare.h"
#include "fixture.h"

namespace lqtest {
namespace {

// As many descriptors as the system lets this process have.
class MoreFiles {
 public:
  MoreFiles() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit most = before_;
    most.rlim_cur = before_.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &most);
  }
  MoreFiles(const MoreFiles&) = delete;
  MoreFiles& operator=(const MoreFiles&) = delete;
  ~MoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class Queues : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (IsSkipped()) return;
    space_ = std::make_unique<Netns>(Netns::named("changing"));
    space_->add_silent_interface();
  }
  void TearDown() override {
    clients_.clear();
    listeners_.clear();
    space_.reset();
  }

  // Held by the test itself, which can then accept and close.
  Fd& open(const ListenerSpec& spec) {
    space_->run([&] { listeners_.push_back(open_listener(spec)); });
    return listeners_.back();
  }
  void connect(uint16_t port, int count) {
    space_->run([&] {
      for (int i = 0; i < count; ++i) clients_.push_back(connect_to("127.0.0.1", port));
    });
  }
  // What ss shows of the only listener; waits for `accept_queue`, as the last ACK may be on its
  // way.
  [[nodiscard]] bool ss_has(uint64_t accept_queue) const {
    return wait_until([&] {
      const auto rows = ss_listeners(*space_);
      return rows.size() == 1 && rows.begin()->second.accept_queue_len == accept_queue;
    });
  }
  [[nodiscard]] std::vector<Json> rows() const {
    return rows_of(sample(GetParam()), space_->inode());
  }
  void expect_equal_to_ss() const {
    const Witnessed seen = witness(GetParam(), {space_.get()});
    ASSERT_FALSE(seen.document.is_null()) << "ss never said the same twice";
    EXPECT_EQ(compare_with_ss(seen.document, space_->inode(), seen.ss.at(space_->inode())), "");
  }

  std::unique_ptr<Netns> space_;
  std::vector<Fd> listeners_;
  std::vector<Fd> clients_;
};
INSTANTIATE_TEST_SUITE_P(Backend, Queues, backends(), backend_name);

// A cookie is made when first asked for; the tool asks before anybody else here.
TEST_P(Queues, CookieIsTheOneThatSsFindsLater) {
  open({.port = 8000});
  const std::vector<Json> found = rows();
  ASSERT_EQ(found.size(), 1U);
  const auto ss = ss_listeners(*space_);
  ASSERT_EQ(ss.size(), 1U);
  EXPECT_EQ(found[0].at("cookie"), ss.begin()->first);
  const std::vector<Json> again = rows();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].at("cookie"), found[0].at("cookie"));
}

TEST_P(Queues, FollowAcceptSecondListenAndClose) {
  Fd& listener = open({.port = 8000, .backlog = 10});
  connect(8000, 6);
  ASSERT_TRUE(ss_has(6));
  EXPECT_EQ(rows().at(0).at("accept_queue_len"), 6);
  for (int i = 0; i < 2; ++i) clients_.push_back(accept_from(listener));
  EXPECT_EQ(rows().at(0).at("accept_queue_len"), 4);
  // A smaller limit than there are connections already: more than full.
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const Json shrunk = rows().at(0);
  EXPECT_EQ(shrunk.at("accept_queue_limit"), 1);
  EXPECT_EQ(shrunk.at("accept_queue_len"), 4);
  EXPECT_NEAR(shrunk.at("accept_queue_fill").get<double>(), 2.0, 1e-6);
  listener.reset();
  EXPECT_EQ(rows().size(), 0U);
}

// Clients that gave up stay in the accept queue until accept() finds them.
TEST_P(Queues, KeepClientsThatGaveUp) {
  open({.port = 8000, .backlog = 10});
  connect(8000, 5);
  ASSERT_TRUE(ss_has(5));
  for (size_t i = 0; i < 3; ++i) {
    const linger reset{1, 0};
    ::setsockopt(clients_[i].get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    clients_[i].reset();
  }
  expect_equal_to_ss();
  EXPECT_EQ(rows().at(0).at("accept_queue_len"), 5);
}

// Overflow at the last ACK of the handshake, where the socket's own counter counts twice: the tool
// must show that counter as it is.
TEST_P(Queues, LossesAtTheAckAreAsSsShowsThem) {
  RunOptions inside;
  inside.netns_fd = space_->fd();
  const RunResult delay =
      run_program({"tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "50ms"}, inside);
  if (delay.status != 0) GTEST_SKIP() << "no netem on this kernel: " << trim(delay.err);
  open({.port = 8000, .backlog = 3});
  space_->run([&] {
    for (int i = 0; i < 10; ++i) clients_.push_back(start_connect("127.0.0.1", 8000));
  });
  ASSERT_TRUE(wait_until([&] { return space_->mib().at("ListenOverflows") > 0; }));
  ASSERT_TRUE(ss_has(4));
  expect_equal_to_ss();
  EXPECT_GT(rows().at(0).at("sk_drops").get<uint64_t>(), 0U);
}

class SynQueues : public Queues {};
INSTANTIATE_TEST_SUITE_P(Backend, SynQueues, ::testing::Values("iter"), backend_name);

// With a full SYN queue the kernel gives requests up after few seconds, so this takes fresh ones
// until a run of the tool lies between two equal counts.
TEST_P(SynQueues, AreExactUpToTheLimit) {
  for (uint16_t port = 8000; port < 8008; ++port) {
    open({.port = port, .backlog = 8});
    space_->run([&] { send_syns({"10.77.0.1", port, 8}); });
    if (!wait_until([&] { return ss_half_open(*space_)[port] == 8; }, std::chrono::seconds(2)))
      continue;
    const std::vector<Json> found = rows_at(sample(GetParam()), space_->inode(), "0.0.0.0", port);
    if (ss_half_open(*space_)[port] != 8) continue;
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].at("syn_queue_len"), 8);
    EXPECT_EQ(found[0].at("sk_drops"), 0);
    return;
  }
  FAIL() << "eight half-open requests were never there before and after a run of the tool";
}

// Every SYN is in the queue or lost: whatever the exact limit of this kernel, none is missing.
TEST_P(SynQueues, AndTheirLossesAddUp) {
  ASSERT_TRUE(space_->write_sysctl("ipv4/tcp_syncookies", "0"));
  for (uint16_t port = 8000; port < 8008; ++port) {
    open({.port = port, .backlog = 8});
    space_->run([&] { send_syns({"10.77.0.1", port, 20}); });
    const uint64_t before = ss_half_open(*space_)[port];
    const std::vector<Json> found = rows_at(sample(GetParam()), space_->inode(), "0.0.0.0", port);
    if (before < 8 || ss_half_open(*space_)[port] != before) continue;
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].at("syn_queue_len"), before);
    EXPECT_EQ(found[0].at("sk_drops"), 20 - before);
    EXPECT_EQ(space_->mib().at("TCPReqQFullDrop"), space_->mib().at("ListenDrops"));
    return;
  }
  FAIL() << "the half-open requests never held still";
}

// More than any buffer or batch holds, in many hash buckets and, as a group, in one.
TEST_P(Queues, OfManyListenersAreAllThere) {
  const MoreFiles more;
  space_->run([&] {
    for (uint16_t port = 10000; port < 10300; ++port)
      for (const char* address : {"127.0.0.1", "127.0.0.2", "::1"})
        listeners_.push_back(
            open_listener({.address = address, .port = port, .backlog = port % 7}));
    for (int i = 0; i < 200; ++i)
      listeners_.push_back(open_listener({.port = 9999, .backlog = i, .reuseport = true}));
  });
  expect_equal_to_ss();
  const std::vector<Json> group = rows_at(sample(GetParam()), space_->inode(), "0.0.0.0", 9999);
  ASSERT_EQ(group.size(), 200U);
  for (const Json& row : group) EXPECT_EQ(row.at("reuseport"), 200);
}

// Connections must neither be shown nor end the list early, few or many.
TEST_P(Queues, AreNotTouchedByConnections) {
  const MoreFiles more;
  open({.port = 8000, .backlog = 3000});
  for (uint16_t port = 8001; port < 8020; ++port) open({.port = port});
  connect(8000, 100);
  expect_equal_to_ss();
  connect(8000, 1500);
  ASSERT_TRUE(wait_until([&] {
    const auto rows = rows_at(sample(GetParam()), space_->inode(), "0.0.0.0", 8000);
    return rows.size() == 1 && rows[0].at("accept_queue_len") == 1600;
  }));
  space_->run([&] { send_syns({"10.77.0.1", 8001, 9}); });
  expect_equal_to_ss();
  const auto rows = rows_at(sample(GetParam()), space_->inode(), "0.0.0.0", 8001);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("syn_queue_len"), sees_syn_queue() ? Json(9) : Json());
}

// Names that would break a careless reader of /proc/PID/stat, CSV or text.
TEST_P(Queues, BelongToProcessesWithOddNames) {
  for (const char* name : {"a) S 1 (b", "x,\"y\"", "two  words", "\xc3\xa9\xe2\x82\xac"}) {
    SCOPED_TRACE(name);
    Owner owner({.name = name, .netns_fd = space_->fd()},
                [&](OwnerBody& body) { body.keep(open_listener({.port = 8000})); });
    const std::vector<Json> found = rows();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].at("process"), name);
    EXPECT_EQ(found[0].at("pid"), owner.pid());
  }
}

}  // namespace
}  // namespace lqtest
