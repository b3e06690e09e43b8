// SPDX-License-Identifier: Apache-2.0
//
// The plan over invented hosts: what is chosen, what feeds each need, and what the reasons say.
#include "probe/plan.h"

#include <gtest/gtest.h>

namespace listenq {
namespace {

KernelFacts everything() {
  KernelFacts facts;
  for (Fact& fact : facts.features) fact.have = true;
  return facts;
}

KernelFacts without(std::initializer_list<Feature> features) {
  KernelFacts facts = everything();
  for (const Feature feature : features) facts[feature] = {false, "not on this host"};
  return facts;
}

TEST(Plan, TakesIterWhereItCan) {
  const auto plan = make_plan(everything(), BackendChoice::automatic, false);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->backend, BackendChoice::iter);
  EXPECT_FALSE(plan->counting);
  EXPECT_TRUE(plan->why_not_better.empty());
  EXPECT_TRUE(plan->owners_from_bpf);
  EXPECT_FALSE(plan->feed(Need::syn_queue).from.empty());
}

TEST(Plan, FallsBackToDiagAndSaysWhy) {
  const auto plan = make_plan(without({Feature::bpf}), BackendChoice::automatic);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->backend, BackendChoice::diag);
  EXPECT_EQ(plan->why_not_better, "not on this host");
  EXPECT_TRUE(plan->feed(Need::syn_queue).from.empty());
  EXPECT_NE(plan->feed(Need::syn_queue).why_not.find("sock_diag"), std::string::npos);
  EXPECT_NE(plan->feed(Need::owner).from.find("/proc"), std::string::npos);
}

TEST(Plan, AForcedBackendIsNotReplaced) {
  const auto iter = make_plan(without({Feature::iter_tcp}), BackendChoice::iter);
  ASSERT_FALSE(iter);
  EXPECT_EQ(iter.error().kind, ErrorKind::unsupported);
  EXPECT_NE(iter.error().message.find("not on this host"), std::string::npos);
  const auto diag = make_plan(everything(), BackendChoice::diag);
  ASSERT_TRUE(diag);
  EXPECT_EQ(diag->backend, BackendChoice::diag);
  EXPECT_FALSE(make_plan(without({Feature::sock_diag}), BackendChoice::diag));
}

TEST(Plan, CountsInTheBestWayThatAttaches) {
  const auto best = [](std::initializer_list<Feature> missing) {
    const auto plan = make_plan(without(missing), BackendChoice::automatic);
    return plan ? plan->backend : BackendChoice::automatic;
  };
  EXPECT_EQ(best({}), BackendChoice::fentry);
  EXPECT_EQ(best({Feature::fentry}), BackendChoice::kprobe);
  EXPECT_EQ(best({Feature::fentry, Feature::kprobe}), BackendChoice::portable);
  EXPECT_EQ(best({Feature::fentry, Feature::kprobe, Feature::portable}), BackendChoice::iter);
  // Whether the iterators load is another matter.
  EXPECT_EQ(best({Feature::iter_tcp}), BackendChoice::fentry);
  EXPECT_EQ(best({Feature::bpf}), BackendChoice::diag);
}

TEST(Plan, AForcedWayThatCannotBeHadSaysWhy) {
  for (const auto& [choice, feature] : {std::pair(BackendChoice::fentry, Feature::fentry),
                                        std::pair(BackendChoice::kprobe, Feature::kprobe),
                                        std::pair(BackendChoice::portable, Feature::portable)}) {
    EXPECT_TRUE(make_plan(everything(), choice));
    const auto plan = make_plan(without({feature}), choice);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().kind, ErrorKind::unsupported);
    EXPECT_NE(plan.error().message.find("not on this host"), std::string::npos);
  }
}

const Field& field(std::string_view id) {
  return *find_field(id);
}

TEST(Plan, AWaterfallNeedsCounting) {
  const auto counting = make_plan(everything(), BackendChoice::automatic);
  ASSERT_TRUE(counting);
  EXPECT_TRUE(counting->feed(field("waterfall")).from.starts_with("fentry: "));
  const auto single = make_plan(everything(), BackendChoice::automatic, false);
  ASSERT_TRUE(single);
  EXPECT_EQ(single->feed(field("waterfall")).from, "");
  EXPECT_EQ(single->feed(field("waterfall")).why_not, single->feed(field("syns")).why_not);
}

TEST(Plan, AMissingHookCostsItsFieldsAlone) {
  const auto plan = make_plan(without({Feature::hook_timeout}), BackendChoice::automatic);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->backend, BackendChoice::fentry);
  EXPECT_FALSE(plan->counting->counts(Counter::requests_expired));
  EXPECT_NE(plan->feed(field("requests_expired_per_second")).why_not.find("hook_timeout"),
            std::string::npos);
  for (std::size_t i = 0; i < kCounters; ++i) {
    const auto counter = static_cast<Counter>(i);
    if (counter == Counter::requests_expired) continue;
    EXPECT_TRUE(plan->counting->counts(counter)) << counter_name(counter);
    EXPECT_FALSE(plan->feed(field(counter_name(counter))).from.empty()) << counter_name(counter);
  }
  EXPECT_TRUE(plan->counting->peaks);
}

