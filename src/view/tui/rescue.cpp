// SPDX-License-Identifier: Apache-2.0
//
// See rescue.h.
#include "view/tui/rescue.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "util/fd.h"

namespace listenq::tui {
namespace {

/// All that the handler may touch, filled in before it is installed.
struct CrashRestore {
  volatile std::sig_atomic_t active = 0;
  bool armed = false;
  int fd = -1;
  termios modes{};
  std::array<char, 256> escape{};
  std::size_t escape_size = 0;
  std::array<struct sigaction, 5> before{};
};
CrashRestore crash;
constexpr std::array kCrashSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

extern "C" void restore_after_crash(int signal) {
  if (crash.active != 0) {
    crash.active = 0;
    // What fails here fails; there is nobody to tell.
    [[maybe_unused]] const ssize_t sent = ::write(crash.fd, crash.escape.data(), crash.escape_size);
    ::tcsetattr(crash.fd, TCSANOW, &crash.modes);
  }
  for (std::size_t i = 0; i < kCrashSignals.size(); ++i) {
    if (kCrashSignals[i] == signal) ::sigaction(signal, &crash.before[i], nullptr);
  }
  // Delivered when this handler returns, to whoever had it before: a core dump as without us.
  ::raise(signal);
}

struct Guard {
  volatile std::sig_atomic_t closing = 0;
  volatile std::sig_atomic_t rounds = 0;  ///< of the timer
  volatile std::sig_atomic_t gave_up = 0;
  volatile std::sig_atomic_t fd = -1;
  volatile std::sig_atomic_t null_fd = -1;
  bool installed = false;
};
Guard guard;
constexpr suseconds_t kRoundUs = 250'000;
constexpr int kPatience = 3;  ///< rounds for which a terminal may be slow at the end

bool told_to_end() {
  sigset_t pending;
  if (::sigpending(&pending) != 0) return false;
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGHUP) == 1 ||
         sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGQUIT) == 1;
}

extern "C" void look_after_output(int /*signal*/) {
  const int error = errno;
  const int rounds = guard.rounds + 1;
  guard.rounds = rounds;
  if (rounds >= kPatience && (guard.closing != 0 || told_to_end())) {
    guard.gave_up = 1;
    ::dup2(guard.null_fd, guard.fd);
  }
  errno = error;
}

void set_timer(suseconds_t microseconds) {
  itimerval timer{};
  timer.it_interval.tv_usec = timer.it_value.tv_usec = microseconds;
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

void arm_crash_restore(int fd, const termios& modes, std::string_view escape) {
  crash.fd = fd;
  crash.modes = modes;
  crash.escape_size = std::min(escape.size(), crash.escape.size());
  std::copy_n(escape.begin(), crash.escape_size, crash.escape.begin());
  if (!crash.armed) {
    struct sigaction action {};
    action.sa_handler = restore_after_crash;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < kCrashSignals.size(); ++i) {
      ::sigaction(kCrashSignals[i], &action, &crash.before[i]);
    }
  }
  crash.armed = true;
  crash.active = 1;
}

void disarm_crash_restore() {
  if (!crash.armed) return;
  crash.armed = false;
  crash.active = 0;
  for (std::size_t i = 0; i < kCrashSignals.size(); ++i) {
    ::sigaction(kCrashSignals[i], &crash.before[i], nullptr);
  }
}

void set_crash_restore_active(bool active) {
  crash.active = active ? 1 : 0;
}

OutputGuard::OutputGuard(int fd, For purpose) {
  if (!guard.installed) {
    guard.null_fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct sigaction action {};
    action.sa_handler = look_after_output;
    action.sa_flags = SA_RESTART;  // the write goes on, wherever it then goes
    sigemptyset(&action.sa_mask);
    guard.installed = guard.null_fd >= 0 && ::sigaction(SIGALRM, &action, nullptr) == 0;
  }
  if (!guard.installed) return;
  guard.fd = fd;
  guard.closing = purpose == For::closing ? 1 : 0;
  guard.rounds = 0;
  set_timer(kRoundUs);
}

OutputGuard::~OutputGuard() {
  set_timer(0);
}

bool OutputGuard::gave_up() {
  return guard.gave_up != 0;
}

void restore_stuck(int terminal, const termios& modes, std::string_view escape) {
  ::tcflush(terminal, TCOFLUSH);
  ::tcsetattr(terminal, TCSANOW, &modes);
  // A description of its own: the one that we have is shared with the shell, which must not find it
  // non-blocking.
  const Fd own(::open(fmt::format("/proc/self/fd/{}", terminal).c_str(),
                      O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (own) [[maybe_unused]]
    const ssize_t sent = ::write(own.get(), escape.data(), escape.size());
}

}  // namespace listenq::tui
