// SPDX-License-Identifier: Apache-2.0
//
// See namespaces.h.
#include "procmap/namespaces.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <utility>

#include "util/text.h"

namespace listenq {
namespace {

/// Mounts of other mount namespaces are looked at again after this many lists.
constexpr unsigned kForeignMountsEvery = 10;

/// The number of a namespace of the process whose folder `process` is, below `dir`.
std::optional<std::uint64_t> number_of(int dir, const std::string& process, std::string_view kind) {
  std::string path = process;
  path.append("/ns/").append(kind);
  std::array<char, 64> target{};
  const ssize_t length = ::readlinkat(dir, path.c_str(), target.data(), target.size());
  if (length <= 0) return std::nullopt;
  return namespace_number({target.data(), static_cast<std::size_t>(length)}, kind);
}

/// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape_mount(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      unsigned code = 0;
      for (std::size_t k = 1; k <= 3; ++k)
        code = code * 8 + static_cast<unsigned>(text[i + k] - '0');
      out.push_back(static_cast<char>(code));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

bool made_by_ip_netns(const std::string& path) {
  return path.starts_with("/run/netns/") || path.starts_with("/var/run/netns/");
}

}  // namespace

std::optional<std::uint64_t> namespace_number(std::string_view link, std::string_view kind) {
  if (!link.starts_with(kind)) return std::nullopt;
  link.remove_prefix(kind.size());
  if (!link.starts_with(":[") || !link.ends_with("]")) return std::nullopt;
  const auto value = parse_integer(link.substr(2, link.size() - 3));
  if (!value || *value <= 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::unordered_map<std::uint32_t, std::string> netns_mounts(std::string_view mountinfo) {
  std::unordered_map<std::uint32_t, std::string> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    if (line.find(" - nsfs ") == std::string_view::npos) continue;
    const auto parts = split(line, ' ');
    if (parts.size() < 5) continue;
    const auto id = namespace_number(parts[3], "net");
    if (!id) continue;
    auto path = unescape_mount(parts[4]);
    auto& kept = mounts[static_cast<std::uint32_t>(*id)];
    // A namespace may be mounted more than once; the name that `ip netns` gave is the known one.
    if (kept.empty() || (made_by_ip_netns(path) && !made_by_ip_netns(kept))) kept = std::move(path);
  }
  return mounts;
}

Fd open_namespace(const std::string& path, NetnsId id) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (!fd || ::fstat(fd.get(), &about) != 0 || about.st_ino != number(id)) return {};
  return fd;
}

NamespaceLister::NamespaceLister(std::string proc) : proc_(std::move(proc)) {}

std::optional<NetnsId> NamespaceLister::own() const {
  const auto id = number_of(AT_FDCWD, proc_ + "/self", "net");
  if (!id) return std::nullopt;
  return static_cast<NetnsId>(*id);
}

std::optional<std::string> NamespaceLister::own_name() {
  const auto id = own();
  read_own_mounts();
  const auto mount = id ? own_mounts_.find(number(*id)) : own_mounts_.end();
  if (mount == own_mounts_.end()) return std::nullopt;
  return mount->second.name;
}

void NamespaceLister::read_own_mounts() {
  const std::string path = proc_ + "/self/mountinfo";
  if (own_mountinfo_) {
    pollfd changed{own_mountinfo_.get(), POLLPRI, 0};
    // POLLERR | POLLPRI after a change (mounts_poll()); reading anew through the path is simplest.
    if (::poll(&changed, 1, 0) == 0) return;
  } else {
    own_mountinfo_ = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  own_mounts_.clear();
  const auto text = read_small_file(path);
  if (!text) return;
  for (auto& [id, mount] : netns_mounts(*text)) {
    own_mounts_[id] = Mount{mount, base_name(mount)};
  }
}

void NamespaceLister::read_foreign_mounts(
    const std::unordered_map<std::uint64_t, std::string>& mount_namespaces) {
  foreign_mounts_.clear();
  for (const auto& [number, pid] : mount_namespaces) {
    std::string process = proc_;
    process.append("/").append(pid);
    std::string root = process;
    root.append("/root");
    const auto text = read_small_file(process.append("/mountinfo"));
    if (!text) continue;
    for (auto& [id, mount] : netns_mounts(*text)) {
      std::string path = root;
      path.append(mount);
      foreign_mounts_[id] = Mount{std::move(path), base_name(mount)};
    }
  }
}

/// Calls visit(descriptor of /proc, process id as text).
template <class Visit>
void NamespaceLister::each_process(const Visit& visit) const {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(proc_.c_str()), ::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    visit(::dirfd(dir.get()), std::string(entry->d_name));
  }
}

std::vector<NetnsRef> NamespaceLister::list() {
  std::unordered_map<std::uint32_t, NetnsRef> found;
  std::unordered_map<std::uint64_t, std::string> mount_namespaces;
  const bool look_abroad = calls_++ % kForeignMountsEvery == 0;

  if (const auto id = own()) found[number(*id)] = {*id, proc_ + "/self/ns/net", std::nullopt};
  each_process([&](int dir, const std::string& pid) {
    const auto id = number_of(dir, pid, "net");
    if (!id) return;
    const auto key = static_cast<std::uint32_t>(*id);
    auto& ref = found[key];
    if (ref.path.empty()) {
      ref.id = static_cast<NetnsId>(key);
      ref.path.append(proc_).append("/").append(pid).append("/ns/net");
    }
    if (!look_abroad) return;
    if (const auto mount = number_of(dir, pid, "mnt")) mount_namespaces.try_emplace(*mount, pid);
  });

  read_own_mounts();
  if (look_abroad) {
    if (const auto mine = number_of(AT_FDCWD, proc_ + "/self", "mnt")) {
      mount_namespaces.erase(*mine);
    }
    read_foreign_mounts(mount_namespaces);
  }
  // A bind mount outlives the process that was listed before it, and it has the name.
  for (const Mounts* mounts : {&foreign_mounts_, &own_mounts_}) {
    for (const auto& [id, mount] : *mounts) {
      found[id] = {static_cast<NetnsId>(id), mount.path, mount.name};
    }
  }

  std::vector<NetnsRef> list;
  list.reserve(found.size());
  for (auto& [id, ref] : found) list.push_back(std::move(ref));
  std::sort(list.begin(), list.end(),
            [](const NetnsRef& a, const NetnsRef& b) { return a.id < b.id; });
  return list;
}

std::unordered_map<NetnsId, Fd> NamespaceLister::open_anew(std::span<const NetnsId> wanted) {
  std::unordered_map<NetnsId, Fd> found;
  const auto try_path = [&](NetnsId id, const std::string& path) {
    if (std::find(wanted.begin(), wanted.end(), id) == wanted.end()) return;
    Fd& fd = found[id];
    if (!fd) fd = open_namespace(path, id);
  };
  each_process([&](int dir, const std::string& pid) {
    const auto id = number_of(dir, pid, "net");
    if (id) try_path(static_cast<NetnsId>(*id), proc_ + "/" + pid + "/ns/net");
  });
  calls_ = 0;  // a mount may have been listed through a process that ended
  for (const NetnsRef& ref : list()) try_path(ref.id, ref.path);
  return found;
}

}  // namespace listenq
