// SPDX-License-Identifier: Apache-2.0
//
// A listener as BPF wrote it, turned into what a Sample holds.
#pragma once

#include <linux/types.h>

#include "listenq/abi.h"
#include "model/sample.h"

namespace listenq {

/// All that BPF reads of a listener, over what is known of it: one instant for both queues.
void apply(const listenq_listener_record& record, RawListener& listener);

/// The name of its device is looked up in the network namespace of the calling thread.
[[nodiscard]] RawListener make_listener(const listenq_listener_record& record, NetnsId netns);

}  // namespace listenq
