// SPDX-License-Identifier: Apache-2.0
//
// Runs the full-screen tool on a pseudo terminal: when is its first frame complete, what does the
// screen cost, and does `q` end it. Called by plan.cpp.
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

}  // namespace listenq::bench
