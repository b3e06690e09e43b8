// SPDX-License-Identifier: Apache-2.0
//
// The benchmark itself: makes one world after another (never two at a time, because connections of
// one slow the walks of all) and measures the rivals in it. Called by main.cpp.
#include "plan.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "fail.h"
#include "screen.h"

namespace listenq::bench {
namespace {

constexpr const char* kColumnsOfSs = "netns,address,port,accept_queue_len,accept_queue_limit";
constexpr const char* kNoOwner =
    "netns,address,port,accept_queue_len,accept_queue_limit,syn_queue_len";
constexpr double kLimitSeconds = 60;
constexpr std::string_view kAddress = "127.0.0.1";

Command tool_command(const std::string& tool, std::string id, std::vector<std::string> options) {
  options.insert(options.begin(), tool);
  return {.id = std::move(id), .argv = std::move(options)};
}

std::vector<Command> rivals(const std::string& tool) {
  std::vector<Command> commands(kRivals);
  commands[kSs] = {.id = "ss -tnl", .argv = {"ss", "-tnl"}};
  commands[kSsNames] = {.id = "ss -tnlp", .argv = {"ss", "-tnlp"}};
  commands[kSame] = tool_command(tool, "--once --netns self, columns of ss",
                                 {"--once", "--netns", "self", "--columns", kColumnsOfSs});
  commands[kTool] = tool_command(tool, "--once --netns self, no owner",
                                 {"--once", "--netns", "self", "--columns", kNoOwner});
  commands[kToolNames] = tool_command(tool, "--once --netns self", {"--once", "--netns", "self"});
  commands[kDiag] =
      tool_command(tool, "diag, no owner",
                   {"--once", "--netns", "self", "--backend", "diag", "--columns", kNoOwner});
  commands[kDiagNames] =
      tool_command(tool, "diag", {"--once", "--netns", "self", "--backend", "diag"});
  commands[kAll] = tool_command(tool, "--once, no owner", {"--once", "--columns", kNoOwner});
  commands[kAllNames] = tool_command(tool, "--once", {"--once"});
  commands[kTrue] = {.id = "true", .argv = {"true"}};
  return commands;
}

double load_average() {
  double load = 0;
  if (getloadavg(&load, 1) != 1) fail("no load average");
  return load;
}

// Says which part begins, unless it is not wanted.
bool begin_part(Results& results, const std::string& what, const std::string& only) {
  if (what.find(only) == std::string::npos) return false;
  results.loads.push_back(load_average());
  fmt::print(stderr, "bench: {} (load average {:.2f})\n", what, results.loads.back());
  return true;
}

std::string title_of(const WorldSpec& spec) {
  return fmt::format("{} listeners, {} sockets, {} more descriptors in each of {} processes",
                     spec.listeners, spec.sockets, spec.extra_descriptors, spec.listener_owners);
}

int rows_in(const std::string& text) {
  int rows = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (std::string_view(text).substr(at, end - at).find(kAddress) != std::string_view::npos) {
      ++rows;
    }
    at = end + 1;
  }
  return rows;
}

// A fast program that shows less than the others has measured nothing.
void check_rows(const std::vector<Command>& commands, const World& world, int listeners) {
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (i == kTrue) continue;
    const int rows = rows_in(output_of(commands[i], world.netns(), kLimitSeconds));
    const bool all = i == kAll || i == kAllNames;
    if (all ? rows < listeners : rows != listeners) {
      fail("{} shows {} of {} listeners", commands[i].id, rows, listeners);
    }
  }
}

// The tool's own account of `--once` with owners.
void read_self(const std::string& tool, const World& world, WorldResult& result) {
  constexpr int kCalls = 7;
  const Command command =
      tool_command(tool, "--once --json", {"--once", "--json", "--netns", "self"});
  std::vector<double> times;
  for (int i = 0; i < kCalls; ++i) {
    const nlohmann::json document =
        nlohmann::json::parse(output_of(command, world.netns(), kLimitSeconds), nullptr, false);
    const auto self = document.is_object() ? document.find("self") : document.end();
    if (self == document.end() || !self->contains("sample_milliseconds") ||
        !self->contains("connection_hash_walks")) {
      fail("the JSON does not say what the sample took");
    }
    times.push_back(self->at("sample_milliseconds").get<double>());
    result.hash_walks = self->at("connection_hash_walks").get<double>();
  }
  result.sample_ms = spread_of(times).median;
}

