// SPDX-License-Identifier: Apache-2.0
//
// What every view makes of the recordings in tests/data, compared with tests/golden to the byte;
// and that the program prints the same. After a wanted change:
//
//   LISTENQ_UPDATE_GOLDEN=1 build/dev/tests/unit_tests --gtest_filter='*Golden*'
//
// writes the files anew and fails, so that nobody takes it for a test. Read the difference before
// committing it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "export/exposition.h"
#include "model/derive.h"
#include "record_files.h"
#include "stories.h"
#include "view/csv/csv.h"
#include "view/json/json.h"
#include "view/text/text.h"
#include "view/tui/screen.h"

namespace listenq::test {
namespace {

namespace fs = std::filesystem;

fs::path source_path(const std::string& relative) {
  return fs::path(LISTENQ_SOURCE_DIR) / "tests" / relative;
}

std::string recording_path(const std::string& story) {
  return source_path("data") / (story + ".lqrec");
}

// ---- the views, fed as the program feeds them

using Snapshots = std::vector<std::shared_ptr<const Snapshot>>;

Snapshots replay(const std::string& story) {
  Snapshots snapshots;
  Deriver deriver;
  const Played played = play(recording_path(story));
  EXPECT_EQ(played.error, "");
  for (const auto& sample : played.samples) snapshots.push_back(deriver.derive(sample));
  return snapshots;
}

std::vector<const ListenerRow*> sorted_rows(const Snapshot& snapshot) {
  std::vector<const ListenerRow*> rows;
  for (const ListenerRow& row : snapshot.listeners) rows.push_back(&row);
  sort_rows(rows, {});
  return rows;
}

std::string once_text(const Snapshots& snapshots) {
  std::string out;
  write_text(out, *snapshots.back(), sorted_rows(*snapshots.back()));
  return out;
}

std::string batch_text(const Snapshots& snapshots) {
  std::string out;
  for (const auto& snapshot : snapshots) {
    write_text(out, *snapshot, sorted_rows(*snapshot), {.columns = {}, .headline = true});
  }
  return out;
}

std::string batch_csv(const Snapshots& snapshots) {
  std::string out;
  for (const auto& snapshot : snapshots) {
    write_csv(out, sorted_rows(*snapshot), {.columns = {}, .header = out.empty()});
  }
  return out;
}

std::string once_json(const Snapshots& snapshots) {
  std::string out;
  write_json(out, *snapshots.back(), sorted_rows(*snapshots.back()));
  return out;
}

/// One line a member, for reading and for differences; a list of numbers on one. Nothing but white
/// space is added, so that every token is compared as it was written.
std::string unfolded(const std::string& json) {
  std::string out;
  std::size_t depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (!in_text && c == '[' && i + 1 < json.size() && std::isdigit(json[i + 1]) != 0) {
      const std::size_t end = json.find(']', i);
      out.append(json, i, end - i + 1);
      i = end;
      continue;
    }
    const bool closes = !in_text && (c == '}' || c == ']');
    const bool is_empty = closes && i > 0 && (json[i - 1] == '{' || json[i - 1] == '[');
    if (closes) --depth;
    if (closes && !is_empty) out += '\n' + std::string(depth, ' ');
    out += c;
    if (in_text && c == '\\' && i + 1 < json.size()) {
      out += json[++i];
    } else if (c == '"') {
      in_text = !in_text;
    }
    if (in_text) continue;
    if (c == '{' || c == '[') ++depth;
    const bool opens = c == '{' || c == '[';
    const bool next_closes = i + 1 < json.size() && (json[i + 1] == '}' || json[i + 1] == ']');
    if (c == ',' || (opens && !next_closes)) out += '\n' + std::string(depth, ' ');
  }
  return out;
}

std::string exposition(const Snapshots& snapshots, ExpositionFormat format) {
  Ledger ledger({});
  for (const auto& snapshot : snapshots) ledger.update(snapshot);
  const Exposition page(ledger, {}, {.version = "1.2.3"});
  std::string out;
  Exposition::Cursor cursor;
  while (page.write(cursor, format, out, 1000)) {
  }
  return out;
}

enum class Page : std::uint8_t { table, listener };

std::string screen(const Snapshots& snapshots, int height, int width, tui::Charset charset,
                   Page page = Page::table) {
  tui::ScreenState state;
  tui::set_size(state, height, width);
  state.playback.emplace().ended = true;
  for (const auto& snapshot : snapshots) {
    state.now_ns = snapshot->sample->monotonic_ns;
    tui::show(state, snapshot, state.now_ns);
  }
  if (page == Page::listener) tui::handle_key(state, {tui::KeyCode::enter});
  tui::Canvas canvas(height, width, charset);
  tui::draw_screen(canvas, state);
  return canvas.to_text();
}

struct View {
  std::string file;       ///< extension of the golden file
  std::string arguments;  ///< of the program that print it; empty: it draws it on a terminal
  std::function<std::string(const Snapshots&)> make;
};

const std::vector<View>& views() {
  using tui::Charset;
  static const std::vector<View> all{
      {"once.txt", "--once", once_text},
      {"batch.txt", "-b", batch_text},
      {"csv", "-b --csv", batch_csv},
      {"json", "--once --json", [](const Snapshots& s) { return unfolded(once_json(s)); }},
      {"prom", "", [](const Snapshots& s) { return exposition(s, ExpositionFormat::text); }},
      {"openmetrics", "",
       [](const Snapshots& s) { return exposition(s, ExpositionFormat::openmetrics); }},
      {"80x24.txt", "", [](const Snapshots& s) { return screen(s, 24, 80, Charset::utf8); }},
      {"80x24.ascii.txt", "", [](const Snapshots& s) { return screen(s, 24, 80, Charset::ascii); }},
      {"120x40.txt", "", [](const Snapshots& s) { return screen(s, 40, 120, Charset::utf8); }},
      {"detail.80x110.txt", "",
       [](const Snapshots& s) { return screen(s, 110, 80, Charset::utf8, Page::listener); }},
      {"detail.80x110.ascii.txt", "",
       [](const Snapshots& s) { return screen(s, 110, 80, Charset::ascii, Page::listener); }},
      {"detail.120x90.txt", "",
       [](const Snapshots& s) { return screen(s, 90, 120, Charset::utf8, Page::listener); }},
  };
  return all;
}

// ---- comparing

std::string read_text(const fs::path& path) {
  const Bytes bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

std::string output_of(const std::string& command, int& status) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "re");  // NOLINT(cert-env33-c): the commands are ours
  if (pipe == nullptr) {
    status = -1;
    return out;
  }
  std::array<char, 4096> piece{};
  for (std::size_t got = 0; (got = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    out.append(piece.data(), got);
  }
  status = ::pclose(pipe);
  return out;
}

std::string diff(const fs::path& golden, const std::string& actual) {
  const TempDir dir;
  const Bytes bytes(actual.begin(), actual.end());
  write_file(dir.file("actual"), bytes);
  int status = 0;
  std::string out = output_of("diff -au --label golden --label actual '" + golden.string() + "' '" +
                                  dir.file("actual") + "' 2>&1",
                              status);
  constexpr std::size_t kEnough = 8000;
  if (out.size() > kEnough) out = out.substr(0, kEnough) + "\n... and so on\n";
  return out;
}

void compare_with_golden(const fs::path& golden, const std::string& actual) {
  if (std::getenv("LISTENQ_UPDATE_GOLDEN") != nullptr) {
    if (read_text(golden) != actual || !fs::exists(golden)) {
      write_file(golden, Bytes(actual.begin(), actual.end()));
    }
    ADD_FAILURE() << golden
                  << " is written, not tested: read what changed, then run without "
                     "LISTENQ_UPDATE_GOLDEN";
    return;
  }
  EXPECT_TRUE(fs::exists(golden)) << golden << " is missing";
  if (read_text(golden) == actual) return;
  ADD_FAILURE() << "differs from " << golden << ":\n"
                << diff(golden, actual)
                << "If it should: LISTENQ_UPDATE_GOLDEN=1 build/dev/tests/unit_tests "
                   "--gtest_filter='*Golden*', then read the difference.";
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, TheRecordingHoldsTheStory) {
  const std::vector<Story> all = stories();
  const auto story = std::find_if(all.begin(), all.end(),
                                  [](const Story& each) { return each.name == GetParam(); });
  ASSERT_NE(story, all.end());
  const Played played = play(recording_path(story->name));
  EXPECT_EQ(played.error, "") << "make it with build/dev/tests/make_recordings tests/data";
  EXPECT_FALSE(played.cut_off);
  ASSERT_EQ(played.samples.size(), story->samples.size());
  for (std::size_t i = 0; i < story->samples.size(); ++i) {
    EXPECT_EQ(sample_text(*played.samples[i]), sample_text(story->samples[i]))
        << "make it anew with build/dev/tests/make_recordings tests/data";
  }
}

TEST_P(Golden, EveryViewShowsIt) {
  const Snapshots snapshots = replay(GetParam());
  ASSERT_FALSE(snapshots.empty());
  for (const View& view : views()) {
    compare_with_golden(source_path("golden") / (GetParam() + "." + view.file),
                        view.make(snapshots));
  }
}

/// What the program prints, without what it inherits: a time zone and languages that would show.
std::string printed(const std::string& story, const std::string& arguments) {
  const char* set = std::getenv("LISTENQ_TOP");
  const std::string tool =
      set != nullptr ? set : fs::read_symlink("/proc/self/exe").parent_path() / "../listenq-top";
  int status = 0;
  std::string out =
      output_of("TZ=Asia/Kathmandu LC_ALL=de_DE.UTF-8 LANG=tr_TR COLUMNS=40 TERM=dumb '" + tool +
                    "' replay '" + recording_path(story) + "' " + arguments + " 2>&1",
                status);
  EXPECT_EQ(status, 0) << tool << " " << arguments;
  return out;
}

TEST_P(Golden, TheProgramPrintsTheSame) {
  for (const View& view : views()) {
    if (view.arguments.empty()) continue;
    SCOPED_TRACE(view.arguments);
    std::string out = printed(GetParam(), view.arguments);
    if (view.file == "json") out = unfolded(out);
    EXPECT_TRUE(out == read_text(source_path("golden") / (GetParam() + "." + view.file)))
        << diff(source_path("golden") / (GetParam() + "." + view.file), out);
  }
}

TEST_P(Golden, TheProgramPrintsOneJsonDocumentALine) {
  const std::string out = printed(GetParam(), "-b --json");
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < out.size();) {
    const std::size_t end = out.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    lines.push_back(out.substr(at, end - at + 1));
    at = end + 1;
  }
  const Snapshots snapshots = replay(GetParam());
  ASSERT_EQ(lines.size(), snapshots.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto document = nlohmann::json::parse(lines[i]);
    EXPECT_EQ(document.at("listeners").size(), snapshots[i]->listeners.size());
  }
  EXPECT_EQ(lines.back(), once_json(snapshots));
}

std::vector<std::string> story_names() {
  std::vector<std::string> names;
  for (const Story& story : stories()) names.push_back(story.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Recording, Golden, testing::ValuesIn(story_names()),
                         [](const auto& parameter) { return parameter.param; });

/// A file that no story and no view makes would never be compared again.
TEST(GoldenFiles, AreAllUsed) {
  std::vector<std::string> golden;
  std::vector<std::string> recordings;
  for (const std::string& story : story_names()) {
    recordings.push_back(story + ".lqrec");
    for (const View& view : views()) golden.push_back(story + "." + view.file);
  }
  for (const auto& entry : fs::directory_iterator(source_path("golden"))) {
    if (entry.is_directory()) continue;  // of the screen's walk, tests/screen
    const std::string name = entry.path().filename();
    EXPECT_NE(std::find(golden.begin(), golden.end(), name), golden.end()) << name;
  }
  for (const auto& entry : fs::directory_iterator(source_path("data"))) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".lqrec") continue;
    EXPECT_NE(std::find(recordings.begin(), recordings.end(), name), recordings.end()) << name;
  }
}

}  // namespace
}  // namespace listenq::test
