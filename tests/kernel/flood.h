// SPDX-License-Identifier: Apache-2.0
// The SYN flood of the storm: SYNs from millions of addresses, as fast as one thread can make them,
// with a count of what was sent; and somebody who answers part of the SYN-ACKs, statelessly.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "fabric.h"
#include "fd.h"
#include "packets.h"

namespace lqtest {

// A listener, as a flood aims at it.
struct FloodTarget {
  size_t server = 0;
  bool v6 = false;
  uint16_t port = 0;
};

// Sends for one thread; each `number` gives sources that no other has: 16 million of them.
class Flood {
 public:
  Flood(Fabric& fabric, std::vector<FloodTarget> targets, unsigned number);

  // So many SYNs, a batch for each target in turn, going on where the last call ended.
  void send(uint64_t count);
  // Each source address is used once.
  [[nodiscard]] uint64_t sent() const { return sent_; }

 private:
  struct Template {
    FloodTarget target{};
    std::vector<uint8_t> packet{};
    uint32_t sum = 0;  // of all that does not change
  };
  void write_next(const Template& form, std::vector<uint8_t>& packet);

  Fabric& fabric_;
  std::vector<Template> templates_;
  unsigned number_;
  Fd socket_;
  size_t next_target_ = 0;
  uint64_t sent_ = 0;
};

// A 32nd of the sources of the first generator.
inline constexpr const char* kSomeFloodSources = "11.64.0.0/13";
inline constexpr const char* kSomeFloodSources6 = "2001:db8:f00::b40:0/109";

// Answers SYN-ACKs to every sixteenth source of the flood with the ACK that completes the
// handshake, and some of them with a RST after that. Runs until `stop`; returns how many ACKs it
// sent.
uint64_t answer_some(Fabric& fabric, size_t server, const std::atomic<bool>& stop);

}  // namespace lqtest
