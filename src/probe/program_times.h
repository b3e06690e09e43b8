// SPDX-License-Identifier: Apache-2.0
//
// How often our BPF programs ran and for how long, which the kernel counts only while somebody
// wants it: it makes every BPF program of the machine dearer. Held by the collector.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/sample.h"
#include "util/fd.h"

namespace listenq {

class ProgramTimes {
 public:
  /// Holds the kernel's statistics on, or lets them go.
  void keep_on(bool wanted);

  /// Once a sample: whether the programs shall be listed in it, because it is wanted or the
  /// statistics are on anyway (kernel.bpf_stats_enabled). That is looked up in every tenth sample.
  [[nodiscard]] bool due();

  /// What the programs of the list ran while nobody counted is not known.
  void strike_out_unknown(std::vector<RawProgram>& programs) const;

 private:
  bool wanted_ = false;
  bool sysctl_on_ = false;
  std::uint64_t samples_ = 0;
  Fd held_;
};

/// Appends the program behind the descriptor, or adds it to the one that has its name; nothing when
/// it is not loaded.
void add_program(std::vector<RawProgram>& programs, const std::string& name, int fd);
void add_program(std::vector<RawProgram>& programs, const RawProgram& program);

}  // namespace listenq
