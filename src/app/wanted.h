// SPDX-License-Identifier: Apache-2.0
//
// Which listeners are to be looked at from near in the samples to come: reading that of all would
// cost too much. Called by the screen's loop and by `record` after each sample.
#pragma once

#include <cstddef>

#include "collect/collector.h"
#include "model/snapshot.h"

namespace listenq {

constexpr std::size_t kCloseUpsOnScreen = 4;
/// A recording is made for somebody who may ask about any of them.
constexpr std::size_t kCloseUpsInRecording = 8;

/// `page`, the listener whose page is open (null: none), then the `most` in the worst trouble, as
/// the screen sorts them without being told.
[[nodiscard]] Wanted wanted_for(const Snapshot& snapshot, const RawListener* page,
                                bool program_times, std::size_t most);

[[nodiscard]] bool same(const Wanted& a, const Wanted& b);

}  // namespace listenq
