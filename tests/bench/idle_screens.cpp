// SPDX-License-Identifier: Apache-2.0
//
// See idle_screens.h. What a screen's start costs must not count. The CPU clock of a process that
// draws by itself is read at both ends of the time; what `watch` starts is known only when all has
// ended, so a run that ends after its first frame is taken off.
#include "idle_screens.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "fail.h"
#include "screen.h"
#include "world.h"

namespace listenq::bench {
namespace {

constexpr double kLimitSeconds = 60;

struct Rival {
  Command command;
  std::string expected;  // in its first frame
  bool is_watch = false;
};

struct Measured {
  std::vector<double> percent;
  std::vector<double> frame_ms;
};

std::vector<Rival> rivals(const std::string& tool) {
  const std::string address = "127.0.0.1";
  return {
      {{.id = "listenq-top", .argv = {tool, "-d", "1"}}, address},
      {{.id = "htop -d 10", .argv = {"htop", "-d", "10"}}, "CPU%"},
      {{.id = "watch -n1 ss -tnl", .argv = {"watch", "-n1", "ss", "-tnl"}}, address, true},
      {{.id = "watch -n1 ss -tnlp", .argv = {"watch", "-n1", "ss", "-tnlp"}}, address, true},
  };
}

bool is_installed(const std::string& program) {
  if (program.find('/') != std::string::npos) return access(program.c_str(), X_OK) == 0;
  const char* const path = std::getenv("PATH");
  std::string folders = path != nullptr ? path : "/usr/bin:/bin";
  for (std::size_t at = 0; at <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    if (access((folders.substr(at, end - at) + "/" + program).c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

int processes() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (std::isdigit(static_cast<unsigned char>(name[0])) != 0) ++count;
  }
  return count;
}

void measure_once(const Rival& rival, int netns, int seconds, Measured& measured) {
  const IdleRun idle = run_idle(rival.command, netns, rival.expected, seconds,
                                rival.is_watch ? EndsBy::interrupt : EndsBy::q, kLimitSeconds);
  double cpu_ms = idle.idle_cpu_ms;
  if (rival.is_watch) {
    const IdleRun start =
        run_idle(rival.command, netns, rival.expected, 0, EndsBy::interrupt, kLimitSeconds);
    cpu_ms = idle.cost.cpu_ms - start.cost.cpu_ms;
  }
  if (idle.frames == 0) fail("{} drew no frame in {} s", rival.command.id, seconds);
  measured.percent.push_back(cpu_ms / (10.0 * seconds));
  measured.frame_ms.push_back(cpu_ms / idle.frames);
}

}  // namespace

IdleScreensResult measure_idle_screens(const std::string& tool, const IdleScreenSizes& sizes,
                                       int listeners) {
  const World world({.name = "screens", .listeners = listeners});
  const std::vector<Rival> all = rivals(tool);
  std::vector<std::string> why_not;
  for (const Rival& rival : all) {
    const std::string& program = rival.command.argv[0];
    why_not.push_back(is_installed(program) ? "" : program + " is not installed");
  }
  std::vector<Measured> measured(all.size());
  for (int round = 0; round < sizes.rounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::size_t which = (i + static_cast<std::size_t>(round)) % all.size();
      if (!why_not[which].empty()) continue;
      measure_once(all[which], world.netns(), sizes.seconds, measured[which]);
    }
  }
  IdleScreensResult result{.listeners = listeners, .processes = processes(), .screens = {}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    IdleScreen& screen = result.screens.emplace_back();
    screen.name = all[i].command.id;
    screen.why_not = why_not[i];
    if (!screen.why_not.empty()) continue;
    screen.percent = spread_of(measured[i].percent);
    screen.frame_ms = spread_of(measured[i].frame_ms);
  }
  return result;
}

}  // namespace listenq::bench
