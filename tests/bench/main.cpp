// SPDX-License-Identifier: Apache-2.0
//
// listenq_bench: options, then measure and report below the supervisor. Started by tests/bench/run.
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "fail.h"
#include "measure.h"
#include "plan.h"
#include "report.h"
#include "supervisor.h"

namespace {

constexpr const char* kUsage =
    "usage: listenq_bench --tool FILE [--quick] [--only TEXT] [--out FILE]\n"
    "  --tool FILE  the listenq-top to measure\n"
    "  --quick      small worlds and few rounds, for a look; judges no goal of 10,000 listeners\n"
    "  --only TEXT  only the parts whose title, as printed while running, holds TEXT\n"
    "  --out FILE   also write the tables between the markers of this Markdown file\n";

struct Options {
  std::string tool;
  std::string only;
  std::string out;
  bool quick = false;
};

Options parse(int argc, char** argv) {
  static const option kOptions[] = {
      {"tool", required_argument, nullptr, 't'}, {"quick", no_argument, nullptr, 'q'},
      {"only", required_argument, nullptr, 'p'}, {"out", required_argument, nullptr, 'o'},
      {"help", no_argument, nullptr, 'h'},       {nullptr, 0, nullptr, 0}};
  Options options;
  for (int c = 0; (c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    if (c == 't') options.tool = optarg;
    if (c == 'q') options.quick = true;
    if (c == 'p') options.only = optarg;
    if (c == 'o') options.out = optarg;
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

int run(const Options& options) {
  using namespace listenq::bench;
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
    const Sizes sizes = options.quick ? quick_sizes() : full_sizes();
    const Results results = measure_all(options.tool, sizes, options.only);
    const std::string text = markdown(results, sizes, options.tool);
    fmt::print("{}", text);
    if (!options.out.empty()) write_between_markers(options.out, text);
    return 0;
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& error) {  // JSON of an unknown shape, no memory
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}
