// SPDX-License-Identifier: Apache-2.0
//
// The may-include table of docs/design.md, held against every #include in the tree: include order
// is data order. Link order alone would not stop an include.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

/// Folder below src/ -> folders whose headers it may include, besides its own.
const std::map<std::string, std::set<std::string>>& may_include() {
  static const std::set<std::string> model_and_below = {"model", "util"};
  static const std::map<std::string, std::set<std::string>> table = {
      {"util", {}},
      {"model", {"util"}},
      {"procmap", model_and_below},
      {"probe", {"listenq", "model", "util"}},
      {"nic", {"listenq", "probe", "model", "util"}},
      {"collect", {"nic", "probe", "procmap", "model", "util"}},
      {"record", model_and_below},
      {"view/text", model_and_below},
      {"view/json", model_and_below},
      {"view/csv", model_and_below},
      {"view/tui", model_and_below},
      {"export", model_and_below},
      {"web", {"util"}},
      {"app",
       {"collect", "nic", "probe", "procmap", "model", "record", "util", "view/text", "view/json",
        "view/csv", "view/tui", "export", "web"}},
  };
  return table;
}

/// A library and the only places that may name its headers.
struct Fence {
  std::vector<std::string> prefixes;
  std::vector<std::string> files;
};

const std::vector<Fence>& fences() {
  static const std::vector<Fence> table = {
      {{"bpf/", "listenq.skel.h", "waiting.skel.h", "listenq.lskel.h"},
       {"nic/interface_programs.cpp", "nic/tc_filters.cpp", "probe/bpf_programs.cpp",
        "probe/counting_programs.cpp", "probe/iterator.cpp", "probe/libbpf_log.cpp",
        "probe/light_skeleton.c", "probe/program_times.cpp", "probe/waiting_programs.cpp"}},
      {{"ncurses", "curses", "term.h"}, {"view/tui/"}},
      {{"CLI/"}, {"app/options.cpp"}},
      {{"nlohmann/"}, {"record/"}},
      {{"zlib.h"}, {"record/", "web/gzip."}},
      {{"microhttpd.h", "gnutls/"}, {"web/libraries.h"}},
      {{"yaml.h"}, {"web/yaml.cpp"}},
      {{"crypt.h"}, {"web/passwords.cpp"}},
  };
  return table;
}

struct Include {
  std::string file;    ///< below src/
  std::string target;  ///< as written
  bool quoted = false;
};

std::vector<Include> all_includes(const fs::path& root) {
  std::vector<Include> includes;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".cpp" && extension != ".h" && extension != ".c") continue;
    std::ifstream file(entry.path());
    std::string line;
    while (std::getline(file, line)) {
      if (!line.starts_with("#include")) continue;
      const std::size_t open = line.find_first_of("<\"");
      const std::size_t close = line.find_first_of(">\"", open + 1);
      includes.push_back({fs::relative(entry.path(), root).string(),
                          line.substr(open + 1, close - open - 1), line[open] == '"'});
    }
  }
  return includes;
}

/// "view/text/text.cpp" -> "view/text", "model/fields.h" -> "model".
std::string folder(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

class Layers : public testing::Test {
 protected:
  const fs::path root_ = fs::path(LISTENQ_SOURCE_DIR) / "src";
  const std::vector<Include> includes_ = all_includes(root_);
};

TEST_F(Layers, ReadSomething) {
  EXPECT_GT(includes_.size(), 100U);
}

TEST_F(Layers, EveryFolderIsInTheTable) {
  for (const Include& include : includes_) {
    EXPECT_TRUE(may_include().contains(folder(include.file)))
        << include.file << ": a new folder needs a line in docs/design.md and in this table";
  }
}

TEST_F(Layers, IncludesFollowTheTable) {
  for (const Include& include : includes_) {
    if (!include.quoted || include.target.find('/') == std::string::npos) continue;
    const std::string from = folder(include.file);
    const std::string to = folder(include.target);
    const auto allowed = may_include().find(from);
    if (from == to || allowed == may_include().end()) continue;
    EXPECT_TRUE(allowed->second.contains(to)) << include.file << " includes " << include.target;
  }
}

TEST_F(Layers, LibrariesStayBehindTheirFences) {
  for (const Include& include : includes_) {
    for (const Fence& fence : fences()) {
      const bool named = std::any_of(
          fence.prefixes.begin(), fence.prefixes.end(),
          [&](const std::string& prefix) { return include.target.starts_with(prefix); });
      if (!named) continue;
      EXPECT_TRUE(
          std::any_of(fence.files.begin(), fence.files.end(),
                      [&](const std::string& file) { return include.file.starts_with(file); }))
          << include.file << " includes " << include.target;
    }
  }
}

TEST_F(Layers, SourcesNameTheirLicence) {
  for (const char* folder : {"src", "include", "bpf", "tests"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(LISTENQ_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cpp" && extension != ".h" && extension != ".c") continue;
      std::ifstream file(entry.path());
      std::string line;
      std::getline(file, line);
      EXPECT_NE(line.find("SPDX-License-Identifier: "), std::string::npos) << entry.path();
    }
  }
}

}  // namespace