WorldResult measure_world(const std::string& tool, const WorldSpec& spec, const Effort& effort) {
  const double started = now_ms();
  const World world(spec);
  fmt::print(stderr, "bench:   made in {:.1f} s\n", (now_ms() - started) / 1e3);
  const std::vector<Command> commands = rivals(tool);
  check_rows(commands, world, spec.listeners);
  WorldResult result{.spec = spec, .rounds = {}};
  read_self(tool, world, result);
  // A forked child starts with this process's memory, which is the least that ru_maxrss can say.
  malloc_trim(0);
  result.rounds = interleave(commands, world.netns(), effort);
  return result;
}

double percent_of_core(double cpu_ms, int seconds) {
  return cpu_ms / (10.0 * seconds);
}

// All four refresh at once a second side by side: what is compared is CPU time, not wall time.
RefreshResult measure_refresh(const std::string& tool, const Sizes& sizes, int listeners) {
  const World world({.name = "refresh", .listeners = listeners});
  const int net = world.netns();
  const int intervals = sizes.refresh_count - 1;
  const double limit = sizes.refresh_count + kLimitSeconds;
  const Command once = tool_command(tool, "--once", {"--once"});
  const Command one = tool_command(tool, "-b -n 1", {"-b", "-d", "1", "-n", "1"});
  const Command many = tool_command(
      tool, "-b -d 1", {"-b", "-d", "1", "-n", fmt::format("{}", sizes.refresh_count)});
  const Command screen = tool_command(tool, "the screen", {"-d", "1"});
  std::vector<double> batch_cpu;
  std::vector<double> screen_cpu;
  std::vector<double> ss_cpu;
  std::vector<double> names_cpu;
  RefreshResult result{};
  result.listeners = listeners;
  for (int repeat = 0; repeat < sizes.refresh_repeats; ++repeat) {
    result.once_peak = std::max(result.once_peak, run(once, net, kLimitSeconds).peak_mb);
    const double first_batch = run(one, net, kLimitSeconds).cpu_ms;
    const double first_screen =
        run_on_screen(screen, net, std::string(kAddress), 0, kLimitSeconds).cost.cpu_ms;
    const double started = now_ms();
    const pid_t ss =
        start_every_second({.id = "ss -tnl", .argv = {"ss", "-tnl"}}, net, intervals, 330);
    const pid_t names =
        start_every_second({.id = "ss -tnlp", .argv = {"ss", "-tnlp"}}, net, intervals, 660);
    const pid_t batch = start(many, net);
    const Cost shown = run_on_screen(screen, net, std::string(kAddress), intervals, limit).cost;
    const Cost batch_cost = finish(batch, started, limit, many.id);
    const Cost ss_cost = finish(ss, started, limit, "ss -tnl once a second");
    const Cost names_cost = finish(names, started, limit, "ss -tnlp once a second");
    batch_cpu.push_back(percent_of_core(batch_cost.cpu_ms - first_batch, intervals));
    screen_cpu.push_back(percent_of_core(shown.cpu_ms - first_screen, intervals));
    ss_cpu.push_back(percent_of_core(ss_cost.cpu_ms, intervals));
    names_cpu.push_back(percent_of_core(names_cost.cpu_ms, intervals));
    result.batch_peak = std::max(result.batch_peak, batch_cost.peak_mb);
    result.screen_peak = std::max(result.screen_peak, shown.peak_mb);
    result.ss_names_peak = std::max(result.ss_names_peak, names_cost.peak_mb);
  }
  result.batch = spread_of(batch_cpu);
  result.screen = spread_of(screen_cpu);
  result.ss = spread_of(ss_cpu);
  result.ss_names = spread_of(names_cpu);
  return result;
}

