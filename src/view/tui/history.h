// SPDX-License-Identifier: Apache-2.0
//
// What the queues and the losses of each listener were in the last minutes, for the graphs of its
// page. Fed by the screen with every Snapshot that comes in.
//
// A listener where nothing happens takes no memory: a sample in which it was idle leaves no point,
// and reads as zeros. What all of them may take is bounded; who finds no place is said to have
// none.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "model/snapshot.h"

namespace listenq::tui {

/// Enough to find a listener again in the next Snapshot. The socket itself first; if it is gone,
/// one that listens in its place (a restarted service).
struct ListenerId {
  std::uint32_t netns = 0;
  std::uint64_t socket = 0;  ///< cookie; inode where there is none
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;

  /// The same socket.
  bool operator==(const ListenerId& other) const {
    return netns == other.netns && socket == other.socket && port == other.port;
  }
};
[[nodiscard]] ListenerId id_of(const RawListener& raw);

struct ListenerIdHash {
  std::size_t operator()(const ListenerId& id) const;
};

class History {
 public:
  static constexpr std::size_t kSamples = 300;           ///< kept
  static constexpr std::size_t kMostPoints = 256 << 10;  ///< of all listeners; 6 MB

  struct Point {
    std::uint32_t sample = 0;        ///< number of the sample
    std::uint32_t accept_queue = 0;  ///< the longest since the sample before, where that is known
    std::uint32_t syn_queue = 0;
    float losses_per_second = 0;
  };

  struct Sampled {
    std::uint64_t monotonic_ns = 0;
    Point point;
  };
  struct Series {
    /// From the oldest that is kept to `end_ns`, without the samples before the listener was there.
    std::vector<Sampled> samples;
    bool no_place = false;  ///< it was not idle, but nothing was kept of it
  };

  void add(const Snapshot& snapshot);
  void clear();

  /// Of a listener as it is in a Snapshot at `end_ns` (monotonic).
  [[nodiscard]] Series series(const ListenerRow& row, std::uint64_t end_ns) const;

  [[nodiscard]] std::size_t points() const { return points_; }

 private:
  std::uint32_t samples_ = 0;        ///< number of the newest
  std::deque<std::uint64_t> times_;  ///< monotonic, of the latest; the last is that of samples_
  std::unordered_map<ListenerId, std::deque<Point>, ListenerIdHash> series_;
  std::size_t points_ = 0;
};

}  // namespace listenq::tui
