// SPDX-License-Identifier: Apache-2.0
//
// Runs full-screen programs on a pseudo terminal: when is the first frame complete, what does the
// screen cost, and does `q` end it. Called by plan.cpp and idle_screens.cpp.
#pragma once

#include <string>

#include "measure.h"

namespace listenq::bench {

struct ScreenRun {
  double first_frame_ms = 0;  // start until the last byte of the first frame
  Cost cost;                  // the whole run
};

// Runs `command` on an 120x40 terminal inside `netns`, until its first frame shows `expected`
// text and then for `seconds` more; ends it with `q`.
ScreenRun run_on_screen(const Command& command, int netns, const std::string& expected,
                        double seconds, double limit_seconds);

struct IdleRun {
  double idle_cpu_ms = 0;  // of the process itself, not of those it started, in the time asked for
  int frames = 0;          // seen in that time
  Cost cost;               // the whole run, descendants included
};

enum class EndsBy { q, interrupt };

// The same terminal; the time begins when the program has settled after its first frame, between
// two frames if it draws once a second.
IdleRun run_idle(const Command& command, int netns, const std::string& expected, double seconds,
                 EndsBy end, double limit_seconds);

}  // namespace listenq::bench
