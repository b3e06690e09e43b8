// SPDX-License-Identifier: Apache-2.0
// The JSON document, read back by another library.
#include "view/json/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "made_up.h"

namespace listenq {
namespace {

using Json = nlohmann::ordered_json;
using made_up::derive;
using made_up::listener;
using made_up::sample;

std::string written(const Snapshot& snapshot, const JsonOptions& options = {}) {
  std::string out;
  write_json(out, snapshot, made_up::rows_of(snapshot), options);
  return out;
}

Json document(const Snapshot& snapshot, const JsonOptions& options = {}) {
  const std::string text = written(snapshot, options);
  EXPECT_EQ(text.find('\n'), text.size() - 1) << "not one line";
  Json parsed = Json::parse(text, nullptr, false);
  EXPECT_FALSE(parsed.is_discarded()) << text;
  return parsed;
}

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

TEST(JsonView, DocumentHasItsMembersInOrder) {
  Sample made = sample(0, {listener()});
  made.self = {1'500'000, 2'500'000'000, 4096, 3, {{"ring \"full\"", 7}}, {}, {}};
  made.namespaces.at(0).name = "blue";
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 18446744073709551615U}};
  const Json json = document(*derive(made));
  EXPECT_EQ(keys(json), (std::vector<std::string>{"schema", "time", "host", "kernel", "backend",
                                                  "interval_seconds", "listeners", "closed",
                                                  "namespaces", "nics", "self"}));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["time"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(json["host"], "host");
  EXPECT_EQ(json["kernel"], "6.1.0");
  EXPECT_EQ(json["backend"], "iter");
  EXPECT_TRUE(json["interval_seconds"].is_null());
  EXPECT_EQ(json["listeners"].size(), 1U);
  EXPECT_EQ(json["closed"], Json::array());
  EXPECT_EQ(json["nics"], Json::array());
  const Json& netns = json["namespaces"][0];
  EXPECT_EQ(keys(netns), (std::vector<std::string>{
                             "netns", "netns_name", "somaxconn", "tcp_max_syn_backlog",
                             "tcp_syncookies", "tcp_abort_on_overflow", "tcp_synack_retries",
                             "tcp_migrate_req", "mib", "mib_since_start", "counted_since_start",
                             "coverage", "residual", "nat", "nics_complete"}));
  EXPECT_EQ(netns["netns"], 4026531840U);
  EXPECT_EQ(netns["netns_name"], "blue");
  EXPECT_EQ(netns["somaxconn"], 4096);
  EXPECT_TRUE(netns["tcp_migrate_req"].is_null());
  EXPECT_EQ(netns["mib"]["ListenDrops"], 18446744073709551615U);
  EXPECT_TRUE(netns["mib_since_start"].is_null());
  EXPECT_TRUE(netns["counted_since_start"].is_null());
  EXPECT_TRUE(netns["coverage"].is_null());
  EXPECT_TRUE(netns["residual"].is_null());
  EXPECT_TRUE(netns["nat"].is_null());
  EXPECT_TRUE(netns["nics_complete"].is_null());
  const Json& self = json["self"];
  EXPECT_EQ(self["sample_milliseconds"], 1.5);
  EXPECT_EQ(self["cpu_seconds"], 2.5);
  EXPECT_EQ(self["memory_bytes"], 4096);
  EXPECT_EQ(self["connection_hash_walks"], 3);
  EXPECT_EQ(self["lost"]["ring \"full\""], 7);
  EXPECT_TRUE(self["programs"].is_null());
  EXPECT_TRUE(self["maps"].is_null());
}

TEST(JsonView, SelfTellsWhatProgramsTook) {
  Sample made = sample(0, {});
  made.self.programs = {{"syn_in", 7, 1'500'000'000}, {"syn_out", std::nullopt, std::nullopt}};
  made.self.maps = {{"listeners", 3, 16384}};
  const Json self = document(*derive(made))["self"];
  EXPECT_EQ(self["programs"][0], (Json{{"name", "syn_in"}, {"runs", 7}, {"run_seconds", 1.5}}));
  EXPECT_EQ(self["programs"][1],
            (Json{{"name", "syn_out"}, {"runs", nullptr}, {"run_seconds", nullptr}}));
  EXPECT_EQ(self["maps"],
            Json::array({{{"name", "listeners"}, {"entries", 3}, {"max_entries", 16384}}}));
}

TEST(JsonView, ListenerHasEveryFieldAbsentAsNull) {
  RawListener raw = listener(18446744073709551615U);
  raw.accept_queue_len = 256;
  raw.syn_queue_len = 0;
  Sample made = sample(1, {raw});
  auto owners = std::make_shared<OwnerTable>();
  owners->pids = {5, 6};
  owners->by_inode = {{9, {0, 2}}};
  made.listeners[0].inode = 9;
  made.owners = owners;
  const Json row = document(*derive(made))["listeners"][0];
  std::vector<std::string> ids;
  for (const Field& field : fields()) ids.emplace_back(field.id);
  EXPECT_EQ(keys(row), ids);
  EXPECT_EQ(row["cookie"], 18446744073709551615U);
  EXPECT_EQ(row["address"], "0.0.0.0");
  EXPECT_EQ(row["accept_queue_fill"], 0.5);
  EXPECT_EQ(row["syn_queue_len"], 0);
  EXPECT_EQ(row["pids"], Json({5, 6}));
  EXPECT_EQ(row["pid"], 5);
  EXPECT_EQ(row["somaxconn_raised_since"], false);
  for (const char* absent :
       {"process", "cgroup", "sk_drops", "sk_drops_per_second", "drops", "accept_wait",
        "listen_requested", "syn_queue_young", "uid", "netns_name"}) {
    EXPECT_TRUE(row[absent].is_null()) << absent;
  }
}

TEST(JsonView, SecondSampleHasRatesAndDeltas) {
  Deriver deriver;
  Sample made = sample(1, {listener(1), listener(2)});
  made.listeners[0].sk_drops = 5;
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 10}};
  derive(deriver, made);
  made = sample(3, {listener(1)});
  made.listeners[0].sk_drops = 6;
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 12}};
  const Json json = document(*derive(deriver, made));
  EXPECT_EQ(json["interval_seconds"], 2.0);
  EXPECT_EQ(json["listeners"][0]["sk_drops_per_second"], 0.5);
  EXPECT_EQ(json["namespaces"][0]["mib_since_start"]["ListenDrops"], 2);
  ASSERT_EQ(json["closed"].size(), 1U);
  EXPECT_EQ(json["closed"][0]["cookie"], 2);
  EXPECT_EQ(json["closed"][0]["closed_at"], json["time"]);
  EXPECT_EQ(keys(json["closed"][0]).back(), "closed_at");
}

