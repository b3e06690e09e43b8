// SPDX-License-Identifier: Apache-2.0
//
// Results as Markdown: the goals with what was measured against them, then the numbers behind.
// The goals are this file's only constants; every other number comes from the run.
#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "table.h"

namespace listenq::bench {
namespace {

std::string world_name(const WorldSpec& spec) {
  std::string text = fmt::format("{} listeners", thousands(spec.listeners));
  if (spec.sockets > 0) text += fmt::format(", {} sockets", thousands(spec.sockets));
  if (spec.extra_descriptors > 0) {
    text += fmt::format(", {} processes x {} descriptors", spec.listener_owners,
                        thousands(spec.extra_descriptors + spec.listeners / spec.listener_owners));
  }
  return text;
}

void add_world_goals(Goals& goals, const WorldResult& world) {
  const Spread same = speedup_of(world.rounds, kSs, kSame);
  const Spread plain = speedup_of(world.rounds, kSs, kTool);
  const Spread names = speedup_of(world.rounds, kSsNames, kToolNames);
  const std::string same_what =
      fmt::format("`--once`, the columns of ss, against `ss -tnl`: {}", world_name(world.spec));
  const std::string plain_what =
      fmt::format("the same and the SYN queue: {}", world_name(world.spec));
  const std::string names_what =
      fmt::format("`--once` with owner against `ss -tnlp`: {}", world_name(world.spec));
  // Smaller worlds, as in a quick run, have no goals.
  if (world.spec.extra_descriptors > 0 && world.spec.listener_owners >= 200) {
    goals.at_least(names_what, 15, names);
  } else if (world.spec.sockets >= 100000) {
    const std::string_view note = world.spec.sockets < 400000 ? " (set for 400,000 sockets)" : "";
    goals.at_least(same_what, 8, same, note);
    goals.at_least(plain_what, 8, plain, note);
    goals.at_least(names_what, 20, names, note);
  } else if (world.spec.sockets == 0 && world.spec.listeners >= 10000) {
    goals.at_least(same_what, 2, same);
    goals.at_least(plain_what, 2, plain);
    goals.at_least(names_what, 3, names);
  }
}

std::string goals_of_calls(const Results& results) {
  Goals goals;
  for (const WorldResult& world : results.worlds) add_world_goals(goals, world);
  return goals.text();
}

std::string goals_of_watching(const Results& results) {
  Goals goals;
  for (const RefreshResult& refresh : results.refresh) {
    const double goal = refresh.listeners >= 10000 ? 1.5 : 0.3;
    const std::string of = fmt::format(" at 1 Hz, {} listeners", thousands(refresh.listeners));
    goals.at_most(fmt::format("`-b`{}, of a core", of), goal, " %", refresh.batch);
    goals.at_most(fmt::format("the screen{}, of a core", of), goal, " %", refresh.screen);
    if (refresh.listeners < 10000) continue;
    const double peak = std::max({refresh.once_peak, refresh.batch_peak, refresh.screen_peak});
    goals.row("peak memory, 10,000 listeners (the worst of `--once`, `-b` and the screen)", "20 MB",
              number(peak) + " MB", peak <= 20);
  }
  if (results.half_open) {
    goals.at_most(fmt::format("refresh with {} half-open requests, against none",
                              thousands(results.half_open->requests)),
                  1.1, " times", results.half_open->ratio);
  }
  if (results.first_frame_ms) {
    goals.at_most("start to first screen, 1,000 listeners", 60, " ms", *results.first_frame_ms);
  }
  return goals.text();
}

using Cell = std::string (*)(const Rounds&, std::size_t);

std::string once_table(const Results& results, Cell cell) {
  std::string text =
      "| world | `ss -tnl` | `ss -tnlp` | columns of ss | no owner | `--once` | diag, no owner | "
      "diag | all namespaces, no owner | all namespaces | `true` |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const WorldResult& world : results.worlds) {
    text += fmt::format("| {}", world_name(world.spec));
    for (std::size_t i = 0; i < kRivals; ++i) text += fmt::format(" | {}", cell(world.rounds, i));
    text += " |\n";
  }
  return text;
}

std::string speedups(const Results& results) {
  std::string text =
      "| world | columns of ss, against `ss -tnl` | no owner, against `ss -tnl` | with owner, "
      "against `ss -tnlp` | diag, no owner | diag | all namespaces, no owner | all namespaces | "
      "rounds |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const WorldResult& world : results.worlds) {
    text += fmt::format("| {}", world_name(world.spec));
    for (const auto& [rival, command] : {std::pair{kSs, kSame},
                                         {kSs, kTool},
                                         {kSsNames, kToolNames},
                                         {kSs, kDiag},
                                         {kSsNames, kDiagNames},
                                         {kSs, kAll},
                                         {kSsNames, kAllNames}}) {
      text += fmt::format(" | {}", with_quartiles(speedup_of(world.rounds, rival, command), ""));
    }
    text += fmt::format(" | {} |\n", world.rounds.size());
  }
  return text;
}

