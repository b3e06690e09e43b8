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
  const auto plan = make_plan(everything(), BackendChoice::automatic);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->backend, BackendChoice::iter);
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

TEST(Plan, CountingBackendsAreRefusedInOneSentence) {
  for (const BackendChoice choice :
       {BackendChoice::fentry, BackendChoice::kprobe, BackendChoice::portable}) {
    const auto plan = make_plan(everything(), choice);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().kind, ErrorKind::unsupported);
  }
}

TEST(Plan, OneMissingProgramCostsOneWayNotTheBackend) {
  const auto no_files = make_plan(without({Feature::iter_task_file}), BackendChoice::automatic);
  ASSERT_TRUE(no_files);
  EXPECT_EQ(no_files->backend, BackendChoice::iter);
  EXPECT_FALSE(no_files->owners_from_bpf);
  EXPECT_NE(no_files->feed(Need::owner).from.find("/proc"), std::string::npos);

  const auto no_marks = make_plan(without({Feature::iter_sk_storage}), BackendChoice::automatic);
  ASSERT_TRUE(no_marks);
  EXPECT_NE(no_marks->feed(Need::syn_queue).from.find("iter/tcp"), std::string::npos);

  const auto no_diag = make_plan(without({Feature::sock_diag}), BackendChoice::automatic);
  ASSERT_TRUE(no_diag);
  EXPECT_EQ(no_diag->backend, BackendChoice::iter);
  EXPECT_NE(no_diag->feed(Need::listener).from.find("iter/tcp"), std::string::npos);
}

TEST(Plan, WhatWasNotTriedIsNotThere) {
  KernelFacts facts = everything();
  facts[Feature::iter_tcp] = {false, ""};
  const auto plan = make_plan(facts, BackendChoice::automatic);
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
  for (const BackendChoice choice : {BackendChoice::iter, BackendChoice::diag}) {
    const auto plan = make_plan(everything(), choice);
    ASSERT_TRUE(plan);
    for (const Feed& feed : plan->feeds) {
      EXPECT_NE(feed.from.empty(), feed.why_not.empty());
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
