// SPDX-License-Identifier: Apache-2.0
//
// What the threads of a process do right now, from /proc/PID/task. Called by the collector for the
// processes that hold a listener which somebody looks at from near.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/sample.h"

namespace listenq {

/// More threads of one process are counted, but not read.
inline constexpr std::size_t kThreadsRead = 64;

/// nullopt when the process is gone.
[[nodiscard]] std::optional<RawSharer> read_sharer(const std::string& proc, std::int32_t pid);

/// Name and state in the text of a stat file; the name may hold blanks and parentheses. False when
/// it is none.
[[nodiscard]] bool parse_stat(std::string_view stat, RawThread& thread);

/// The system call in the text of a syscall file; nullopt: it is in none, or nobody may know.
[[nodiscard]] std::optional<std::string> parse_syscall(std::string_view syscall);

/// "accept4", or "syscall 999" for a number that was not known when this was built.
[[nodiscard]] std::string system_call_name(std::int64_t number);

}  // namespace listenq
