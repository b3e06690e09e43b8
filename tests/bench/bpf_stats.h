// SPDX-License-Identifier: Apache-2.0
//
// What BPF programs take by the kernel's own statistics, and programs that do nothing to compare
// with: the kernel's measuring costs some tens of nanoseconds a run itself. Called by counting.cpp.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace listenq::bench {

// Statistics are kept while one of these lives: it costs every program of the machine a little.
class RunStatistics {
 public:
  RunStatistics();
  ~RunStatistics();
  RunStatistics(const RunStatistics&) = delete;
  RunStatistics& operator=(const RunStatistics&) = delete;

 private:
  int fd_;
};

// Programs that cost the same when they do nothing.
enum class Place { socket_filter, raw_tracepoint, tracepoint, function, probe, other };

struct ProgramTime {
  std::string name;
  Place place = Place::other;
  double ns = 0;
  double runs = 0;
};

// Of the process's own programs: those it has a descriptor of, by id.
std::set<std::uint32_t> programs_of(pid_t pid);
// Of these programs, since they were loaded. `tracing` says what programs of BPF_PROG_TYPE_TRACING
// are attached to, which the kernel does not tell: functions or raw tracepoints.
std::map<std::uint32_t, ProgramTime> times_of(const std::set<std::uint32_t>& ids, Place tracing);
bool is_loaded(std::uint32_t id);

// An empty program in each place of a set, as far as this kernel attaches it.
class EmptyPrograms {
 public:
  explicit EmptyPrograms(const std::set<Place>& places);
  ~EmptyPrograms();
  EmptyPrograms(const EmptyPrograms&) = delete;
  EmptyPrograms& operator=(const EmptyPrograms&) = delete;

  // Since they were attached, all programs of a place together.
  [[nodiscard]] std::map<Place, ProgramTime> times() const;

 private:
  struct Program {
    Place place;
    int program;
    int link;
  };
  void attach(Place place);
  void add(Place place, int program, int link);

  std::vector<Program> programs_;
};

}  // namespace listenq::bench
