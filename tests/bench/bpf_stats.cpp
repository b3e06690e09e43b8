// SPDX-License-Identifier: Apache-2.0
//
// See bpf_stats.h. The empty programs are two instructions, loaded without an object file.
#include "bpf_stats.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "fail.h"

namespace listenq::bench {
namespace {

constexpr const char* kFunction = "tcp_conn_request";
constexpr const char* kTracepoint = "inet_sock_set_state";

Place place_of(std::uint32_t type, Place tracing) {
  switch (type) {
    case BPF_PROG_TYPE_CGROUP_SKB:
      return Place::socket_filter;
    case BPF_PROG_TYPE_TRACING:
      return tracing;
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
      return Place::raw_tracepoint;
    case BPF_PROG_TYPE_TRACEPOINT:
      return Place::tracepoint;
    case BPF_PROG_TYPE_KPROBE:
      return Place::probe;
    default:
      return Place::other;
  }
}

bool info_of(int program, bpf_prog_info& info) {
  std::uint32_t length = sizeof(info);
  return bpf_obj_get_info_by_fd(program, &info, &length) == 0;
}

// A program that returns `value`; -1 where this kernel loads none.
int load_empty(bpf_prog_type type, bpf_attach_type attach, int btf_id, int value) {
  const std::array<bpf_insn, 2> program = {{
      {.code = BPF_ALU64 | BPF_MOV | BPF_K,
       .dst_reg = BPF_REG_0,
       .src_reg = 0,
       .off = 0,
       .imm = value},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  }};
  bpf_prog_load_opts options{};
  options.sz = sizeof(options);
  options.expected_attach_type = attach;
  options.attach_btf_id = static_cast<std::uint32_t>(btf_id);
  return bpf_prog_load(type, "lq_bench_empty", "GPL", program.data(), program.size(), &options);
}

int open_root_cgroup() {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (access((std::string(path) + "/cgroup.controllers").c_str(), F_OK) != 0) continue;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  return -1;
}

// A perf event that runs `program`; -1 where it can't be had.
int attach_event(perf_event_attr attributes, int program) {
  attributes.size = sizeof(attributes);
  attributes.sample_period = 1;
  attributes.wakeup_events = 1;
  const int event =
      static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
  if (event < 0) return -1;
  if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) == 0 &&
      ioctl(event, PERF_EVENT_IOC_ENABLE, 0) == 0) {
    return event;
  }
  close(event);
  return -1;
}

int attach_tracepoint(int program) {
  std::ifstream file(fmt::format("/sys/kernel/tracing/events/sock/{}/id", kTracepoint));
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  return file >> attributes.config ? attach_event(attributes, program) : -1;
}

int attach_probe(int program, bool at_return) {
  std::ifstream file("/sys/bus/event_source/devices/kprobe/type");
  perf_event_attr attributes{};
  attributes.config = at_return ? 1 : 0;
  attributes.kprobe_func = reinterpret_cast<std::uint64_t>(kFunction);
  return file >> attributes.type ? attach_event(attributes, program) : -1;
}

}  // namespace

RunStatistics::RunStatistics() : fd_(bpf_enable_stats(BPF_STATS_RUN_TIME)) {
  if (fd_ < 0) fail_errno("run-time statistics of BPF programs");
}

RunStatistics::~RunStatistics() {
  close(fd_);
}

std::set<std::uint32_t> programs_of(pid_t pid) {
  std::set<std::uint32_t> ids;
  const std::string folder = fmt::format("/proc/{}/fdinfo", pid);
  DIR* entries = opendir(folder.c_str());
  if (entries == nullptr) return ids;
  while (const dirent* entry = readdir(entries)) {
    std::ifstream file(folder + "/" + entry->d_name);
    for (std::string key; file >> key;) {
      std::uint32_t id = 0;
      if (key == "prog_id:" && file >> id) ids.insert(id);
    }
  }
  closedir(entries);
  return ids;
}

std::map<std::uint32_t, ProgramTime> times_of(const std::set<std::uint32_t>& ids, Place tracing) {
  std::map<std::uint32_t, ProgramTime> times;
  for (const std::uint32_t id : ids) {
    const int program = bpf_prog_get_fd_by_id(id);
    bpf_prog_info info{};
    if (program >= 0 && info_of(program, info)) {
      times[id] = {.name = info.name,
                   .place = place_of(info.type, tracing),
                   .ns = static_cast<double>(info.run_time_ns),
                   .runs = static_cast<double>(info.run_cnt)};
    }
    if (program >= 0) close(program);
  }
  return times;
}

bool is_loaded(std::uint32_t id) {
  const int program = bpf_prog_get_fd_by_id(id);
  if (program >= 0) close(program);
  return program >= 0;
}

EmptyPrograms::EmptyPrograms(const std::set<Place>& places) {
  for (const Place place : places) attach(place);
}

EmptyPrograms::~EmptyPrograms() {
  for (const Program& program : programs_) {
    close(program.link);
    close(program.program);
  }
}

void EmptyPrograms::add(Place place, int program, int link) {
  if (link >= 0) {
    programs_.push_back({place, program, link});
  } else if (program >= 0) {
    close(program);
  }
}

void EmptyPrograms::attach(Place place) {
  if (place == Place::socket_filter) {
    const int cgroup = open_root_cgroup();
    const int program = load_empty(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, 0, 1);
    add(place, program, bpf_link_create(program, cgroup, BPF_CGROUP_INET_INGRESS, nullptr));
    if (cgroup >= 0) close(cgroup);
  }
  if (place == Place::raw_tracepoint) {
    const int id = libbpf_find_vmlinux_btf_id(kTracepoint, BPF_TRACE_RAW_TP);
    const int program = load_empty(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, id, 0);
    add(place, program, bpf_raw_tracepoint_open(nullptr, program));
  }
  if (place == Place::tracepoint) {
    const int program = load_empty(BPF_PROG_TYPE_TRACEPOINT, bpf_attach_type{}, 0, 0);
    add(place, program, attach_tracepoint(program));
  }
  if (place == Place::function) {
    const int id = libbpf_find_vmlinux_btf_id(kFunction, BPF_TRACE_FENTRY);
    for (const bpf_attach_type when : {BPF_TRACE_FENTRY, BPF_TRACE_FEXIT}) {
      const int program = load_empty(BPF_PROG_TYPE_TRACING, when, id, 0);
      add(place, program, bpf_raw_tracepoint_open(nullptr, program));
    }
  }
  if (place == Place::probe) {
    for (const bool at_return : {false, true}) {
      const int program = load_empty(BPF_PROG_TYPE_KPROBE, bpf_attach_type{}, 0, 0);
      add(place, program, attach_probe(program, at_return));
    }
  }
}

std::map<Place, ProgramTime> EmptyPrograms::times() const {
  std::map<Place, ProgramTime> times;
  for (const Program& program : programs_) {
    bpf_prog_info info{};
    if (!info_of(program.program, info)) fail_errno("statistics of an empty program");
    ProgramTime& time = times[program.place];
    time.place = program.place;
    time.ns += static_cast<double>(info.run_time_ns);
    time.runs += static_cast<double>(info.run_cnt);
  }
  return times;
}

}  // namespace listenq::bench