int half_open_in(const World& world) {
  const Command count{.id = "ss state syn-recv", .argv = {"ss", "-Htn", "state", "syn-recv"}};
  const std::string text = output_of(count, world.netns(), kLimitSeconds);
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

// CPU milliseconds of one refresh. Pinned away from the first CPU, where the requests' timers run.
double refresh_cost(const std::string& tool, const World& world) {
  constexpr int kSamples = 101;  // enough that the spread of the start does not matter
  const int cpu = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0;
  const auto batch = [&](const std::string& count) {
    return run(tool_command(tool, "-b -d 0.05",
                            {"-b", "-d", "0.05", "-n", count, "--netns", "self"}),
               world.netns(), kLimitSeconds, cpu)
        .cpu_ms;
  };
  const double first = batch("1");
  return (batch(fmt::format("{}", kSamples)) - first) / (kSamples - 1);
}

HalfOpenResult measure_half_open(const std::string& tool, const Sizes& sizes) {
  World world({.name = "half-open", .listeners = 999});
  std::vector<double> without;
  std::vector<double> with;
  std::vector<double> ratio;
  for (int round = 0; round < sizes.half_open_rounds; ++round) {
    world.hold_half_open(0);
    if (const int left = half_open_in(world); left != 0) fail("{} requests are left over", left);
    without.push_back(refresh_cost(tool, world));
    world.hold_half_open(sizes.half_open);
    with.push_back(refresh_cost(tool, world));
    if (const int made = half_open_in(world); made != sizes.half_open) {
      fail("{} of {} half-open requests are there", made, sizes.half_open);
    }
    ratio.push_back(with.back() / without.back());
  }
  return {.requests = sizes.half_open,
          .without = spread_of(without),
          .with = spread_of(with),
          .ratio = spread_of(ratio)};
}

IdleResult measure_idle(const std::string& tool, const Sizes& sizes) {
  const World world({.name = "idle", .listeners = 1000, .idle_namespaces = sizes.idle_namespaces});
  const std::string sweep = fmt::format("for n in {}-*; do ss -tnl -N \"$n\"; done", world.name());
  const std::vector<Command> commands = {
      tool_command(tool, "--once --netns self", {"--once", "--netns", "self"}),
      tool_command(tool, "--once", {"--once"}),
      {.id = "ss -N for each", .argv = {"sh", "-c", "cd /run/netns && " + sweep}}};
  const int rows = rows_in(output_of(commands[1], world.netns(), kLimitSeconds));
  if (rows < 1000 + sizes.idle_namespaces) fail("--once shows {} rows of idle namespaces", rows);
  const Rounds rounds = interleave(commands, world.netns(), sizes.effort);
  std::vector<double> each;
  for (const std::vector<Cost>& round : rounds) {
    each.push_back((round[1].wall_ms - round[0].wall_ms) / sizes.idle_namespaces);
  }
  return {.namespaces = sizes.idle_namespaces,
          .self = wall_of(rounds, 0),
          .all = wall_of(rounds, 1),
          .each = spread_of(each),
          .sweep = wall_of(rounds, 2)};
}

Spread measure_first_frame(const std::string& tool, const Sizes& sizes) {
  const World world({.name = "screen", .listeners = 1000});
  const Command screen = tool_command(tool, "the screen", {});
  std::vector<double> times;
  for (int i = 0; i <= sizes.screen_starts; ++i) {
    const ScreenRun shown =
        run_on_screen(screen, world.netns(), std::string(kAddress), 0, kLimitSeconds);
    if (i > 0) times.push_back(shown.first_frame_ms);  // the first one warms the caches
  }
  return spread_of(times);
}

}  // namespace

