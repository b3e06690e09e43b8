// SPDX-License-Identifier: Apache-2.0
//
// See threads.h.
#include "procmap/threads.h"

#include <dirent.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "util/text.h"

namespace listenq {
namespace {

using SystemCall = std::pair<std::int64_t, std::string_view>;

/// Ascending by number.
constexpr auto kSystemCalls = [] {
  auto calls = std::to_array<SystemCall>({
#include "system_calls.inc"
  });
  std::sort(calls.begin(), calls.end());
  return calls;
}();

std::vector<std::int32_t> thread_ids(const std::string& directory) {
  std::vector<std::int32_t> ids;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const auto id = parse_integer(static_cast<const char*>(entry->d_name));
    if (id && *id > 0) ids.push_back(static_cast<std::int32_t>(*id));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::optional<std::string> wait_channel(const std::string& text) {
  if (text.empty() || text == "0") return std::nullopt;
  return text;
}

void parse_schedstat(std::string_view text, RawThread& thread) {
  const auto words = split(text, ' ');
  if (words.size() < 2) return;
  const auto cpu = parse_integer(words[0]);
  const auto delay = parse_integer(words[1]);
  if (!cpu || !delay || *cpu < 0 || *delay < 0) return;
  thread.cpu_ns = static_cast<std::uint64_t>(*cpu);
  thread.run_delay_ns = static_cast<std::uint64_t>(*delay);
}

/// nullopt when the thread is gone.
std::optional<RawThread> read_thread(const std::string& directory, std::int32_t tid) {
  const std::string base = directory + "/" + std::to_string(tid) + "/";
  RawThread thread;
  thread.tid = tid;
  const auto stat = read_small_file(base + "stat");
  if (!stat || !parse_stat(*stat, thread)) return std::nullopt;
  thread.wait_channel = wait_channel(read_small_file(base + "wchan").value_or(""));
  thread.system_call = parse_syscall(read_small_file(base + "syscall").value_or(""));
  parse_schedstat(read_small_file(base + "schedstat").value_or(""), thread);
  return thread;
}

#if defined(__x86_64__)
/// A 32-bit program has other numbers; its stack tells it, which is the last but one.
bool has_foreign_numbers(const std::vector<std::string_view>& words) {
  if (words.size() < 3) return false;
  const std::string_view stack = words[words.size() - 2];
  return stack.size() <= std::string_view("0xffffffff").size();
}
#else
bool has_foreign_numbers(const std::vector<std::string_view>& /*words*/) {
  return false;
}
#endif

}  // namespace

bool parse_stat(std::string_view stat, RawThread& thread) {
  const std::size_t open = stat.find(" (");
  const std::size_t close = stat.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2 ||
      close + 2 >= stat.size()) {
    return false;
  }
  thread.name = stat.substr(open + 2, close - open - 2);
  thread.state = stat[close + 2];
  return true;
}

std::string system_call_name(std::int64_t number) {
  const auto* const found = std::lower_bound(
      kSystemCalls.begin(), kSystemCalls.end(), number,
      [](const SystemCall& call, std::int64_t wanted) { return call.first < wanted; });
  if (found != kSystemCalls.end() && found->first == number) return std::string(found->second);
  return "syscall " + std::to_string(number);
}

std::optional<std::string> parse_syscall(std::string_view syscall) {
  while (syscall.ends_with('\n')) syscall.remove_suffix(1);
  const auto words = split(syscall, ' ');
  const auto number = parse_integer(words.front());  // none for "running"
  if (!number || *number < 0) return std::nullopt;
  if (has_foreign_numbers(words)) return "syscall " + std::to_string(*number);
  return system_call_name(*number);
}

std::optional<RawSharer> read_sharer(const std::string& proc, std::int32_t pid) {
  const std::string base = proc + "/" + std::to_string(pid);
  RawThread leader;
  const auto stat = read_small_file(base + "/stat");
  if (!stat || !parse_stat(*stat, leader)) return std::nullopt;
  RawSharer sharer;
  sharer.pid = pid;
  sharer.name = leader.name;
  const std::string tasks = base + "/task";
  const std::vector<std::int32_t> ids = thread_ids(tasks);
  sharer.threads_total = static_cast<std::uint32_t>(ids.size());
  for (const std::int32_t tid : ids) {
    if (sharer.threads.size() == kThreadsRead) break;
    if (auto thread = read_thread(tasks, tid)) sharer.threads.push_back(std::move(*thread));
  }
  return sharer;
}

}  // namespace listenq
