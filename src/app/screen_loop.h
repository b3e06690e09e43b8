// SPDX-License-Identifier: Apache-2.0
//
// The full screen over a Source, until the user leaves.
#pragma once

#include "app/options.h"
#include "app/source.h"

namespace listenq {

/// A recording is played at the pace it was made (or at --delay), and its last sample stays.
[[nodiscard]] Result<void> run_screen(const Options& options, Source& source);

}  // namespace listenq
