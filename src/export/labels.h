// SPDX-License-Identifier: Apache-2.0
//
// Pieces of Prometheus' text formats that both the Ledger and the Exposition write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace listenq {

/// A label's value as it stands between quotes: what is no UTF-8, and control characters, as \xNN.
void append_escaped(std::string& out, std::string_view text);

/// As the formats write numbers: whole ones without a point, +Inf for infinity.
void append_value(std::string& out, std::uint64_t value);
void append_value(std::string& out, double value);

}  // namespace listenq
