// SPDX-License-Identifier: Apache-2.0
//
// A process on a pseudo-terminal of its own, for the tests of what is left of a terminal: the test
// is the user and the terminal.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include "util/fd.h"

namespace listenq::test {

inline constexpr const char* kLeaveScreen = "\x1b[?1049l";  // rmcup of xterm
inline constexpr const char* kEnterScreen = "\x1b[?1049h";
inline constexpr const char* kHideCursor = "\x1b[?25l";
inline constexpr const char* kShowCursor = "\x1b[?25h";
inline constexpr const char* kMouseOn = "\x1b[?1000h\x1b[?1006h";
inline constexpr const char* kMouseOff = "\x1b[?1006l\x1b[?1000l";
inline constexpr int kWaitMs = 10000;  // for what comes at once, or never

class Child {
 public:
  /// Runs `body` in a process of its own whose terminal is a new pseudo-terminal.
  explicit Child(const std::function<int()>& body) {
    master_ = Fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master_ || ::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0) return;
    resize(24, 80);
    ::tcgetattr(master_.get(), &before_);
    const std::string name = ::ptsname(master_.get());
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::setsid();
    const int terminal = ::open(name.c_str(), O_RDWR);
    ::ioctl(terminal, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; ++fd) ::dup2(terminal, fd);
    ::close(terminal);
    master_ = Fd();
    ::setenv("TERM", "xterm-256color", 1);
    ::setenv("LC_ALL", "C.UTF-8", 1);
    ::unsetenv("NO_COLOR");
    ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);  // no settings of the one who runs the tests
    ::unsetenv("COLORTERM");
    ::unsetenv("LINES");
    ::unsetenv("COLUMNS");
    ::_exit(body());
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }

  void resize(unsigned short rows, unsigned short columns) {
    const winsize size{rows, columns, 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
  }
  void type(std::string_view keys) {
    ASSERT_EQ(::write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  /// Reads until `part` was written; false when the child is gone, or silent, before.
  bool wait_for(std::string_view part) {
    while (output_.find(part, seen_) == std::string::npos) {
      if (!read_some()) return false;
    }
    seen_ = output_.find(part, seen_) + part.size();
    return true;
  }
  /// The status as waitpid() gives it, after all output.
  int wait() {
    while (read_some()) {
    }
    int status = -1;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  /// As Ctrl-S does, where a terminal listens to it.
  void stop_output() const {
    const Fd terminal(::open(::ptsname(master_.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_EQ(::tcflow(terminal.get(), TCOOFF), 0);
  }
  void hang_up() { master_ = Fd(); }
  void signal(int number) const { ::kill(pid_, number); }
  /// Reads until it draws no more.
  void settle() {
    constexpr int kSilentMs = 200;
    pollfd ready{master_.get(), POLLIN, 0};
    while (::poll(&ready, 1, kSilentMs) > 0 && read_some()) {
    }
  }
  void forget_output() { seen_ = output_.size(); }
  /// Of run_as_job().
  [[nodiscard]] pid_t job() const {
    const std::size_t at = output_.find("JOB ");
    return at == std::string::npos ? -1 : std::atoi(output_.c_str() + at + 4);
  }
  [[nodiscard]] std::string_view unseen() const { return std::string_view(output_).substr(seen_); }
  /// The terminal as the shell finds it.
  [[nodiscard]] bool is_given_back() const {
    return modes_are_back() && output_.rfind(kLeaveScreen) != std::string::npos &&
           output_.rfind(kLeaveScreen) > output_.rfind(kEnterScreen) &&
           output_.rfind(kShowCursor) > output_.rfind(kHideCursor) &&
           output_.rfind(kMouseOff) > output_.rfind(kMouseOn);
  }
  [[nodiscard]] bool modes_are_back() const {
    termios now{};
    ::tcgetattr(master_.get(), &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag;
  }
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Output is not taken any more; -1: it is still there after a while.
  int wait_without_reading(int milliseconds = kWaitMs) {
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    pollfd ended{process.get(), POLLIN, 0};
    if (::poll(&ended, 1, milliseconds) <= 0) return -1;
    int status = -1;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  bool read_some() {
    pollfd ready{master_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kWaitMs) <= 0) return false;
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(master_.get(), buffer.data(), buffer.size());
    if (got <= 0) return false;
    output_.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
  }
  Fd master_;
  pid_t pid_ = -1;
  termios before_{};
  std::string output_;
  std::size_t seen_ = 0;
};

/// A shell with job control in small, for Child: runs `body` as its job in the foreground, says
/// "JOB <pid>" before, and "STOPPED" each time it stops. SIGUSR1 brings the job to the foreground,
/// SIGUSR2 lets it go on in the background. Ends as the job does.
inline int run_as_job(const std::function<int()>& body) {
  sigset_t orders;
  sigset_t usual;
  sigemptyset(&orders);
  for (const int number : {SIGUSR1, SIGUSR2, SIGCHLD}) sigaddset(&orders, number);
  ::sigprocmask(SIG_BLOCK, &orders, &usual);
  ::signal(SIGTTOU, SIG_IGN);
  termios own{};
  ::tcgetattr(0, &own);
  const pid_t job = ::fork();
  ::setpgid(job, job);
  if (job == 0) {
    ::tcsetpgrp(0, ::getpid());
    ::signal(SIGTTOU, SIG_DFL);
    ::sigprocmask(SIG_SETMASK, &usual, nullptr);
    std::printf("JOB %d\r\n", ::getpid());
    std::fflush(stdout);
    ::_exit(body());
  }
  for (;;) {
    int number = 0;
    ::sigwait(&orders, &number);
    if (number == SIGUSR1) ::tcsetpgrp(0, job);
    if (number == SIGUSR1 || number == SIGUSR2) ::kill(-job, SIGCONT);
    int status = 0;
    while (::waitpid(job, &status, WUNTRACED | WNOHANG) == job) {
      ::tcsetpgrp(0, ::getpgrp());
      ::tcsetattr(0, TCSADRAIN, &own);
      if (!WIFSTOPPED(status)) return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
      std::printf("STOPPED\r\n");
      std::fflush(stdout);
    }
  }
}

}  // namespace listenq::test
