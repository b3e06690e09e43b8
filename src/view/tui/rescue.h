// SPDX-License-Identifier: Apache-2.0
//
// The terminal given back where ncurses can't: in a crash, and when it takes no output any more.
// Knows no ncurses; Terminal says which bytes and modes. What runs in signal handlers here uses
// nothing but async-signal-safe calls.
#pragma once

#include <termios.h>

#include <cstdint>
#include <string_view>

namespace listenq::tui {

/// Catches the signals of a crash: then `escape` is written to `fd`, `modes` are set, and the
/// signal takes its course.
void arm_crash_restore(int fd, const termios& modes, std::string_view escape);
void disarm_crash_restore();
/// Not while the terminal is somebody else's.
void set_crash_restore_active(bool active);

/// While one exists, output to `fd` can't hang for ever. A terminal may take nothing (stopped
/// output, a lost connection) for as long as it likes; but when the process is told to end
/// (SIGTERM, SIGHUP, SIGINT, SIGQUIT wait, blocked) or `closing` is all that is left to do, `fd`
/// becomes /dev/null after a moment, and the write goes on into nothing.
class OutputGuard {
 public:
  enum class For : std::uint8_t { drawing, closing };
  OutputGuard(int fd, For purpose);
  OutputGuard(const OutputGuard&) = delete;
  OutputGuard& operator=(const OutputGuard&) = delete;
  ~OutputGuard();

  /// True once that happened: there is no terminal behind the descriptor any more.
  [[nodiscard]] static bool gave_up();
};

/// What is left to try then: drops the output that waits in `terminal` (another descriptor of it),
/// sets `modes`, and writes `escape` as far as it goes without waiting.
void restore_stuck(int terminal, const termios& modes, std::string_view escape);

}  // namespace listenq::tui
