// SPDX-License-Identifier: Apache-2.0
//
// What watching an interface costs the packets that pass it: by the kernel's test runs, against
// another way to know a final ACK, and on a wire. Called by plan.cpp.
#pragma once

#include <string>
#include <vector>

#include "measure.h"

namespace listenq::bench {

struct NicSizes {
  int runs = 500000;  // of a program, in one test run
  int test_rounds = 15;
  int wire_rounds = 11;
  double wire_seconds = 0.4;  // of each load
  int handshakes = 1000;
};

// One program, one kind of packet: nanoseconds.
struct NicCost {
  std::string program;
  std::string packet;
  bool has_goal = false;  // no packet of a handshake, and no first one of a connection
  Spread whole;
  Spread above;  // an empty program, paired by round
};

// The kernel asked, or SYN-ACKs remembered: nanoseconds above an empty program.
struct NicWays {
  std::string what;
  Spread asked;
  Spread remembered;
};

// Handshakes that end after others, which don't, have passed.
struct NicExactness {
  std::string what;    // the kernel keeps of them: requests, cookies
  int others = 0;      // SYN-ACKs in between
  int handshakes = 0;  // by the listener's accept queue
  int asked = 0;
  int remembered = 0;
};

struct NicRates {
  Spread packets, syns, connections, bulk;
};

struct NicWireResult {
  std::string way;
  NicRates empty;  // against no program, paired by round
  NicRates tool;   // the same
  NicRates tool_to_empty;
};

struct NicResult {
  std::vector<NicCost> costs;
  std::vector<NicWays> ways;
  std::vector<NicExactness> exactness;
  NicRates nothing;  // events a second
  std::vector<NicWireResult> wire;
};

// By test runs, with the kernel's own requests, cookies and connections; and all else.
void measure_nic_runs(const NicSizes& sizes, NicResult& result);
void measure_nic_wire(const NicSizes& sizes, NicResult& result);

}  // namespace listenq::bench
