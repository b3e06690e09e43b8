// SPDX-License-Identifier: Apache-2.0
//
// See close_ups.h.
#include "collect/close_ups.h"

#include <algorithm>
#include <unordered_map>

#include "procmap/threads.h"

namespace listenq {
namespace {

/// One process often holds many listeners: each is read once.
using Processes = std::unordered_map<std::int32_t, std::optional<RawSharer>>;

void add_limits(const std::vector<RawThrottling>& limits, std::vector<RawThrottling>& to) {
  for (const RawThrottling& limit : limits) {
    const bool known = std::any_of(to.begin(), to.end(), [&](const RawThrottling& other) {
      return other.cgroup == limit.cgroup;
    });
    if (!known) to.push_back(limit);
  }
}

}  // namespace

std::vector<RawCloseUp> find_close_ups(const std::vector<RawListener>& listeners,
                                       std::span<const CloseUpRequest> requests) {
  const auto heard = requests.first(std::min(requests.size(), kMostCloseUps));
  std::unordered_map<std::uint64_t, std::size_t> by_cookie;
  std::unordered_map<std::uint64_t, std::size_t> by_inode;
  for (std::size_t i = 0; i < heard.size(); ++i) {
    if (heard[i].cookie) {
      by_cookie.try_emplace(number(*heard[i].cookie), i);
    } else if (heard[i].inode != 0) {
      by_inode.try_emplace(heard[i].inode, i);
    }
  }
  std::vector<std::optional<RawCloseUp>> found(heard.size());
  const auto take = [&](const RawListener& raw, const auto& index, std::uint64_t key) {
    const auto request = index.find(key);
    if (request == index.end() || heard[request->second].netns != raw.netns) return;
    auto& close_up = found[request->second];
    if (close_up) return;
    close_up.emplace();
    close_up->netns = raw.netns;
    close_up->cookie = raw.cookie;
    close_up->inode = raw.inode;
  };
  for (const RawListener& raw : listeners) {
    if (raw.cookie) take(raw, by_cookie, number(*raw.cookie));
    if (raw.inode != 0) take(raw, by_inode, raw.inode);
  }
  std::vector<RawCloseUp> close_ups;
  for (auto& close_up : found) {
    if (close_up) close_ups.push_back(std::move(*close_up));
  }
  return close_ups;
}

void add_sharers(const std::string& proc, const OwnerTable& owners, CpuLimits& limits,
                 std::vector<RawCloseUp>& close_ups) {
  limits.forget();
  Processes processes;
  for (RawCloseUp& close_up : close_ups) {
    const auto range = owners.by_inode.find(close_up.inode);
    if (close_up.inode == 0 || range == owners.by_inode.end()) continue;
    const auto pids = std::span(owners.pids).subspan(range->second.first, range->second.count);
    close_up.sharers_total = range->second.count;
    for (const std::int32_t pid : pids.first(std::min(pids.size(), kSharersRead))) {
      const auto [process, is_new] = processes.try_emplace(pid);
      if (is_new) process->second = read_sharer(proc, pid);
      if (!process->second) {
        --close_up.sharers_total;  // gone since the owners were read
        continue;
      }
      close_up.sharers.push_back(*process->second);
      add_limits(limits.of_process(pid), close_up.throttlings);
    }
  }
}

}  // namespace listenq