Sizes full_sizes() {
  Sizes sizes;
  for (const int sockets : {0, 100000}) {
    for (const int listeners : {100, 1000, 10000}) {
      sizes.worlds.push_back({.name = "once", .listeners = listeners, .sockets = sockets});
    }
  }
  for (const int listeners : {1000, 10000}) {
    sizes.worlds.push_back({.name = "once", .listeners = listeners, .sockets = 400000});
  }
  sizes.worlds.push_back(
      {.name = "once", .listeners = 1000, .listener_owners = 200, .extra_descriptors = 995});
  sizes.refresh_listeners = {1000, 10000};
  return sizes;
}

Sizes quick_sizes() {
  Sizes sizes;
  sizes.quick = true;
  sizes.worlds = {
      {.name = "once", .listeners = 100},
      {.name = "once", .listeners = 1000},
      {.name = "once", .listeners = 1000, .sockets = 10000},
      {.name = "once", .listeners = 500, .listener_owners = 50, .extra_descriptors = 190}};
  sizes.effort = {.rounds = 5, .least_rounds = 3, .seconds = 4, .limit_seconds = 20};
  sizes.refresh_listeners = {1000};
  sizes.refresh_count = 6;
  sizes.refresh_repeats = 1;
  sizes.half_open = 6000;
  sizes.half_open_rounds = 1;
  sizes.idle_namespaces = 20;
  sizes.screen_starts = 3;
  sizes.screens = {.listeners = {1000}, .seconds = 3, .rounds = 1, .frames = 20};
  sizes.exporter = {
      .listeners = {1000}, .rounds = 1, .scrapes = 3, .idle_seconds = 3, .slow_readers = 20};
  sizes.counting = {
      .rounds = 5, .syns = 30000, .connections = 3000, .bulk_seconds = 0.1, .statistics_rounds = 3};
  sizes.nic = {
      .runs = 100000, .test_rounds = 5, .wire_rounds = 3, .wire_seconds = 0.15, .handshakes = 200};
  return sizes;
}

CountingSizes emulated_sizes() {
  return {
      .rounds = 2, .syns = 6000, .connections = 600, .bulk_seconds = 0.1, .statistics_rounds = 2};
}

Results measure_all(const std::string& tool, const Sizes& sizes, const std::string& only) {
  const double started = now_ms();
  Results results;
  for (const WorldSpec& spec : sizes.worlds) {
    if (!begin_part(results, title_of(spec), only)) continue;
    results.worlds.push_back(measure_world(tool, spec, sizes.effort));
  }
  for (const int listeners : sizes.refresh_listeners) {
    if (!begin_part(results, fmt::format("watching: refresh of {} listeners", listeners), only))
      continue;
    results.refresh.push_back(measure_refresh(tool, sizes, listeners));
  }
  if (begin_part(results, fmt::format("watching: {} half-open requests", sizes.half_open), only)) {
    results.half_open = measure_half_open(tool, sizes);
  }
  if (begin_part(results, fmt::format("{} idle namespaces", sizes.idle_namespaces), only)) {
    results.idle = measure_idle(tool, sizes);
  }
  if (begin_part(results, "watching: start to first screen", only)) {
    results.first_frame_ms = measure_first_frame(tool, sizes);
  }
  for (const int listeners : sizes.screens.listeners) {
    if (!begin_part(results, fmt::format("screens: idle with {} listeners", listeners), only)) {
      continue;
    }
    results.screens.push_back(measure_idle_screens(tool, sizes.screens, listeners));
  }
  if (begin_part(results, "screens: time of a frame", only)) {
    results.frames = measure_frames(sizes.screens);
  }
  for (const int listeners : sizes.exporter.listeners) {
    if (!begin_part(results, fmt::format("exporter: {} listeners", listeners), only)) continue;
    results.exporter.push_back(measure_exporter(tool, sizes.exporter, listeners));
  }
  if (begin_part(results, "counting here", only)) {
    results.counting.push_back(measure_counting(tool, sizes.counting));
  }
  if (begin_part(results, "nic: test runs", only)) measure_nic_runs(sizes.nic, results.nic);
  if (begin_part(results, "nic: on a wire", only)) measure_nic_wire(sizes.nic, results.nic);
  results.minutes = (now_ms() - started) / 60e3;
  return results;
}

}  // namespace listenq::bench
