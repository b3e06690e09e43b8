// SPDX-License-Identifier: Apache-2.0
// Starts programs with their output caught: see process.h.
#include "process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace lqtest {
namespace {

struct Pipe {
  Fd read;
  Fd write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

bool map_root() {
  const Fd map(::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC));
  return ::write(map.get(), "0 0 1", 5) == 5;
}

// Runs in the child between fork and exec: only calls that are safe there, exit kNotStarted on
// failure.
[[noreturn]] void become(char* const* argv, const RunOptions& options, int out, int err) {
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool fine = null >= 0 && ::dup2(null, 0) == 0 && ::dup2(out, 1) == 1 && ::dup2(err, 2) == 2;
  if (fine && options.netns_fd >= 0) fine = ::setns(options.netns_fd, CLONE_NEWNET) == 0;
  if (fine && options.user) {
    const uid_t user = *options.user;
    fine = ::setgroups(0, nullptr) == 0 && ::setresgid(user, user, user) == 0 &&
           ::setresuid(user, user, user) == 0;
  }
  if (fine && options.drop_capability)
    fine = ::prctl(PR_CAPBSET_DROP, *options.drop_capability, 0, 0, 0) == 0;
  if (fine && options.user_namespace) fine = ::unshare(CLONE_NEWUSER) == 0 && map_root();
  if (fine) ::execvp(argv[0], argv);
  const char* reason = std::strerror(errno);
  (void)!::write(2, reason, std::strlen(reason));
  ::_exit(kNotStarted);
}

// Appends what is there to `text`; false at the end of the stream, whose descriptor it then closes.
bool drain(Fd& from, std::string& text) {
  std::array<char, 65536> buffer{};
  const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
  if (got > 0) {
    text.append(buffer.data(), static_cast<size_t>(got));
    return true;
  }
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  from.reset();
  return false;
}

}  // namespace

Program::Program(const std::vector<std::string>& argv, const RunOptions& options)
    : forget_lines_(options.forget_lines),
      deadline_(std::chrono::steady_clock::now() + options.limit) {
  std::vector<char*> raw;
  raw.reserve(argv.size() + 1);
  for (const std::string& word : argv) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  pid_ = ::fork();
  if (pid_ < 0) throw_errno("fork");
  if (pid_ == 0) become(raw.data(), options, out.write.get(), err.write.get());
  out_ = std::move(out.read);
  err_ = std::move(err.read);
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

std::chrono::milliseconds Program::left() const {
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline_ - std::chrono::steady_clock::now());
  return std::max(rest, std::chrono::milliseconds(0));
}

bool Program::pump(std::chrono::milliseconds wait) {
  std::array<pollfd, 2> polled{pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0}};
  if (!out_.valid() && !err_.valid()) return false;
  if (::poll(polled.data(), polled.size(), static_cast<int>(wait.count())) <= 0) return true;
  if (polled[0].revents != 0) drain(out_, out_text_);
  if (polled[1].revents != 0) drain(err_, err_text_);
  return true;
}

std::optional<std::string> Program::read_line() {
  while (true) {
    const size_t end = out_text_.find('\n', line_start_);
    if (end != std::string::npos) {
      std::string line = out_text_.substr(line_start_, end - line_start_);
      line_start_ = end + 1;
      if (forget_lines_) {
        out_text_.erase(0, line_start_);
        line_start_ = 0;
      }
      return line;
    }
    if (!out_.valid() || left().count() == 0) return std::nullopt;
    pump(left());
  }
}

void Program::send_signal(int signal) const {
  ::kill(pid_, signal);
}

RunResult Program::finish() {
  RunResult result;
  while (left().count() > 0 && pump(left())) {
  }
  if (out_.valid() || err_.valid()) {
    result.timed_out = true;
    ::kill(pid_, SIGKILL);
  }
  int status = 0;
  const auto ended = [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; };
  if (!wait_until(ended, left())) {
    result.timed_out = true;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status, 0);
  }
  pid_ = -1;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = std::move(out_text_);
  result.err = std::move(err_text_);
  return result;
}

RunResult run_program(const std::vector<std::string>& argv, const RunOptions& options) {
  return Program(argv, options).finish();
}

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

void throw_errno(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

std::string read_file(const std::string& path) {
  const std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string trim(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace lqtest
