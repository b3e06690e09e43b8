// SPDX-License-Identifier: Apache-2.0
//
// Recordings whose frames are intact and whose content is not: written by another program, by a
// newer version, or by somebody who wants the reader to fall over.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "record/encode.h"
#include "record_files.h"
#include "record_samples.h"

namespace listenq::test {
namespace {

using Json = nlohmann::json;

Json document(const Sample& sample) {
  Bytes owners;
  if (sample.owners != nullptr) owners = recording::encode_owners(*sample.owners);
  const bool has = sample.owners != nullptr;
  return Json::from_cbor(recording::encode_sample(sample, has ? 1 : 0, has ? &owners : nullptr));
}

Played play_document(const Json& json) {
  return play(file_of_cbor(Json::to_cbor(json)));
}

Json owners_of(const Json& json) {
  return Json::from_cbor(json.at("owners").get_binary());
}

void set_owners(Json& json, const Json& owners) {
  json["owners"] = Json::binary(Json::to_cbor(owners));
}

/// `what` is in the error, which names the sample.
void expect_refused(const Json& json, const std::string& what) {
  const Played played = play_document(json);
  EXPECT_TRUE(played.samples.empty()) << what;
  EXPECT_NE(played.error.find("in sample 1, "), std::string::npos) << what;
  EXPECT_NE(played.error.find(what), std::string::npos) << played.error << "\nand not " << what;
}

TEST(RecordContent, UnknownKeysAreIgnored) {
  Json json = document(full_sample());
  const Json unknown = {{"a", {1, 2, 3}}, {"b", nullptr}, {"c", true}};
  json["later"] = json["self"]["later"] = json["namespaces"][0]["later"] = unknown;
  json["listeners"][0]["later"] = json["namespaces"][0]["sysctls"]["later"] = unknown;
  json["counting"]["later"] = json["counts"][0]["later"] = unknown;
  json["counts"][0]["accept_wait"]["later"] = json["closed"][0]["later"] = unknown;
  json["nics"][0]["later"] = json["nics"][0]["ports"][0]["later"] = unknown;
  json["counting"]["counters"].push_back("counted_later");
  Json owners = owners_of(json);
  owners["later"] = owners["sockets"][0]["later"] = owners["processes"][0]["later"] = unknown;
  set_owners(json, owners);
  const Played played = play_document(json);
  ASSERT_EQ(played.samples.size(), 1U) << played.error;
  EXPECT_EQ(sample_text(*played.samples[0]), sample_text(full_sample()));
}

TEST(RecordContent, MissingKeysAreAbsentOrRefused) {
  const Json whole = document(full_sample());
  const auto without = [&](const Json::json_pointer& object, const std::string& key) {
    Json json = whole;
    json.at(object).erase(key);
    return json;
  };
  const std::vector<std::pair<std::string, std::vector<std::string>>> required{
      {"", {"wall_ns", "monotonic_ns", "host", "kernel", "backend", "listeners", "namespaces"}},
      {"/listeners/0",
       {"netns", "inode", "family", "address", "port", "accept_queue_len", "accept_queue_limit"}},
      {"/namespaces/0", {"netns"}},
      {"/counting", {"counters"}},
      {"/counts/0/accept_wait", {"buckets", "sum_ns", "max_ns"}},
      {"/closed/0", {"monotonic_ns", "listener"}},
      {"/closed/0/listener", {"netns", "inode", "port"}},
      {"/nics/0", {"netns", "interface", "ifindex"}},
      {"/nics/0/ports/0", {"port"}},
      {"/nics/0/ports/0/handshake_time", {"buckets", "sum_ns", "max_ns"}},
      {"/close_ups/0", {"netns", "inode", "sharers_total"}},
      {"/close_ups/0/sharers/0", {"pid", "name", "threads_total"}},
      {"/close_ups/0/sharers/0/threads/0", {"tid", "name", "state"}},
      {"/close_ups/0/throttlings/0", {"cgroup", "quota_ns", "period_ns"}},
      {"/close_ups/0/waiting/0", {"family", "address", "port"}},
      {"/self", {"sample_ns", "cpu_ns", "memory_bytes", "connection_hash_walks", "lost"}},
      {"/self/programs/0", {"name"}},
      {"/self/maps/0", {"name", "entries", "max_entries"}},
  };
  for (const auto& [object, keys] : required) {
    for (const std::string& key : keys)
      expect_refused(without(Json::json_pointer(object), key), key);
  }
  expect_refused(without(Json::json_pointer(""), "self"), "self.");

  const std::vector<std::pair<std::string, std::vector<std::string>>> optional{
      {"/listeners/0",
       {"cookie", "interface", "uid", "cgroup_id", "cgroup", "syn_queue_len", "syn_queue_young",
        "fastopen_queue_len", "fastopen_queue_limit", "sk_drops", "oldest_wait_ns",
        "listen_requested", "counts"}},
      {"/namespaces/0", {"name", "sysctls", "mib", "mib_after", "counted", "nat", "nics_complete"}},
      {"/namespaces/0/sysctls",
       {"somaxconn", "tcp_max_syn_backlog", "tcp_syncookies", "tcp_abort_on_overflow",
        "tcp_synack_retries", "tcp_migrate_req"}},
  };
  for (const auto& [object, keys] : optional) {
    for (const std::string& key : keys) {
      const Played played = play_document(without(Json::json_pointer(object), key));
      ASSERT_EQ(played.samples.size(), 1U) << key << ": " << played.error;
      const std::string expected = key == "interface" ? " interface=\"\""
                                   : key == "sysctls" ? " somaxconn=absent"
                                                      : " " + key + "=absent";
      EXPECT_NE(sample_text(*played.samples[0]).find(expected), std::string::npos) << expected;
    }
  }
}

/// Each leaf of the document in turn gets values of every other type.
void expect_wrong_types_refused(const Json& whole, const Json::json_pointer& at,
                                const std::function<Json(const Json&)>& wrap) {
  const std::vector<Json> wrong{
      nullptr, true, -1, "text", Json::array({1}), {{"a", 1}}, Json::binary({1, 2, 3})};
  const Json& value = whole.at(at);
  for (const Json& other : wrong) {
    const auto is_text = [](const Json& json) { return json.is_string() || json.is_binary(); };
    if (other.type() == value.type()) continue;
    if (is_text(other) && is_text(value) && at.back() != "address" && at.back() != "owners")
      continue;
    const std::string place = at.to_string();
    const bool may_be_negative = place.find("/sysctls/") != std::string::npos ||
                                 place.find("/listen_requested") != std::string::npos;
    if (other == -1 && may_be_negative) continue;
    Json changed = whole;
    changed[at] = other;
    const Played played = play_document(wrap(changed));
    EXPECT_TRUE(played.samples.empty()) << at << " = " << other;
    EXPECT_NE(played.error.find("in sample 1, "), std::string::npos) << at << " = " << other;
  }
}

TEST(RecordContent, WhatIsNotCountedIsNotThere) {
  const auto without = [](std::initializer_list<const char*> keys) {
    Json json = document(full_sample());
    for (const char* key : keys) json.erase(key);
    for (Json& listener : json["listeners"]) listener.erase("counts");
    for (Json& netns : json["namespaces"]) netns.erase("counted");
    const Played played = play_document(json);
    EXPECT_EQ(played.samples.size(), 1U) << played.error;
    return *played.samples.at(0);
  };
  EXPECT_EQ(without({"counting"}).counting, std::nullopt);
  EXPECT_TRUE(without({"closed"}).closed.empty());
  EXPECT_TRUE(without({"nics"}).nics.empty());
  const Sample before = without({"counting", "counts", "closed", "nics"});
  EXPECT_EQ(before.counting, std::nullopt);
  EXPECT_TRUE(before.counts.empty());
  EXPECT_TRUE(before.closed.empty());
  // One counter, one histogram, one kind of counting less.
  Json json = document(full_sample());
  json["counts"][0].erase("syns");
  json["counts"][0].erase("accept_wait");
  json["counting"].erase("peaks");
  const Played played = play_document(json);
  ASSERT_EQ(played.samples.size(), 1U) << played.error;
  const Sample& sample = *played.samples[0];
  EXPECT_EQ(sample.counts.at(0)[Counter::syns], 0U);
  EXPECT_EQ(sample.counts.at(0).accept_wait.count(), 0U);
  EXPECT_EQ(sample.counts.at(0)[Counter::synacks], 1001U);
  EXPECT_FALSE(sample.counting.value().peaks);
  EXPECT_TRUE(sample.counting->handshake_time);
}

TEST(RecordContent, InterfacesAreReadStrictly) {
  Json json = document(full_sample());
  json["nics"][0]["mode"] = "xdp-offload";
  expect_refused(json, "nics[0].mode");
  for (const int port : {443, 1}) {  // the same again, and descending
    json = document(full_sample());
    json["nics"][0]["ports"][0]["port"] = 443;
    json["nics"][0]["ports"][1]["port"] = port;
    expect_refused(json, "ports are not ascending");
  }
  json = document(full_sample());
  json["nics"][0]["ports"][1]["port"] = 65536;
  expect_refused(json, "ports of nic [0].port");
  // What was not counted is 0, what was not measured is absent.
  json = document(full_sample());
  for (const char* key : {"mode", "note", "passed", "evictions", "handshake_times"}) {
    json["nics"][0].erase(key);
  }
  json["nics"][0]["ports"][0] = {{"port", 80}};
  json["nics"][1].erase("ports");
  const Played played = play_document(json);
  ASSERT_EQ(played.samples.size(), 1U) << played.error;
  const RawNic& nic = played.samples[0]->nics.at(0);
  EXPECT_EQ(nic.mode, std::nullopt);
  EXPECT_EQ(nic.evictions, std::nullopt);
  EXPECT_EQ(nic.note, "");
  EXPECT_EQ(nic.passed, 0U);
  EXPECT_FALSE(nic.handshake_times);
  EXPECT_EQ(nic.ports.at(0).syn_in, 0U);
  EXPECT_EQ(nic.ports[0].handshake_time.count(), 0U);
  EXPECT_TRUE(played.samples[0]->nics.at(1).ports.empty());
}

TEST(RecordContent, CloseUpsAreReadStrictly) {
  const std::vector<std::pair<std::string, Json>> wrong{
      {"/close_ups/0/sharers/0/threads/0/state", "SS"},
      {"/close_ups/0/sharers/0/threads/0/state", ""},
      {"/close_ups/0/sharers/0/threads/0/tid", 813},
      {"/close_ups/0/sharers/0/threads/0/cpu_ns", -1},
      {"/close_ups/0/sharers/1/pid", 812},
      {"/close_ups/0/sharers_total", -1},
      {"/close_ups/0/throttlings/0/period_ns", 0},
      {"/close_ups/0/waiting/0/family", "dual"},
      {"/close_ups/0/waiting/0/family", "ipv6"},
      {"/close_ups/0/waiting/0/port", 65536},
      {"/close_ups/0/waiting", "nobody"},
      {"/close_ups/0/sharers", 5},
      {"/self/programs/0/runs", "many"},
      {"/self/maps/0/entries", -1},
  };
  for (const auto& [pointer, value] : wrong) {
    SCOPED_TRACE(pointer + " " + value.dump());
    Json json = document(full_sample());
    json[Json::json_pointer(pointer)] = value;
    expect_refused(json, "");
  }
}

// As recordings of before have it.
TEST(RecordContent, WithoutCloseUpsThereAreNone) {
  Json json = document(full_sample());
  json.erase("close_ups");
  json["self"].erase("programs");
  json["self"].erase("maps");
  const Played played = play_document(json);
  ASSERT_EQ(played.samples.size(), 1U) << played.error;
  EXPECT_TRUE(played.samples[0]->close_ups.empty());
  EXPECT_TRUE(played.samples[0]->self.programs.empty());
  EXPECT_TRUE(played.samples[0]->self.maps.empty());
  json = document(full_sample());
  json["close_ups"][0].erase("waiting");
  const Played absent = play_document(json);
  ASSERT_EQ(absent.samples.size(), 1U) << absent.error;
  EXPECT_FALSE(absent.samples[0]->close_ups.at(0).waiting);
  ASSERT_TRUE(absent.samples[0]->close_ups.at(1).waiting);
  EXPECT_TRUE(absent.samples[0]->close_ups[1].waiting->empty());
}

TEST(RecordContent, CountsThatAreNotThereAreRefused) {
  for (const std::uint64_t beyond : {std::uint64_t{3}, std::uint64_t{UINT32_MAX}}) {
    for (const char* pointer :
         {"/listeners/1/counts", "/namespaces/0/counted", "/closed/1/listener/counts"}) {
      Json json = document(full_sample());
      json[Json::json_pointer(pointer)] = beyond;
      expect_refused(json, "is beyond the end of counts");
    }
  }
  Json json = document(full_sample());
  json.erase("counts");
  expect_refused(json, "listeners[0].counts is beyond the end of counts");
}

TEST(RecordContent, ImpossibleHistogramsAreRefused) {
  const Json::json_pointer buckets("/counts/0/accept_wait/buckets");
  for (const Json& wrong :
       {Json::parse("[[32,1]]"), Json::parse("[[-1,1]]"), Json::parse("[[3,1],[3,1]]"),
        Json::parse("[[3,1],[2,1]]"), Json::parse("[[1]]"), Json::parse("[[1,2,3]]"),
        Json::parse("[1,2]"), Json::parse("[[1,-2]]"), Json::parse("[[18446744073709551615,1]]")}) {
    Json json = document(full_sample());
    json[buckets] = wrong;
    expect_refused(json, "accept_wait.buckets are not ascending [bucket, count]");
  }
}

TEST(RecordContent, WrongTypesAreRefused) {
  const Json whole = document(full_sample());
  const Json leaves = whole.flatten();
  for (const auto& [pointer, unused] : leaves.items()) {
    if (pointer.starts_with("/owners/") || pointer.find("/address/") != std::string::npos) continue;
    expect_wrong_types_refused(whole, Json::json_pointer(pointer),
                               [](const Json& changed) { return changed; });
  }
  for (const char* pointer : {"/owners",
                              "/listeners",
                              "/listeners/0",
                              "/listeners/0/address",
                              "/namespaces",
                              "/namespaces/0",
                              "/namespaces/0/sysctls",
                              "/namespaces/0/mib",
                              "/namespaces/0/mib/1",
                              "/self",
                              "/self/lost",
                              "/counting",
                              "/counting/counters",
                              "/counts",
                              "/counts/0",
                              "/counts/0/accept_wait",
                              "/counts/0/accept_wait/buckets",
                              "/counts/0/accept_wait/buckets/1",
                              "/closed",
                              "/closed/0",
                              "/closed/0/listener"}) {
    expect_wrong_types_refused(whole, Json::json_pointer(pointer),
                               [](const Json& changed) { return changed; });
  }
  const Json owners = owners_of(whole);
  const Json owner_leaves = owners.flatten();
  for (const auto& [pointer, unused] : owner_leaves.items()) {
    expect_wrong_types_refused(owners, Json::json_pointer(pointer), [&](const Json& changed) {
      Json json = whole;
      set_owners(json, changed);
      return json;
    });
  }
}

TEST(RecordContent, NumbersOutOfRangeAreRefused) {
  constexpr std::uint64_t k2To32 = std::uint64_t{1} << 32U;
  const std::vector<std::pair<std::string, std::vector<std::uint64_t>>> cases{
      {"/listeners/0/port", {65536, k2To32}},
      {"/listeners/1/netns", {k2To32}},
      {"/listeners/0/uid", {k2To32, UINT64_MAX}},
      {"/listeners/0/accept_queue_len", {k2To32}},
      {"/listeners/0/accept_queue_limit", {k2To32}},
      {"/listeners/0/syn_queue_len", {k2To32}},
      {"/listeners/0/syn_queue_young", {k2To32}},
      {"/listeners/0/fastopen_queue_len", {k2To32}},
      {"/listeners/0/fastopen_queue_limit", {k2To32}},
      {"/listeners/0/sk_drops", {k2To32}},
      {"/listeners/0/listen_requested", {std::uint64_t{1} << 31U}},
      {"/listeners/0/counts", {k2To32}},
      {"/counts/0/accept_queue_peak", {k2To32}},
      {"/counts/0/syn_queue_peak", {k2To32}},
      {"/namespaces/0/netns", {k2To32}},
      {"/namespaces/0/sysctls/somaxconn", {std::uint64_t{1} << 63U, UINT64_MAX}},
  };
  for (const auto& [pointer, values] : cases) {
    for (const std::uint64_t value : values) {
      Json json = document(full_sample());
      json[Json::json_pointer(pointer)] = value;
      expect_refused(json, "has a wrong type or is out of range");
    }
  }
  Json json = document(full_sample());
  json["listeners"][1]["port"] = 70000;
  expect_refused(json, "listeners[1].port has a wrong type or is out of range");
  json = document(full_sample());
  json["listeners"][0]["family"] = "ipx";
  expect_refused(json, "listeners[0].family has");
  json = document(full_sample());
  json["listeners"][0]["address"] = Json::binary({1, 2, 3, 4});
  expect_refused(json, "listeners[0].address is not an address of its family");
}

TEST(RecordContent, ImpossibleOwnersAreRefused) {
  const auto with = [](const std::function<void(Json&)>& change) {
    Json json = document(full_sample());
    Json owners = owners_of(json);
    change(owners);
    set_owners(json, owners);
    return json;
  };
  const std::string order = "sockets[0].pids are not ascending process ids";
  expect_refused(with([](Json& o) { o["sockets"][0]["pids"] = {815, 812}; }), order);
  expect_refused(with([](Json& o) { o["sockets"][0]["pids"] = {812, 812}; }), order);
  expect_refused(with([](Json& o) { o["sockets"][0]["pids"] = {0, 812}; }), order);
  expect_refused(with([](Json& o) { o["sockets"][0]["pids"] = {std::uint64_t{1} << 31U}; }), order);
  expect_refused(with([](Json& o) { o["sockets"][1]["inode"] = o["sockets"][0]["inode"]; }),
                 "sockets[1].inode comes twice");
  expect_refused(with([](Json& o) { o["processes"][1]["pid"] = o["processes"][0]["pid"]; }),
                 "processes[1].pid comes twice");
  expect_refused(with([](Json& o) { o.erase("sockets"); }), "owners.sockets is missing");
  expect_refused(with([](Json& o) { o["processes"][2].erase("name"); }),
                 "processes[2].name is missing");

  Json json = document(full_sample());
  json.erase("owner_table");
  expect_refused(json, "owner_table is not a new number");
  json["owner_table"] = 7;
  json.erase("owners");
  expect_refused(json, "owner_table names a table that was not stored before");
  json["owner_table"] = 1;
  json["owners"] = Json::binary({0x9f});
  expect_refused(json, "owners is not the CBOR of this format");
}

TEST(RecordContent, TheErrorNamesTheSample) {
  Bytes file = record({full_sample(), full_sample()});
  Json json = document(small_sample());
  json["owner_table"] = 2;
  json["listeners"][0]["port"] = 65536;
  const Bytes third = frame(recording::deflate_payload(Json::to_cbor(json)).value());
  file.insert(file.end(), third.begin(), third.end());
  const Played played = play(file);
  EXPECT_EQ(played.samples.size(), 2U);
  EXPECT_NE(played.error.find("in sample 3, listeners[0].port "), std::string::npos)
      << played.error;
}

// ---- content that is meant to exhaust the reader

Bytes file_of_frame(const Bytes& payload) {
  Bytes file = recording::file_header();
  const Bytes one = frame(payload);
  file.insert(file.end(), one.begin(), one.end());
  return file;
}

TEST(RecordBombs, ALengthBeyondTheBoundIsNotAllocated) {
  for (const std::uint32_t length :
       {std::uint32_t{0}, std::uint32_t{recording::kMaxPayloadBytes} + 1, UINT32_MAX}) {
    Bytes file = record({small_sample()});
    recording::put_u32(file, length);
    recording::put_u32(file, 1);
    file.push_back(1);
    const Played played = play(file);
    EXPECT_EQ(played.samples.size(), 1U);
    EXPECT_NE(played.error.find("is damaged after sample 1"), std::string::npos) << played.error;
  }
}

TEST(RecordBombs, ALengthBeyondTheEndIsACutOff) {
  Bytes file = record({small_sample()});
  recording::put_u32(file, std::uint32_t{recording::kMaxPayloadBytes});
  recording::put_u32(file, 1);
  file.push_back(1);
  const Played played = play(file);
  EXPECT_EQ(played.samples.size(), 1U);
  EXPECT_TRUE(played.cut_off);
}

TEST(RecordBombs, InflatingStopsAtTheBound) {
  // deflate_payload() would refuse to make it: two streams of the size that it allows, of which the
  // first is made by hand to go on.
  const Bytes zeros(recording::kMaxInflatedBytes);
  EXPECT_TRUE(recording::inflate_payload(recording::deflate_payload(zeros).value()));
  EXPECT_FALSE(recording::deflate_payload(Bytes(recording::kMaxInflatedBytes + 1)));

  Bytes bomb{0x78, 0x01};  // zlib header, then a block of the fixed code: a zero, and copies of it
  unsigned bits = 0;
  unsigned count = 0;
  const auto put = [&](unsigned value, unsigned width) {
    for (unsigned i = 0; i < width; ++i) {
      bits |= (value >> i & 1U) << count;
      if (++count == 8) {
        bomb.push_back(static_cast<std::uint8_t>(bits));
        bits = count = 0;
      }
    }
  };
  const auto put_code = [&](unsigned code, unsigned width) {  // codes go in from their highest bit
    for (unsigned i = width; i-- > 0;) put(code >> i & 1U, 1);
  };
  put(1, 1);          // the last block
  put(1, 2);          // fixed code
  put_code(0x30, 8);  // the byte 0
  for (std::size_t length = 1; length <= recording::kMaxInflatedBytes; length += 258) {
    put_code(0xc5, 8);  // 258 bytes
    put_code(0, 5);     // from 1 byte before
  }
  put_code(0, 7);  // end of block
  put(0, 7);
  EXPECT_LT(bomb.size(), std::size_t{1} << 20);
  EXPECT_FALSE(recording::inflate_payload(bomb));
  const Played played = play(file_of_frame(bomb));
  EXPECT_NE(played.error.find("sample 1 does not unpack"), std::string::npos) << played.error;
}

TEST(RecordBombs, WhatIsNotOneStreamIsRefused) {
  const Bytes good = recording::deflate_payload(Json::to_cbor(document(small_sample()))).value();
  ASSERT_EQ(play(file_of_frame(good)).samples.size(), 1U);
  Bytes longer = good;
  longer.push_back(0);
  Bytes shorter = good;
  shorter.pop_back();
  Bytes twice = good;
  twice.insert(twice.end(), good.begin(), good.end());
  for (const Bytes& payload : {longer, shorter, twice, Bytes{0}, Bytes(1000, 0xff)}) {
    EXPECT_NE(play(file_of_frame(payload)).error.find("sample 1 does not unpack"),
              std::string::npos);
  }
}

TEST(RecordBombs, DeepOrEndlessCborIsRefused) {
  const auto repeat = [](std::initializer_list<std::uint8_t> bytes, std::size_t times) {
    Bytes out;
    for (std::size_t i = 0; i < times; ++i) out.insert(out.end(), bytes);
    return out;
  };
  Bytes many{0x9a, 0xff, 0xff, 0xff, 0xff};  // an array of 2^32 - 1 nulls
  many.insert(many.end(), recording::kMaxValues + 10, 0xf6);
  const Bytes valid = Json::to_cbor(document(small_sample()));
  Bytes trailing = valid;
  trailing.push_back(0xf6);
  const std::vector<Bytes> cases{
      {},
      repeat({0x81}, 1'000'000),        // arrays within arrays
      repeat({0xa1, 0x60}, 1'000'000),  // maps within maps
      repeat({0x7f}, 1'000'000),        // text of pieces of pieces
      repeat({0x5f}, 1'000'000),        // bytes likewise
      repeat({0x9f}, 1'000'000),        // endless arrays
      repeat({0xbf, 0x60}, 1'000'000),  // endless maps
      repeat({0xc0}, 1'000'000),        // tags
      repeat({0x81}, recording::kMaxDepth + 1),
      many,
      {0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},       // 2^64 - 1 elements
      {0xbb, 0x80, 0, 0, 0, 0, 0, 0, 1},                            // 2^63 + 1 pairs
      {0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'a'},  // text of 2^64 - 1
      {0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},       // -2^64
      {0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0},                         // NaN
      {0x1c},
      {0x1b, 0},
      {0x61},
      {0xa1, 0x61, 'a'},
      {0xf7},
      {0xff},
      trailing,
      Bytes(valid.begin(), valid.end() - 1),
  };
  for (const Bytes& cbor : cases) {
    EXPECT_FALSE(recording::is_bounded_cbor(cbor)) << cbor.size();
    const Played played = play(file_of_cbor(cbor));
    EXPECT_NE(played.error.find("not the CBOR of this format"), std::string::npos) << played.error;
    Json json = document(small_sample());
    json["owners"] = Json::binary(cbor);
    expect_refused(json, "owners is not the CBOR of this format");
  }
  EXPECT_TRUE(recording::is_bounded_cbor(valid));
  Bytes deepest = repeat({0x81}, recording::kMaxDepth);
  deepest.push_back(0xf6);
  EXPECT_TRUE(recording::is_bounded_cbor(deepest));
}

// ---- random changes, the same in every run

constexpr std::uint32_t kRounds = 1500;

/// Whatever plays must also record, and come back the same.
void expect_sane(const Played& played, std::uint32_t seed) {
  if (played.samples.empty()) {
    EXPECT_NE(played.error, "") << "seed " << seed;
    return;
  }
  std::vector<Sample> samples;
  for (const auto& sample : played.samples) samples.push_back(*sample);
  EXPECT_EQ(texts(play(record(samples)).samples), texts(played.samples)) << "seed " << seed;
}

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  /// Below `bound`; not a std distribution, whose results differ between libraries.
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : engine_() % bound; }

