// SPDX-License-Identifier: Apache-2.0
// The expression of --filter: what matches, and what is refused with which sentence.
#include "model/filter.h"

#include <gtest/gtest.h>

#include <string>

#include "made_up.h"

namespace listenq {
namespace {

using made_up::derive;
using made_up::listener;
using made_up::sample;

class FilterTest : public testing::Test {
 protected:
  FilterTest() {
    RawListener raw = listener();
    raw.port = 443;
    raw.accept_queue_len = 416;  // of 511: 0.8125
    raw.sk_drops = 4294967295;
    raw.cookie = SocketCookie{9007199254740993};  // 2^53 + 1: no double has it
    Sample made = sample(1, {raw, listener(2)});
    made.namespaces.at(0).sysctls.somaxconn = 4096;
    auto owners = std::make_shared<OwnerTable>();
    owners->pids = {100, 2000};
    owners->by_inode = {{55, {0, 2}}};
    owners->processes[100] = {"nginx: \"a\" and b", "/system.slice/nginx.service"};
    made.listeners[0].inode = 55;
    made.owners = owners;
    snapshot_ = derive(made);
  }

  [[nodiscard]] bool matches(std::string_view text, std::size_t row = 0) const {
    const auto filter = Filter::parse(text);
    EXPECT_TRUE(filter) << text << ": " << (filter ? "" : filter.error().message);
    return filter && filter->matches(snapshot_->listeners.at(row));
  }

