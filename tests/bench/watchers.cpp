// SPDX-License-Identifier: Apache-2.0
//
// See watchers.h.
#include "watchers.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <nlohmann/json.hpp>

#include "fail.h"

namespace listenq::bench {
namespace {

constexpr double kStartSeconds = 90;  // bpftrace compiles; in an emulated machine that is long
constexpr double kEndSeconds = 20;
constexpr double kSettledMs = 400;  // no program more for so long: all are attached

// What bpftrace has to be told to count SYNs, queued connections and accepts by listener.
constexpr const char* kProbes =
    "kprobe:tcp_conn_request { @syns[arg2] = count(); } "
    "kprobe:inet_csk_reqsk_queue_add { @queued[arg0] = count(); } "
    "kprobe:inet_csk_accept { @at[tid] = arg0; } "
    "kretprobe:inet_csk_accept /@at[tid]/ { if (retval) { @accepts[@at[tid]] = count(); } "
    "delete(@at[tid]); }";
// Without kprobes: connections by port, when they are established (3 is SYN_RECV, 1 ESTABLISHED).
constexpr const char* kTracepoint =
    "tracepoint:sock:inet_sock_set_state /args->oldstate == 3 && args->newstate == 1/ "
    "{ @[args->sport] = count(); }";

void pause_ms(long ms) {
  const timespec pause{.tv_sec = 0, .tv_nsec = ms * 1'000'000};
  nanosleep(&pause, nullptr);
}

Watcher of_tool(const std::string& tool, const std::string& backend, Place tracing,
                std::set<Place> places) {
  const auto command = [&](const char* delay) {
    return Command{.id = backend,
                   .argv = {tool, "-b", "--json", "--backend", backend, "-d", delay}};
  };
  return {.name = "listenq-top, " + backend,
          .backend = backend,
          .command = command("1"),
          .quiet = command("600"),
          .tracing = tracing,
          .places = std::move(places)};
}

Watcher other(const std::string& name, std::vector<std::string> argv, Place place) {
  const Command command{.id = name, .argv = std::move(argv)};
  return {.name = name,
          .backend = "",
          .command = command,
          .quiet = command,
          .tracing = place,
          .places = {place}};
}

// The last is the error; before it come warnings.
std::string last_line_of(const std::string& text) {
  const std::size_t end = text.find_last_not_of("\n ");
  if (end == std::string::npos) return "it ended at once, or is not installed";
  const std::size_t before = text.find_last_of('\n', end);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  return text.substr(begin, end + 1 - begin);
}

}  // namespace

std::vector<Watcher> watchers(const std::string& tool) {
  return {
      of_tool(tool, "fentry", Place::function, {Place::function}),
      of_tool(tool, "kprobe", Place::raw_tracepoint, {Place::probe, Place::raw_tracepoint}),
      of_tool(tool, "portable", Place::raw_tracepoint,
              {Place::socket_filter, Place::raw_tracepoint, Place::tracepoint}),
      other("bpftrace, kprobes", {"bpftrace", "-e", kProbes}, Place::probe),
      other("bpftrace, tracepoint", {"bpftrace", "-e", kTracepoint}, Place::tracepoint),
      other("tcpsynbl", {"tcpsynbl"}, Place::function),
  };
}

Watching::Watching(const Watcher& watcher, bool quiet) {
  output_ = memfd_create("lq-bench-output", MFD_CLOEXEC);
  if (output_ < 0) fail_errno("memory for the output of {}", watcher.name);
  started_ms_ = now_ms();
  pid_ = start(quiet ? watcher.quiet : watcher.command, -1, -1, output_);
  if (watcher.backend.empty()) {
    await_programs();
  } else {
    await_document(watcher.backend);
  }
}

Watching::~Watching() {
  if (pid_ > 0) {
    kill(pid_, SIGINT);
    const double limit = now_ms() + kEndSeconds * 1e3;
    while (!ended() && now_ms() < limit) pause_ms(2);
    if (!ended()) {
      kill(pid_, SIGKILL);
      while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
  close(output_);
  // What the process held is let go after its end.
  const double limit = now_ms() + kEndSeconds * 1e3;
  for (const std::uint32_t id : programs_) {
    while (is_loaded(id) && now_ms() < limit) pause_ms(2);
  }
}

bool Watching::ended() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ < 0;
}

std::string Watching::said() const {
  std::string text(1UL << 16, '\0');
  const ssize_t got = pread(output_, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

// The first document comes when the programs are attached, and says by which way.
void Watching::await_document(const std::string& backend) {
  const double limit = now_ms() + kStartSeconds * 1e3;
  for (bool end = false; !end && now_ms() < limit; pause_ms(2)) {
    end = ended();
    const std::string text = said();
    if (text.empty() || (text.find('\n') == std::string::npos && text.size() < (1UL << 16))) {
      continue;
    }
    const std::string key = "\"backend\":\"";
    const std::size_t at = text.find(key);
    if (text[0] != '{' || at == std::string::npos) {
      const std::size_t begin = text.find(": ");  // behind the program's name
      why_not_ = text.substr(begin == std::string::npos ? 0 : begin + 2);
      why_not_.resize(std::min(why_not_.find_first_of(";\n"), why_not_.size()));
    } else if (text.compare(at + key.size(), backend.size() + 1, backend + "\"") != 0) {
      why_not_ = "another backend was taken";
    }
    ready_ms_ = now_ms();
    programs_ = programs_of(pid_);
    return;
  }
  why_not_ = "it shows nothing";
}

// Others say nothing that could be relied on: they are ready when no program more is attached.
void Watching::await_programs() {
  const double limit = now_ms() + kStartSeconds * 1e3;
  while (now_ms() < limit) {
    if (ended()) {
      why_not_ = last_line_of(said());
      return;
    }
    std::set<std::uint32_t> now = programs_of(pid_);
    if (now != programs_) {
      programs_ = std::move(now);
      ready_ms_ = now_ms();
    }
    if (!programs_.empty() && now_ms() - ready_ms_ > kSettledMs) return;
    pause_ms(20);
  }
  why_not_ = "it attached no program";
}

}  // namespace listenq::bench
