// SPDX-License-Identifier: Apache-2.0
//
// The story of the README's screens, long enough to have a past: see incident.cpp.
#pragma once

#include <vector>

#include "model/sample.h"

namespace listenq::test {

[[nodiscard]] std::vector<Sample> incident_samples();

}  // namespace listenq::test
