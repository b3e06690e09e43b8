// SPDX-License-Identifier: Apache-2.0
//
// Carries out what the options ask for.
#pragma once

#include "app/options.h"

namespace listenq {

/// Prints one sentence on stderr when it fails. Returns the exit code of the process: 0, 2 or 3.
[[nodiscard]] int run(const Options& options);

/// The text of --explain.
[[nodiscard]] std::string explain(const Probe& probe);

/// Its part about interfaces, from a sample that watches some.
[[nodiscard]] std::string explain_nics(const Sample& sample, bool outlives_kill);

}  // namespace listenq
