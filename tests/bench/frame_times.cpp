// SPDX-License-Identifier: Apache-2.0
//
// Starts listenq_frames, which lies beside this program: a process of its own, so that what it
// keeps in memory is not what every program measured later begins with.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "fail.h"
#include "idle_screens.h"

namespace listenq::bench {

FrameTimes measure_frames(const IdleScreenSizes& sizes) {
  constexpr double kLimitSeconds = 120;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const Command command{
      .id = "listenq_frames",
      .argv = {self.parent_path() / "listenq_frames", fmt::format("{}", sizes.frames)}};
  const nlohmann::json document =
      nlohmann::json::parse(output_of(command, -1, kLimitSeconds), nullptr, false);
  if (!document.is_object()) fail("listenq_frames says nothing that could be read");
  FrameTimes result{.listeners = document.at("listeners").get<int>(), .times = {}};
  for (const auto& [what, times] : document.at("milliseconds").items()) {
    result.times.push_back({what, spread_of(times.get<std::vector<double>>())});
  }
  return result;
}

}  // namespace listenq::bench