 private:
  std::mt19937 engine_;
};

void mutate(Bytes& bytes, Random& random) {
  for (std::size_t changes = 1 + random.below(4); changes > 0; --changes) {
    const std::size_t at = random.below(bytes.size());
    const auto where = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto count =
        static_cast<std::ptrdiff_t>(std::min<std::size_t>(bytes.size() - at, random.below(16)));
    const auto value = static_cast<std::uint8_t>(random.below(256));
    switch (random.below(5)) {
      case 0:
        if (at < bytes.size()) *where = value;
        break;
      case 1:
        if (at < bytes.size()) *where = static_cast<std::uint8_t>(*where ^ (1U << (value % 8U)));
        break;
      case 2:
        bytes.insert(where, 1 + random.below(8), value);
        break;
      case 3:
        bytes.erase(where, where + count);
        break;
      default: {
        const Bytes piece(where, where + count);
        const auto to = static_cast<std::ptrdiff_t>(random.below(bytes.size() + 1));
        bytes.insert(bytes.begin() + to, piece.begin(), piece.end());
      }
    }
  }
}

TEST(RecordFuzz, FilesWithRandomChanges) {
  const Bytes file = record({small_sample(), full_sample(), small_sample()});
  const std::vector<std::string> all = texts(play(file).samples);
  for (std::uint32_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    Bytes changed = file;
    mutate(changed, random);
    const Played played = play(changed);
    // The checksums let nothing through but what was recorded, in its order.
    auto expected = all.begin();
    for (const std::string& text : texts(played.samples)) {
      expected = std::find(expected, all.end(), text);
      ASSERT_NE(expected, all.end()) << "seed " << seed;
    }
    if (played.samples.empty()) {
      EXPECT_NE(played.error, "") << "seed " << seed;
    }
  }
}

