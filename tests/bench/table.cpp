// SPDX-License-Identifier: Apache-2.0
//
// See table.h.
#include "table.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <iterator>

#include "fail.h"
#include "report.h"

namespace listenq::bench {
namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string first_line_of(const std::vector<std::string>& argv) {
  const std::string text = output_of({.id = argv[0], .argv = argv}, -1, 10);
  return text.substr(0, text.find('\n'));
}

std::string today() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return text.data();
}

}  // namespace

std::string number(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  return value >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

std::string with_quartiles(const Spread& spread, std::string_view unit) {
  return fmt::format("{}{} ({} to {})", number(spread.median), unit, number(spread.low),
                     number(spread.high));
}

std::string thousands(int value) {
  if (value < 1000) return fmt::format("{}", value);
  return fmt::format("{},{:03}", thousands(value / 1000), value % 1000);
}

std::string facts(const Results& results, const Sizes& sizes, const std::string& tool) {
  utsname kernel{};
  uname(&kernel);
  std::string load;
  if (!results.loads.empty()) {
    const auto [low, high] = std::minmax_element(results.loads.begin(), results.loads.end());
    load = fmt::format(
        " Load average {:.1f} to {:.1f} at the start of the parts; {:.1f} minutes in all.", *low,
        *high, results.minutes);
  }
  return fmt::format("{} run of {}: {}; Linux {} ({}), {} cores, {}; {}; libbpf {}.{}\n\n",
                     sizes.quick ? "Quick" : "Full", today(), first_line_of({tool, "--version"}),
                     kernel.release, kernel.machine, sysconf(_SC_NPROCESSORS_ONLN), processor(),
                     first_line_of({"ss", "-V"}), libbpf_version_string() + 1, load);
}

void write_between_markers(const std::string& path, std::string_view name,
                           const std::string& text) {
  const std::string first = fmt::format("<!-- {}:begin -->\n", name);
  const std::string last = fmt::format("<!-- {}:end -->\n", name);
  std::ifstream input(path);
  std::string document{std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
  if (document.find(first) == std::string::npos) document += fmt::format("\n{}{}", first, last);
  const std::size_t begin = document.find(first);
  const std::size_t end = document.find(last, begin);
  if (end == std::string::npos) fail("{} has no end of the tables of {}", path, name);
  document.replace(begin + first.size(), end - begin - first.size(), text);
  std::ofstream output(path, std::ios::trunc);
  output << document;
  if (!output.flush()) fail("{} can't be written", path);
}

}  // namespace listenq::bench