TEST(JsonView, HistogramsHaveOneCountMoreThanBounds) {
  ListenerCounts counts;
  counts.accept_wait.counts[0] = 3;
  counts.accept_wait.counts[31] = 18446744073709551615U;
  counts.accept_wait.sum_ns = 2'500'000'000;
  counts.accept_wait.max_ns = 1'500'000'000;
  const Json row =
      document(*derive(made_up::counting(sample(1, {listener()}), {counts})))["listeners"][0];
  const Json& wait = row["accept_wait"];
  EXPECT_EQ(keys(wait), (std::vector<std::string>{"bounds", "counts", "sum", "max"}));
  ASSERT_EQ(wait["bounds"].size(), Histogram::kBuckets - 1);
  ASSERT_EQ(wait["counts"].size(), Histogram::kBuckets);
  for (std::size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
    EXPECT_EQ(wait["bounds"][i].get<double>(), Histogram::bound(i));
  }
  EXPECT_EQ(wait["counts"][0], 3);
  EXPECT_EQ(wait["counts"][1], 0);
  EXPECT_EQ(wait["counts"][31], 18446744073709551615U);
  EXPECT_EQ(wait["sum"], 2.5);
  EXPECT_EQ(wait["max"], 1.5);
  EXPECT_EQ(row["handshake_time"]["sum"], 0);
  EXPECT_TRUE(row["handshake_time_p99"].is_null());
}