TEST(Plan, ASumIsAbsentWhereAPartOfItIsNotSeen) {
  const auto plan = make_plan(without({Feature::hook_ack}), BackendChoice::automatic);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->counting->counts(Counter::drops));
  EXPECT_FALSE(plan->counting->counts(Counter::overflows_ack));
  EXPECT_TRUE(plan->counting->counts(Counter::overflows_syn));
}

TEST(Plan, ThePortableWayCannotTellRoutesFromMemory) {
  const auto plan = make_plan(everything(), BackendChoice::portable);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->counting->counts(Counter::drops_no_route));
  EXPECT_FALSE(plan->counting->counts(Counter::drops_no_memory));
  EXPECT_TRUE(plan->counting->counts(Counter::drops_other));
  EXPECT_NE(plan->feed(field("syns")).from.find("every packet"), std::string::npos);
}

// A kprobe keeps a place for every accept() that sleeps, so accept() itself is not hooked.
TEST(Plan, NamesTheFunctionsThatEachWayReallyHooks) {
  for (const char* id : {"aborted_in_queue", "accept_wait_p50"}) {
    const auto fentry = make_plan(everything(), BackendChoice::fentry);
    EXPECT_NE(fentry->feed(field(id)).from.find("inet_csk_accept()"), std::string::npos) << id;
    const auto kprobe = make_plan(everything(), BackendChoice::kprobe);
    const std::string& from = kprobe->feed(field(id)).from;
    EXPECT_NE(from.find("tcp_v4_reqsk_destructor()"), std::string::npos) << id << ": " << from;
    EXPECT_EQ(from.find("inet_csk_accept"), std::string::npos) << id << ": " << from;
  }
}

TEST(Plan, OneMissingProgramCostsOneWayNotTheBackend) {
  const auto no_files = make_plan(without({Feature::iter_task_file}), BackendChoice::automatic);
  ASSERT_TRUE(no_files);
  EXPECT_EQ(no_files->reader, BackendChoice::iter);
  EXPECT_FALSE(no_files->owners_from_bpf);
  EXPECT_NE(no_files->feed(Need::owner).from.find("/proc"), std::string::npos);

  const auto no_marks = make_plan(without({Feature::iter_sk_storage}), BackendChoice::automatic);
  ASSERT_TRUE(no_marks);
  EXPECT_NE(no_marks->feed(Need::syn_queue).from.find("iter/tcp"), std::string::npos);

  const auto no_diag = make_plan(without({Feature::sock_diag}), BackendChoice::automatic);
  ASSERT_TRUE(no_diag);
  EXPECT_EQ(no_diag->reader, BackendChoice::iter);
  EXPECT_NE(no_diag->feed(Need::listener).from.find("iter/tcp"), std::string::npos);
}

TEST(Plan, WhatWasNotTriedIsNotThere) {
  KernelFacts facts = everything();
  facts[Feature::iter_tcp] = {false, ""};
  const auto plan = make_plan(facts, BackendChoice::automatic, false);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->backend, BackendChoice::diag);
}

TEST(Plan, NothingAtAllNamesBothReasons) {
  const auto plan =
      make_plan(without({Feature::bpf, Feature::sock_diag}), BackendChoice::automatic);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::unsupported);
  EXPECT_NE(plan.error().message.find("iter:"), std::string::npos);
  EXPECT_NE(plan.error().message.find("diag:"), std::string::npos);
}

TEST(Plan, EveryNeedHasAFeedOrAReason) {
  for (const BackendChoice choice :
       {BackendChoice::fentry, BackendChoice::kprobe, BackendChoice::portable, BackendChoice::iter,
        BackendChoice::diag}) {
    const auto plan = make_plan(everything(), choice);
    ASSERT_TRUE(plan);
    for (const Field& each : fields()) {
      const Feed& feed = plan->feed(each);
      EXPECT_NE(feed.from.empty(), feed.why_not.empty()) << each.id;
    }
  }
}

TEST(ParseFeatures, KnowsNamesAndTheGroup) {
  const auto group = parse_features("iter,sock_diag");
  ASSERT_TRUE(group);
  EXPECT_EQ(group->size(), 4U);
  const auto unknown = parse_features("itr");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::usage);
  for (std::size_t i = 0; i < kFeatures; ++i) {
    const auto feature = static_cast<Feature>(i);
    const auto parsed = parse_features(feature_name(feature));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->front(), feature);
  }
}

TEST(ParseBackend, KnowsAllNames) {
  for (const char* name : {"auto", "fentry", "kprobe", "portable", "iter", "diag"}) {
    EXPECT_TRUE(parse_backend(name)) << name;
  }
  EXPECT_FALSE(parse_backend("ebpf"));
}

}  // namespace
}  // namespace listenq
