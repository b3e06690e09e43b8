// SPDX-License-Identifier: Apache-2.0
// What there is of BPF in the kernel: programs, maps, links, attachments to the root cgroup, pins,
// and who holds them. To see that the tool leaves nothing of it behind.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>

namespace lqtest {

struct BpfObjects {
  std::set<uint32_t> programs{};
  std::set<uint32_t> maps{};
  std::set<uint32_t> links{};
  std::set<std::string> attached{};  // to the root cgroup: "type program"
  std::set<std::string> named{};     // pins, and probes made by name in tracefs

  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::string text() const;
};

// Everything in the kernel, whoever has it.
BpfObjects all_bpf_objects();
// What this process holds: by its descriptors, and the maps of the programs among them.
BpfObjects bpf_objects_of(pid_t pid);
// Those in the kernel that are not in `before` and that no living process holds: what a process
// left when it died. Others may load and unload programs meanwhile.
BpfObjects left_since(const BpfObjects& before);

}  // namespace lqtest
