// SPDX-License-Identifier: Apache-2.0
//
// Machines in trouble and at peace, as hand-written Samples. make_recordings stores them as
// tests/data/*.lqrec; golden_test shows what every view makes of the recordings, and that they
// still hold what is written here.
#pragma once

#include <string>
#include <vector>

#include "model/sample.h"

namespace listenq::test {

struct Story {
  std::string name;  ///< of the recording, without .lqrec
  std::vector<Sample> samples;
};

[[nodiscard]] std::vector<Story> stories();

}  // namespace listenq::test
