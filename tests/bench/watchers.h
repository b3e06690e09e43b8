// SPDX-License-Identifier: Apache-2.0
//
// Programs that count what happens at listeners: the tool by each of its ways, and others that see
// the same events. Called by counting.cpp.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bpf_stats.h"
#include "measure.h"

namespace listenq::bench {

struct Watcher {
  std::string name;
  std::string backend;                    // of the tool; empty for others
  Command command;                        // as one would run it
  Command quiet;                          // the same, without looking at what it counted
  Place tracing = Place::raw_tracepoint;  // where its BPF_PROG_TYPE_TRACING programs are attached
  std::set<Place> places;                 // where it has programs
};

std::vector<Watcher> watchers(const std::string& tool);

// A watcher at work: from when all its programs are attached until they are gone.
class Watching {
 public:
  Watching(const Watcher& watcher, bool quiet);
  ~Watching();
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

  [[nodiscard]] bool works() const { return why_not_.empty(); }
  [[nodiscard]] const std::string& why_not() const { return why_not_; }
  [[nodiscard]] const std::set<std::uint32_t>& programs() const { return programs_; }
  // From its start until it had all its programs.
  [[nodiscard]] double start_ms() const { return ready_ms_ - started_ms_; }

 private:
  void await_document(const std::string& backend);
  void await_programs();
  [[nodiscard]] bool ended();
  [[nodiscard]] std::string said() const;

  pid_t pid_ = -1;
  int output_ = -1;
  double started_ms_ = 0;
  double ready_ms_ = 0;
  std::string why_not_;
  std::set<std::uint32_t> programs_;
};

}  // namespace listenq::bench