TEST(JsonView, NamespacesTellWhatWasCounted) {
  Deriver deriver;
  Sample made = made_up::counting(sample(1));
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 10}, {"SyncookiesSent", 7}};
  derive(deriver, made);
  made = made_up::counting(sample(2));
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 14}, {"SyncookiesSent", 7}};
  made.namespaces.at(0).mib_after = MibCounters{{"ListenDrops", 15}, {"SyncookiesSent", 7}};
  made.namespaces.at(0).counted = 0;
  made.counts = {made_up::counts({{Counter::drops, 3}})};
  const Json netns = document(*derive(deriver, made))["namespaces"][0];
  EXPECT_EQ(netns["mib"]["ListenDrops"], 15) << "as it was last read";
  EXPECT_EQ(netns["mib_since_start"]["ListenDrops"], 5);
  EXPECT_EQ(netns["counted_since_start"]["ListenDrops"], 3);
  EXPECT_EQ(netns["counted_since_start"]["ListenOverflows"], 0);
  EXPECT_EQ(netns["coverage"], 0.75);
  EXPECT_EQ(netns["residual"], Json({{"ListenDrops", 1}, {"SyncookiesSent", 0}}));
}

TEST(JsonView, InterfacesTellWhatTheySaw) {
  Sample made = sample(1, {listener()});
  made.namespaces.at(0).name = "blue";
  made.namespaces.at(0).nat = "";
  made.namespaces.at(0).nics_complete = false;
  RawNic eth0;
  eth0.netns = made_up::kNetns;
  eth0.interface = "eth0";
  eth0.ifindex = 2;
  eth0.mode = NicMode::tc;
  eth0.passed = 1000;
  eth0.malformed = 1;
  eth0.fragments = 2;
  eth0.handshake_times = true;
  eth0.ports.resize(2);
  eth0.ports[0] = {80, 10, 3, 7, 6, 1, {}};
  eth0.ports[0].handshake_time.counts[4] = 6;
  eth0.ports[1].port = 443;
  RawNic eth1 = eth0;
  eth1.interface = "eth\"1";
  eth1.mode = NicMode::xdp;
  eth1.handshake_times = false;
  eth1.evictions = 4;
  eth1.ports.resize(1);
  RawNic eth2;
  eth2.netns = NetnsId{7};  // no listener, no row
  eth2.interface = "eth2";
  eth2.note = "its XDP is held by \"other\"";
  made.nics = {eth0, eth1, eth2};
  const Json json = document(*derive(made));
  EXPECT_EQ(json["namespaces"][0]["nat"], "");
  EXPECT_EQ(json["namespaces"][0]["nics_complete"], false);
  ASSERT_EQ(json["nics"].size(), 3U);
  const Json& first = json["nics"][0];
  EXPECT_EQ(keys(first),
            (std::vector<std::string>{"netns", "netns_name", "interface", "mode", "note", "passed",
                                      "malformed", "fragments", "evictions", "ports"}));
  EXPECT_EQ(first["netns"], 4026531840U);
  EXPECT_EQ(first["netns_name"], "blue");
  EXPECT_EQ(first["mode"], "tc");
  EXPECT_TRUE(first["note"].is_null());
  EXPECT_EQ(first["passed"], 1000);
  EXPECT_EQ(first["malformed"], 1);
  EXPECT_EQ(first["fragments"], 2);
  EXPECT_TRUE(first["evictions"].is_null());
  ASSERT_EQ(first["ports"].size(), 2U);
  const Json& port = first["ports"][0];
  EXPECT_EQ(keys(port), (std::vector<std::string>{"port", "syn_in", "syn_known", "synack_out",
                                                  "ack_in", "rst_in", "handshake_time"}));
  EXPECT_EQ(port["port"], 80);
  EXPECT_EQ(port["syn_in"], 10);
  EXPECT_EQ(port["syn_known"], 3);
  EXPECT_EQ(port["synack_out"], 7);
  EXPECT_EQ(port["ack_in"], 6);
  EXPECT_EQ(port["rst_in"], 1);
  EXPECT_EQ(port["handshake_time"]["counts"][4], 6);
  EXPECT_EQ(first["ports"][1]["syn_in"], 0) << "counted, and none came";
  const Json& second = json["nics"][1];
  EXPECT_EQ(second["interface"], "eth\"1");
  EXPECT_EQ(second["mode"], "xdp");
  EXPECT_EQ(second["evictions"], 4);
  EXPECT_TRUE(second["ports"][0]["handshake_time"].is_null());
  const Json& third = json["nics"][2];
  EXPECT_TRUE(third["mode"].is_null());
  EXPECT_TRUE(third["netns_name"].is_null());
  EXPECT_EQ(third["note"], "its XDP is held by \"other\"");
  EXPECT_EQ(third["ports"], Json::array());
  for (const char* absent : {"passed", "malformed", "fragments", "evictions"}) {
    EXPECT_TRUE(third[absent].is_null()) << absent;
  }
}

