// SPDX-License-Identifier: Apache-2.0
//
// A listener as BPF wrote it, turned into what a Sample holds.
#pragma once

#include <linux/types.h>

#include <cstdint>

#include "listenq/abi.h"
#include "model/sample.h"

namespace listenq {

/// All that BPF reads of a listener, over what is known of it: one instant for both queues.
void apply(const listenq_listener_record& record, RawListener& listener);

/// Whether the calling thread is in the listener's network namespace, where its device has a name.
enum class DeviceNames : std::uint8_t { of_thread, unknown };

/// A device without a name is shown by its number.
[[nodiscard]] RawListener make_listener(const listenq_listener_record& record, NetnsId netns,
                                        DeviceNames names = DeviceNames::of_thread);

}  // namespace listenq
