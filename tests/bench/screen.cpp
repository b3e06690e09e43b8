// SPDX-License-Identifier: Apache-2.0
//
// The pseudo terminal: everything a program paints is read at once, as a terminal emulator would.
#include "screen.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "fail.h"
#include "namespace.h"

namespace listenq::bench {
namespace {

// A frame is over when nothing more has come for this long.
constexpr double kQuietMs = 25;
// Of programs that draw once a second.
constexpr double kBetweenFramesMs = 300;
// From the first frame to the time that is measured, which then begins and ends between two frames.
constexpr double kSettleMs = 1500;

// Reads what is there within `wait_ms`; -1 at the end of the terminal, 0 if nothing came.
ssize_t read_some(int terminal, double wait_ms, std::string& text) {
  pollfd ready{.fd = terminal, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, static_cast<int>(std::ceil(std::max(wait_ms, 0.0)))) <= 0) return 0;
  std::array<char, 65536> buffer{};
  const ssize_t got = read(terminal, buffer.data(), buffer.size());
  if (got <= 0) return -1;
  text.append(buffer.data(), static_cast<std::size_t>(got));
  return got;
}

// Returns the moment of the last byte of the first frame that holds `expected`.
double await_frame(int terminal, const std::string& expected, double deadline,
                   const std::string& what) {
  std::string text;
  double last_byte = 0;
  while (now_ms() < deadline) {
    const bool seen = text.find(expected) != std::string::npos;
    const ssize_t got = read_some(terminal, seen ? kQuietMs : deadline - now_ms(), text);
    if (got < 0) fail("{} ended before its first frame", what);
    if (got == 0 && seen) return last_byte;
    if (got > 0) last_byte = now_ms();
  }
  fail("{} showed no \"{}\" in time", what, expected);
}

// Returns the number of frames: what comes in one go, after a pause.
int drain_until(int terminal, double deadline) {
  std::string text;
  int frames = 0;
  double last_byte = now_ms() - kBetweenFramesMs;
  while (now_ms() < deadline) {
    const ssize_t got = read_some(terminal, deadline - now_ms(), text);
    if (got < 0) break;
    if (got == 0) continue;
    if (now_ms() - last_byte >= kBetweenFramesMs) ++frames;
    last_byte = now_ms();
    text.clear();
  }
  return frames;
}

double cpu_ms_of(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
    fail("process {} has no clock of its CPU time", pid);
  }
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

pid_t start_on_terminal(const Command& command, int netns, int& terminal) {
  const winsize size{.ws_row = 40, .ws_col = 120, .ws_xpixel = 0, .ws_ypixel = 0};
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  if (pid < 0) fail_errno("forkpty");
  if (pid > 0) {
    fcntl(terminal, F_SETFD, FD_CLOEXEC);
    return pid;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  go_before_others();
  enter_namespace(netns);
  setenv("TERM", "xterm-256color", 1);
  // No settings of whoever runs this, and none written: a folder that can't be.
  setenv("HOME", "/dev/null", 1);
  setenv("XDG_CONFIG_HOME", "/dev/null", 1);
  std::vector<char*> argv;
  for (const std::string& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(127);
}

}  // namespace

ScreenRun run_on_screen(const Command& command, int netns, const std::string& expected,
                        double seconds, double limit_seconds) {
  const double started = now_ms();
  const double deadline = started + limit_seconds * 1e3;
  int terminal = -1;
  const pid_t pid = start_on_terminal(command, netns, terminal);
  const double frame = await_frame(terminal, expected, deadline, command.id);
  drain_until(terminal, now_ms() + seconds * 1e3);
  if (write(terminal, "q", 1) != 1) fail_errno("typing q");
  drain_until(terminal, deadline);
  const Cost cost = finish(pid, started, limit_seconds, command.id);
  close(terminal);
  return {.first_frame_ms = frame - started, .cost = cost};
}

IdleRun run_idle(const Command& command, int netns, const std::string& expected, double seconds,
                 EndsBy end, double limit_seconds) {
  const double started = now_ms();
  const double deadline = started + limit_seconds * 1e3;
  int terminal = -1;
  const pid_t pid = start_on_terminal(command, netns, terminal);
  const double frame = await_frame(terminal, expected, deadline, command.id);
  drain_until(terminal, frame + kSettleMs);
  IdleRun run;
  const double before = cpu_ms_of(pid);
  run.frames = drain_until(terminal, frame + kSettleMs + seconds * 1e3);
  run.idle_cpu_ms = cpu_ms_of(pid) - before;
  if (end == EndsBy::interrupt) {
    kill(pid, SIGINT);
  } else if (write(terminal, "q", 1) != 1) {
    fail_errno("typing q");
  }
  drain_until(terminal, deadline);
  run.cost = finish(pid, started, limit_seconds, command.id);
  close(terminal);
  return run;
}

}  // namespace listenq::bench
