// SPDX-License-Identifier: Apache-2.0
//
// Which processes hold which socket: the way through /proc, for kernels and rights without
// iter/task_file, and the table that both ways end in.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "model/sample.h"
#include "util/fd.h"

namespace listenq {

/// One descriptor of one process.
struct SocketOwner {
  std::uint64_t inode = 0;
  std::int32_t pid = 0;
  std::int32_t fd = -1;  ///< -1: not told
  std::string name;      ///< comm
};

/// Reads /proc/PID/fd of every process whose descriptors we may see, for sockets in `inodes`.
/// O(descriptors of the machine). Processes that end meanwhile are left out.
[[nodiscard]] std::vector<SocketOwner> scan_owners(const std::string& proc,
                                                   const std::unordered_set<std::uint64_t>& inodes);

/// Sorts and joins them, and reads each process' cgroup.
[[nodiscard]] std::shared_ptr<const OwnerTable> make_owner_table(const std::string& proc,
                                                                 std::vector<SocketOwner> owners);

/// The cgroup in the text of /proc/PID/cgroup: the v2 path, unless that is the root and a v1
/// hierarchy knows better (hybrid hosts, where the container is only in v1). nullopt: neither.
[[nodiscard]] std::optional<std::string> cgroup_of_process(std::string_view cgroup_file);

/// Paths of cgroup v2 ids, for sockets whose owner is not found.
class CgroupPaths {
 public:
  explicit CgroupPaths(const std::string& proc);

  /// Relative to the cgroup2 mount, starting with "/"; nullopt: gone, or no such mount.
  [[nodiscard]] std::optional<std::string> path(std::uint64_t id);

 private:
  Fd mount_;
  std::string mount_path_;
  std::unordered_map<std::uint64_t, std::optional<std::string>> known_;
};

}  // namespace listenq
