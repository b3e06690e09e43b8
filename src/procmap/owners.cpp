// SPDX-License-Identifier: Apache-2.0
//
// See owners.h.
#include "procmap/owners.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "util/fd.h"
#include "util/text.h"

namespace listenq {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

Directory open_directory(int parent, const char* name) {
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (fd >= 0 && dir == nullptr) ::close(fd);
  return {dir, ::closedir};
}

bool starts_with_digit(const dirent& entry) {
  return std::isdigit(static_cast<unsigned char>(entry.d_name[0])) != 0;
}

std::string trimmed_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void scan_process(const std::string& proc, const char* pid,
                  const std::unordered_set<std::uint64_t>& inodes,
                  std::vector<SocketOwner>& owners) {
  const std::string base = proc + "/" + pid;
  const Directory dir = open_directory(AT_FDCWD, (base + "/fd").c_str());
  if (!dir) return;
  std::string name;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (!starts_with_digit(*entry)) continue;
    std::array<char, 48> target{};
    const ssize_t length =
        ::readlinkat(::dirfd(dir.get()), entry->d_name, target.data(), target.size());
    if (length <= 0) continue;
    std::string_view link(target.data(), static_cast<std::size_t>(length));
    if (!link.starts_with("socket:[") || !link.ends_with("]")) continue;
    const auto inode = parse_integer(link.substr(8, link.size() - 9));
    if (!inode || !inodes.contains(static_cast<std::uint64_t>(*inode))) continue;
    if (name.empty()) name = trimmed_line(read_small_file(base + "/comm").value_or(""));
    owners.push_back({static_cast<std::uint64_t>(*inode),
                      static_cast<std::int32_t>(parse_integer(pid).value_or(0)),
                      static_cast<std::int32_t>(parse_integer(entry->d_name).value_or(-1)), name});
  }
}

}  // namespace

std::vector<SocketOwner> scan_owners(const std::string& proc,
                                     const std::unordered_set<std::uint64_t>& inodes) {
  std::vector<SocketOwner> owners;
  const Directory dir = open_directory(AT_FDCWD, proc.c_str());
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    if (starts_with_digit(*entry)) scan_process(proc, entry->d_name, inodes, owners);
  }
  return owners;
}

std::shared_ptr<const OwnerTable> make_owner_table(const std::string& proc,
                                                   std::vector<SocketOwner> owners) {
  const auto key = [](const SocketOwner& owner) { return std::pair(owner.inode, owner.pid); };
  std::sort(owners.begin(), owners.end(),
            [&](const SocketOwner& a, const SocketOwner& b) { return key(a) < key(b); });
  auto table = std::make_shared<OwnerTable>();
  const SocketOwner* last = nullptr;
  for (const SocketOwner& owner : owners) {
    if (last != nullptr && key(*last) == key(owner)) continue;  // one process, two descriptors
    last = &owner;
    auto& range = table->by_inode[owner.inode];
    if (range.count++ == 0) range.first = static_cast<std::uint32_t>(table->pids.size());
    table->pids.push_back(owner.pid);
    const auto [process, is_new] = table->processes.try_emplace(owner.pid);
    if (!is_new) continue;
    process->second.name = owner.name;
    if (const auto file = read_small_file(proc + "/" + std::to_string(owner.pid) + "/cgroup")) {
      process->second.cgroup = cgroup_of_process(*file);
    }
  }
  return table;
}

}  // namespace listenq
