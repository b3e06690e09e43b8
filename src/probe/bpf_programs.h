// SPDX-License-Identifier: Apache-2.0
//
// The BPF iterators, loaded in the best way this kernel takes; the only code that knows libbpf and
// the skeletons. The BPF backend reads through it.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/sample.h"
#include "probe/iterator.h"
#include "probe/plan.h"
#include "util/fd.h"

namespace listenq {

class BpfPrograms {
 public:
  virtual ~BpfPrograms() = default;
  BpfPrograms(const BpfPrograms&) = delete;
  BpfPrograms& operator=(const BpfPrograms&) = delete;

  /// Loads what the kernel takes, best first, and writes into `facts` what it found (the BPF
  /// features only). A feature that `facts` already denies is not tried. For a single sample it
  /// leaves out what only the next one would use. nullptr: nothing loads.
  [[nodiscard]] static std::unique_ptr<BpfPrograms> load(KernelFacts& facts, bool single_sample);

  enum class Program : std::uint8_t { tcp, task_file, sk_storage };

  /// Runs the iterator to its end in the calling thread's network namespace and hands over each
  /// record (`record_size` bytes, valid during the call). The text of an error, or "".
  [[nodiscard]] std::string read(Program program, std::size_t record_size, const TakeRecord& take);

  [[nodiscard]] bool has(Program program) const { return fd(program) >= 0; }

  /// True when the iterators mark what they see; false where that takes mark_descriptor().
  [[nodiscard]] virtual bool marks_itself() const = 0;

  /// Marks the socket behind a descriptor of another process. False when either is gone.
  [[nodiscard]] bool mark_descriptor(int pid, int fd) const;

  /// For the reads that follow: whether iter/tcp marks, and whether iter/task_file fills in owners
  /// alone (is_tcp is 0 then).
  struct Switches {
    bool mark = true;
    bool owners_only = false;
  };
  virtual void set(const Switches& switches) = 0;

  /// The map of the marks; -1: none are made.
  [[nodiscard]] int marks() const { return has(Program::sk_storage) ? map_fd() : -1; }

  void list_programs(std::vector<RawProgram>& programs) const;

  /// Marks that the kernel refused since the start.
  [[nodiscard]] virtual std::uint64_t marks_refused() const = 0;

 protected:
  BpfPrograms() = default;
  [[nodiscard]] virtual int fd(Program program) const = 0;  ///< of the program; -1: not loaded
  [[nodiscard]] virtual int map_fd() const = 0;             ///< of the marks

 private:
  std::array<Fd, 3> links_;
};

}  // namespace listenq
