// SPDX-License-Identifier: Apache-2.0
//
// `serve`: the exporter's loop.
#pragma once

#include "app/options.h"

namespace listenq {

/// Until SIGTERM or SIGINT. An error when the addresses, the configuration or the kernel can't be
/// used at the start; later everything that fails is told on stderr, and the service goes on.
[[nodiscard]] Result<void> run_serve(const Options& options);

}  // namespace listenq
