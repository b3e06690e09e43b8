// SPDX-License-Identifier: Apache-2.0
//
// Made-up machines for the tests of the screen, passed through the Deriver as a real one would be.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/derive.h"
#include "view/tui/pages.h"

namespace listenq::tui {

constexpr std::uint64_t kSecond = 1'000'000'000;

struct World {
  Sample sample;
  OwnerTable owners;
  Deriver deriver;

  World();
  RawNamespace& add_netns(std::uint32_t id, std::optional<std::string> name);

  struct Where {
    std::uint32_t netns = 1;
    std::array<std::uint8_t, 4> address{};
    std::uint16_t port = 0;
    std::uint32_t limit = 511;
  };
  /// Cookies are given in order, from 1 on. The reference lives until the next call.
  RawListener& add(const Where& where);
  void own(const RawListener& listener, const std::string& name,
           const std::vector<std::int32_t>& pids, const std::optional<std::string>& cgroup = {});

  /// The sample as it is now; then one second passes.
  std::shared_ptr<const Snapshot> snapshot();
};

/// One namespace, three listeners: a web server that overflows, a database that is fine, and a
/// kernel socket about which little is known. Two samples, so that there are rates.
[[nodiscard]] std::shared_ptr<const Snapshot> small_machine(World& world);

/// `count` listeners over four namespaces; every 100th is full.
[[nodiscard]] std::shared_ptr<const Snapshot> large_machine(World& world, int count);

[[nodiscard]] std::string drawn(const ScreenState& state, Charset charset = Charset::utf8);

/// A state of this size that shows the snapshot.
[[nodiscard]] ScreenState showing(std::shared_ptr<const Snapshot> snapshot, int height, int width);

[[nodiscard]] Key character(char32_t code);
void press(ScreenState& state, std::string_view text);

}  // namespace listenq::tui
