// SPDX-License-Identifier: Apache-2.0
//
// A Sample as text with every member in it, so that two can be compared and the difference read.
// Used by the tests of recordings.
#pragma once

#include <string>

#include "model/sample.h"

namespace listenq::test {

/// Equal texts mean equal samples. Owners are listed by inode and by pid, for their order in the
/// table means nothing.
[[nodiscard]] std::string sample_text(const Sample& sample);

}  // namespace listenq::test