std::string refresh_table(const Results& results) {
  std::string text =
      "| listeners | `-b -d 1` | the screen | `ss -tnl` each second | `ss -tnlp` each second | "
      "peak "
      "MB: `--once` / `-b` / screen / `ss -tnlp` |\n|---|---|---|---|---|---|\n";
  for (const RefreshResult& refresh : results.refresh) {
    text += fmt::format("| {} | {} | {} | {} | {} | {} / {} / {} / {} |\n",
                        thousands(refresh.listeners), with_quartiles(refresh.batch, ""),
                        with_quartiles(refresh.screen, ""), with_quartiles(refresh.ss, ""),
                        with_quartiles(refresh.ss_names, ""), number(refresh.once_peak),
                        number(refresh.batch_peak), number(refresh.screen_peak),
                        number(refresh.ss_names_peak));
  }
  return text;
}

class Durations {
 public:
  void add(const std::string& what, const Spread& measured) {
    text_ += fmt::format("| {} | {} |\n", what, with_quartiles(measured, " ms"));
  }
  [[nodiscard]] std::string text() const {
    return "| what | measured: median (quartiles) |\n|---|---|\n" + text_;
  }

 private:
  std::string text_;
};

std::string idle_table(const IdleResult& idle) {
  Durations table;
  table.add("`--once --netns self`, 1,000 listeners", idle.self);
  table.add(fmt::format("`--once` with {} more namespaces of one listener each", idle.namespaces),
            idle.all);
  table.add("that is, for each namespace", idle.each);
  table.add("`ss -tnl -N` once for each of the namespaces", idle.sweep);
  return table.text();
}

std::string others(const Results& results) {
  Durations table;
  if (const auto& half = results.half_open) {
    table.add("CPU of one refresh, 1,000 listeners, no half-open request", half->without);
    table.add(fmt::format("the same with {} half-open requests", thousands(half->requests)),
              half->with);
  }
  if (results.first_frame_ms) {
    table.add("start to first screen, 1,000 listeners", *results.first_frame_ms);
  }
  return table.text();
}

// The tool's own clock stops before it derives, sorts and prints; the rest is that and the start.
std::string self_table(const Results& results) {
  std::string text =
      "| world | whole call, ms | of it reading the sample, ms | all else: start, loading BPF, "
      "deriving, printing | walks of the connection hash |\n|---|---|---|---|---|\n";
  for (const WorldResult& world : results.worlds) {
    const double whole = wall_of(world.rounds, kToolNames).median;
    text += fmt::format("| {} | {} | {} | {} | {:.0f} |\n", world_name(world.spec), number(whole),
                        number(world.sample_ms), number(whole - world.sample_ms), world.hash_walks);
  }
  return text;
}

}  // namespace

std::string markdown(const Results& results, const Sizes& sizes, const std::string& tool) {
  const auto wall = [](const Rounds& rounds, std::size_t i) {
    return number(wall_of(rounds, i).median);
  };
  const auto cpu = [](const Rounds& rounds, std::size_t i) {
    return number(cpu_of(rounds, i).median);
  };
  const auto peak = [](const Rounds& rounds, std::size_t i) { return number(peak_of(rounds, i)); };
  if (results.worlds.empty() && !results.idle) return "";
  std::string text = fmt::format("\n{}", facts(results, sizes, tool));
  if (!results.worlds.empty()) {
    text += "### Goals\n\n" + goals_of_calls(results);
    text += "\n### One call: how many times faster\n\n" + speedups(results);
    text += "\n### One call: wall time, median, ms\n\n" + once_table(results, wall);
    text += "\n### One call: CPU time (user + system), median, ms\n\n" + once_table(results, cpu);
    text += "\n### One call: peak memory, MB\n\n" + once_table(results, peak);
    text += "\n### One call: where its time goes, by its own account\n\n" + self_table(results);
  }
  if (results.idle) text += "\n### One call: idle namespaces\n\n" + idle_table(*results.idle);
  return text + "\n";
}

std::string watching_markdown(const Results& results, const Sizes& sizes, const std::string& tool) {
  if (results.refresh.empty() && !results.half_open && !results.first_frame_ms) return "";
  std::string text = fmt::format("\n{}", facts(results, sizes, tool));
  text += "### Watching: goals\n\n" + goals_of_watching(results);
  if (!results.refresh.empty()) {
    text += "\n### Refresh at 1 Hz: CPU in percent of a core\n\n" + refresh_table(results);
  }
  if (results.half_open || results.first_frame_ms) {
    text += "\n### Half-open requests, first screen\n\n" + others(results);
  }
  return text + "\n";
}

}  // namespace listenq::bench
