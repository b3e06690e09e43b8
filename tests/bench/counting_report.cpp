// SPDX-License-Identifier: Apache-2.0
//
// The tables of counting: this kernel first, then those in virtual machines.
#include <fmt/format.h>

#include "report.h"
#include "table.h"

namespace listenq::bench {
namespace {

constexpr std::string_view kPortable = "listenq-top, portable";

std::string ratio(const Spread& spread) {
  return fmt::format("{:.3f} ({:.3f} to {:.3f})", spread.median, spread.low, spread.high);
}

// What of the throughput is lost, in percent. The quartiles change places.
Spread lost(const Spread& kept) {
  return {.median = 100 * (1 - kept.median),
          .low = 100 * (1 - kept.high),
          .high = 100 * (1 - kept.low)};
}

std::string percent(const Spread& spread) {
  return fmt::format("{:.1f} % ({:.1f} to {:.1f})", spread.median, spread.low, spread.high);
}

std::string kernel_of(const CountingResult& result) {
  return result.kernel.substr(0, result.kernel.find_first_of("-+")) +
         (result.emulated ? ", emulated" : "");
}

std::string goals_table(const CountingResult& here) {
  Goals goals;
  for (const WatcherResult& watcher : here.watchers) {
    if (!watcher.of_tool || !watcher.why_not.empty()) continue;
    const Spread connections = lost(watcher.connections);
    goals.row(fmt::format("refused SYNs a second, with {} against without", watcher.name), "0.90",
              ratio(watcher.syns), watcher.syns.median >= 0.9);
    goals.row(fmt::format("connections a second lost, with {}", watcher.name), "5 %",
              percent(connections), connections.median <= 5);
    if (watcher.name == kPortable) continue;
    const double above = watcher.connection.ns - watcher.connection.empty_ns;
    goals.row(fmt::format("one connection, above empty programs, with {}", watcher.name), "150 ns",
              number(above) + " ns", above <= 150);
  }
  return goals.text();
}

std::string throughput_table(const std::vector<CountingResult>& results) {
  std::string text =
      "| kernel | with | refused SYNs a second, against without | connections a second lost | CPU "
      "time of a connection, against without | bytes of an established connection a second, "
      "against without | start to attached, ms |\n|---|---|---|---|---|---|---|\n";
  for (const CountingResult& result : results) {
    text += fmt::format("| {} | nothing | {} SYNs/s | {} connections/s | | {} Gbit/s | |\n",
                        kernel_of(result), thousands(static_cast<int>(result.syns_per_second)),
                        thousands(static_cast<int>(result.connections_per_second)),
                        number(result.bulk_gbit));
    for (const WatcherResult& watcher : result.watchers) {
      if (!watcher.why_not.empty()) continue;
      text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", kernel_of(result), watcher.name,
                          ratio(watcher.syns), percent(lost(watcher.connections)),
                          ratio(watcher.connection_cpu), ratio(watcher.bulk),
                          number(watcher.start_ms.median));
    }
  }
  return text;
}

// "ns above empty programs (times an empty program, runs)"
std::string run_time(const RunTime& time) {
  if (time.runs < 0.005) return "not run";
  std::string text = fmt::format("{} ns", number(time.ns - time.empty_ns));
  if (time.empty_ns > 0) text += fmt::format(", x {:.2f}", time.ns / time.empty_ns);
  return text + fmt::format(", {:.1f} runs", time.runs);
}

// The tool's portable way runs on most kernels, so it is the measure that guests can be compared
// by.
std::string against_portable(const WatcherResult& watcher, const CountingResult& result) {
  for (const WatcherResult& other : result.watchers) {
    if (other.name != kPortable || !other.why_not.empty()) continue;
    const double whole = other.connection.ns - other.connection.empty_ns;
    const double part = watcher.connection.ns - watcher.connection.empty_ns;
    return fmt::format("{:.2f}", part / whole);
  }
  return "";
}

std::string run_time_table(const std::vector<CountingResult>& results) {
  std::string text =
      "| kernel | programs of | one connection | against portable | one refused SYN | one packet "
      "of "
      "an established connection |\n|---|---|---|---|---|---|\n";
  for (const CountingResult& result : results) {
    for (const WatcherResult& watcher : result.watchers) {
      if (!watcher.why_not.empty()) continue;
      text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", kernel_of(result), watcher.name,
                          run_time(watcher.connection), against_portable(watcher, result),
                          run_time(watcher.syn), run_time(watcher.packet));
    }
  }
  return text;
}

std::string programs_table(const std::vector<CountingResult>& results) {
  std::string text =
      "| kernel | programs of | program | one connection | one refused SYN "
      "|\n|---|---|---|---|---|\n";
  for (const CountingResult& result : results) {
    for (const WatcherResult& watcher : result.watchers) {
      if (!watcher.of_tool) continue;
      for (const ProgramCost& program : watcher.programs) {
        text += fmt::format("| {} | {} | `{}` | {} | {} |\n", kernel_of(result), watcher.name,
                            program.name, run_time(program.connection), run_time(program.syn));
      }
    }
  }
  return text;
}

std::string absent_table(const std::vector<CountingResult>& results) {
  std::string text = "| kernel | what | why not |\n|---|---|---|\n";
  for (const CountingResult& result : results) {
    for (const WatcherResult& watcher : result.watchers) {
      if (watcher.why_not.empty()) continue;
      text += fmt::format("| {} | {} | {} |\n", kernel_of(result), watcher.name, watcher.why_not);
    }
  }
  return text;
}

}  // namespace

std::string counting_markdown(const Results& results, const Sizes& sizes, const std::string& tool) {
  const std::vector<CountingResult>& counting = results.counting;
  if (counting.empty()) return "";
  std::string text = fmt::format("\n{}", facts(results, sizes, tool));
  if (!counting[0].emulated) text += "### Counting: goals\n\n" + goals_table(counting[0]) + "\n";
  text += "### Counting: throughput with and without\n\n" + throughput_table(counting);
  text += "\n### Counting: run time of the BPF programs, above empty ones\n\n" +
          run_time_table(counting);
  text += "\n### Counting: program by program\n\n" + programs_table(counting);
  text += "\n### Counting: what does not run where\n\n" + absent_table(counting);
  return text + "\n";
}

}  // namespace listenq::bench
