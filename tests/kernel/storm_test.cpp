// SPDX-License-Identifier: Apache-2.0
// The storm, watched: every number the kernel counted for a namespace must be the sum of what the
// tool counted for its listeners. Difference 0, whatever happened.
#include "storm.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "fixture.h"
#include "watch.h"

namespace lqtest {
namespace {

// The kernel's counter, and the fields of the listeners that add up to it.
struct Sum {
  const char* kernel;
  std::vector<std::string> fields;
  bool required;  // of counted_since_start
};
const std::vector<Sum>& sums() {
  static const std::vector<Sum> all{
      {"ListenOverflows", {"overflows_syn", "overflows_ack"}, true},
      {"ListenDrops", {"drops"}, true},
      {"TCPReqQFullDrop", {"drops_syn_queue_full"}, true},
      {"SyncookiesSent", {"cookies_sent"}, true},
      {"SyncookiesRecv", {"cookies_valid"}, false},
      {"TCPDeferAcceptDrop", {"drops_defer_accept"}, false},
  };
  return all;
}

uint64_t sum_of(const std::vector<Json>& rows, const std::vector<std::string>& fields) {
  uint64_t total = 0;
  for (const Json& row : rows)
    for (const std::string& field : fields) total += counter(row, field).value_or(0);
  return total;
}

std::string shown(const Json& value) {
  return value.is_null() ? "-" : value.dump();
}

class StormTest : public KernelTest, public ::testing::WithParamInterface<std::string> {
 protected:
  using Mib = std::map<std::string, int64_t>;

  // Open and closed. A document has the latest thousand that closed anywhere on the machine, where
  // others may be busy, too; so those of all documents are taken.
  static Json with_all_closed(Watch& watch, Json document) {
    std::map<std::pair<Json, Json>, Json> closed;
    const auto take = [&](const Json& one) {
      for (const Json& row : one.at("closed")) closed[{row.at("netns"), row.at("cookie")}] = row;
    };
    watch.each_since(0, take);
    take(document);
    document["closed"] = Json::array();
    for (auto& [identity, row] : closed) document["closed"].push_back(std::move(row));
    return document;
  }
  static std::vector<Json> all_rows(const Json& document, const Netns& space) {
    std::vector<Json> rows = rows_of(document, space.inode());
    for (Json& row : closed_of(document, space.inode())) rows.push_back(std::move(row));
    return rows;
  }

  // Every name, all five witnesses; non-empty if they disagree.
  static std::string disagreement(const Json& document, const Netns& space, const Mib& grown) {
    const Json row = namespace_of(document, space.inode());
    if (row.is_null()) return "the namespace is not in the document\n";
    const Json counted = row.value("counted_since_start", Json());
    const Json mib = row.value("mib_since_start", Json());
    if (!counted.is_object() || !mib.is_object())
      return "counted_since_start is " + counted.dump().substr(0, 100) + "\n";
    const std::vector<Json> rows = all_rows(document, space);
    std::string table = fmt::format("{:20} {:>10} {:>10} {:>10} {:>10}\n", "", "/proc", "mib_since",
                                    "counted", "listeners");
    bool differs = false;
    for (const Sum& sum : sums()) {
      const int64_t truth = grown.contains(sum.kernel) ? grown.at(sum.kernel) : 0;
      const Json ours = counted.value(sum.kernel, Json());
      const auto listeners = static_cast<int64_t>(sum_of(rows, sum.fields));
      const bool wrong = (ours.is_null() ? sum.required : ours != truth) ||
                         mib.value(sum.kernel, int64_t{0}) != truth || listeners != truth;
      differs = differs || wrong;
      table += fmt::format("{:20} {:>10} {:>10} {:>10} {:>10}{}\n", sum.kernel, truth,
                           shown(mib.value(sum.kernel, Json())), shown(ours), listeners,
                           wrong ? "  <--" : "");
    }
    for (const auto& item : counted.items()) {
      if (mib.value(item.key(), Json()) == item.value()) continue;
      differs = true;
      table += fmt::format("{}: counted {}, mib {}\n", item.key(), item.value().dump(),
                           shown(mib.value(item.key(), Json())));
    }
    const Json coverage = row.value("coverage", Json("missing"));
    const bool lost = grown.contains("ListenDrops") && grown.at("ListenDrops") != 0;
    if (lost ? coverage != 1.0 : !coverage.is_null()) {
      differs = true;
      table += "coverage is " + coverage.dump() + "\n";
    }
    return differs ? table : "";
  }

  // Within one listener, too: the reasons make up the drops, and who finished the handshake was
  // refused, accepted, thrown away, or still waits. A group passes connections on to other members.
  // What the kernel did not show the tool (`missed`) it can't have counted; what is used up of it
  // is taken away.
  static std::string inconsistent(const Json& row, uint64_t& missed) {
    std::string text;
    const auto value = [&](const char* name) { return counter(row, name).value_or(0); };
    const uint64_t reasons = value("overflows_syn") + value("overflows_ack") +
                             value("drops_syn_queue_full") + value("drops_no_memory") +
                             value("drops_no_route") + value("drops_max_syn_backlog") +
                             value("drops_other");
    if (reasons != value("drops"))
      text += fmt::format(" drops is {}, the reasons are {};", value("drops"), reasons);
    const bool open = !row.contains("closed_at");
    const uint64_t left = value("overflows_ack") + value("accepts") + value("closed_unaccepted") +
                          (open ? row.value("accept_queue_len", uint64_t{0}) : 0);
    const uint64_t short_of = left > value("handshake_acks") ? left - value("handshake_acks") : 0;
    const bool unseen = short_of != 0 && short_of <= missed;
    if (unseen) missed -= short_of;
    if (left != value("handshake_acks") && !unseen && row.value("port", 0) != Storm::kGroup)
      text += fmt::format(" handshake_acks is {}, but {} were refused, accepted, lost or wait;",
                          value("handshake_acks"), left);
    if (text.empty()) return text;
    for (const std::string& name : counter_names())
      if (value(name.c_str()) != 0) text += fmt::format(" {} {}", name, value(name.c_str()));
    return fmt::format("{}:{}{}:{}\n", row.value("address", ""), row.value("port", 0),
                       open ? "" : " (closed)", text);
  }

