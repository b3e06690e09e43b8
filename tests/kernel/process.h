// SPDX-License-Identifier: Apache-2.0
// Starts programs (the tool, ss, ip) with their output caught, in a chosen network namespace and as
// a chosen user. Used by tool.cpp, ss.cpp and netns.cpp.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fd.h"

namespace lqtest {

// What a run may take at most. The virtual machines have one slow emulated CPU: far above any
// honest run, there only so that a hang ends as a failure.
inline constexpr std::chrono::seconds kRunLimit{60};

struct RunOptions {
  int netns_fd = -1;            // the namespace to start in; -1: the caller's
  std::optional<uid_t> user{};  // drop to this user and group, no supplementary groups
  // Root of a user namespace of its own, in which only user 0 exists.
  bool user_namespace = false;
  std::optional<int> drop_capability{};  // never to be had again
  std::chrono::milliseconds limit = kRunLimit;
  // What read_line() gave is not kept for finish(): for programs that write without end.
  bool forget_lines = false;
};

// Exit status when the program could not be started like that.
inline constexpr int kNotStarted = 127;

struct RunResult {
  int status = -1;  // exit status; 128 + signal when killed
  bool timed_out = false;
  std::string out;
  std::string err;
};

class Program {
 public:
  explicit Program(const std::vector<std::string>& argv, const RunOptions& options = {});
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  // The next line of stdout, without its newline; nothing at the end of output or of the time.
  std::optional<std::string> read_line();
  void send_signal(int signal) const;
  [[nodiscard]] pid_t pid() const { return pid_; }
  // Reads what is left, waits for the end. Kills at the limit.
  RunResult finish();

 private:
  bool pump(std::chrono::milliseconds wait);
  [[nodiscard]] std::chrono::milliseconds left() const;

  pid_t pid_ = -1;
  Fd out_;
  Fd err_;
  std::string out_text_;
  std::string err_text_;
  size_t line_start_ = 0;
  bool forget_lines_;
  std::chrono::steady_clock::time_point deadline_;
};

RunResult run_program(const std::vector<std::string>& argv, const RunOptions& options = {});

// Polls until `condition` holds or the time is over; true when it held.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(20));

// errno as a std::runtime_error that names what was tried.
[[noreturn]] void throw_errno(const std::string& what);

std::string read_file(const std::string& path);
std::string trim(const std::string& text);
std::vector<std::string> split_lines(const std::string& text);
std::vector<std::string> split_words(const std::string& text);

}  // namespace lqtest
