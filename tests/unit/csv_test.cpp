// SPDX-License-Identifier: Apache-2.0
// CSV as RFC 4180 has it.
#include "view/csv/csv.h"

#include <gtest/gtest.h>

#include "made_up.h"
#include "util/text.h"

namespace listenq {
namespace {

using made_up::derive;
using made_up::listener;
using made_up::sample;

std::string written(const Snapshot& snapshot, const CsvOptions& options) {
  std::string out;
  write_csv(out, made_up::rows_of(snapshot), options);
  return out;
}

TEST(Csv, HeaderAndValues) {
  Deriver deriver;
  RawListener raw = listener();
  raw.sk_drops = 0;
  derive(deriver, sample(1, {raw}));
  raw.sk_drops = 1;
  raw.accept_queue_len = 128;
  Sample made = sample(3, {raw, listener(2)});
  auto owners = std::make_shared<OwnerTable>();
  owners->pids = {5, 60};
  owners->by_inode = {{9, {0, 2}}};
  made.listeners[0].inode = 9;
  made.owners = owners;
  const auto columns =
      parse_columns(
          "port,address,pids,accept_queue_fill,sk_drops_per_second,somaxconn_raised_since,"
          "process")
          .value();
  EXPECT_EQ(written(*derive(deriver, made), {.columns = columns}),
            "port,address,pids,accept_queue_fill,sk_drops_per_second,somaxconn_raised_since,"
            "process\n"
            "80,0.0.0.0,5 60,0.25,0.5,false,\n"
            "80,0.0.0.0,,0,,false,\n");
}

TEST(Csv, NumbersAreThoseOfPlainText) {
  const auto columns =
      parse_columns("accept_queue_fill,listen_requested,oldest_wait_seconds").value();
  RawListener raw = listener();
  raw.accept_queue_limit = 0;
  for (const std::uint32_t len : {0U, 1U, 3U, 123'456'789U, 4'294'967'295U}) {
    for (const std::int32_t requested : {-1, 0, 2'147'483'647}) {
      for (const std::uint64_t wait : {0UL, 1UL, 1'000'000'000UL, 1'500'000'000UL}) {
        raw.accept_queue_len = len;
        raw.listen_requested = requested;
        raw.oldest_wait_ns = wait;
        const auto snapshot = derive(sample(1, {raw}));
        std::string expected;
        for (const Field* field : columns)
          expected += plain(field->get(snapshot->listeners[0])) + ",";
        expected.back() = '\n';
        EXPECT_EQ(written(*snapshot, {.columns = columns, .header = false}), expected);
      }
    }
  }
}

TEST(Csv, OneHeaderForManyBlocks) {
  const auto snapshot = derive(sample(1, {listener()}));
  const auto columns = parse_columns("port,cookie").value();
  EXPECT_EQ(written(*snapshot, {.columns = columns, .header = false}), "80,1\n");
  EXPECT_EQ(written(*derive(sample(1)), {.columns = columns}), "port,cookie\n");
}

TEST(Csv, DefaultIsAllButHistograms) {
  const std::string header = written(*derive(sample(1)), {});
  const auto ids = split(std::string_view(header).substr(0, header.size() - 1), ',');
  std::size_t next = 0;
  for (const Field& field : fields()) {
    if (field.kind == Kind::histogram) continue;
    ASSERT_LT(next, ids.size());
    EXPECT_EQ(ids[next++], field.id);
  }
  EXPECT_EQ(next, ids.size());
  EXPECT_EQ(next, fields().size() - 2);
}

TEST(Csv, AWaterfallIsItsText) {
  Deriver deriver;
  derive(deriver, made_up::counting(sample(1, {listener()})));
  const auto snapshot = derive(
      deriver, made_up::counting(sample(2, {listener()}),
                                 {made_up::counts({{Counter::syns, 7}, {Counter::synacks, 5}})}));
  const auto columns = parse_columns("waterfall,port").value();
  EXPECT_EQ(written(*snapshot, {.columns = columns, .header = false}),
            "SYN 7 > SYN-ACK 5 > ACK 0 > queued 0 > accepted 0,80\n");
}

TEST(Csv, QuotesWhatNeedsIt) {
  const std::pair<std::string, std::string> names[] = {
      {"plain", "plain"},
      {"a b", "a b"},
      {"a,b", "\"a,b\""},
      {"say \"hi\"", "\"say \"\"hi\"\"\""},
      {"\"", "\"\"\"\""},
      {" lead", "\" lead\""},
      {"trail ", "\"trail \""},
      {"line\r\nbreak", "line\\x0d\\x0abreak"},
      {"\x1b[2J", "\\x1b[2J"},
      {"\xff", "\\xff"},
      {"caf\xc3\xa9", "caf\xc3\xa9"},
  };
  const auto columns = parse_columns("process,port").value();
  for (const auto& [name, shown] : names) {
    Sample made = sample(1, {listener()});
    made_up::own(made, 1, {name, "/"});
    EXPECT_EQ(written(*derive(made), {.columns = columns, .header = false}), shown + ",80\n");
  }
}

}  // namespace
}  // namespace listenq
