// SPDX-License-Identifier: Apache-2.0
// Frames to and from an interface, whole: who sends them, and who sees each that passes, in order
// and byte by byte. What the tap saw is the word against which counts at an interface are held.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fd.h"
#include "frames.h"
#include "netns.h"

namespace lqtest {

class FrameSender {
 public:
  FrameSender(const Netns& space, int interface);

  // In this order. The caller must stay on one CPU (stay_on_this_cpu()): each CPU has a queue of
  // its own on the way, and a thread that moves lets later frames pass earlier ones.
  void send(std::span<const Bytes> frames);

 private:
  Fd socket_;
  int interface_;
};

struct SeenFrame {
  Bytes bytes{};
  bool outgoing = false;
};

class FrameTap {
 public:
  FrameTap(const Netns& space, const std::string& interface);

  // What has come by, at once; waits for the first as long as that.
  std::vector<SeenFrame> receive(std::chrono::milliseconds wait);
  // Frames that it could not keep. Must be 0, or it is no witness.
  uint64_t lost();

 private:
  Fd socket_;
  Bytes buffer_;
};

// Segments that belong together are no longer made one of them on the way up. A driver to which XDP
// is attached may have switched that on, and then frames change their order and number for reasons
// of its own.
void switch_merging_off(const Netns& space, const std::string& interface);

// The calling thread stays on the CPU it is on.
void stay_on_this_cpu();

}  // namespace lqtest
