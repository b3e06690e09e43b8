// SPDX-License-Identifier: Apache-2.0
// See looker.h.
#include "looker.h"

#include <stdexcept>
#include <utility>

namespace lqtest {

listenq::ProbeOptions only_reading(std::vector<listenq::Feature> disabled) {
  listenq::ProbeOptions options;
  options.counting_wanted = false;
  options.disabled = std::move(disabled);
  return options;
}

Looker::Looker(const Netns& netns, const listenq::ProbeOptions& options) {
  auto probe = listenq::open_probe(options);
  if (!probe) throw std::runtime_error(probe.error().message);
  listenq::CollectOptions collect;
  collect.scope = listenq::CollectOptions::Scope::named;
  collect.name = std::to_string(netns.inode());
  auto collector = listenq::Collector::create(std::move(*probe), collect);
  if (!collector) throw std::runtime_error(collector.error().message);
  collector_ = std::move(*collector);
}

std::shared_ptr<const listenq::Sample> Looker::sample() {
  auto sample = collector_->sample();
  if (!sample) throw std::runtime_error(sample.error().message);
  return *sample;
}

void Looker::ask_for(uint16_t port) {
  listenq::Wanted wanted;
  const auto now = sample();
  for (const listenq::RawListener& raw : now->listeners) {
    if (raw.port == port) wanted.close_ups.push_back({raw.netns, raw.cookie, raw.inode});
  }
  if (wanted.close_ups.size() != 1) throw std::runtime_error("not one listener at the port");
  ask(std::move(wanted));
}

listenq::RawCloseUp Looker::close_up() {
  const auto now = sample();
  if (now->close_ups.size() != 1) {
    throw std::runtime_error(std::to_string(now->close_ups.size()) + " close-ups of " +
                             std::to_string(now->listeners.size()) + " listeners");
  }
  return now->close_ups.front();
}

}  // namespace lqtest
