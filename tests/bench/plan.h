// SPDX-License-Identifier: Apache-2.0
//
// What is measured: worlds, rivals, and the numbers that come out. Filled by plan.cpp, read by
// report.cpp.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "counting.h"
#include "exporter.h"
#include "idle_screens.h"
#include "measure.h"
#include "nic.h"
#include "world.h"

namespace listenq::bench {

// The rivals of one call, in the order of their columns.
enum Rival : std::size_t {
  kSs,         // ss -tnl
  kSsNames,    // ss -tnlp
  kSame,       // --once --netns self, the columns of ss -tnl
  kTool,       // --once --netns self, no owner columns: the same and the SYN queue
  kToolNames,  // --once --netns self
  kDiag,       // as kTool, backend diag
  kDiagNames,  // as kToolNames, backend diag
  kAll,        // --once of all namespaces, no owner columns
  kAllNames,   // --once
  kTrue,       // true: what starting any process costs here
  kRivals
};

struct Sizes {
  bool quick = false;
  std::vector<WorldSpec> worlds;
  Effort effort;
  std::vector<int> refresh_listeners;
  int refresh_count = 20;  // samples of a refresh run
  int refresh_repeats = 3;
  int half_open = 60000;
  int half_open_rounds = 5;
  int idle_namespaces = 200;
  int screen_starts = 15;
  IdleScreenSizes screens;
  ExporterSizes exporter;
  CountingSizes counting;
  NicSizes nic;
};

struct WorldResult {
  WorldSpec spec;
  Rounds rounds;
  double sample_ms = 0;   // by the tool's own account: reading, in the median of some calls
  double hash_walks = 0;  // the same: walks of the kernel's connection hash
};

// CPU in percent of a core at one refresh a second; peaks in MB.
struct RefreshResult {
  int listeners = 0;
  Spread batch;
  Spread screen;
  Spread ss;
  Spread ss_names;
  double once_peak = 0;
  double batch_peak = 0;
  double screen_peak = 0;
  double ss_names_peak = 0;
};

// CPU milliseconds of one refresh, in the same world.
struct HalfOpenResult {
  int requests = 0;
  Spread without;
  Spread with;
  Spread ratio;  // with / without, paired by round
};

struct IdleResult {
  int namespaces = 0;
  Spread self;   // --once of the one namespace
  Spread all;    // --once of all of them
  Spread each;   // (all - self) / namespaces, paired by round
  Spread sweep;  // ss -tnl -N for each of them
};

struct Results {
  std::vector<WorldResult> worlds;
  std::vector<RefreshResult> refresh;
  std::optional<HalfOpenResult> half_open;
  std::optional<IdleResult> idle;
  std::optional<Spread> first_frame_ms;
  std::vector<ExporterResult> exporter;
  std::vector<IdleScreensResult> screens;
  std::optional<FrameTimes> frames;
  std::vector<CountingResult> counting;  // of this kernel, and of virtual machines
  NicResult nic;
  std::vector<double> loads;  // load average at the start of each part
  double minutes = 0;
};

Sizes full_sizes();
Sizes quick_sizes();
// In an emulated machine: what takes milliseconds elsewhere takes a second there, and hardly
// varies.
CountingSizes emulated_sizes();
// Only the parts whose title (as printed while running) holds `only`; all of them if it is empty.
Results measure_all(const std::string& tool, const Sizes& sizes, const std::string& only);

}  // namespace listenq::bench
