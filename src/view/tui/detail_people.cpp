// SPDX-License-Identifier: Apache-2.0
//
// On the page of a listener: the processes that hold it and what their threads do, CPU limits that
// stop them, the connections that wait, the other members of its reuseport group.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "util/text.h"
#include "view/tui/detail.h"

namespace listenq::tui {

namespace {

constexpr std::size_t kMostProcesses = 16;
constexpr std::size_t kMostWaiting = 10;
constexpr std::size_t kMostMembers = 32;
constexpr std::size_t kMostKinds = 8;  ///< of threads, in a process

/// The same listener in the sample before, for what happened since.
const RawCloseUp* close_up_before(const DetailContext& context) {
  const Sample* const before = context.snapshot.before.get();
  return before == nullptr ? nullptr : close_up_of(*before, *context.row.raw);
}

// --- threads

struct StateWord {
  std::string_view text;
  Style style;
};

StateWord state_word(char state) {
  switch (state) {
    case 'R':
      return {"running", Style::normal};
    case 'S':
      return {"sleeping", Style::normal};
    case 'D':
      return {"BLOCKED", Style::warn};  // uninterruptible: disk, NFS
    case 'T':
      return {"STOPPED", Style::bad};
    case 't':
      return {"STOPPED by a debugger", Style::bad};
    case 'Z':
    case 'X':
      return {"dead", Style::warn};
    case 'I':
      return {"idle", Style::normal};
    default:
      return {"unknown", Style::dim};
  }
}

/// Threads that do the same, as one line.
struct Kind {
  std::size_t threads = 0;
  std::string name;  ///< of the first
  std::optional<double> cpu;
  std::optional<double> waits_for_cpu;
};
using KindKey = std::tuple<char, std::string, std::string>;  ///< state, system call, wait channel

const RawThread* thread_before(const RawCloseUp* before, std::int32_t pid, std::int32_t tid) {
  if (before == nullptr) return nullptr;
  for (const RawSharer& sharer : before->sharers) {
    if (sharer.pid != pid) continue;
    for (const RawThread& thread : sharer.threads) {
      if (thread.tid == tid) return &thread;
    }
  }
  return nullptr;
}

void add_share(std::optional<double>& sum, const std::optional<std::uint64_t>& now,
               const std::optional<std::uint64_t>& before, double seconds) {
  if (!now || !before || *now < *before || seconds <= 0) return;
  sum = sum.value_or(0) + static_cast<double>(*now - *before) / 1e9 / seconds;
}

std::map<KindKey, Kind> kinds_of(const RawSharer& sharer, const RawCloseUp* before,
                                 double seconds) {
  std::map<KindKey, Kind> kinds;
  for (const RawThread& thread : sharer.threads) {
    Kind& kind =
        kinds[{thread.state, thread.system_call.value_or(""), thread.wait_channel.value_or("")}];
    if (kind.threads++ == 0) kind.name = thread.name;
    if (const RawThread* const then = thread_before(before, sharer.pid, thread.tid)) {
      add_share(kind.cpu, thread.cpu_ns, then->cpu_ns, seconds);
      add_share(kind.waits_for_cpu, thread.run_delay_ns, then->run_delay_ns, seconds);
    }
  }
  return kinds;
}

void write_kind(PageWriter& page, const KindKey& key, const Kind& kind) {
  const auto& [state, system_call, wait_channel] = key;
  const StateWord word = state_word(state);
  std::string text = kind.threads > 1 ? fmt::format("{} threads ", kind.threads) : std::string();
  text += word.text;
  if (!system_call.empty()) text += " in " + printable(system_call) + "()";
  if (!wait_channel.empty()) text += ", kernel: " + printable(wait_channel);
  if (kind.cpu) text += fmt::format(", CPU {:.0f} %", *kind.cpu * 100);
  constexpr double kWorthSaying = 0.01;
  if (kind.waits_for_cpu.value_or(0) >= kWorthSaying) {
    text += fmt::format(", waits for a CPU {:.0f} %", *kind.waits_for_cpu * 100);
  }
  const bool hinders = word.style == Style::bad || word.style == Style::warn;
  if (hinders) page.canvas().put(page.row(), 0, "!", word.style);
  page.canvas().put(page.row(), 6, text, word.style);
  page.skip(1);
}

void write_sharer(PageWriter& page, const RawSharer& sharer, const RawCloseUp* before,
                  double seconds) {
  page.text(fmt::format("{} pid {}, {} thread{}", printable(sharer.name), sharer.pid,
                        sharer.threads_total, sharer.threads_total == 1 ? "" : "s"),
            Style::normal);
  const auto kinds = kinds_of(sharer, before, seconds);
  std::size_t written = 0;
  for (const auto& [key, kind] : kinds) {
    if (written++ == kMostKinds) break;
    write_kind(page, key, kind);
  }
  if (kinds.size() > kMostKinds || sharer.threads.size() < sharer.threads_total) {
    page.canvas().put(page.row(), 6, "and others", Style::dim);
    page.skip(1);
  }
}

// --- CPU limits

const RawThrottling* throttling_before(const RawCloseUp* before, const std::string& cgroup) {
  if (before == nullptr) return nullptr;
  const auto found = std::find_if(before->throttlings.begin(), before->throttlings.end(),
                                  [&](const RawThrottling& each) { return each.cgroup == cgroup; });
  return found == before->throttlings.end() ? nullptr : &*found;
}

void write_throttling(PageWriter& page, const RawThrottling& now, const RawThrottling* before) {
  std::string text = fmt::format("CPU limit of cgroup {}", printable(now.cgroup));
  if (now.period_ns > 0) {
    text += fmt::format(": {:.2f} of a core",
                        static_cast<double>(now.quota_ns) / static_cast<double>(now.period_ns));
  }
  const bool follows = before != nullptr && now.periods >= before->periods &&
                       now.throttled_periods >= before->throttled_periods &&
                       now.throttled_ns >= before->throttled_ns;
  const std::uint64_t periods = now.periods - (follows ? before->periods : 0);
  const std::uint64_t throttled = now.throttled_periods - (follows ? before->throttled_periods : 0);
  const std::uint64_t time = now.throttled_ns - (follows ? before->throttled_ns : 0);
  text += fmt::format("; stopped in {} of {} periods {}, {} in all", grouped(throttled),
                      grouped(periods), follows ? "of this interval" : "since it is there",
                      duration_text(static_cast<double>(time) / 1e9));
  if (follows && throttled > 0) {
    page.marked(text, Style::bad);
  } else {
    page.text(text, Style::normal);
  }
}

/// Owners as they are known without a look from near.
void write_owners(PageWriter& page, const DetailContext& context) {
  const ListenerRow& row = context.row;
  if (row.pids.empty()) page.text("who holds it is not known here", Style::dim);
  const OwnerTable* const owners = context.snapshot.sample->owners.get();
  for (std::size_t i = 0; i < std::min(row.pids.size(), kMostProcesses); ++i) {
    std::string name = "process";
    if (owners != nullptr) {
      const auto found = owners->processes.find(row.pids[i]);
      if (found != owners->processes.end()) name = printable(found->second.name);
    }
    page.text(fmt::format("{} pid {}", name, row.pids[i]), Style::normal);
  }
  if (row.pids.size() > kMostProcesses) {
    page.text(fmt::format("and {} more", row.pids.size() - kMostProcesses), Style::dim);
  }
  page.text(context.state.playback ? "what their threads did is not in this sample"
                                   : "what their threads do comes with the next sample",
            Style::dim);
}

std::string peer_text(const RawWaiting& waiting) {
  RawListener as_listener;
  as_listener.family = waiting.family;
  as_listener.address = waiting.address;
  as_listener.port = waiting.port;
  return local_text(as_listener);
}

}  // namespace

void write_sharers(PageWriter& page, const DetailContext& context) {
  page.heading("Who holds it, and what the threads do");
  const RawCloseUp* const now = close_up_of(*context.snapshot.sample, *context.row.raw);
  if (now == nullptr) {
    write_owners(page, context);
    return;
  }
  const RawCloseUp* const before = close_up_before(context);
  const double seconds = context.snapshot.interval_seconds.value_or(0);
  if (now->sharers.empty()) page.text("who holds it is not known here", Style::dim);
  for (std::size_t i = 0; i < std::min(now->sharers.size(), kMostProcesses); ++i) {
    write_sharer(page, now->sharers[i], before, seconds);
  }
  const std::size_t shown = std::min(now->sharers.size(), kMostProcesses);
  if (now->sharers_total > shown) {
    page.text(fmt::format("and {} more processes", now->sharers_total - shown), Style::dim);
  }
  for (const RawThrottling& each : now->throttlings) {
    write_throttling(page, each, throttling_before(before, each.cgroup));
  }
}

void write_waiting(PageWriter& page, const DetailContext& context) {
  const RawCloseUp* const now = close_up_of(*context.snapshot.sample, *context.row.raw);
  page.heading("Who waits in the accept queue, the first to come first");
  if (context.row.raw->accept_queue_len == 0) {
    page.text("nobody", Style::normal);
    return;
  }
  if (now == nullptr || !now->waiting) {
    const bool live_soon = now == nullptr && !context.state.playback;
    page.text(
        live_soon ? "who they are comes with the next sample" : "who they are is not known here",
        Style::dim);
    return;
  }
  constexpr int kPeerCells = 30;
  constexpr int kWaitCells = 10;
  Canvas& canvas = page.canvas();
  canvas.put(page.row(), 2, "PEER", Style::dim, kPeerCells);
  canvas.put_right(page.row(), 2 + kPeerCells, "WAITS", Style::dim, kWaitCells);
  canvas.put(page.row(), 2 + kPeerCells + kWaitCells + 2, "SENT ALREADY", Style::dim);
  page.skip(1);
  const std::size_t shown = std::min(now->waiting->size(), kMostWaiting);
  for (std::size_t i = 0; i < shown; ++i) {
    const RawWaiting& each = (*now->waiting)[i];
    canvas.put(page.row(), 2, peer_text(each), Style::normal, kPeerCells);
    canvas.put_right(page.row(), 2 + kPeerCells,
                     each.wait_ns ? duration_text(static_cast<double>(*each.wait_ns) / 1e9) : "-",
                     Style::normal, kWaitCells);
    canvas.put(page.row(), 2 + kPeerCells + kWaitCells + 2,
               each.received_bytes ? bytes_text(*each.received_bytes) : "-", Style::normal);
    page.skip(1);
  }
  const std::size_t all = std::max<std::size_t>(context.row.raw->accept_queue_len, shown);
  if (all > shown) page.text(fmt::format("and {} more", grouped(all - shown)), Style::dim);
}

void write_members(PageWriter& page, const DetailContext& context) {
  const ListenerRow& row = context.row;
  if (row.reuseport <= 1) return;
  page.heading(fmt::format("Its reuseport group: {} listeners, side by side", row.reuseport));
  Canvas& canvas = page.canvas();
  const auto put = [&](std::string_view process, std::string_view queue, std::string_view accepts,
                       std::string_view lost, std::string_view oldest, Style style) {
    canvas.put(page.row(), 4, process, style, 24);
    canvas.put_right(page.row(), 29, queue, style, 12);
    canvas.put_right(page.row(), 42, oldest, style, 8);
    canvas.put_right(page.row(), 51, accepts, style, 10);
    canvas.put_right(page.row(), 62, lost, style, 10);
    page.skip(1);
  };
  put("PROCESS", "ACCEPT QUEUE", "ACCEPTS/s", "LOST/s", "OLDEST", Style::dim);
  std::size_t written = 0;
  for (const ListenerRow& other : context.snapshot.listeners) {
    if (other.raw->netns != row.raw->netns || other.raw->port != row.raw->port ||
        other.raw->address != row.raw->address || other.raw->interface != row.raw->interface) {
      continue;
    }
    if (written++ == kMostMembers) {
      page.text(fmt::format("and {} more", row.reuseport - kMostMembers), Style::dim);
      break;
    }
    const std::string process =
        other.pids.empty()
            ? std::string("-")
            : fmt::format("{} {}", other.process ? printable(other.process->name) : "process",
                          other.pids.front());
    const auto& oldest = other.raw->oldest_wait_ns;
    if (Snapshot::in_trouble(other)) canvas.put(page.row(), 0, "!", Style::bad);
    if (&other == &row) canvas.put(page.row(), 2, ">", Style::strong);
    put(process, fmt::format("{}/{}", other.raw->accept_queue_len, other.raw->accept_queue_limit),
        rate_text(per_second(other, Counter::accepts)), rate_text(losses_per_second(other)),
        oldest ? duration_text(static_cast<double>(*oldest) / 1e9) : "-",
        Snapshot::in_trouble(other) ? Style::bad : Style::normal);
  }
}

}  // namespace listenq::tui