  std::shared_ptr<const Snapshot> snapshot_;
};

TEST_F(FilterTest, EmptyMatchesEverything) {
  EXPECT_TRUE(matches(""));
  EXPECT_TRUE(matches(" \t\n"));
  EXPECT_TRUE(Filter().matches(snapshot_->listeners.at(0)));
  EXPECT_FALSE(Filter().needs(Need::listener));
}

TEST_F(FilterTest, ComparesNumbers) {
  for (const char* yes :
       {"port == 443", "port==443", "port != 80", "port < 444", "port <= 443", "port > 442",
        "port >= 443", "port > -1", "port == 443.0", "port == 4.43e2", "port < 443.5",
        "accept_queue_fill > 0.8", "accept_queue_fill == 0.8125", "accept_queue_fill < 1",
        "sk_drops == 4294967295", "cookie == 9007199254740993"}) {
    EXPECT_TRUE(matches(yes)) << yes;
  }
  for (const char* no :
       {"port == 80", "port != 443", "port < 443", "port <= 442", "port > 443", "port >= 444",
        "accept_queue_fill > 0.8125", "accept_queue_fill >= 1", "port < -1", "port == 443.5",
        "cookie == 9007199254740992", "cookie == 9007199254740994"}) {
    EXPECT_FALSE(matches(no)) << no;
  }
}

TEST_F(FilterTest, ComparesText) {
  EXPECT_TRUE(matches("address == 0.0.0.0"));
  EXPECT_TRUE(matches("family == 'ipv4'"));
  EXPECT_TRUE(matches("family < ipv6"));
  EXPECT_FALSE(matches("family == IPV4"));
  EXPECT_TRUE(matches("cgroup == /system.slice/nginx.service"));
  EXPECT_TRUE(matches("limit_set_by != somaxconn"));
}

TEST_F(FilterTest, QuotesHoldAnything) {
  EXPECT_TRUE(matches(R"(process == 'nginx: "a" and b')"));
  EXPECT_TRUE(matches(R"(process == "nginx: \"a\" and b")"));
  EXPECT_TRUE(matches(R"(process=='nginx: "a" and b' and port==443)"));
  EXPECT_FALSE(matches(R"(process == 'nginx')"));
  EXPECT_FALSE(matches("process == ''"));
  EXPECT_FALSE(matches(R"(process == 'a\\b\'c')"));
  EXPECT_TRUE(matches(R"(process ~ "\"A\" AND")"));
  // In quotes it is a text.
  EXPECT_FALSE(matches("process == 'null'"));
  EXPECT_FALSE(matches("process == 'null'", 1));
}

TEST_F(FilterTest, SearchesRegularExpressions) {
  EXPECT_TRUE(matches("process ~ nginx"));
  EXPECT_TRUE(matches("process ~ NGINX"));
  EXPECT_TRUE(matches("process ~ ^ngi.*b$"));
  EXPECT_TRUE(matches("process ~ apache|nginx"));
  EXPECT_FALSE(matches("process ~ ^ginx"));
  EXPECT_TRUE(matches("process !~ apache"));
  EXPECT_FALSE(matches("process !~ nginx"));
  EXPECT_TRUE(matches("address ~ ^0\\.0"));
  EXPECT_TRUE(matches("port ~ ^44"));
  EXPECT_FALSE(matches("port ~ ^8"));
}

TEST_F(FilterTest, AbsentMatchesNullOnly) {
  EXPECT_TRUE(matches("pid == null", 1));
  EXPECT_FALSE(matches("pid != null", 1));
  EXPECT_FALSE(matches("pid == null", 0));
  EXPECT_TRUE(matches("pid != null", 0));
  for (const char* absent : {"pid != 5", "pid < 5", "pid >= 0", "pids != 5", "process != x",
                             "process !~ x", "process ~ .*", "process == ''", "sk_drops == 0",
                             "somaxconn_raised_since != true and pid == 1"}) {
    EXPECT_FALSE(matches(absent, 1)) << absent;
  }
  EXPECT_TRUE(matches("accept_wait == null"));
}

TEST_F(FilterTest, ListMatchesWhenOneElementDoes) {
  EXPECT_TRUE(matches("pids == 100"));
  EXPECT_TRUE(matches("pids == 2000"));
  EXPECT_FALSE(matches("pids == 10"));
  EXPECT_TRUE(matches("pids > 1999"));
  EXPECT_FALSE(matches("pids > 2000"));
  EXPECT_TRUE(matches("pids ~ ^20"));
  EXPECT_TRUE(matches("pids != null"));
  EXPECT_TRUE(matches("pids == null", 1));
}

TEST_F(FilterTest, Booleans) {
  EXPECT_TRUE(matches("somaxconn_raised_since == false"));
  EXPECT_TRUE(matches("somaxconn_raised_since != true"));
  EXPECT_FALSE(matches("somaxconn_raised_since == true"));
}

TEST_F(FilterTest, AndNeedsAll) {
  EXPECT_TRUE(matches("port == 443 and accept_queue_fill > 0.8"));
  EXPECT_FALSE(matches("port == 443 and accept_queue_fill > 0.9"));
  EXPECT_FALSE(matches("port == 80 and accept_queue_fill > 0.8"));
  EXPECT_TRUE(matches("port>400 and port<500 and port!=444\n and process~nginx"));
  // A value may be the word itself.
  EXPECT_FALSE(matches("process == and and port == 443"));
}

TEST_F(FilterTest, TellsWhatItNeeds) {
  const auto filter = Filter::parse("port == 443 and process ~ nginx");
  ASSERT_TRUE(filter);
  EXPECT_TRUE(filter->needs(Need::listener));
  EXPECT_TRUE(filter->needs(Need::owner));
  EXPECT_FALSE(filter->needs(Need::sysctl));
}

TEST_F(FilterTest, RefusesWithOneSentence) {
  struct Case {
    const char* text;
    const char* part;
  };
  for (const Case& c : {
           Case{"prot == 1", "there is no field 'prot', the nearest is port; --list-fields"},
           Case{"port", "after port one of"},
           Case{"port = 443", "after port one of"},
           Case{"port 443", "character 6"},
           Case{"port ==", "a value is expected at character 8"},
           Case{"port == ", "a value is expected"},
           Case{"port == http", "port is compared with a number or null, not with 'http'"},
           Case{"port == 0x50", "'0x50'"},
           Case{"port == nan", "'nan'"},
           Case{"port == inf", "'inf'"},
           Case{"port == 1e999", "'1e999'"},
           Case{"port == ''", "''"},
           Case{"port == 4 4", "only `and` can follow"},
           Case{"port == 4 or port == 5", "only `and` can follow a comparison (character 11)"},
           Case{"port == 4 and", "a field id is expected at character 14"},
           Case{"and port == 4", "there is no field 'and'"},
           Case{"== 4", "a field id is expected at character 1"},
           Case{"(port == 4)", "a field id is expected at character 1"},
           Case{"process == 'nginx", "the quote at character 12 is not closed"},
           Case{"process == \"x\\\"", "is not closed"},
           Case{"process ~ [", "'[' at character 11 is not a regular expression"},
           Case{"process ~ *", "is not a regular expression"},
           Case{"process ~ (a", "is not a regular expression"},
           Case{"port ~ null", "null by == or != only"},
           Case{"port < null", "null by == or != only"},
           Case{"pids == x", "a number"},
           Case{"somaxconn_raised_since == yes", "true, false or null"},
           Case{"somaxconn_raised_since < true", "by == or != only"},
           Case{"accept_wait > 1", "_p50, _p99 and _max"},
           Case{"waterfall > 1", "null only, or by ~"},
           Case{"port == 1\x1b", "'1\\x1b'"},
       }) {
    const auto filter = Filter::parse(c.text);
    ASSERT_FALSE(filter) << c.text;
    EXPECT_EQ(filter.error().kind, ErrorKind::usage);
    EXPECT_NE(filter.error().message.find(c.part), std::string::npos)
        << c.text << ": " << filter.error().message;
  }
}

TEST_F(FilterTest, TakesManyComparisons) {
  std::string text = "port == 443";
  for (int i = 0; i < 500; ++i) text += " and port != " + std::to_string(1000 + i);
  EXPECT_TRUE(matches(text));
  EXPECT_FALSE(matches(text + " and port == 1"));
}

}  // namespace
}  // namespace listenq
