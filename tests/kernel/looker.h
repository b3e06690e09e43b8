// SPDX-License-Identifier: Apache-2.0
// The collector of the tool, inside the test: what only a screen asks for has no command line. See
// also tool.h, which is how all else is tested.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collect/collector.h"
#include "netns.h"

namespace lqtest {

class Looker {
 public:
  // Reads that namespace alone. Throws when the collector can't be had.
  explicit Looker(const Netns& netns, const listenq::ProbeOptions& options = {});

  // From now on samples hold a close-up of the listener at that port; throws when there is none.
  void ask_for(uint16_t port);
  void ask(listenq::Wanted wanted) { collector_->want(std::move(wanted)); }

  std::shared_ptr<const listenq::Sample> sample();
  // Its close-up in a new sample; throws when that has not exactly one.
  listenq::RawCloseUp close_up();

 private:
  std::unique_ptr<listenq::Collector> collector_;
};

// Without what counts, so that it starts quickly.
listenq::ProbeOptions only_reading(std::vector<listenq::Feature> disabled = {});

}  // namespace lqtest
