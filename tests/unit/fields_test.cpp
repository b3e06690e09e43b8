// SPDX-License-Identifier: Apache-2.0
// The field table, how values are written and compared, columns and sort orders.
#include "model/fields.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "made_up.h"

namespace listenq {
namespace {

using made_up::derive;
using made_up::listener;
using made_up::sample;

std::string shown(std::string_view id, const ListenerRow& row) {
  const Field* field = find_field(id);
  return field != nullptr ? display(*field, field->get(row)) : "no such field";
}

TEST(Fields, AreThoseOfTheDocumentInItsOrder) {
  std::vector<std::string> expected = {"netns",
                                       "netns_name",
                                       "address",
                                       "port",
                                       "family",
                                       "cookie",
                                       "inode",
                                       "uid",
                                       "pid",
                                       "process",
                                       "pids",
                                       "cgroup",
                                       "container",
                                       "pod",
                                       "reuseport",
                                       "state_age_seconds",
                                       "accept_queue_len",
                                       "accept_queue_limit",
                                       "accept_queue_fill",
                                       "accept_queue_peak",
                                       "syn_queue_len",
                                       "syn_queue_young",
                                       "syn_queue_limit",
                                       "syn_queue_peak",
                                       "fastopen_queue_len",
                                       "fastopen_queue_limit",
                                       "oldest_wait_seconds",
                                       "listen_requested",
                                       "somaxconn",
                                       "limit_set_by",
                                       "somaxconn_raised_since"};
  for (const char* counter : {"syns",
                              "synacks",
                              "synack_retransmits",
                              "handshake_acks",
                              "accepts",
                              "overflows_syn",
                              "overflows_ack",
                              "drops",
                              "sk_drops",
                              "drops_syn_queue_full",
                              "drops_no_memory",
                              "drops_no_route",
                              "drops_max_syn_backlog",
                              "drops_defer_accept",
                              "drops_other",
                              "cookies_sent",
                              "cookies_valid",
                              "cookies_invalid",
                              "requests_expired",
                              "fastopen_overflows",
                              "closed_unaccepted",
                              "aborted_in_queue"}) {
    expected.emplace_back(counter);
    expected.emplace_back(std::string(counter) + "_per_second");
  }
  for (const char* latency : {"accept_wait", "handshake_time"}) {
    for (const char* part : {"", "_p50", "_p99", "_max"}) {
      expected.emplace_back(std::string(latency) + part);
    }
  }
  expected.emplace_back("waterfall");
  std::vector<std::string> actual;
  for (const Field& field : fields()) actual.emplace_back(field.id);
  EXPECT_EQ(actual, expected);
}

TEST(Fields, AreConsistent) {
  std::set<std::string_view> titles;
  for (const Field& field : fields()) {
    EXPECT_TRUE(titles.insert(field.title).second) << field.title;
    EXPECT_EQ(find_field(field.id), &field);
    EXPECT_TRUE(field.help.ends_with('.')) << field.id;
    EXPECT_EQ(field.help.find_first_of("|\n"), std::string_view::npos) << field.id;
    EXPECT_LE(field.title.size(), 14U) << field.id;
    EXPECT_EQ(field.kind == Kind::rate, field.id.ends_with("_per_second")) << field.id;
    EXPECT_EQ(field.unit == Unit::per_second, field.kind == Kind::rate) << field.id;
    EXPECT_TRUE(!field.id.ends_with("_seconds") || field.unit == Unit::seconds) << field.id;
    if (field.kind == Kind::counter || field.kind == Kind::gauge || field.kind == Kind::ratio) {
      EXPECT_EQ(field.type, Type::number) << field.id;
    }
  }
  EXPECT_EQ(find_field(""), nullptr);
  EXPECT_EQ(find_field("Port"), nullptr);
}

/// The row of a listener of which everything is known.
std::shared_ptr<const Snapshot> all_known(Deriver& deriver) {
  RawListener raw = listener();
  raw.inode = 9;
  raw.uid = 1000;
  raw.cgroup_id = 5;
  raw.syn_queue_len = raw.syn_queue_young = raw.sk_drops = 1;
  raw.fastopen_queue_len = raw.fastopen_queue_limit = 0;
  raw.oldest_wait_ns = 0;
  raw.listen_requested = 511;
  ListenerCounts counts;
  counts.accept_wait.counts[3] = counts.handshake_time.counts[4] = 1;
  counts.accept_wait.max_ns = counts.handshake_time.max_ns = 7'000;
  Sample made = made_up::counting(sample(1));
  made.namespaces.at(0).name = "blue";
  derive(deriver, made);
  made = made_up::counting(sample(2, {raw}), {counts});
  made.namespaces.at(0).name = "blue";
  made_up::own(
      made, 7,
      {"nginx", "/kubepods/pod1b4e28ba-2fa1-11d2-883f-0016d3cca427/" + std::string(64, 'a')});
  derive(deriver, made);
  made.monotonic_ns += made_up::kSecond;
  return derive(deriver, made);
}

// What a getter gives has the type that the table promises.
TEST(Fields, GiveTheirType) {
  Deriver deriver;
  const auto snapshot = all_known(deriver);
  const ListenerRow& row = snapshot->listeners.at(0);
  for (const Field& field : fields()) {
    const Value value = field.get(row);
    const bool text = std::holds_alternative<std::string_view>(value) ||
                      std::holds_alternative<std::string>(value);
    const bool number =
        std::holds_alternative<std::uint64_t>(value) || std::holds_alternative<double>(value);
    EXPECT_FALSE(std::holds_alternative<std::monostate>(value)) << field.id;
    EXPECT_EQ(text, field.type == Type::text) << field.id;
    EXPECT_EQ(number, field.type == Type::number) << field.id;
    EXPECT_EQ(std::holds_alternative<bool>(value), field.type == Type::boolean) << field.id;
    EXPECT_EQ(std::holds_alternative<const Histogram*>(value), field.type == Type::histogram)
        << field.id;
    EXPECT_EQ(std::holds_alternative<const Waterfall*>(value), field.type == Type::waterfall)
        << field.id;
  }
}

// Each counter is shown by the field of its name and no other, and so is its rate.
TEST(Fields, ShowTheCounterOfTheirName) {
  for (std::size_t i = 0; i < kCounters; ++i) {
    const auto counter = static_cast<Counter>(i);
    Deriver deriver;
    derive(deriver, made_up::counting(sample(1, {listener()})));
    const auto snapshot = derive(
        deriver, made_up::counting(sample(3, {listener()}), {made_up::counts({{counter, 10}})}));
    const ListenerRow& row = snapshot->listeners.at(0);
    for (std::size_t j = 0; j < kCounters; ++j) {
      const std::string id(counter_name(static_cast<Counter>(j)));
      EXPECT_EQ(shown(id, row), i == j ? "10" : "0") << id;
      EXPECT_EQ(shown(id + "_per_second", row), i == j ? "5.0" : "0") << id;
    }
  }
}

// What one hook fails to count is absent, and nothing else is.
TEST(Fields, AbsentIsWhatIsNotCounted) {
  for (std::size_t i = 0; i < kCounters; ++i) {
    Sample made = made_up::counting(sample(1, {listener()}));
    made.counting->counters &= ~(std::uint32_t{1} << i);
    Deriver deriver;
    derive(deriver, made);
    made.monotonic_ns += made_up::kSecond;
    const auto snapshot = derive(deriver, made);
    const ListenerRow& row = snapshot->listeners.at(0);
    for (std::size_t j = 0; j < kCounters; ++j) {
      const std::string id(counter_name(static_cast<Counter>(j)));
      EXPECT_EQ(shown(id, row), i == j ? "-" : "0");
      EXPECT_EQ(shown(id + "_per_second", row), i == j ? "-" : "0");
    }
  }
  Sample made = made_up::counting(sample(1, {listener()}));
  made.counting->peaks = made.counting->accept_wait = false;
  const auto snapshot = derive(made);
  const ListenerRow& row = snapshot->listeners.at(0);
  EXPECT_EQ(shown("accept_queue_peak", row), "-");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(find_field("accept_wait")->get(row)));
  EXPECT_TRUE(std::holds_alternative<const Histogram*>(find_field("handshake_time")->get(row)));
}

TEST(Fields, QuantilesNeedAValue) {
  ListenerCounts counts;
  counts.handshake_time.counts[10] = 100;
  counts.handshake_time.max_ns = 1'000'000;
  const auto snapshot = derive(made_up::counting(sample(1, {listener()}), {counts}));
  const ListenerRow& row = snapshot->listeners.at(0);
  for (const char* id : {"accept_wait_p50", "accept_wait_p99", "accept_wait_max"}) {
    EXPECT_EQ(shown(id, row), "-") << id;
  }
  EXPECT_DOUBLE_EQ(std::get<double>(find_field("handshake_time_p50")->get(row)), 756e-6);
  EXPECT_DOUBLE_EQ(std::get<double>(find_field("handshake_time_p99")->get(row)),
                   512e-6 + 488e-6 * 0.99);
  EXPECT_DOUBLE_EQ(std::get<double>(find_field("handshake_time_max")->get(row)), 0.001);
}

TEST(Fields, WhatListenAskedForAsItWasGiven) {
  for (const auto& [requested, expected] : {std::pair{-1, "-1"},
                                            {0, "0"},
                                            {65535, "65535"},
                                            {std::numeric_limits<int>::min(), "-2147483648"}}) {
    RawListener raw = listener();
    raw.listen_requested = requested;
    const auto snapshot = derive(sample(1, {raw}));
    const ListenerRow& row = snapshot->listeners.at(0);
    EXPECT_EQ(shown("listen_requested", row), expected);
    EXPECT_EQ(plain(find_field("listen_requested")->get(row)), expected);
  }
}

TEST(Fields, OldestWaitIsThereWithoutCounting) {
  RawListener raw = listener();
  raw.oldest_wait_ns = 0;
  EXPECT_EQ(shown("oldest_wait_seconds", derive(sample(1, {raw}))->listeners.at(0)), "0s");
  raw.oldest_wait_ns = 34'567'000'000;
  EXPECT_EQ(shown("oldest_wait_seconds", derive(sample(1, {raw}))->listeners.at(0)), "34.5s");
}

TEST(Fields, AbsentIsNotZero) {
  RawListener raw;
  raw.netns = NetnsId{5};
  Sample made = sample(1, {raw});
  made.namespaces.clear();
  const auto snapshot = derive(made);
  for (const char* id : {"netns_name",
                         "cookie",
                         "inode",
                         "uid",
                         "pid",
                         "process",
                         "pids",
                         "cgroup",
                         "container",
                         "pod",
                         "state_age_seconds",
                         "syn_queue_len",
                         "syn_queue_young",
                         "syn_queue_limit",
                         "fastopen_queue_len",
                         "fastopen_queue_limit",
                         "somaxconn",
                         "somaxconn_raised_since",
                         "sk_drops",
                         "sk_drops_per_second",
                         "drops",
                         "drops_per_second",
                         "accept_queue_peak",
                         "syn_queue_peak",
                         "oldest_wait_seconds",
                         "listen_requested",
                         "accept_wait",
                         "accept_wait_p50"}) {
    EXPECT_EQ(shown(id, snapshot->listeners.at(0)), "-") << id;
  }
  EXPECT_EQ(shown("limit_set_by", snapshot->listeners.at(0)), "unknown");
  EXPECT_EQ(shown("accept_queue_len", snapshot->listeners.at(0)), "0");
}

TEST(Fields, AddressesAsSsShowsThem) {
  RawListener raw = listener();
  EXPECT_EQ(address_text(raw), "0.0.0.0");
  raw.address = {127, 0, 0, 53};
  raw.interface = "lo";
  EXPECT_EQ(address_text(raw), "127.0.0.53%lo");
  raw = listener();
  raw.family = Family::dual;
  EXPECT_EQ(address_text(raw), "::");
  raw.family = Family::ipv6;
  raw.address = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  raw.interface = "eth0";
  EXPECT_EQ(address_text(raw), "fe80::1%eth0");
  raw.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
  raw.interface.clear();
  EXPECT_EQ(address_text(raw), "::ffff:10.0.0.1");
  raw.address.fill(0xab);
  EXPECT_EQ(address_text(raw), "abab:abab:abab:abab:abab:abab:abab:abab");
}

TEST(Fields, FamiliesAndOrigins) {
  std::vector<RawListener> listeners(3, listener());
  listeners[1].family = Family::ipv6;
  listeners[2].family = Family::dual;
  listeners[1].accept_queue_limit = 4096;
  listeners[2].accept_queue_limit = 128;
  for (std::size_t i = 0; i < 3; ++i) listeners[i].cookie = SocketCookie{i + 1};
  const auto snapshot = derive(sample(1, listeners));
  const auto& rows = snapshot->listeners;
  EXPECT_EQ(shown("family", rows[0]), "ipv4");
  EXPECT_EQ(shown("family", rows[1]), "ipv6");
  EXPECT_EQ(shown("family", rows[2]), "dual");
  EXPECT_EQ(shown("limit_set_by", rows[0]), "application");
  EXPECT_EQ(shown("limit_set_by", rows[1]), "somaxconn");
  EXPECT_EQ(shown("limit_set_by", rows[2]), "unknown");
}

std::string displayed(std::string_view id, double value) {
  return display(*find_field(id), Value(value));
}

TEST(Fields, PercentShowsFullOnlyWhenFull) {
  EXPECT_EQ(displayed("accept_queue_fill", 0), "0%");
  EXPECT_EQ(displayed("accept_queue_fill", 0.0001), "<1%");
  EXPECT_EQ(displayed("accept_queue_fill", 0.5), "50%");
  EXPECT_EQ(displayed("accept_queue_fill", 0.9999), "99%");
  EXPECT_EQ(displayed("accept_queue_fill", 1.0), "100%");
  EXPECT_EQ(displayed("accept_queue_fill", 3.5), "350%");
}

TEST(Fields, TimesAndRatesAreShort) {
  EXPECT_EQ(displayed("state_age_seconds", 0), "0s");
  EXPECT_EQ(displayed("state_age_seconds", 0.0002505), "250us");
  EXPECT_EQ(displayed("state_age_seconds", 0.0009999), "999us");
  EXPECT_EQ(displayed("state_age_seconds", 0.00123), "1.2ms");
  EXPECT_EQ(displayed("state_age_seconds", 0.0123), "12ms");
  EXPECT_EQ(displayed("state_age_seconds", 0.9999), "999ms");
  EXPECT_EQ(displayed("state_age_seconds", 3.21), "3.2s");
  EXPECT_EQ(displayed("state_age_seconds", 59.99), "59.9s");
  EXPECT_EQ(displayed("state_age_seconds", 61), "1m01s");
  EXPECT_EQ(displayed("state_age_seconds", 7500), "2h05m");
  EXPECT_EQ(displayed("state_age_seconds", 100'000), "1d03h");
  EXPECT_EQ(displayed("sk_drops_per_second", 0), "0");
  EXPECT_EQ(displayed("sk_drops_per_second", 0.0333), "0.033");
  EXPECT_EQ(displayed("sk_drops_per_second", 12.34), "12.3");
  EXPECT_EQ(displayed("sk_drops_per_second", 123456.7), "123457");
}

TEST(Fields, NothingEscapesIntoTheTerminal) {
  Sample made = sample(1, {listener()});
  made_up::own(made, 1, {"a\x1b[2J\n\xff", "/x"});
  const auto snapshot = derive(made);
  const ListenerRow& row = snapshot->listeners.at(0);
  EXPECT_EQ(shown("process", row), "a\\x1b[2J\\x0a\\xff");
  EXPECT_EQ(plain(find_field("process")->get(row)), "a\\x1b[2J\\x0a\\xff");
}

TEST(Fields, PlainLosesNothing) {
  EXPECT_EQ(plain(Value(std::uint64_t{18446744073709551615U})), "18446744073709551615");
  EXPECT_EQ(plain(Value(0.1)), "0.1");
  EXPECT_EQ(plain(Value(511.0 / 512.0)), "0.998046875");
  EXPECT_EQ(plain(Value(true)), "true");
  const std::vector<std::int32_t> pids = {1, 22, 333};
  EXPECT_EQ(plain(Value(std::span<const std::int32_t>(pids))), "1 22 333");
  EXPECT_EQ(display(*find_field("pids"), Value(std::span<const std::int32_t>(pids))), "1,22,333");
}

TEST(Fields, CompareOrders) {
  const std::vector<std::int32_t> a = {1, 5};
  const std::vector<std::int32_t> b = {1, 5, 2};
  using List = std::span<const std::int32_t>;
  // Each is below the next.
  const std::vector<Value> ascending = {Value(),
                                        Value(false),
                                        Value(0.5),
                                        Value(std::uint64_t{1}),
                                        Value(1.5),
                                        Value(std::uint64_t{18446744073709551614U}),
                                        Value(std::uint64_t{18446744073709551615U}),
                                        Value(std::string_view("a")),
                                        Value(std::string("ab")),
                                        Value(std::string_view("b")),
                                        Value(List(a)),
                                        Value(List(b))};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      const int order = compare(ascending[i], ascending[j]);
      EXPECT_EQ(order < 0, i < j) << i << " " << j;
      EXPECT_EQ(order > 0, i > j) << i << " " << j;
    }
  }
  EXPECT_EQ(compare(Value(std::string_view("x")), Value(std::string("x"))), 0);
  EXPECT_EQ(compare(Value(2.0), Value(std::uint64_t{2})), 0);
}

TEST(Columns, AreReadInTheirOrder) {
  const auto columns = parse_columns("sk_drops, port ,process");
  ASSERT_TRUE(columns);
  ASSERT_EQ(columns->size(), 3U);
  EXPECT_EQ((*columns)[0]->id, "sk_drops");
  EXPECT_EQ((*columns)[1]->id, "port");
  EXPECT_EQ((*columns)[2]->id, "process");
}

TEST(Columns, ErrorsNameTheNearest) {
  const auto message = [](std::string_view list) {
    const auto columns = parse_columns(list);
    EXPECT_FALSE(columns) << list;
    if (columns) return std::string();
    EXPECT_EQ(columns.error().kind, ErrorKind::usage);
    return columns.error().message;
  };
  EXPECT_EQ(message("port,prot"),
            "there is no field 'prot', the nearest is port; --list-fields shows all");
  EXPECT_NE(message("adress").find("nearest is address;"), std::string::npos);
  EXPECT_NE(message("fill").find("nearest is accept_queue_fill;"), std::string::npos);
  EXPECT_NE(message("acceptqueuelen").find("nearest is accept_queue_len;"), std::string::npos);
  EXPECT_NE(message("PORT").find("--list-fields"), std::string::npos);
  EXPECT_NE(message("\x1b[2J").find("'\\x1b[2J'"), std::string::npos);
  EXPECT_NE(message(std::string(10'000, 'x')).find("--list-fields"), std::string::npos);
  for (const char* incomplete : {"", " ", ",", "port,", ",port", "port,,pid"}) {
    EXPECT_NE(message(incomplete).find("missing"), std::string::npos) << incomplete;
  }
  EXPECT_EQ(message("port,pid,port"), "field port is named twice");
}

TEST(Sort, ReadsFieldAndDirection) {
  const auto read = [](std::string_view text) { return parse_sort(text).value(); };
  EXPECT_EQ(read("accept_queue_len").field->id, "accept_queue_len");
  EXPECT_FALSE(read("accept_queue_len").ascending);
  EXPECT_TRUE(read("accept_queue_len:asc").ascending);
  EXPECT_FALSE(read("process:desc").ascending);
  EXPECT_TRUE(read("process").ascending);
  EXPECT_TRUE(read("port").ascending);
  EXPECT_FALSE(read("sk_drops_per_second").ascending);
  for (const char* wrong : {"", "prot", "port:", "port:up", "port:asc:desc", ":asc", "port:ASC"}) {
    const auto key = parse_sort(wrong);
    ASSERT_FALSE(key) << wrong;
    EXPECT_EQ(key.error().kind, ErrorKind::usage);
  }
}

std::vector<std::uint64_t> cookies_sorted(const Snapshot& snapshot, const SortKey& key) {
  auto rows = made_up::rows_of(snapshot);
  sort_rows(rows, key);
  std::vector<std::uint64_t> cookies;
  for (const ListenerRow* row : rows) cookies.push_back(number(*row->raw->cookie));
  return cookies;
}

TEST(Sort, ByFieldWithAbsentBelowAll) {
  std::vector<RawListener> listeners = {listener(1), listener(2), listener(3), listener(4)};
  listeners[0].sk_drops = 5;
  listeners[2].sk_drops = 0;
  listeners[3].sk_drops = 9;
  const auto snapshot = derive(sample(1, listeners));
  using Order = std::vector<std::uint64_t>;
  EXPECT_EQ(cookies_sorted(*snapshot, parse_sort("sk_drops").value()), (Order{4, 1, 3, 2}));
  EXPECT_EQ(cookies_sorted(*snapshot, parse_sort("sk_drops:asc").value()), (Order{2, 3, 1, 4}));
}

TEST(Sort, TiesByPlaceAndElseStable) {
  std::vector<RawListener> listeners = {listener(1), listener(2), listener(3), listener(4),
                                        listener(5)};
  listeners[0].netns = NetnsId{4026531841};
  listeners[1].port = 81;
  listeners[2].address = {127, 0, 0, 1};
  const auto snapshot = derive(sample(1, listeners));
  using Order = std::vector<std::uint64_t>;
  for (const char* key : {"accept_queue_len", "accept_queue_len:asc", "family"}) {
    EXPECT_EQ(cookies_sorted(*snapshot, parse_sort(key).value()), (Order{4, 5, 3, 2, 1})) << key;
  }
}

TEST(Sort, TroubleIsWhatIsCounted) {
  std::vector<RawListener> listeners = {listener(1), listener(2), listener(3)};
  for (RawListener& raw : listeners) raw.sk_drops = 0;
  Deriver deriver;
  derive(deriver, made_up::counting(sample(1, listeners)));
  listeners[0].sk_drops = 100;  // the socket's own counter moves for other reasons too
  const auto lost = [](std::uint64_t count) { return made_up::counts({{Counter::drops, count}}); };
  const auto snapshot = derive(
      deriver, made_up::counting(sample(2, listeners), {ListenerCounts(), lost(1), lost(5)}));
  EXPECT_EQ(cookies_sorted(*snapshot, {}), (std::vector<std::uint64_t>{3, 2, 1}));
}

TEST(Coverage, TextNamesWhatDoesNotAddUp) {
  Totals totals;
  EXPECT_EQ(coverage_text(totals), "");
  totals.coverage = 1.0;
  EXPECT_EQ(coverage_text(totals), "1.0");
  totals.coverage = 0.99999;
  totals.unexplained = {{"ListenOverflows", 2, 0}, {"ListenDrops", 3, 0}};
  EXPECT_EQ(coverage_text(totals), "0.999 (3 not attributed)");
  totals.coverage = 1.00001;
  totals.unexplained = {{"ListenDrops", 0, 1}};
  EXPECT_EQ(coverage_text(totals), "1.001 (1 too many)");
  // Two namespaces that err in opposite directions.
  totals.coverage = 1.0;
  totals.unexplained = {{"ListenDrops", 4, 4}};
  EXPECT_EQ(coverage_text(totals), "1.0 (4 not attributed, 4 too many)");
  totals.coverage = std::nullopt;
  totals.unexplained = {{"SyncookiesSent", 5, 0}};
  EXPECT_EQ(coverage_text(totals), "- (5 of SyncookiesSent not attributed)");
}

TEST(Sort, TroubleFirst) {
  std::vector<RawListener> listeners = {listener(1), listener(2), listener(3),
                                        listener(4), listener(5), listener(6)};
  for (RawListener& raw : listeners) {
    raw.accept_queue_limit = 9;
    raw.sk_drops = 0;
  }
  listeners[1].accept_queue_len = 10;  // full, loses nothing
  listeners[2].accept_queue_len = 5;   // loses
  listeners[3].accept_queue_len = 5;   // loses more
  listeners[4].accept_queue_len = 2;   // loses, emptier
  listeners[5].sk_drops = 1000;        // lost once
  Deriver deriver;
  derive(deriver, sample(1, listeners));
  listeners[2].sk_drops = 1;
  listeners[3].sk_drops = 2;
  listeners[4].sk_drops = 50;
  const auto snapshot = derive(deriver, sample(2, listeners));
  using Order = std::vector<std::uint64_t>;
  EXPECT_EQ(cookies_sorted(*snapshot, {}), (Order{4, 3, 5, 2, 6, 1}));
  EXPECT_EQ(cookies_sorted(*snapshot, {nullptr, true}), (Order{1, 6, 2, 5, 3, 4}));
}

}  // namespace
}  // namespace listenq