  static Mib grown(const Mib& before, const Mib& after) {
    Mib result;
    for (const auto& [name, value] : after)
      result[name] = value - (before.contains(name) ? before.at(name) : 0);
    return result;
  }
};
INSTANTIATE_TEST_SUITE_P(Backend, StormTest, ::testing::ValuesIn(counting_backends()),
                         backend_name);

TEST_P(StormTest, EveryLossHasAnOwner) {
  if (!not_whole(GetParam()).empty()) GTEST_SKIP() << not_whole(GetParam());
  if (!must_have(GetParam())) {  // before the weather is made
    const Watch probe(GetParam());
    ASSERT_TRUE(probe.refusal().empty() || probe.not_supported()) << probe.refusal();
    if (!probe.refusal().empty()) GTEST_SKIP() << probe.refusal();
  }
  const uint64_t size = storm_size();
  Storm storm;
  ASSERT_GE(storm.listeners(), 20U);
  storm.earlier_losses();
  storm.calm();
  std::vector<Mib> before;
  for (size_t i = 0; i < Storm::kServers; ++i) before.push_back(storm.server(i).mib());
  Watch watch(GetParam(), 0.5);
  ASSERT_EQ(watch.refusal(), "");
  const auto start = std::chrono::steady_clock::now();
  storm.run(size);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  storm.calm();
  Json document =
      watch.settled({storm.server(0).inode(), storm.server(1).inode(), storm.server(2).inode()});
  ASSERT_FALSE(document.is_null()) << "the tool ended";
  const size_t closed = document.at("closed").size();
  document = with_all_closed(watch, std::move(document));
  std::printf("%s: %llu SYNs sent in %.1f s, %zu listeners, %llu connects, %llu ACKs\n",
              GetParam().c_str(), static_cast<unsigned long long>(storm.syns_sent()), took.count(),
              storm.listeners(), static_cast<unsigned long long>(storm.connects()),
              static_cast<unsigned long long>(storm.acks()));
  EXPECT_GE(storm.syns_sent(), size / 100 * 99);

  const uint64_t missed_runs = document.at("self").at("lost").value("missed_runs", uint64_t{0});
  if (missed_runs != 0)
    std::printf("%llu runs of programs were left out\n",
                static_cast<unsigned long long>(missed_runs));
  uint64_t missed = missed_runs;
  Mib total;
  int64_t arrived = 0;
  std::string differences;
  std::string inconsistencies;
  uint64_t syns = 0;
  for (size_t i = 0; i < Storm::kServers; ++i) {
    const Netns& space = storm.server(i);
    const Mib growth = grown(before[i], space.mib());
    for (const auto& [name, value] : growth) total[name] += value;
    arrived += growth.at("InSegs");
    const std::string text = disagreement(document, space, growth);
    if (!text.empty()) differences += fmt::format("namespace {}:\n{}", i, text);
    for (const Json& row : all_rows(document, space)) inconsistencies += inconsistent(row, missed);
    syns += sum_of(all_rows(document, space), {"syns"});
  }
  EXPECT_EQ(differences, "") << closed << " in the last `closed`; lost: "
                             << document.at("self").value("lost", Json()).dump();
  EXPECT_EQ(inconsistencies, "");
  for (const auto& [listener, taken] : storm.taken()) {
    const auto& [server, port] = listener;
    for (const Json& row : rows_of(document, storm.server(server).inode())) {
      if (row.value("port", 0) != port) continue;
      // Absent where no hook tells them.
      EXPECT_LE(counter(row, "accepts").value_or(taken), taken) << server << " " << port;
      EXPECT_GE(counter(row, "accepts").value_or(taken) + missed_runs, taken)
          << server << " " << port;
    }
  }

  // It was a storm, and of every kind.
  EXPECT_GE(arrived, static_cast<int64_t>(storm.syns_sent()));
  for (const Sum& sum : sums()) EXPECT_GT(total[sum.kernel], 0) << sum.kernel;
  EXPECT_LE(syns, static_cast<uint64_t>(arrived));
  EXPECT_GE(syns, storm.syns_sent() / 10 * 8) << "the rest came while their port was closed";
  for (const char* field : {"overflows_syn", "overflows_ack", "drops_max_syn_backlog"}) {
    uint64_t all = 0;
    for (size_t i = 0; i < Storm::kServers; ++i)
      all += sum_of(all_rows(document, storm.server(i)), {field});
    EXPECT_GT(all, 0U) << field;
  }
}

}  // namespace
}  // namespace lqtest
