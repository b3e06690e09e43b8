// SPDX-License-Identifier: Apache-2.0
//
// fork, exec, wait4. The child moves into the world's network namespace itself, just before exec:
// `ip netns exec` would also remount /sys and cost a process.
#include "measure.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <ctime>
#include <functional>
#include <string_view>

#include "fail.h"
#include "namespace.h"

namespace listenq::bench {
namespace {

double milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

[[noreturn]] void become(const Command& command, int output, int errors = -1) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(output < 0 ? null : output, STDOUT_FILENO);
  dup2(errors < 0 ? null : errors, STDERR_FILENO);
  std::vector<char*> argv;
  for (const std::string& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(127);
}

template <typename Child>
pid_t fork_child(Child child) {
  const pid_t pid = fork();
  if (pid < 0) fail_errno("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child();
    _exit(0);
  }
  return pid;
}

void sleep_until(const timespec& moment) {
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr) == EINTR) {
  }
}

double quantile(const std::vector<double>& sorted, double part) {
  const double position = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const auto above = static_cast<std::size_t>(std::ceil(position));
  return sorted[below] + (sorted[above] - sorted[below]) * (position - std::floor(position));
}

Spread spread_over(const Rounds& rounds,
                   const std::function<double(const std::vector<Cost>&)>& get) {
  std::vector<double> values;
  for (const std::vector<Cost>& round : rounds) values.push_back(get(round));
  return spread_of(std::move(values));
}

}  // namespace

double now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void pin(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(cpu < sysconf(_SC_NPROCESSORS_ONLN) ? cpu : 0), &cpus);
  sched_setaffinity(0, sizeof(cpus), &cpus);
}

void go_before_others() {
  constexpr std::string_view kNice = "-15";
  setpriority(PRIO_PROCESS, 0, -15);
  const int group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
  if (group < 0) return;
  if (write(group, kNice.data(), kNice.size()) < 0) {
    fmt::print(stderr, "bench: the scheduler keeps its groups equal ({})\n", std::strerror(errno));
  }
  close(group);
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) fail("nothing was measured");
  std::sort(values.begin(), values.end());
  return {.median = quantile(values, 0.5),
          .low = quantile(values, 0.25),
          .high = quantile(values, 0.75)};
}

pid_t start(const Command& command, int netns, int cpu, int output) {
  return fork_child([&] {
    if (netns >= 0) enter_namespace(netns);
    if (cpu >= 0) pin(cpu);
    become(command, output, output);
  });
}

pid_t start_every_second(const Command& command, int netns, int count, int offset_ms) {
  return fork_child([&] {
    enter_namespace(netns);
    timespec next{};
    clock_gettime(CLOCK_MONOTONIC, &next);
    next.tv_nsec += offset_ms * 1'000'000L;
    for (int i = 0; i < count; ++i) {
      if (next.tv_nsec >= 1'000'000'000L) {
        next.tv_nsec -= 1'000'000'000L;
        ++next.tv_sec;
      }
      sleep_until(next);
      int status = 0;
      if (waitpid(start(command, -1), &status, 0) < 0 || status != 0) _exit(1);
      ++next.tv_sec;
    }
  });
}

Cost finish(pid_t pid, double started_ms, double limit_seconds, const std::string& what) {
  const int watch = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (watch < 0) fail_errno("watching {}", what);
  pollfd wait{.fd = watch, .events = POLLIN, .revents = 0};
  const double left = started_ms + limit_seconds * 1e3 - now_ms();
  int ready = 0;
  do {
    ready = poll(&wait, 1, static_cast<int>(std::max(left, 1.0)));
  } while (ready < 0 && errno == EINTR);
  const double ended = now_ms();
  close(watch);
  if (ready == 0) kill(pid, SIGKILL);
  int status = 0;
  rusage usage{};
  if (wait4(pid, &status, 0, &usage) != pid) fail_errno("waiting for {}", what);
  if (ready == 0) fail("{} took more than {} s", what, limit_seconds);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fail("{} failed (wait status {:#x})", what, static_cast<unsigned>(status));
  }
  return {.wall_ms = ended - started_ms,
          .cpu_ms = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
          .peak_mb = static_cast<double>(usage.ru_maxrss) / 1024.0};
}

Cost run(const Command& command, int netns, double limit_seconds, int cpu) {
  const double started = now_ms();
  return finish(start(command, netns, cpu), started, limit_seconds, command.id);
}

std::string output_of(const Command& command, int netns, double limit_seconds) {
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) fail_errno("pipe");
  const double started = now_ms();
  const pid_t pid = fork_child([&] {
    if (netns >= 0) enter_namespace(netns);
    become(command, pipe_ends[1]);
  });
  close(pipe_ends[1]);
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t got = read(pipe_ends[0], buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(pipe_ends[0]);
  finish(pid, started, limit_seconds, command.id);
  return text;
}

Rounds interleave(const std::vector<Command>& commands, int netns, const Effort& effort) {
  Rounds rounds;
  for (const Command& command : commands) run(command, netns, effort.limit_seconds);
  const double end = now_ms() + effort.seconds * 1e3;
  for (int round = 0; round < effort.rounds; ++round) {
    if (round >= effort.least_rounds && now_ms() > end) break;
    std::vector<Cost> costs(commands.size());
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const std::size_t which = (i + static_cast<std::size_t>(round)) % commands.size();
      costs[which] = run(commands[which], netns, effort.limit_seconds);
    }
    rounds.push_back(std::move(costs));
  }
  return rounds;
}

Spread wall_of(const Rounds& rounds, std::size_t command) {
  return spread_over(rounds, [=](const auto& round) { return round[command].wall_ms; });
}

Spread cpu_of(const Rounds& rounds, std::size_t command) {
  return spread_over(rounds, [=](const auto& round) { return round[command].cpu_ms; });
}

double peak_of(const Rounds& rounds, std::size_t command) {
  double peak = 0;
  for (const auto& round : rounds) peak = std::max(peak, round[command].peak_mb);
  return peak;
}

Spread speedup_of(const Rounds& rounds, std::size_t rival, std::size_t command) {
  return spread_over(
      rounds, [=](const auto& round) { return round[rival].wall_ms / round[command].wall_ms; });
}

}  // namespace listenq::bench
