// SPDX-License-Identifier: Apache-2.0
//
// Screens that nobody touches: listenq-top's, and those that people watch today, on a pseudo
// terminal each, in turn. And what one frame of listenq-top's own takes. Called by plan.cpp.
#pragma once

#include <string>
#include <vector>

#include "measure.h"

namespace listenq::bench {

struct IdleScreenSizes {
  std::vector<int> listeners = {1000, 10000};
  int seconds = 10;  // of one run; all of them draw once a second
  int rounds = 3;
  int frames = 200;  // of listenq_frames
};

struct IdleScreen {
  std::string name;
  std::string why_not;  // not empty: it could not be measured
  Spread percent;       // of a core, descendants included
  Spread frame_ms;      // CPU time of one frame, by the frames that were seen
};

struct IdleScreensResult {
  int listeners = 0;
  int processes = 0;  // on the whole machine, which is what htop shows
  std::vector<IdleScreen> screens;
};

IdleScreensResult measure_idle_screens(const std::string& tool, const IdleScreenSizes& sizes,
                                       int listeners);

struct FrameTime {
  std::string what;
  Spread ms;
};

struct FrameTimes {
  int listeners = 0;
  std::vector<FrameTime> times;
};

FrameTimes measure_frames(const IdleScreenSizes& sizes);

}  // namespace listenq::bench
