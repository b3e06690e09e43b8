// SPDX-License-Identifier: Apache-2.0
//
// listenq_bench: options, then measure and report below the supervisor. Started by tests/bench/run.
#include <getopt.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "counting.h"
#include "fail.h"
#include "measure.h"
#include "plan.h"
#include "report.h"
#include "supervisor.h"

namespace listenq::bench {
namespace {

constexpr const char* kUsage =
    "usage: listenq_bench --tool FILE [--quick] [--only TEXT] [--out FILE] [--guest FILE]...\n"
    "  --tool FILE  the listenq-top to measure\n"
    "  --quick      small worlds and few rounds, for a look; judges no goal of 10,000 listeners\n"
    "  --only TEXT  only the parts whose title, as printed while running, holds TEXT\n"
    "  --out FILE   also write the tables between the markers of this Markdown file\n"
    "  --guest FILE what --as-guest wrote in a virtual machine: goes into the tables of counting\n"
    "  --as-guest FILE  measure counting alone, in small, and write this file\n";

struct Options {
  std::string tool;
  std::string only;
  std::string out;
  std::string as_guest;
  std::vector<std::string> guests;
  bool quick = false;
};

Options parse(int argc, char** argv) {
  static const option kOptions[] = {
      {"tool", required_argument, nullptr, 't'},  {"quick", no_argument, nullptr, 'q'},
      {"only", required_argument, nullptr, 'p'},  {"out", required_argument, nullptr, 'o'},
      {"guest", required_argument, nullptr, 'g'}, {"as-guest", required_argument, nullptr, 'a'},
      {"help", no_argument, nullptr, 'h'},        {nullptr, 0, nullptr, 0}};
  Options options;
  for (int c = 0; (c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (c == 't') options.tool = optarg;
    if (c == 'q') options.quick = true;
    if (c == 'p') options.only = optarg;
    if (c == 'o') options.out = optarg;
    if (c == 'g') options.guests.emplace_back(optarg);
    if (c == 'a') options.as_guest = optarg;
    if (c == 'h' || c == '?') {
      fmt::print(c == 'h' ? stdout : stderr, "{}", kUsage);
      std::exit(c == 'h' ? 0 : 2);
    }
  }
  if (options.tool.empty() || optind != argc) {
    fmt::print(stderr, "{}", kUsage);
    std::exit(2);
  }
  return options;
}

// Tracepoints of system calls are known through tracefs, which not every machine has mounted. Only
// this process and its children see it.
void mount_tracefs() {
  constexpr const char* kFolder = "/sys/kernel/tracing";
  if (access("/sys/kernel/tracing/events", F_OK) == 0) return;
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "none", MS_PRIVATE | MS_REC, nullptr) != 0 ||
      mount("tracefs", kFolder, "tracefs", 0, nullptr) != 0) {
    fmt::print(stderr, "bench: no tracefs: accepts will not be counted\n");
  }
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream output(path, std::ios::trunc);
  output << text;
  if (!output.flush()) fail("{} can't be written", path);
}

CountingResult read_guest(const std::string& path) {
  std::ifstream input(path);
  const std::string text{std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
  if (text.empty()) fail("{} can't be read", path);
  return counting_from_json(text);
}

void measure_as_guest(const Options& options) {
  CountingResult result = measure_counting(options.tool, emulated_sizes());
  result.emulated = true;
  write_file(options.as_guest, counting_to_json(result));
}

void measure(const Options& options) {
  const Sizes sizes = options.quick ? quick_sizes() : full_sizes();
  Results results = measure_all(options.tool, sizes, options.only);
  for (const std::string& path : options.guests) results.counting.push_back(read_guest(path));
  if (results.loads.empty() && results.counting.empty()) {
    fail("no part is called \"{}\"", options.only);
  }
  const std::array<std::pair<const char*, std::string>, 6> texts = {{
      {"bench", markdown(results, sizes, options.tool)},
      {"watching", watching_markdown(results, sizes, options.tool)},
      {"screens", screens_markdown(results, sizes, options.tool)},
      {"exporter", exporter_markdown(results, sizes, options.tool)},
      {"counting", counting_markdown(results, sizes, options.tool)},
      {"nic", nic_markdown(results, sizes, options.tool)},
  }};
  for (const auto& [name, text] : texts) {
    fmt::print("{}", text);
    if (!options.out.empty() && !text.empty()) write_between_markers(options.out, name, text);
  }
}

int run_all(const Options& options) {
  if (geteuid() != 0) {
    fmt::print(stderr, "bench: network namespaces need root: sudo tests/bench/run\n");
    return 3;
  }
  if (access(options.tool.c_str(), X_OK) != 0) {
    fmt::print(stderr, "bench: {} can't be run\n", options.tool);
    return 2;
  }
  return supervise([&] {
    go_before_others();
    mount_tracefs();
    if (options.as_guest.empty()) {
      measure(options);
    } else {
      measure_as_guest(options);
    }
    return 0;
  });
}

}  // namespace
}  // namespace listenq::bench

int main(int argc, char** argv) {
  try {
    return listenq::bench::run_all(listenq::bench::parse(argc, argv));
  } catch (const std::exception& error) {  // JSON of an unknown shape, no memory
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
