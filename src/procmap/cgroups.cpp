// SPDX-License-Identifier: Apache-2.0
//
// The cgroup parts of owners.h.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "procmap/owners.h"
#include "util/text.h"

namespace listenq {

std::optional<std::string> cgroup_of_process(std::string_view cgroup_file) {
  std::optional<std::string> unified;
  std::string deepest;
  for (const std::string_view line : split(cgroup_file, '\n')) {
    // hierarchy-ID:controllers:path; the path may hold colons.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view path = line.substr(second + 1);
    if (line.starts_with("0::")) {
      unified = path;
    } else if (path.size() > deepest.size()) {
      deepest = path;
    }
  }
  if ((!unified || *unified == "/") && deepest.size() > 1) return deepest;
  return unified ? unified : deepest.empty() ? std::nullopt : std::optional(deepest);
}

CgroupPaths::CgroupPaths(const std::string& proc) {
  const auto mountinfo = read_small_file(proc + "/self/mountinfo");
  if (!mountinfo) return;
  for (const std::string_view line : split(*mountinfo, '\n')) {
    const auto parts = split(line, ' ');
    // Only a mount of the whole hierarchy: under another root the paths would be relative to it.
    if (parts.size() < 5 || parts[3] != "/" || line.find(" - cgroup2 ") == std::string_view::npos) {
      continue;
    }
    mount_path_ = parts[4];
    mount_ = Fd(::open(mount_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (mount_) return;
  }
}

std::optional<std::string> CgroupPaths::path(std::uint64_t id) {
  if (!mount_) return std::nullopt;
  const auto [entry, is_new] = known_.try_emplace(id);
  if (!is_new) return entry->second;

  // A cgroup's id is its kernfs node's, and that is its file handle (kernfs_fh_to_dentry()).
  constexpr int kFileIdKernfs = 0xfe;
  alignas(file_handle) std::array<char, sizeof(file_handle) + sizeof(id)> storage{};
  auto* handle = reinterpret_cast<file_handle*>(storage.data());
  handle->handle_bytes = sizeof(id);
  handle->handle_type = kFileIdKernfs;
  std::memcpy(storage.data() + sizeof(file_handle), &id, sizeof(id));
  const Fd fd(::open_by_handle_at(mount_.get(), handle, O_RDONLY | O_PATH | O_CLOEXEC));
  if (!fd) return std::nullopt;

  std::array<char, 4096> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length <= 0) return std::nullopt;
  std::string_view path(target.data(), static_cast<std::size_t>(length));
  if (!path.starts_with(mount_path_)) return std::nullopt;
  path.remove_prefix(mount_path_.size());
  entry->second = path.empty() ? std::string("/") : std::string(path);
  return entry->second;
}

}  // namespace listenq
