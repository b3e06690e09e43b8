// SPDX-License-Identifier: Apache-2.0
//
// See program_times.h.
#include "probe/program_times.h"

#include <bpf/bpf.h>

#include <algorithm>

#include "util/text.h"

namespace listenq {
namespace {

constexpr std::uint64_t kLookUpEvery = 10;

bool sysctl_is_on() {
  const auto text = read_small_file("/proc/sys/kernel/bpf_stats_enabled");
  return text && parse_integer(*text).value_or(0) != 0;
}

void add(std::optional<std::uint64_t>& to, const std::optional<std::uint64_t>& value) {
  if (value) to = to.value_or(0) + *value;
}

}  // namespace

void ProgramTimes::keep_on(bool wanted) {
  if (wanted == wanted_) return;
  wanted_ = wanted;
  held_ = wanted ? Fd(bpf_enable_stats(BPF_STATS_RUN_TIME)) : Fd();
  // Who wanted it off and on in between shall not meet what was true long ago.
  samples_ = 0;
}

bool ProgramTimes::due() {
  if (samples_++ % kLookUpEvery == 0) sysctl_on_ = sysctl_is_on();
  return wanted_ || sysctl_on_;
}

void ProgramTimes::strike_out_unknown(std::vector<RawProgram>& programs) const {
  if (held_ || sysctl_on_) return;
  for (RawProgram& program : programs) program.runs = program.run_ns = std::nullopt;
}

void add_program(std::vector<RawProgram>& programs, const RawProgram& program) {
  const auto same = std::find_if(programs.begin(), programs.end(), [&](const RawProgram& other) {
    return other.name == program.name;
  });
  if (same == programs.end()) {
    programs.push_back(program);
    return;
  }
  add(same->runs, program.runs);
  add(same->run_ns, program.run_ns);
}

void add_program(std::vector<RawProgram>& programs, const std::string& name, int fd) {
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) != 0) return;
  add_program(programs, {name, info.run_cnt, info.run_time_ns});
}

}  // namespace listenq
