// SPDX-License-Identifier: Apache-2.0
//
// Sample -> CBOR, with the key names of the format. For Recorder.
#pragma once

#include "model/sample.h"
#include "record/format.h"

namespace listenq::recording {

/// The owners as one CBOR item; equal tables give equal bytes.
[[nodiscard]] Bytes encode_owners(const OwnerTable& owners);

/// One CBOR map. `owner_table` is the number of the table that belongs to the sample, 0 when it has
/// none; `owners` its bytes when the sample is the first with this table, else nullptr.
[[nodiscard]] Bytes encode_sample(const Sample& sample, std::uint64_t owner_table,
                                  const Bytes* owners);

}  // namespace listenq::recording
