// SPDX-License-Identifier: Apache-2.0
//
// The BPF iterators that tell who waits in an accept queue, loaded by the BPF backend when somebody
// first wants to see that.
#pragma once

#include <linux/types.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "listenq/abi.h"
#include "model/sample.h"
#include "probe/plan.h"
#include "util/fd.h"

struct waiting_bpf;

namespace listenq {

class WaitingPrograms {
 public:
  WaitingPrograms(const WaitingPrograms&) = delete;
  WaitingPrograms& operator=(const WaitingPrograms&) = delete;
  ~WaitingPrograms();

  /// `marks`: the map that marked listeners are in; -1: none is. nullptr: the kernel does not take
  /// them.
  [[nodiscard]] static std::unique_ptr<WaitingPrograms> load(const KernelFacts& facts, int marks);

  /// For the reads that follow: these listeners, by their position here; those beyond
  /// LISTENQ_ASKED_MAX are passed over.
  void ask(std::span<const RawCloseUp> listeners);

  using Take = std::function<void(const listenq_waiting_record&)>;

  [[nodiscard]] bool reads_marked() const { return static_cast<bool>(marked_); }
  /// Over the marked listeners of all namespaces. The text of an error, or "".
  [[nodiscard]] std::string read_marked(const Take& take) const;
  /// In the calling thread's network namespace.
  [[nodiscard]] std::string read_namespace(const Take& take) const;

  void list_programs(std::vector<RawProgram>& programs) const;

 private:
  explicit WaitingPrograms(waiting_bpf* skeleton) : skeleton_(skeleton) {}

  waiting_bpf* skeleton_;
  Fd marked_;
  Fd tcp_;
  std::vector<__u64> asked_;  ///< keys of the map
};

}  // namespace listenq
