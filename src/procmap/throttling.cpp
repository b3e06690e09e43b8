// SPDX-License-Identifier: Apache-2.0
//
// See throttling.h.
#include "procmap/throttling.h"

#include <algorithm>
#include <utility>

#include "util/text.h"

namespace listenq {
namespace {

bool has_word(std::string_view list, std::string_view word) {
  const auto words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::optional<std::uint64_t> positive(std::string_view text) {
  const auto value = parse_integer(text);
  return value && *value > 0 ? std::optional(static_cast<std::uint64_t>(*value)) : std::nullopt;
}

std::optional<std::uint64_t> positive_file(const std::string& path) {
  const auto text = read_small_file(path);
  return text ? positive(*text) : std::nullopt;
}

/// The value behind `key` in lines of "key value"; 0 when it is not there, as in a new cgroup.
std::uint64_t value_of(std::string_view stat, std::string_view key) {
  for (const std::string_view line : split(stat, '\n')) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') continue;
    return positive(line.substr(key.size() + 1)).value_or(0);
  }
  return 0;
}

constexpr std::uint64_t kNsPerUs = 1000;

std::optional<RawThrottling> read_v2(const std::string& directory) {
  const auto max = read_small_file(directory + "/cpu.max");  // "max 100000" or "50000 100000"
  const auto stat = max ? read_small_file(directory + "/cpu.stat") : std::nullopt;
  if (!stat) return std::nullopt;
  const auto words = split(*max, ' ');
  if (words.size() < 2) return std::nullopt;
  const auto quota = positive(words[0]);
  const auto period = positive(words[1]);
  if (!quota || !period) return std::nullopt;
  RawThrottling throttling;
  throttling.quota_ns = *quota * kNsPerUs;
  throttling.period_ns = *period * kNsPerUs;
  throttling.periods = value_of(*stat, "nr_periods");
  throttling.throttled_periods = value_of(*stat, "nr_throttled");
  throttling.throttled_ns = value_of(*stat, "throttled_usec") * kNsPerUs;
  return throttling;
}

std::optional<RawThrottling> read_v1(const std::string& directory) {
  const auto quota = positive_file(directory + "/cpu.cfs_quota_us");  // -1: none
  if (!quota) return std::nullopt;
  const auto period = positive_file(directory + "/cpu.cfs_period_us");
  const auto stat = read_small_file(directory + "/cpu.stat");
  if (!period || !stat) return std::nullopt;
  RawThrottling throttling;
  throttling.quota_ns = *quota * kNsPerUs;
  throttling.period_ns = *period * kNsPerUs;
  throttling.periods = value_of(*stat, "nr_periods");
  throttling.throttled_periods = value_of(*stat, "nr_throttled");
  throttling.throttled_ns = value_of(*stat, "throttled_time");
  return throttling;
}

struct Membership {
  std::string cgroup;
  bool v1 = false;
};

/// Where the process' CPU time is limited: v1 where that hierarchy has the controller, else v2.
std::optional<Membership> cpu_cgroup(std::string_view cgroup_file) {
  std::optional<Membership> unified;
  for (const std::string_view line : split(cgroup_file, '\n')) {
    // hierarchy-ID:controllers:path; the path may hold colons.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string path(line.substr(second + 1));
    if (has_word(controllers, "cpu")) return Membership{path, true};
    if (line.starts_with("0::")) unified = Membership{path, false};
  }
  return unified;
}

}  // namespace

CpuLimits::CpuLimits(std::string proc) : proc_(std::move(proc)) {
  const auto mountinfo = read_small_file(proc_ + "/self/mountinfo");
  if (!mountinfo) return;
  for (const std::string_view line : split(*mountinfo, '\n')) {
    // id parent device root point options [tags] - type source super-options
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto before = split(line.substr(0, dash), ' ');
    const auto after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    const Mount mount{std::string(before[4]), std::string(before[3])};
    // Best is one of the whole hierarchy.
    const auto take = [&](std::optional<Mount>& known) {
      if (!known || (known->root != "/" && mount.root == "/")) known = mount;
    };
    if (after[0] == "cgroup2") take(v2_);
    if (after[0] == "cgroup" && has_word(after[2], "cpu")) take(v1_);
  }
}

/// nullopt: the cgroup is not below what is mounted.
std::optional<std::string> CpuLimits::directory(const Mount& mount, const std::string& cgroup) {
  std::string_view below = cgroup;
  if (mount.root != "/") {
    if (!below.starts_with(mount.root)) return std::nullopt;
    below.remove_prefix(mount.root.size());
    if (!below.empty() && below.front() != '/') return std::nullopt;
  }
  if (below.find("/..") != std::string_view::npos) return std::nullopt;  // of another namespace
  return mount.point + std::string(below);
}

const std::optional<RawThrottling>& CpuLimits::limit_of(const std::string& cgroup, bool v1) {
  const auto [entry, is_new] = known_.try_emplace(cgroup);
  if (!is_new) return entry->second;
  const auto& mount = v1 ? v1_ : v2_;
  const auto path = mount ? directory(*mount, cgroup) : std::nullopt;
  if (!path) return entry->second;
  entry->second = v1 ? read_v1(*path) : read_v2(*path);
  if (entry->second) entry->second->cgroup = cgroup;
  return entry->second;
}

std::vector<RawThrottling> CpuLimits::of_process(std::int32_t pid) {
  std::vector<RawThrottling> limits;
  const auto file = read_small_file(proc_ + "/" + std::to_string(pid) + "/cgroup");
  auto of = file ? cpu_cgroup(*file) : std::nullopt;
  if (!of) return limits;
  for (std::string& cgroup = of->cgroup; cgroup.size() > 1;) {
    if (const auto& limit = limit_of(cgroup, of->v1)) limits.push_back(*limit);
    const std::size_t slash = cgroup.rfind('/');
    if (slash == std::string::npos) break;
    cgroup.resize(slash);
  }
  // A cgroup namespace shows its root as "/", and that may be limited.
  if (const auto& limit = limit_of("/", of->v1)) limits.push_back(*limit);
  return limits;
}

}  // namespace listenq
