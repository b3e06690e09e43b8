// SPDX-License-Identifier: Apache-2.0
//
// The CPU limits of cgroups, v1 and v2, and how often they stopped somebody. Called by the
// collector for the processes that hold a listener which somebody looks at from near.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/sample.h"

namespace listenq {

/// Where the CPU controller of each kind is mounted. Made once; mounts of cgroups do not move.
class CpuLimits {
 public:
  /// `proc`: the root of /proc.
  explicit CpuLimits(std::string proc);

  /// The limits of the process' cgroup and of those above, the nearest first.
  [[nodiscard]] std::vector<RawThrottling> of_process(std::int32_t pid);

  /// What was read is read again from now on.
  void forget() { known_.clear(); }

 private:
  struct Mount {
    std::string point;
    std::string root;  ///< the cgroup that is mounted there
  };

  [[nodiscard]] const std::optional<RawThrottling>& limit_of(const std::string& cgroup, bool v1);
  [[nodiscard]] static std::optional<std::string> directory(const Mount& mount,
                                                            const std::string& cgroup);

  std::string proc_;
  std::optional<Mount> v1_;
  std::optional<Mount> v2_;
  std::unordered_map<std::string, std::optional<RawThrottling>> known_;
};

}  // namespace listenq
