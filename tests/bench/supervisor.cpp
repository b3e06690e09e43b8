// SPDX-License-Identifier: Apache-2.0
//
// The supervisor: one child does the work, this process only waits, and cleans up. It is a
// subreaper, and everything below it dies with its parent (PR_SET_PDEATHSIG), so that killing the
// worker takes the holders and the measured programs along, even after a crash.
#include "supervisor.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

#include "fail.h"
#include "namespace.h"

namespace listenq::bench {
namespace {

constexpr std::string_view kPrefix = "lq-bench-";

pid_t supervisor_pid = 0;

// Removes what runs left behind that were killed with SIGKILL: the pid in the name is gone.
void remove_stale_namespaces() {
  for (const std::string& name : named_namespaces(std::string(kPrefix))) {
    const long pid = std::strtol(name.c_str() + kPrefix.size(), nullptr, 10);
    if (pid > 0 && kill(static_cast<pid_t>(pid), 0) != 0) remove_namespace(name);
  }
}

// Waits for every descendant: the worker's own end kills them, so this is short.
void reap_all() {
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

int wait_for_worker(pid_t worker, const sigset_t& signals) {
  for (;;) {
    const int signal = sigwaitinfo(&signals, nullptr);
    if (signal == SIGCHLD) {
      int status = 0;
      if (waitpid(worker, &status, WNOHANG) != worker) continue;
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      fmt::print(stderr, "bench: the worker ended by signal {}\n", WTERMSIG(status));
      return 1;
    }
    if (signal > 0) {
      fmt::print(stderr, "bench: stopping\n");
      kill(worker, SIGKILL);
      return 128 + signal;
    }
  }
}

}  // namespace

std::string namespace_prefix() {
  return fmt::format("{}{}-", kPrefix, supervisor_pid);
}

int supervise(const std::function<int()>& work) {
  supervisor_pid = getpid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  remove_stale_namespaces();

  sigset_t signals;
  sigset_t before;
  sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, &before);

  std::fflush(nullptr);
  const pid_t worker = fork();
  if (worker < 0) fail_errno("fork");
  if (worker == 0) {
    // A session of its own: Ctrl-C reaches the supervisor alone, which then ends the rest.
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    const int code = work();
    std::fflush(nullptr);
    _exit(code);
  }
  const int code = wait_for_worker(worker, signals);
  reap_all();
  for (const std::string& name : named_namespaces(namespace_prefix())) remove_namespace(name);
  return code;
}

}  // namespace listenq::bench