TEST(JsonView, WaterfallIsAnObject) {
  Deriver deriver;
  const auto at = [&](std::uint64_t second, std::uint64_t sent, std::uint64_t reached) {
    Sample made = made_up::counting(
        sample(second, {listener()}),
        {made_up::counts({{Counter::syns, reached}, {Counter::synacks, reached}})});
    made.counting->counters &= ~(1U << static_cast<unsigned>(Counter::accepts));
    RawNic& nic = made.nics.emplace_back();
    nic.netns = made_up::kNetns;
    nic.mode = NicMode::tc;
    nic.ports = {{80, sent, 4 * second, reached, 0, 2, {}}};
    return derive(deriver, made);
  };
  at(0, 0, 0);
  const Json row = document(*at(2, 38, 20))["listeners"][0];
  const Json& flow = row["waterfall"];
  EXPECT_EQ(flow.dump(),
            R"({"nic_syns":30,"nic_syns_known":8,"syns":20,"synacks":20,"nic_synacks":20,)"
            R"("handshake_acks":0,"nic_acks":0,"nic_rsts":0,"queued":null,"accepts":null,)"
            R"("lost":{"before_tcp":10,"at_syn":0,"synack_out":0,"unanswered":null,)"
            R"("ack_before_tcp":0,"at_ack":null,"unaccepted":0},"lost_at":"before_tcp",)"
            R"("since_seconds":2,"listeners":1,"note":null})");
  Sample translated = sample(3, {listener()});
  translated.nics.resize(1);
  translated.namespaces.at(0).nat = "ipvs \"x\"";
  EXPECT_TRUE(document(*derive(translated))["listeners"][0]["waterfall"].is_null());
  EXPECT_TRUE(document(*derive(sample(1, {listener()})))["listeners"][0]["waterfall"].is_null());
}

TEST(JsonView, ColumnsAndFilterHoldForClosedOnesToo) {
  Deriver deriver;
  RawListener other = listener(3);
  other.port = 443;
  derive(deriver, sample(1, {listener(1), listener(2), other}));
  const auto snapshot = derive(deriver, sample(2, {listener(1)}));
  const auto columns = parse_columns("port,cookie").value();
  const auto filter = Filter::parse("port == 443").value();
  const Json json = document(*snapshot, {.columns = columns, .filter = &filter});
  EXPECT_EQ(keys(json["listeners"][0]), (std::vector<std::string>{"port", "cookie"}));
  ASSERT_EQ(json["closed"].size(), 1U);
  EXPECT_EQ(keys(json["closed"][0]), (std::vector<std::string>{"port", "cookie", "closed_at"}));
  EXPECT_EQ(json["closed"][0]["cookie"], 3);
}

