// SPDX-License-Identifier: Apache-2.0
// What there is of BPF in the kernel: see bpf_objects.h.
#include "bpf_objects.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "fd.h"
#include "process.h"

namespace lqtest {
namespace {

long bpf(bpf_cmd command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof(attributes));
}

std::set<uint32_t> all_ids(bpf_cmd next) {
  std::set<uint32_t> ids;
  bpf_attr attributes{};
  while (bpf(next, attributes) == 0) {
    ids.insert(attributes.next_id);
    attributes.start_id = attributes.next_id;
  }
  if (errno != ENOENT) throw_errno("list BPF objects");
  return ids;
}

// Of a program; empty if it is gone by now.
std::set<uint32_t> maps_of(uint32_t program) {
  bpf_attr by_id{};
  by_id.prog_id = program;
  const Fd fd(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, by_id)));
  if (!fd.valid()) return {};
  std::array<uint32_t, 64> ids{};
  bpf_prog_info info{};
  info.nr_map_ids = ids.size();
  info.map_ids = reinterpret_cast<uintptr_t>(ids.data());
  bpf_attr ask{};
  ask.info.bpf_fd = static_cast<uint32_t>(fd.get());
  ask.info.info_len = sizeof(info);
  ask.info.info = reinterpret_cast<uintptr_t>(&info);
  if (bpf(BPF_OBJ_GET_INFO_BY_FD, ask) != 0) throw_errno("BPF_OBJ_GET_INFO_BY_FD");
  if (info.nr_map_ids > ids.size()) throw std::runtime_error("a program with very many maps");
  return {ids.begin(), ids.begin() + info.nr_map_ids};
}

std::set<std::string> root_cgroup_programs() {
  std::set<std::string> found;
  std::string root;
  for (const std::string& line : split_lines(read_file("/proc/self/mounts"))) {
    const std::vector<std::string> words = split_words(line);
    if (words.size() > 2 && words[2] == "cgroup2") root = words[1];
  }
  if (root.empty()) return found;
  const Fd cgroup(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup.valid()) throw_errno("open " + root);
  for (uint32_t type = 0; type < __MAX_BPF_ATTACH_TYPE; ++type) {
    std::array<uint32_t, 64> ids{};
    bpf_attr query{};
    query.query.target_fd = static_cast<uint32_t>(cgroup.get());
    query.query.attach_type = type;
    query.query.prog_ids = reinterpret_cast<uintptr_t>(ids.data());
    query.query.prog_cnt = ids.size();
    if (bpf(BPF_PROG_QUERY, query) != 0) continue;  // not a type of cgroups
    for (uint32_t i = 0; i < query.query.prog_cnt && i < ids.size(); ++i)
      found.insert(fmt::format("{} {}", type, ids[i]));
  }
  return found;
}

std::set<std::string> named_things() {
  std::set<std::string> found;
  std::error_code ignored;
  const auto options = std::filesystem::directory_options::skip_permission_denied;
  for (auto entry = std::filesystem::recursive_directory_iterator("/sys/fs/bpf", options, ignored);
       entry != std::filesystem::recursive_directory_iterator(); entry.increment(ignored))
    found.insert(entry->path().string());
  for (const char* path :
       {"/sys/kernel/tracing/kprobe_events", "/sys/kernel/tracing/uprobe_events"}) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) found.insert(line);
  }
  return found;
}

template <typename T>
void take_away(std::set<T>& from, const std::set<T>& what) {
  for (const T& one : what) from.erase(one);
}

void take_away(BpfObjects& from, const BpfObjects& what) {
  take_away(from.programs, what.programs);
  take_away(from.maps, what.maps);
  take_away(from.links, what.links);
  take_away(from.attached, what.attached);
  take_away(from.named, what.named);
}

}  // namespace

bool BpfObjects::empty() const {
  return programs.empty() && maps.empty() && links.empty() && attached.empty() && named.empty();
}

std::string BpfObjects::text() const {
  return fmt::format("programs {} maps {} links {} cgroup {} names {}", programs, maps, links,
                     attached, named);
}

BpfObjects all_bpf_objects() {
  return {.programs = all_ids(BPF_PROG_GET_NEXT_ID),
          .maps = all_ids(BPF_MAP_GET_NEXT_ID),
          .links = all_ids(BPF_LINK_GET_NEXT_ID),
          .attached = root_cgroup_programs(),
          .named = named_things()};
}

BpfObjects bpf_objects_of(pid_t pid) {
  BpfObjects found;
  std::error_code ignored;
  const std::string folder = fmt::format("/proc/{}/fdinfo", pid);
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      const std::vector<std::string> words = split_words(line);
      if (words.size() < 2) continue;
      const auto id = [&] { return static_cast<uint32_t>(std::stoul(words[1])); };
      if (words[0] == "prog_id:") found.programs.insert(id());
      if (words[0] == "map_id:") found.maps.insert(id());
      if (words[0] == "link_id:") found.links.insert(id());
    }
  }
  for (const uint32_t program : found.programs) found.maps.merge(maps_of(program));
  return found;
}

BpfObjects left_since(const BpfObjects& before) {
  BpfObjects left = all_bpf_objects();
  take_away(left, before);
  if (left.empty()) return left;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const BpfObjects held = bpf_objects_of(std::stoi(name));
    take_away(left, held);
    for (const uint32_t program : held.programs) {
      std::erase_if(left.attached, [&](const std::string& one) {
        return one.ends_with(fmt::format(" {}", program));
      });
    }
  }
  return left;
}

}  // namespace lqtest
