// SPDX-License-Identifier: Apache-2.0
//
// Samples for the tests of recordings.
#pragma once

#include "model/sample.h"

namespace listenq::test {

/// Every member has a value that is not its default.
[[nodiscard]] Sample full_sample();

/// As short as a sample with a listener, a namespace and an owner can be: for tests that go through
/// every byte of a recording.
[[nodiscard]] Sample small_sample();

}  // namespace listenq::test
