// SPDX-License-Identifier: Apache-2.0
//
// What the stories are made of: listeners, owners, counts. Used by the files of this folder alone.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/sample.h"

namespace listenq::test {

inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr std::uint64_t kNoon = 1'772'366'400 * kSecond;  // 2026-03-01T12:00:00Z

inline constexpr NetnsId kHost{4026531840};

using Address = std::array<std::uint8_t, 16>;
inline constexpr Address kAny{};
inline constexpr Address kLoopback{127, 0, 0, 1};
inline constexpr Address kLoopback6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
inline constexpr Address kLinkLocal{0xfe, 0x80, 0, 0,    0,    0,    0,    0,
                                    0x50, 0x54, 0, 0xff, 0xfe, 0x12, 0x34, 0x56};
inline constexpr Address kGlobal6{0x20, 0x01, 0x0d, 0xb8, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x19};

struct Listen {
  NetnsId netns = kHost;
  Family family = Family::ipv4;
  Address address = kAny;
  std::uint16_t port = 0;
  std::uint32_t limit = 0;
  std::uint32_t accept_queue = 0;
  std::uint32_t syn_queue = 0;
  std::uint32_t drops = 0;
  std::uint32_t uid = 0;
};

/// A listener as BPF reads it. Cookie and inode follow from `socket`.
[[nodiscard]] RawListener listener(std::uint64_t socket, const Listen& listen);

class Owners {
 public:
  void process(std::int32_t pid, std::string name, std::optional<std::string> cgroup) {
    table_.processes[pid] = {std::move(name), std::move(cgroup)};
  }
  void holds(const RawListener& raw, std::vector<std::int32_t> pids) {
    table_.by_inode[raw.inode] = {static_cast<std::uint32_t>(table_.pids.size()),
                                  static_cast<std::uint32_t>(pids.size())};
    table_.pids.insert(table_.pids.end(), pids.begin(), pids.end());
  }
  [[nodiscard]] std::shared_ptr<const OwnerTable> table() const {
    return std::make_shared<OwnerTable>(table_);
  }

 private:
  OwnerTable table_;
};

[[nodiscard]] MibCounters counters(const std::map<std::string, std::uint64_t>& values);

/// Empty, `seconds` after noon.
[[nodiscard]] Sample sample_at(double seconds, const std::string& host, const std::string& kernel,
                               const std::string& backend);

[[nodiscard]] Counting everything_counted();

/// `count` values: most in this bucket, some two further.
[[nodiscard]] Histogram times(std::uint64_t count, std::size_t bucket);

using Counts = std::map<Counter, std::uint64_t>;

/// Gives the sample's last listener its counts.
ListenerCounts& count(Sample& sample, const Counts& values);

/// Of one that gets through what comes in.
void count_served(Sample& sample, std::uint64_t connections, std::uint32_t peak);

/// The sums that belong to the namespaces: of all that the sample has of them, and `closed` before.
void sum_up(Sample& sample, const std::map<NetnsId, ListenerCounts>& closed = {});

/// Watched by tc.
[[nodiscard]] RawNic interface(NetnsId netns, std::string name, std::uint32_t ifindex,
                               std::uint64_t frames);

}  // namespace listenq::test
