// SPDX-License-Identifier: Apache-2.0
//
// Watches network interfaces over all namespaces: finds those to watch, keeps the programs there
// up with interfaces, listeners and addresses that come and go, and brings what they counted into
// Samples. Called by the collector, twice a sample.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/sample.h"
#include "util/result.h"

namespace listenq {

struct NicOptions {
  enum class Which : std::uint8_t { none, automatic, named } which = Which::none;
  std::vector<std::string> names;  ///< of interfaces, for Which::named
  NicMode mode = NicMode::tc;      ///< --nic-mode auto is tc: nothing resets a link
  bool tcx = true;                 ///< false: as if the kernel had no links for tc
};

class NicWatch {
 public:
  explicit NicWatch(NicOptions options);

  /// Brings the calling thread into a namespace; false when it is gone.
  using Enter = std::function<bool(NetnsId)>;

  /// What was counted up to now: before the listeners' counters are read, so that a packet under
  /// way is never taken for lost.
  void read(Sample& sample);

  /// After the listeners' counters were read: attaches and detaches, and lets the counts of new
  /// ports begin at 0. `home`: the tool's own namespace, where a named interface is looked for
  /// first. An error in the first sample when there is nothing to watch.
  [[nodiscard]] Result<void> follow(Sample& sample, std::optional<NetnsId> home,
                                    const Enter& enter);

  /// By name, summed over all interfaces, those that are gone included.
  void list_programs(std::vector<RawProgram>& programs) const;

  /// Something is attached that a killed process would leave behind, for the next to clean up.
  [[nodiscard]] bool outlives_kill() const;

  /// Takes off what does not go by itself. The thread may be in any namespace then.
  void close(const Enter& enter);

  NicWatch(const NicWatch&) = delete;
  NicWatch& operator=(const NicWatch&) = delete;
  ~NicWatch();

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

/// Whether filters of this program are anywhere on the machine that no living process looks after.
[[nodiscard]] bool filters_left_behind();

/// Takes them off every interface of the calling thread's namespace.
void remove_filters_left_behind();

}  // namespace listenq