TEST(RecordFuzz, ContentWithRandomChanges) {
  const Bytes cbor = Json::to_cbor(document(full_sample()));
  std::size_t accepted = 0;
  for (std::uint32_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    Bytes changed = cbor;
    mutate(changed, random);
    const Played played = play(file_of_cbor(changed));
    accepted += played.samples.size();
    expect_sane(played, seed);
  }
  // Else the loop would test the outermost check alone.
  EXPECT_GT(accepted, 100U);
  EXPECT_LT(accepted, kRounds - 100U);
}

Json random_value(Random& random, const Json& old, int depth) {
  switch (random.below(depth > 3 ? 7 : 9)) {
    case 0:
      return nullptr;
    case 1:
      return random.below(2) == 0;
    case 2:
      return random.below(300);
    case 3:
      return std::uint64_t{1} << random.below(64);
    case 4:
      return -static_cast<std::int64_t>(random.below(70000));
    case 5:
      return std::string(random.below(20), static_cast<char>(random.below(256)));
    case 6:
      return Json::binary(Bytes(random.below(20), static_cast<std::uint8_t>(random.below(256))));
    case 7:
      return Json::array({old, random_value(random, old, depth + 1)});
    default:
      return {{"pid", random_value(random, old, depth + 1)}, {"name", old}};
  }
}

TEST(RecordFuzz, DocumentsWithRandomValues) {
  const Json whole = document(full_sample());
  const Json owners = owners_of(whole);
  const auto change = [](Json& json, Random& random) {
    Json* at = &json;
    while (at->is_structured() && !at->empty() && random.below(8) != 0) {
      auto child = at->begin();
      std::advance(child, static_cast<std::ptrdiff_t>(random.below(at->size())));
      at = &*child;
    }
    *at = random_value(random, *at, 0);
  };
  std::size_t accepted = 0;
  for (std::uint32_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    Json json = whole;
    if (random.below(3) == 0) {
      Json changed = owners;
      change(changed, random);
      set_owners(json, changed);
    } else {
      change(json, random);
    }
    const Played played = play_document(json);
    accepted += played.samples.size();
    expect_sane(played, seed);
  }
  EXPECT_GT(accepted, 100U);
  EXPECT_LT(accepted, kRounds - 100U);
}

}  // namespace
}  // namespace listenq::test
