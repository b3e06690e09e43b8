// SPDX-License-Identifier: Apache-2.0
// Which listeners are shown, and what of them: every row against ss, and against what was made.
#include <gtest/gtest.h>

#include <set>

#include "compare.h"
#include "fixture.h"

namespace lqtest {
namespace {

class Listeners : public BackendTest {
 protected:
  void SetUp() override {
    BackendTest::SetUp();
    if (IsSkipped()) return;
    seen_ = &witnessed_world(GetParam());
    ASSERT_FALSE(seen_->document.is_null()) << "no run of the tool between two equal runs of ss";
  }
  [[nodiscard]] const Json& document() const { return seen_->document; }

  // Calls `check` with each planned listener and the tool's rows for it.
  void for_each_planned(const std::function<void(const WorldNamespace&, const Expected&,
                                                 const std::vector<Json>&)>& check) const {
    for (const auto& space : world().namespaces)
      for (const Expected& expected : space->expected) {
        SCOPED_TRACE(space->label + " " + expected.address + ":" + std::to_string(expected.port));
        check(*space, expected,
              rows_at(document(), space->netns.inode(), expected.address, expected.port));
      }
  }

  const Witnessed* seen_ = nullptr;
};
INSTANTIATE_TEST_SUITE_P(Backend, Listeners, with_automatic_choice(), backend_name);

TEST_P(Listeners, AreThoseOfSsRowByRow) {
  for (const auto& space : world().namespaces) {
    SCOPED_TRACE(space->label);
    EXPECT_EQ(compare_with_ss(document(), space->netns.inode(), seen_->ss.at(space->netns.inode())),
              "");
  }
}

TEST_P(Listeners, AreThoseOfSsInTheInitialNamespace) {
  const Netns initial = Netns::initial();
  const Netns elsewhere = Netns::named("probe");
  // Other programs of this machine come and go; one run in which they did not is enough.
  const Witnessed seen = witness(GetParam(), {&initial, &elsewhere});
  ASSERT_FALSE(seen.document.is_null()) << "listeners of this machine never held still";
  EXPECT_EQ(compare_with_ss(seen.document, initial.inode(), seen.ss.at(initial.inode())), "");
  EXPECT_EQ(rows_of(seen.document, elsewhere.inode()).size(), 0U);
}

TEST_P(Listeners, HaveTheQueuesThatWereMade) {
  for_each_planned(
      [](const WorldNamespace&, const Expected& expected, const std::vector<Json>& rows) {
        Observed observed{.members = rows.size()};
        if (sees_syn_queue()) observed.syn_queue = 0;
        for (const Json& row : rows) {
          observed.limit = row.at("accept_queue_limit");
          observed.accept_queue += row.at("accept_queue_len").get<uint64_t>();
          observed.drops += row.at("sk_drops").get<uint64_t>();
          if (sees_syn_queue())
            *observed.syn_queue += row.at("syn_queue_len").get<uint64_t>();
          else
            EXPECT_TRUE(row.at("syn_queue_len").is_null()) << row.dump();
        }
        EXPECT_EQ(difference(expected, observed), "");
      });
}

TEST_P(Listeners, AreAsFullAsLengthAndLimitSay) {
  for_each_planned([](const WorldNamespace&, const Expected&, const std::vector<Json>& rows) {
    for (const Json& row : rows) {
      const double length = row.at("accept_queue_len");
      const double limit = row.at("accept_queue_limit");
      EXPECT_NEAR(row.at("accept_queue_fill").get<double>(), length / (limit + 1), 1e-6);
    }
  });
}

TEST_P(Listeners, NeverHaveMoreYoungRequestsThanRequests) {
  for_each_planned([](const WorldNamespace&, const Expected&, const std::vector<Json>& rows) {
    for (const Json& row : rows) {
      if (sees_syn_queue()) {
        EXPECT_LE(row.at("syn_queue_young").get<uint64_t>(),
                  row.at("syn_queue_len").get<uint64_t>());
      } else {
        EXPECT_TRUE(row.at("syn_queue_young").is_null()) << row.dump();
      }
    }
  });
}

TEST_P(Listeners, KnowTheirFamilyGroupAndLimits) {
  for_each_planned(
      [](const WorldNamespace& space, const Expected& expected, const std::vector<Json>& rows) {
        const uint64_t somaxconn = space.netns.sysctl("core/somaxconn");
        for (const Json& row : rows) {
          if (!expected.address.starts_with("::ffff:")) {
            EXPECT_EQ(row.at("family"), expected.family);
          }
          EXPECT_EQ(row.at("reuseport"), expected.members);
          EXPECT_EQ(row.at("somaxconn"), somaxconn);
          const std::string set_by = limit_set_by(expected.limit, somaxconn);
          EXPECT_EQ(row.at("limit_set_by"), set_by);
          EXPECT_EQ(row.at("syn_queue_limit"), syn_queue_limit(expected.limit, space.netns));
          // One look cannot see a change: known only where it cannot have happened.
          EXPECT_EQ(row.at("somaxconn_raised_since"), set_by == "unknown" ? Json() : Json(false));
        }
      });
}

TEST_P(Listeners, KnowTheirNamespace) {
  for_each_planned([](const WorldNamespace& space, const Expected&, const std::vector<Json>& rows) {
    const Json name = space.netns.name().empty() ? Json() : Json(space.netns.name());
    for (const Json& row : rows) EXPECT_EQ(row.at("netns_name"), name);
  });
}

TEST_P(Listeners, KnowTheirOwners) {
  for_each_planned(
      [](const WorldNamespace&, const Expected& expected, const std::vector<Json>& rows) {
        std::set<std::string> names;
        for (const Json& row : rows) {
          EXPECT_EQ(row.at("uid"), expected.uid);
          EXPECT_EQ(row.at("pid").is_null(), expected.processes.empty()) << row.dump();
          if (!row.at("process").is_null()) names.insert(row.at("process").get<std::string>());
          if (rows.size() == 1) {
            EXPECT_EQ(row.at("pids").size(), expected.processes.size()) << row.dump();
          }
        }
        // One name a listener: that of its lowest pid, which the plan cannot tell among sharers.
        for (const std::string& name : names)
          EXPECT_NE(std::find(expected.processes.begin(), expected.processes.end(), name),
                    expected.processes.end())
              << name;
        if (expected.members == expected.processes.size()) {
          EXPECT_EQ(names.size(), expected.processes.size());
        }
      });
}

TEST_P(Listeners, ShareOneInodeOverManyProcesses) {
  const WorldNamespace& space = world().at("owners");
  const auto rows = rows_at(document(), space.netns.inode(), "0.0.0.0", 6000);
  ASSERT_EQ(rows.size(), 1U);
  const Owner& owner = space.owners.front();
  std::set<int> pids{owner.pid()};
  pids.insert(owner.sharers().begin(), owner.sharers().end());
  EXPECT_EQ(rows[0].at("pids"), Json(std::vector<int>(pids.begin(), pids.end())));
  EXPECT_EQ(rows[0].at("pid"), *pids.begin());
}

TEST_P(Listeners, OfMptcpAreOnePerSocketWithTheirOwner) {
  if (!world().has_mptcp) GTEST_SKIP() << "this kernel has no MPTCP";
  const auto rows = rows_at(document(), world().at("owners").netns.inode(), "0.0.0.0", 6009);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("accept_queue_len"), 3);
  EXPECT_EQ(rows[0].at("process"), "lq-mptcp");
}

TEST_P(Listeners, KnowTheirFastOpenQueue) {
  const auto rows = rows_at(document(), world().at("owners").netns.inode(), "0.0.0.0", 6007);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("fastopen_queue_limit"), sees_syn_queue() ? Json(7) : Json());
  EXPECT_EQ(rows[0].at("fastopen_queue_len"), sees_syn_queue() ? Json(3) : Json());
}

