// SPDX-License-Identifier: Apache-2.0
//
// CBOR -> Sample. For Player. Unknown keys are ignored, missing optional ones are absent; anything
// else that is not as the format says is an error, for a made-up value would look like a measured
// one.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "model/sample.h"
#include "record/format.h"
#include "util/result.h"

namespace listenq::recording {

/// The table that the samples before have left, and its number (0: none yet).
struct OwnersInUse {
  std::shared_ptr<const OwnerTable> table;
  std::uint64_t number = 0;
};

/// The error's message says what is wrong, without file or sample. `owners` changes only when all
/// went well.
[[nodiscard]] Result<Sample> decode_sample(std::span<const std::uint8_t> cbor, OwnersInUse& owners);

}  // namespace listenq::recording