TEST(JsonView, NamesCannotBreakIt) {
  const std::pair<std::string, std::string> names[] = {
      {"plain", "plain"},
      {"a\"b\\c", "a\"b\\c"},
      {"tab\there\n\r", "tab\\x09here\\x0a\\x0d"},
      {"\x1b[31m", "\\x1b[31m"},
      {std::string("nul\0l", 5), "nul\\x00l"},
      {"caf\xc3\xa9", "caf\xc3\xa9"},
      {"\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7"},
      {"bad\xff\xc3", "bad\\xff\\xc3"},
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
      {"\xc0\xaf", "\\xc0\\xaf"},
      {"del\x7f", "del\\x7f"},
      {"</script>", "</script>"},
  };
  for (const auto& [name, shown] : names) {
    Sample made = sample(1, {listener()});
    made_up::own(made, 1, {name, "/" + name});
    made.host = name;
    made.namespaces.at(0).name = name;
    made.namespaces.at(0).mib = MibCounters{{name, 1}};
    made.listeners[0].interface = name;
    const Json json = document(*derive(made));
    EXPECT_EQ(json["host"], shown);
    EXPECT_EQ(json["listeners"][0]["process"], shown);
    EXPECT_EQ(json["listeners"][0]["cgroup"], "/" + shown);
    EXPECT_EQ(json["listeners"][0]["netns_name"], shown);
    EXPECT_EQ(json["listeners"][0]["address"], "0.0.0.0%" + shown);
    EXPECT_EQ(json["namespaces"][0]["mib"][shown], 1);
  }
}

TEST(JsonView, EmptySnapshotIsADocument) {
  const Json json = document(*derive(Sample()));
  EXPECT_EQ(json["listeners"], Json::array());
  EXPECT_EQ(json["namespaces"], Json::array());
  EXPECT_EQ(json["self"]["lost"], Json::object());
}

TEST(JsonView, UnreadCountersAreNullNotEmpty) {
  Sample made = sample(1);
  EXPECT_TRUE(document(*derive(made))["namespaces"][0]["mib"].is_null());
  made.namespaces.at(0).mib = MibCounters{};
  EXPECT_EQ(document(*derive(made))["namespaces"][0]["mib"], Json::object());
}

TEST(JsonView, RowsAreThoseGiven) {
  const auto snapshot = derive(sample(1, {listener(1), listener(2), listener(3)}));
  const std::vector<const ListenerRow*> rows = {&snapshot->listeners[2], &snapshot->listeners[0]};
  std::string out = "before";
  write_json(out, *snapshot, rows);
  ASSERT_TRUE(out.starts_with("before{"));
  const Json json = Json::parse(out.substr(6));
  ASSERT_EQ(json["listeners"].size(), 2U);
  EXPECT_EQ(json["listeners"][0]["cookie"], 3);
  EXPECT_EQ(json["listeners"][1]["cookie"], 1);
}

TEST(JsonView, FlushedPiecesMakeTheSameDocument) {
  Deriver deriver;
  std::vector<RawListener> listeners;
  for (std::uint64_t cookie = 1; cookie <= 200; ++cookie) listeners.push_back(listener(cookie));
  derive(deriver, sample(1, listeners));
  listeners.resize(100);
  const auto snapshot = derive(deriver, sample(2, listeners));
  std::string pieces;
  std::size_t largest = 0;
  int flushes = 0;
  const std::string rest = written(*snapshot, {.flush = [&](std::string& out) {
    largest = std::max(largest, out.size());
    pieces += out;
    out.clear();
    ++flushes;
  }});
  EXPECT_EQ(pieces + rest, written(*snapshot));
  EXPECT_GT(flushes, 1);
  EXPECT_LT(largest, std::size_t{80} * 1024);
}

TEST(JsonView, NumbersSurvive) {
  Deriver deriver;
  Sample made = sample(1, {listener()});
  made.listeners[0].sk_drops = 0;
  derive(deriver, made);
  made.listeners[0].sk_drops = 1;
  made.monotonic_ns += 3 * made_up::kSecond;
  const Json row = document(*derive(deriver, made))["listeners"][0];
  EXPECT_EQ(row["sk_drops_per_second"].get<double>(), 1.0 / 3.0);
}

}  // namespace
}  // namespace listenq
