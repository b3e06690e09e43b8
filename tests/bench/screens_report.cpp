// SPDX-License-Identifier: Apache-2.0
//
// The tables of screens: idle ones beside each other, then the frames of our own.
#include <fmt/format.h>

#include <string_view>

#include "report.h"
#include "table.h"

namespace listenq::bench {
namespace {

constexpr double kGoalMs = 10;    // of a frame with 10,000 listeners
constexpr double kStretchMs = 4;  // the same, sorted, filtered and drawn

bool is_whole_frame(std::string_view what) {
  return what.starts_with("filtered, sorted and drawn");
}

std::string goals_table(const FrameTimes& frames) {
  Goals goals;
  for (const FrameTime& time : frames.times) {
    if (!is_whole_frame(time.what)) continue;
    const std::string what =
        fmt::format("a frame, {}, {} listeners", time.what, thousands(frames.listeners));
    goals.at_most(what, kGoalMs, " ms", time.ms);
    goals.at_most(what + " (stretch)", kStretchMs, " ms", time.ms);
  }
  return goals.text();
}

std::string idle_table(const std::vector<IdleScreensResult>& results) {
  std::string text =
      "| listeners (processes) | screen | CPU in percent of a core | CPU of one frame, ms "
      "|\n|---|---|---|---|\n";
  for (const IdleScreensResult& result : results) {
    for (const IdleScreen& screen : result.screens) {
      text += fmt::format("| {} ({}) | `{}` | ", thousands(result.listeners),
                          thousands(result.processes), screen.name);
      if (screen.why_not.empty()) {
        text += fmt::format("{} | {} |\n", with_quartiles(screen.percent, ""),
                            with_quartiles(screen.frame_ms, ""));
      } else {
        text += fmt::format("not measured: {} | |\n", screen.why_not);
      }
    }
  }
  return text;
}

std::string frames_table(const FrameTimes& frames) {
  std::string text = "| what | measured, ms: median (quartiles) |\n|---|---|\n";
  for (const FrameTime& time : frames.times) {
    text += fmt::format("| {} | {} |\n", time.what, with_quartiles(time.ms, ""));
  }
  return text;
}

}  // namespace

std::string screens_markdown(const Results& results, const Sizes& sizes, const std::string& tool) {
  if (results.screens.empty() && !results.frames) return "";
  std::string text = fmt::format("\n{}", facts(results, sizes, tool));
  if (results.frames) text += "### Screens: goals\n\n" + goals_table(*results.frames) + "\n";
  if (!results.screens.empty()) {
    text += "### Screens that nobody touches, on 120x40, at one frame a second\n\n" +
            idle_table(results.screens) + "\n";
  }
  if (results.frames) {
    text += fmt::format("### Screens: the time of a frame, {} listeners\n\n{}\n",
                        thousands(results.frames->listeners), frames_table(*results.frames));
  }
  return text;
}

}  // namespace listenq::bench
