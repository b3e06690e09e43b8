// SPDX-License-Identifier: Apache-2.0
// Runs listenq-top and reads what it prints: see tool.h.
#include "tool.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <stdexcept>

namespace lqtest {
namespace {

std::string joined(const std::vector<std::string>& arguments) {
  std::string text = "listenq-top";
  for (const std::string& argument : arguments) text += " " + argument;
  return text;
}

}  // namespace

// The strings of the kernel's BTF hold the name of every function and type in it.
bool kernel_knows(const std::string& name) {
  static const std::string btf = [] {
    const char* path = "/sys/kernel/btf/vmlinux";
    return std::filesystem::exists(path) ? read_file(path) : std::string();
  }();
  return btf.find(std::string("\0", 1) + name + std::string("\0", 1)) != std::string::npos;
}

std::string tool_path() {
  static const std::string path = [] {
    const char* given = std::getenv("LISTENQ_TOP");
    if (given != nullptr && *given != '\0') return std::string(given);
    const auto self = std::filesystem::read_symlink("/proc/self/exe");
    return (self.parent_path().parent_path() / "listenq-top").string();
  }();
  return path;
}

RunResult run_tool(const std::vector<std::string>& arguments, const RunOptions& options) {
  std::vector<std::string> argv = arguments;
  argv.insert(argv.begin(), tool_path());
  return run_program(argv, options);
}

Json run_tool_json(const std::vector<std::string>& arguments, const RunOptions& options) {
  const RunResult result = run_tool(arguments, options);
  EXPECT_FALSE(result.timed_out) << joined(arguments);
  EXPECT_EQ(result.status, 0) << joined(arguments) << "\n" << result.err;
  EXPECT_EQ(result.err, "") << joined(arguments);
  if (result.status != 0) return nullptr;
  Json document = Json::parse(result.out, nullptr, false);
  EXPECT_FALSE(document.is_discarded()) << joined(arguments) << "\n" << result.out.substr(0, 2000);
  if (document.is_discarded()) return nullptr;
  return document;
}

Json sample(const std::string& backend) {
  std::vector<std::string> arguments{"--once", "--json", "--netns", "all"};
  if (backend != "auto") arguments.insert(arguments.end(), {"--backend", backend});
  return run_tool_json(arguments);
}

double wall_of(const Json& document) {
  std::tm parts{};
  const std::string text = document.at("time");
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) throw std::runtime_error("bad time " + text);
  return static_cast<double>(::timegm(&parts)) + std::stod(std::string("0") + rest);
}

void expect_interval(const Json& document, const Json& before) {
  const double seconds = document.at("interval_seconds");
  EXPECT_GT(seconds, 0);
  EXPECT_GT(wall_of(document), wall_of(before));
  EXPECT_NEAR(seconds, wall_of(document) - wall_of(before), 0.05);
}

std::vector<Json> rows_of(const Json& document, uint64_t netns_inode) {
  std::vector<Json> rows;
  if (!document.is_object() || !document.contains("listeners")) return rows;
  for (const Json& row : document.at("listeners"))
    if (row.value("netns", Json()) == netns_inode) rows.push_back(row);
  return rows;
}

Json namespace_of(const Json& document, uint64_t netns_inode) {
  if (!document.is_object() || !document.contains("namespaces")) return nullptr;
  for (const Json& row : document.at("namespaces"))
    if (row.value("netns", Json()) == netns_inode) return row;
  return nullptr;
}

std::vector<std::map<std::string, std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> records(1, std::vector<std::string>(1));
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::string& field = records.back().back();
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      field += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (quoted || (c != ',' && c != '\n' && c != '\r')) {
      field += c;
    } else if (c == ',') {
      records.back().emplace_back();
    } else if (c == '\n') {
      records.emplace_back(1);
    }
  }
  if (records.back().size() == 1 && records.back().front().empty()) records.pop_back();
  std::vector<std::map<std::string, std::string>> rows;
  for (size_t i = 1; i < records.size(); ++i) {
    if (records[i].size() != records[0].size())
      throw std::runtime_error("CSV record with another number of fields: " + records[i][0]);
    std::map<std::string, std::string> row;
    for (size_t k = 0; k < records[0].size(); ++k) row[records[0][k]] = records[i][k];
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string why_not(const std::string& backend) {
  if (backend != "iter") return "";
  // Megabytes to search, and tests ask for every row.
  static const bool known = kernel_knows("bpf_iter__tcp");
  return known ? "" : "this kernel has no BPF iterator over TCP sockets";
}

}  // namespace lqtest
