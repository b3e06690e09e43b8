// SPDX-License-Identifier: Apache-2.0
//
// libbpf says what went wrong only in its log. Kept here, one line, for --explain and bug reports.
#pragma once

#include <string>

namespace listenq {

/// From now on libbpf prints nothing.
void keep_libbpf_warnings();

/// Its last warning, without the verifier's log.
[[nodiscard]] std::string last_libbpf_warning();

}  // namespace listenq
