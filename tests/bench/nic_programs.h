// SPDX-License-Identifier: Apache-2.0
//
// The programs at interfaces, loaded as the tool loads them, with the alternative of
// remembered.bpf.c and empty ones to compare with; and the kernel's own test run of them. Called
// by nic.cpp.
#pragma once

#include <linux/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "listenq/abi.h"
#include "nic_frames.h"

struct bpf_object;

namespace listenq::bench {

// Ports with a listener for every address of IPv4, in a namespace whose address is kNicServer.
using Ports = std::vector<std::uint16_t>;

// One loaded object.
class NicObject {
 public:
  // bpf/nic.bpf.c. `frags`: XDP gets frames of several pieces, as the tool asks for native XDP.
  static NicObject of_tool(const Ports& ports, bool frags = true);
  struct Alternative {
    std::uint32_t clients = 0;  // see remembered.bpf.c
    bool forgetful = false;
  };
  static NicObject of_bench(const Ports& ports, const Alternative& options);

  [[nodiscard]] int program(const std::string& name) const;
  // Of all ports together.
  [[nodiscard]] listenq_nic_counts counts() const;
  // As if SYN-ACKs to as many invented clients as it takes had just been sent.
  void fill_synacks() const;
  // What a forgetful object forgets from now on: the one connection that it has found open.
  void forget_what_is_open();

 private:
  struct Skeleton;
  explicit NicObject(std::shared_ptr<Skeleton> skeleton) : skeleton_(std::move(skeleton)) {}
  [[nodiscard]] int map(const std::string& name) const;

  std::shared_ptr<Skeleton> skeleton_;
  Ports ports_;
};

// Of the kinds that are attached, two instructions each.
class EmptyNic {
 public:
  EmptyNic();
  ~EmptyNic();
  EmptyNic(const EmptyNic&) = delete;
  EmptyNic& operator=(const EmptyNic&) = delete;
  [[nodiscard]] int xdp(bool frags = true) const { return frags ? xdp_frags_ : xdp_; }
  [[nodiscard]] int tc() const { return tc_; }

 private:
  int xdp_frags_;
  int xdp_;
  int tc_;
};

enum class NicWay { native, generic, tc };

// On lq0 of the namespace that the process is in, until the end of this: `in` by one of the ways,
// `out` by tc.
class OnInterface {
 public:
  OnInterface(NicWay way, int in, int out);
  ~OnInterface();
  OnInterface(const OnInterface&) = delete;
  OnInterface& operator=(const OnInterface&) = delete;

 private:
  int in_;
  int out_;
};

// Nanoseconds of one run, by this thread's CPU time: the kernel's own number has no fractions.
double test_run_ns(int program, Frame frame, int repeat);

}  // namespace listenq::bench