TEST_P(Listeners, HaveNoRatesInOneSample) {
  for_each_planned([](const WorldNamespace&, const Expected&, const std::vector<Json>& rows) {
    for (const Json& row : rows)
      for (const auto& [key, value] : row.items())
        if (key.ends_with("_per_second")) {
          EXPECT_TRUE(value.is_null()) << key;
        }
  });
}

// What is shown decides what is read, and how: none of it may change a value.
TEST_P(Listeners, HaveTheSameValuesInAnyChoiceOfColumns) {
  std::map<uint64_t, Json> whole;
  for (const Json& row : document().at("listeners")) whole[row.at("cookie").get<uint64_t>()] = row;
  for (const char* columns :
       {"address,port,family,accept_queue_len,accept_queue_limit,accept_queue_fill,reuseport",
        "port,sk_drops", "address,syn_queue_len", "address,family,uid,inode,syn_queue_len,sk_drops",
        "port,process,pids", "syn_queue_len,pid,netns_name",
        "syn_queue_limit,somaxconn,limit_set_by",
        "fastopen_queue_len,fastopen_queue_limit,accept_queue_len", "cgroup"}) {
    SCOPED_TRACE(columns);
    std::vector<std::string> arguments{"--once", "--json", "--columns",
                                       "netns,cookie," + std::string(columns)};
    if (GetParam() != "auto") arguments.insert(arguments.end(), {"--backend", GetParam()});
    const Json part = run_tool_json(arguments);
    for (const auto& space : world().namespaces) {
      const auto rows = rows_of(part, space->netns.inode());
      EXPECT_EQ(rows.size(), rows_of(document(), space->netns.inode()).size()) << space->label;
      for (const Json& row : rows) {
        ASSERT_TRUE(row.at("cookie").is_number()) << row.dump();
        const Json& same = whole[row.at("cookie").get<uint64_t>()];
        for (const auto& [field, value] : row.items())
          EXPECT_EQ(value, same.value(field, Json("missing"))) << field << " of " << same.dump();
      }
    }
  }
}

// The whole document, not only our part of it.
TEST_P(Listeners, AreUniqueAndInAKnownNamespace) {
  std::set<std::pair<uint64_t, uint64_t>> identities;
  std::set<uint64_t> spaces;
  for (const Json& space : document().at("namespaces"))
    EXPECT_TRUE(spaces.insert(space.at("netns").get<uint64_t>()).second)
        << space.at("netns") << " twice";
  for (const Json& row : document().at("listeners")) {
    EXPECT_TRUE(
        identities.emplace(row.at("netns").get<uint64_t>(), row.at("cookie").get<uint64_t>())
            .second)
        << row.dump();
    EXPECT_TRUE(spaces.contains(row.at("netns").get<uint64_t>())) << row.dump();
  }
}

TEST_P(Listeners, ComeInADocumentOfTheSchema) {
  EXPECT_EQ(document().at("schema"), 1);
  const Json expected =
      GetParam() == "auto" ? Json(sees_syn_queue() ? "iter" : "diag") : Json(GetParam());
  EXPECT_EQ(document().at("backend"), expected);
  EXPECT_EQ(trim(document().at("kernel")), trim(read_file("/proc/sys/kernel/osrelease")));
  EXPECT_EQ(trim(document().at("host")), trim(read_file("/proc/sys/kernel/hostname")));
  EXPECT_TRUE(document().at("interval_seconds").is_null());
  EXPECT_EQ(document().at("closed"), Json::array());
  EXPECT_EQ(document().at("nics"), Json::array());
  EXPECT_TRUE(document().at("self").is_object());
}

}  // namespace
}  // namespace lqtest
