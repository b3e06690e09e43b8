// SPDX-License-Identifier: Apache-2.0
//
// Runs programs and says what they cost: wall time, CPU time, peak memory. Rivals are run in turn
// within one go, so that noise of the machine hits all of them. Called by plan.cpp.
#pragma once

#include <string>
#include <vector>

namespace listenq::bench {

struct Command {
  std::string id;  // key in the report
  std::vector<std::string> argv;
};

struct Cost {
  double wall_ms = 0;
  double cpu_ms = 0;  // user + system, descendants included
  double peak_mb = 0;
};

struct Spread {
  double median = 0;
  double low = 0;   // lower quartile
  double high = 0;  // upper quartile
};

Spread spread_of(std::vector<double> values);

double now_ms();

// Binds the calling process to one CPU; to the first if there is no such.
void pin(int cpu);

// Puts this process and its children, so all rivals alike, before the machine's other work. Has to
// be said again in a new session, whose processes the scheduler groups anew (autogroup). Where the
// kernel refuses, nothing is lost.
void go_before_others();

// Starts a program with its output thrown away, or all of it into `output`; `netns` < 0 stays in
// the own namespace. `cpu` >= 0 pins it.
pid_t start(const Command& command, int netns, int cpu = -1, int output = -1);
// Runs `command` `count` times, one a second, first after `offset_ms`: what `watch -n1` does.
pid_t start_every_second(const Command& command, int netns, int count, int offset_ms);
Cost finish(pid_t pid, double started_ms, double limit_seconds, const std::string& what);
Cost run(const Command& command, int netns, double limit_seconds, int cpu = -1);
// What the program prints; fails if it does not exit with 0.
std::string output_of(const Command& command, int netns, double limit_seconds);

// One row per round, one column per command.
using Rounds = std::vector<std::vector<Cost>>;

struct Effort {
  int rounds = 15;
  int least_rounds = 5;
  double seconds = 20;        // no new round is begun after this
  double limit_seconds = 60;  // of a single run
};

// One round unmeasured, then A B C, B C A, ... until the effort is spent.
Rounds interleave(const std::vector<Command>& commands, int netns, const Effort& effort);

Spread wall_of(const Rounds& rounds, std::size_t command);
Spread cpu_of(const Rounds& rounds, std::size_t command);
double peak_of(const Rounds& rounds, std::size_t command);
// How many times faster `command` is than `rival`, paired by round.
Spread speedup_of(const Rounds& rounds, std::size_t rival, std::size_t command);

}  // namespace listenq::bench
