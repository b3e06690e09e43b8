// SPDX-License-Identifier: Apache-2.0
//
// What counting costs those who are counted: throughput with and without each watcher, and the run
// time of their BPF programs. Called by plan.cpp; in a virtual machine by main.cpp.
#pragma once

#include <string>
#include <vector>

#include "measure.h"

namespace listenq::bench {

struct CountingSizes {
  int rounds = 21;
  int syns = 60000;
  int connections = 6000;
  double bulk_seconds = 0.25;
  int statistics_rounds = 7;
};

// Of all programs of a watcher together, for one event.
struct RunTime {
  double runs = 0;
  double ns = 0;
  double empty_ns = 0;  // as many runs of empty programs in the same places
};

struct ProgramCost {
  std::string name;
  RunTime connection;
  RunTime syn;
};

struct WatcherResult {
  std::string name;
  bool of_tool = false;
  std::string why_not;    // it does not run here
  Spread syns;            // with / without
  Spread connections;     // with / without
  Spread connection_cpu;  // CPU time of a connection, with / without
  Spread bulk;            // with / without
  Spread start_ms;        // until its programs are attached
  RunTime connection;
  RunTime syn;
  RunTime packet;  // of an established connection
  std::vector<ProgramCost> programs;
};

struct CountingResult {
  std::string kernel;
  bool emulated = false;
  double syns_per_second = 0;  // without any
  double connections_per_second = 0;
  double bulk_gbit = 0;
  double load = 0;  // load average when it began
  std::vector<WatcherResult> watchers;
};

CountingResult measure_counting(const std::string& tool, const CountingSizes& sizes);

std::string counting_to_json(const CountingResult& result);
CountingResult counting_from_json(const std::string& text);

}  // namespace listenq::bench
