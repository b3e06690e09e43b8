// SPDX-License-Identifier: Apache-2.0
// The text table, and the field table as text.
#include "view/text/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "made_up.h"
#include "util/text.h"

namespace listenq {
namespace {

using made_up::derive;
using made_up::listener;
using made_up::netns;
using made_up::sample;

std::string written(const Snapshot& snapshot, const TextOptions& options = {}) {
  std::string out;
  write_text(out, snapshot, made_up::rows_of(snapshot), options);
  return out;
}

/// The titles of the first line.
std::string titles(const Snapshot& snapshot) {
  std::string joined;
  const std::string text = written(snapshot);
  for (const std::string_view word :
       split(std::string_view(text).substr(0, text.find('\n')), ' ')) {
    if (word.empty()) continue;
    if (!joined.empty()) joined += ' ';
    joined += word;
  }
  return joined;
}

TEST(Text, AlignsNumbersRightAndTextLeft) {
  RawListener small = listener(1);
  small.address = {127, 0, 0, 1};
  RawListener large = listener(2);
  large.port = 50000;
  large.accept_queue_len = 4097;
  large.accept_queue_limit = 4096;
  large.sk_drops = 123456;
  Sample made = sample(1, {large, small});
  made.namespaces.at(0).name = "blue";
  made.namespaces.push_back(netns(NetnsId{7}));
  made_up::own(made, 31, {"a longer name", "/"});
  made_up::own(made, 4, {"b", "/"});
  EXPECT_EQ(written(*derive(made)),
            "NETNS  ADDRESS     PORT  ACCEPTQ  LIMIT  FILL  OLDEST  SYNQ  SYN-LIMIT  SK-DROPS  "
            "SET-BY       PID"
            "  PROCESS\n"
            "blue   0.0.0.0    50000     4097   4096  100%       -     -       4096    123456  "
            "somaxconn     31"
            "  a longer name\n"
            "blue   127.0.0.1     80        0    511    0%       -     -        511         -  "
            "application    4"
            "  b\n");
}

TEST(Text, ColumnsAreThoseGiven) {
  const auto columns = parse_columns("process,port,pid").value();
  Sample made = sample(1, {listener(1), listener(2)});
  made_up::own(made, 7, {"caf\xc3\xa9\x1b", "/"});
  EXPECT_EQ(written(*derive(made), {.columns = columns}),
            "PROCESS   PORT  PID\n"
            "caf\xc3\xa9\\x1b    80    7\n"
            "-           80    -\n");
}

TEST(Text, InterfacesComeLastInABatch) {
  Sample made = sample(1, {listener()});
  RawNic eth0;
  eth0.netns = made_up::kNetns;
  eth0.interface = "eth0";
  eth0.mode = NicMode::tc;
  eth0.passed = 12'345;
  eth0.ports = {{80, 1000, 5, 998, 990, 1, {}}, {443, 200, 0, 200, 200, 2, {}}};
  RawNic eth1;
  eth1.netns = NetnsId{7};
  eth1.interface = "eth\x1b";
  eth1.note = "it\nis down";
  RawNic eth2 = eth0;
  eth2.interface = "eth2";
  eth2.mode = NicMode::xdp_generic;
  eth2.note = "no native XDP";
  eth2.passed = eth2.malformed = 1;
  eth2.ports.clear();
  made.nics = {eth0, eth1, eth2};
  const auto columns = parse_columns("port").value();
  const auto lines = [&](bool headline) {
    return written(*derive(made), {.columns = columns, .headline = headline});
  };
  EXPECT_EQ(lines(false), "PORT\n  80\n");
  const std::string one = lines(true);
  EXPECT_EQ(one.substr(one.find("nic")),
            "nic eth0 tc: 12,345 frames, SYN 1,200, SYN-ACK 1,198, ACK 1,190, RST 3\n"
            "nic eth\\x1b not watched: it\\x0ais down\n"
            "nic eth2 xdp-generic: 1 frame, SYN 0, SYN-ACK 0, ACK 0, RST 0, 1 malformed; no native "
            "XDP\n");
  made.namespaces.push_back(netns(NetnsId{7}));
  made.namespaces.back().name = "blue";
  const std::string two = lines(true);
  EXPECT_NE(two.find("nic eth0 in netns 4026531840 tc: "), std::string::npos) << two;
  EXPECT_NE(two.find("nic eth\\x1b in netns blue not watched: "), std::string::npos) << two;
}

TEST(Text, EmptyIsTheHeaderOnly) {
  const auto columns = parse_columns("port,process").value();
  EXPECT_EQ(written(*derive(sample(1)), {.columns = columns}), "PORT  PROCESS\n");
  const std::string text = written(*derive(sample(1)));
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

TEST(Text, RateComesWithTheSecondSample) {
  Deriver deriver;
  RawListener raw = listener();
  raw.sk_drops = 1;
  EXPECT_EQ(titles(*derive(deriver, sample(1, {raw}))).find("SK-DROPS/s"), std::string::npos);
  raw.sk_drops = 4;
  const auto snapshot = derive(deriver, sample(3, {raw}));
  EXPECT_NE(titles(*snapshot).find("SK-DROPS SK-DROPS/s SET-BY"), std::string::npos);
  EXPECT_NE(written(*snapshot).find("1.5"), std::string::npos);
}

TEST(Text, NamespacesByNameWhereThatTellsThemApart) {
  Sample made = sample(1, {listener(1), listener(2)});
  EXPECT_TRUE(titles(*derive(made)).starts_with("ADDRESS")) << "one tells nothing apart";
  made.listeners[1].netns = NetnsId{7};
  made.namespaces.push_back(netns(NetnsId{7}));
  EXPECT_TRUE(titles(*derive(made)).starts_with("NETNS-ID ADDRESS"));
  made.namespaces[1].name = "blue";
  EXPECT_TRUE(titles(*derive(made)).starts_with("NETNS ADDRESS"));
  EXPECT_NE(written(*derive(made)).find("\n-      0.0.0.0"), std::string::npos);
  EXPECT_NE(written(*derive(made)).find("\nblue   0.0.0.0"), std::string::npos);
  // Two without a name.
  made.listeners.push_back(listener(3));
  made.listeners[2].netns = NetnsId{8};
  made.namespaces.push_back(netns(NetnsId{8}));
  EXPECT_TRUE(titles(*derive(made)).starts_with("NETNS-ID NETNS ADDRESS"));
}

TEST(Text, OneOfManyHasTheSameColumnsAsTheOthers) {
  const auto second_line = [](const std::string& text) {
    return std::string(split(text, '\n').at(1));
  };
  Sample made = sample(1, {listener(1)});
  Deriver deriver;
  const std::string first = second_line(written(*derive(deriver, made), {.headline = true}));
  made.monotonic_ns += 1'000'000'000;
  made.namespaces[0].name = "blue";
  const std::string second = second_line(written(*derive(deriver, made), {.headline = true}));
  EXPECT_NE(first.find("SK-DROPS/s"), std::string::npos);
  EXPECT_NE(first.find("NETNS-ID"), std::string::npos);
  std::string squeezed_first;
  std::string squeezed_second;
  std::copy_if(first.begin(), first.end(), std::back_inserter(squeezed_first),
               [](char c) { return c != ' '; });
  std::copy_if(second.begin(), second.end(), std::back_inserter(squeezed_second),
               [](char c) { return c != ' '; });
  EXPECT_EQ(squeezed_first, squeezed_second) << "but for their widths";
}

TEST(Text, CountedColumnsWhereThereAreCounts) {
  Deriver deriver;
  const Sample first = made_up::counting(sample(1, {listener()}));
  const std::string once = titles(*derive(deriver, first));
  EXPECT_EQ(once,
            "ADDRESS PORT ACCEPTQ PEAK LIMIT FILL OLDEST SYNQ SYN-PEAK SYN-LIMIT DROPS SET-BY PID "
            "PROCESS");
  const auto snapshot =
      derive(deriver,
             made_up::counting(sample(2, {listener()}), {made_up::counts({{Counter::drops, 7}})}));
  EXPECT_EQ(titles(*snapshot),
            "ADDRESS PORT ACCEPTQ PEAK LIMIT FILL OLDEST SYNQ SYN-PEAK SYN-LIMIT ACCEPTS/s DROPS "
            "DROPS/s SET-BY PID PROCESS");
}

TEST(Text, HeadlineTellsOfCoverageAndLoss) {
  Deriver deriver;
  Sample made = made_up::counting(sample(0));
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 0}};
  EXPECT_TRUE(written(*derive(deriver, made), {.headline = true})
                  .starts_with("2023-11-14T22:13:20.000Z  iter  0 listeners, 0 in trouble\n"));
  made = made_up::counting(sample(1));
  made.namespaces.at(0).mib = MibCounters{{"ListenDrops", 4}};
  made.namespaces.at(0).counted = 0;
  made.counts = {made_up::counts({{Counter::drops, 3}})};
  made.self.lost = {{"ring full", 2}};
  EXPECT_TRUE(written(*derive(deriver, made), {.headline = true})
                  .starts_with("2023-11-14T22:13:21.000Z  iter  0 listeners, 0 in trouble, "
                               "coverage 0.750 (1 not attributed), 2 lost events\n"));
}

TEST(Text, HeadlineCountsWhatIsShown) {
  RawListener full = listener(1);
  full.accept_queue_len = 512;
  const auto snapshot = derive(sample(0, {full, listener(2), listener(3)}));
  EXPECT_TRUE(written(*snapshot, {.headline = true})
                  .starts_with("2023-11-14T22:13:20.000Z  iter  3 listeners, 1 in trouble\n"));
  std::string out;
  const std::vector<const ListenerRow*> rows = {&snapshot->listeners[1]};
  write_text(out, *snapshot, rows, {.headline = true});
  EXPECT_TRUE(out.starts_with("2023-11-14T22:13:20.000Z  iter  1 of 3 listeners, 0 in trouble\n"));
  EXPECT_TRUE(written(*derive(sample(0, {full})), {.headline = true})
                  .starts_with("2023-11-14T22:13:20.000Z  iter  1 listener, 1 in trouble\n"));
}

TEST(FieldList, HasALineForEachField) {
  const std::string text = fields_text();
  const auto lines = split(text, '\n');
  ASSERT_EQ(lines.size(), fields().size() + 1);
  for (std::size_t i = 0; i < fields().size(); ++i) {
    const Field& field = fields()[i];
    EXPECT_TRUE(lines[i].starts_with(std::string(field.id) + ' ')) << field.id;
    EXPECT_NE(lines[i].find(kind_name(field.kind)), std::string_view::npos) << field.id;
    EXPECT_NE(lines[i].find(unit_name(field.unit)), std::string_view::npos) << field.id;
    EXPECT_TRUE(lines[i].ends_with(field.help)) << field.id;
  }
}

TEST(FieldList, DocumentationIsUpToDate) {
  EXPECT_EQ(read_small_file(LISTENQ_SOURCE_DIR "/docs/fields.md"), fields_markdown())
      << "run: listenq-top --list-fields=md > docs/fields.md";
}

}  // namespace
}  // namespace listenq
