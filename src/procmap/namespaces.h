// SPDX-License-Identifier: Apache-2.0
//
// Which network namespaces there are: those that a process lives in and those that a bind mount
// keeps. Called by the collector for every sample; holds no namespace open itself, because a tool
// that keeps a dead container's namespace alive keeps its interfaces alive too.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "util/fd.h"
#include "util/types.h"

namespace listenq {

struct NetnsRef {
  NetnsId id{};
  std::string path;                 ///< to open for setns(); may be gone by then
  std::optional<std::string> name;  ///< of its bind mount
};

class NamespaceLister {
 public:
  /// `proc` is "/proc", or a made-up tree in tests.
  explicit NamespaceLister(std::string proc = "/proc");

  /// Sorted by id; the own namespace is always among them (first of equals when it can't be read).
  [[nodiscard]] std::vector<NetnsRef> list();

  /// Looks again for namespaces whose listed paths are gone: through any process that is in one
  /// now, opened as soon as it is seen, or any mount. No entry: the namespace is gone. An empty
  /// descriptor: it is there, and can't be opened.
  [[nodiscard]] std::unordered_map<NetnsId, Fd> open_anew(std::span<const NetnsId> wanted);

  /// The namespace that the calling process is in; nullopt without /proc.
  [[nodiscard]] std::optional<NetnsId> own() const;

  /// The name of its bind mount in the own mount namespace.
  [[nodiscard]] std::optional<std::string> own_name();

 private:
  struct Mount {
    std::string path;
    std::string name;
  };
  using Mounts = std::unordered_map<std::uint32_t, Mount>;

  template <class Visit>
  void each_process(const Visit& visit) const;
  void read_own_mounts();
  void read_foreign_mounts(const std::unordered_map<std::uint64_t, std::string>& mount_namespaces);

  std::string proc_;
  Fd own_mountinfo_;  ///< polled: the kernel says when the own mount table changed
  Mounts own_mounts_;
  Mounts foreign_mounts_;  ///< of other mount namespaces, where nothing tells of a change
  unsigned calls_ = 0;
};

/// Opens the path if it still is that namespace; else an empty descriptor. A process may have
/// moved, or its number been given to another.
[[nodiscard]] Fd open_namespace(const std::string& path, NetnsId id);

/// The namespaces bind-mounted in the text of a mountinfo file: id -> mount point.
[[nodiscard]] std::unordered_map<std::uint32_t, std::string> netns_mounts(
    std::string_view mountinfo);

/// "net:[4026531840]" -> 4026531840; nullopt for anything else.
[[nodiscard]] std::optional<std::uint64_t> namespace_number(std::string_view link,
                                                            std::string_view kind);

}  // namespace listenq
