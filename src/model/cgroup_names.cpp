// SPDX-License-Identifier: Apache-2.0
//
// What container runtimes and the kubelet write into cgroup paths.
#include <algorithm>

#include "model/derive.h"

namespace listenq {
namespace {

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool all_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_hex);
}

/// Docker, containerd, CRI-O and Podman all name a container by 64 hex digits.
constexpr std::size_t kIdLength = 64;

/// A task on Fargate: 32 hex digits and a number.
bool is_fargate_id(std::string_view text) {
  if (text.size() < 34 || text[32] != '-' || !all_hex(text.substr(0, 32))) return false;
  return std::all_of(text.begin() + 33, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// A UUID with dashes (cgroupfs) or underscores (systemd), or the 32 digits of a static pod.
bool is_pod_uid(std::string_view text) {
  if (text.size() == 32) return all_hex(text);
  if (text.size() != 36) return false;
  const char separator = text[8];
  if (separator != '-' && separator != '_') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool between = i == 8 || i == 13 || i == 18 || i == 23;
    if (between ? text[i] != separator : !is_hex(text[i])) return false;
  }
  return true;
}

/// "pod<uid>", "kubepods-burstable-pod<uid>.slice", the latter with ":cri-containerd:<id>" too.
std::string_view pod_uid_in(std::string_view segment) {
  constexpr std::string_view kPod = "pod";
  constexpr std::string_view kMarker = "-pod";
  constexpr std::string_view kSlice = ".slice";
  if (segment.size() < kPod.size() + 32) return {};
  if (segment.starts_with(kPod)) {
    const std::string_view uid = segment.substr(kPod.size());
    return is_pod_uid(uid) ? uid : std::string_view();
  }
  const std::size_t marker = segment.find(kMarker);
  if (marker == std::string_view::npos) return {};
  const std::string_view tail = segment.substr(marker + kMarker.size());
  const std::string_view uid = tail.substr(0, tail.find(kSlice[0]));
  if (!is_pod_uid(uid) || !tail.substr(uid.size()).starts_with(kSlice)) return {};
  return segment.substr(0, marker).find("kubepods") != std::string_view::npos ? uid
                                                                              : std::string_view();
}

/// "<id>", "docker-<id>.scope", "cri-containerd-<id>.scope", "crio-<id>",
/// "...:cri-containerd:<id>".
std::string_view container_in(std::string_view segment) {
  constexpr std::string_view kScope = ".scope";
  if (segment.size() < kIdLength) return {};
  if (segment.ends_with(kScope)) segment.remove_suffix(kScope.size());
  if (segment.size() < kIdLength) return {};
  const std::string_view id = segment.substr(segment.size() - kIdLength);
  segment.remove_suffix(kIdLength);
  const bool separated = segment.empty() || segment.back() == '-' || segment.back() == ':';
  if (!separated || !all_hex(id)) return {};
  // Beside the container runs its monitor, which is not in it.
  return segment.find("conmon") == std::string_view::npos ? id : std::string_view();
}

/// Runtimes that use a name instead of an id: it is the segment after theirs.
std::string_view named_container(std::string_view before, std::string_view parent,
                                 std::string_view segment) {
  constexpr std::string_view kPayload = "lxc.payload.";
  if (segment.starts_with(kPayload)) return segment.substr(kPayload.size());
  if (parent == "lxc" || parent == "lxc.payload" || parent == "garden") return segment;
  if (before == "ecs" && is_fargate_id(segment)) return segment;
  return {};
}

}  // namespace

CgroupNames names_in_cgroup(std::string_view path) {
  CgroupNames names;
  std::string_view pod;
  std::string_view before;
  std::string_view parent;
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
    if (segment.empty()) continue;
    if (const std::string_view uid = pod_uid_in(segment); !uid.empty()) {
      pod = uid;
      names.container = {};  // an outer one holds the pod's node, not what runs in the pod
    }
    std::string_view container = container_in(segment);
    if (container.empty()) container = named_container(before, parent, segment);
    if (!container.empty()) names.container = container;
    before = parent;
    parent = segment;
  }
  names.pod = pod;
  std::replace(names.pod.begin(), names.pod.end(), '_', '-');
  return names;
}

}  // namespace listenq
