// SPDX-License-Identifier: Apache-2.0
//
// libbpf says what went wrong only in its log. Kept here, one line, for --explain and bug reports.
#pragma once

#include <string>
#include <string_view>

namespace listenq {

/// From now on libbpf prints nothing; what was kept before is forgotten.
void keep_libbpf_warnings();

/// What the kernel's verifier said last, with the program's name; else the first line of the last
/// warning.
[[nodiscard]] std::string last_libbpf_warning();

/// The line of a warning in which the verifier says why it refused a program; "" if it has none.
[[nodiscard]] std::string verifier_reason(std::string_view warning);

}  // namespace listenq
