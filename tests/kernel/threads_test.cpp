// SPDX-License-Identifier: Apache-2.0
// What the threads do that should accept, against what they were told to do; CPU limits of their
// cgroup; how long the tool's own programs ran.
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "fixture.h"
#include "looker.h"
#include "owner.h"
#include "process.h"
#include "sockets.h"

namespace lqtest {
namespace {

using listenq::RawCloseUp;
using listenq::RawSharer;
using listenq::RawThread;
using listenq::RawThrottling;

constexpr uint16_t kPort = 8080;

template <class Work>
void start_thread(const char* name, Work work) {
  std::thread([name, work] {
    ::prctl(PR_SET_NAME, name);
    work();
  }).detach();
}

const RawThread* thread_named(const RawSharer& sharer, const std::string& name) {
  for (const RawThread& thread : sharer.threads)
    if (thread.name == name) return &thread;
  return nullptr;
}

// What the kernel says itself; nothing where it says that there is none.
std::optional<std::string> wait_channel_of(pid_t pid, int tid) {
  const std::string text = trim(read_file(fmt::format("/proc/{}/task/{}/wchan", pid, tid)));
  return text == "0" ? std::nullopt : std::optional(text);
}

class Threads : public KernelTest {
 protected:
  // A process with a listener, and `setup` in it.
  Owner& serve(const std::function<void(OwnerBody&, int listener)>& setup) {
    OwnerOptions options;
    options.name = "lq (serve) r";
    options.netns_fd = netns_.fd();
    return owners_.emplace_back(options, [&](OwnerBody& body) {
      const Fd& listener = body.keep(open_listener({.address = "127.0.0.1", .port = kPort}));
      setup(body, listener.get());
    });
  }

  Netns netns_ = Netns::named("threads");
  std::deque<Owner> owners_;
};

TEST_F(Threads, SayWhatTheyWaitFor) {
  const Owner& server = serve([](OwnerBody&, int listener) {
    start_thread("in futex", [] {
      static std::atomic<int> word{0};
      for (;;) ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    });
    start_thread("a) S (epoll", [] {
      const int epoll = ::epoll_create1(0);
      epoll_event event{};
      for (;;) ::syscall(SYS_epoll_pwait, epoll, &event, 1, -1, nullptr, 8);
    });
    start_thread("in accept", [listener] {
      for (;;) ::accept4(listener, nullptr, nullptr, 0);
    });
  });
  Looker looker(netns_, only_reading());
  looker.ask_for(kPort);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"in futex", "futex"}, {"a) S (epoll", "epoll_pwait"}, {"in accept", "accept4"}};
  RawCloseUp found;
  const auto all_wait = [&] {
    found = looker.close_up();
    if (found.sharers.size() != 1) return false;
    return std::all_of(expected.begin(), expected.end(), [&](const auto& one) {
      const RawThread* thread = thread_named(found.sharers[0], one.first);
      return thread != nullptr && thread->state == 'S' && thread->system_call == one.second;
    });
  };
  EXPECT_TRUE(wait_until(all_wait));
  ASSERT_EQ(found.sharers.size(), 1U);
  EXPECT_EQ(found.sharers_total, 1U);
  const RawSharer& sharer = found.sharers[0];
  EXPECT_EQ(sharer.pid, server.pid());
  EXPECT_EQ(sharer.name, "lq (serve) r");
  EXPECT_EQ(sharer.threads_total, 4U);
  ASSERT_EQ(sharer.threads.size(), 4U);
  EXPECT_EQ(sharer.threads[0].tid, server.pid());
  EXPECT_EQ(sharer.threads[0].name, "lq (serve) r");
  EXPECT_EQ(sharer.threads[0].system_call, "read");
  for (const RawThread& thread : sharer.threads) {
    SCOPED_TRACE(thread.name);
    EXPECT_EQ(thread.state, 'S') << thread.system_call.value_or("no system call");
    EXPECT_EQ(thread.wait_channel, wait_channel_of(server.pid(), thread.tid));
  }
  for (const auto& [name, call] : expected) {
    const RawThread* thread = thread_named(sharer, name);
    ASSERT_NE(thread, nullptr) << name;
    EXPECT_EQ(thread->system_call, call);
  }
  if (std::filesystem::exists(fmt::format("/proc/{}/schedstat", server.pid()))) {
    EXPECT_GT(sharer.threads[0].cpu_ns.value_or(0), 0U);
    EXPECT_TRUE(sharer.threads[0].run_delay_ns);
  }
}

TEST_F(Threads, StoppedOnesAreT) {
  const Owner& server = serve([](OwnerBody&, int) {
    start_thread("other", [] {
      for (;;) ::pause();
    });
  });
  Looker looker(netns_, only_reading());
  looker.ask_for(kPort);
  const auto all_are = [&](char state) {
    return wait_until([&] {
      const RawCloseUp found = looker.close_up();
      if (found.sharers.size() != 1 || found.sharers[0].threads.size() != 2) return false;
      const auto& threads = found.sharers[0].threads;
      return threads[0].state == state && threads[1].state == state;
    });
  };
  EXPECT_TRUE(all_are('S'));
  ASSERT_EQ(::kill(server.pid(), SIGSTOP), 0);
  EXPECT_TRUE(all_are('T'));
  ASSERT_EQ(::kill(server.pid(), SIGCONT), 0);
  EXPECT_TRUE(all_are('S'));
}

TEST_F(Threads, OfAllSharers) {
  const Owner& server = serve([](OwnerBody& body, int) {
    body.share_with("second");
    body.share_with("third");
  });
  ASSERT_EQ(server.sharers().size(), 2U);
  Looker looker(netns_, only_reading());
  looker.ask_for(kPort);
  const RawCloseUp found = looker.close_up();
  EXPECT_EQ(found.sharers_total, 3U);
  std::vector<std::pair<pid_t, std::string>> seen;
  for (const RawSharer& sharer : found.sharers) seen.emplace_back(sharer.pid, sharer.name);
  std::vector<std::pair<pid_t, std::string>> made = {{server.pid(), "lq (serve) r"},
                                                     {server.sharers()[0], "second"},
                                                     {server.sharers()[1], "third"}};
  std::sort(made.begin(), made.end());
  EXPECT_EQ(seen, made);
}

// --- CPU limits --------------------------------------------------------------------------------

// A cgroup with a quota of 2 ms in each 100 ms, removed with everything in it.
class LimitedCgroup {
 public:
  static std::string hierarchy() {
    for (const char* path : {"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu"})
      if (std::filesystem::exists(std::string(path) + "/cpu.shares")) return path;
    std::string v2 = "/sys/fs/cgroup";
    if (!std::filesystem::exists(v2 + "/cgroup.subtree_control")) return "";
    if (!put(v2 + "/cgroup.subtree_control", "+cpu")) return "";
    return v2;
  }

  explicit LimitedCgroup(const std::string& root)
      : name_(fmt::format("/lq-limit-{}", ::getpid())), path_(root + name_) {
    std::filesystem::create_directory(path_);
    v1_ = std::filesystem::exists(path_ + "/cpu.shares");
    limited_ = v1_ ? put(path_ + "/cpu.cfs_period_us", "100000") &&
                         put(path_ + "/cpu.cfs_quota_us", "2000")
                   : put(path_ + "/cpu.max", "2000 100000");
  }
  LimitedCgroup(const LimitedCgroup&) = delete;
  LimitedCgroup& operator=(const LimitedCgroup&) = delete;
  ~LimitedCgroup() {
    wait_until([&] { return ::rmdir(path_.c_str()) == 0; });
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool limited() const { return limited_; }
  [[nodiscard]] bool take(pid_t pid) const {
    return put(path_ + "/cgroup.procs", std::to_string(pid));
  }
  [[nodiscard]] uint64_t stat(const std::string& key) const {
    for (const std::string& line : split_lines(read_file(path_ + "/cpu.stat")))
      if (line.starts_with(key + " ")) return std::stoull(line.substr(key.size() + 1));
    return 0;
  }
  [[nodiscard]] uint64_t throttled_ns() const {
    return v1_ ? stat("throttled_time") : stat("throttled_usec") * 1000;
  }

 private:
  static bool put(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return static_cast<bool>(file);
  }

  std::string name_;
  std::string path_;
  bool v1_ = false;
  bool limited_ = false;
};

TEST_F(Threads, AreStoppedByTheirCpuLimit) {
  const std::string root = LimitedCgroup::hierarchy();
  if (root.empty()) GTEST_SKIP() << "no cgroup hierarchy here has the CPU controller";
  const LimitedCgroup cgroup(root);
  if (!cgroup.limited()) GTEST_SKIP() << "this kernel has no CPU quotas (CONFIG_CFS_BANDWIDTH)";
  // Busy for half a second of CPU time at most: some 25 s with the quota.
  const Owner& server = serve([](OwnerBody&, int) {
    start_thread("busy", [] {
      timespec used{};
      do {
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
      } while (used.tv_sec == 0 && used.tv_nsec < 500'000'000);
    });
  });
  ASSERT_TRUE(cgroup.take(server.pid()));
  Looker looker(netns_, only_reading());
  looker.ask_for(kPort);
  uint64_t least = 0;
  RawCloseUp found;
  EXPECT_TRUE(wait_until([&] {
    least = cgroup.stat("nr_throttled");
    found = looker.close_up();
    return least >= 2;
  }));
  const auto limit =
      std::find_if(found.throttlings.begin(), found.throttlings.end(),
                   [&](const RawThrottling& one) { return one.cgroup.ends_with(cgroup.name()); });
  ASSERT_NE(limit, found.throttlings.end());
  EXPECT_EQ(limit->quota_ns, 2'000'000U);
  EXPECT_EQ(limit->period_ns, 100'000'000U);
  EXPECT_GE(limit->throttled_periods, least);
  EXPECT_LE(limit->throttled_periods, cgroup.stat("nr_throttled"));
  EXPECT_GE(limit->periods, limit->throttled_periods);
  EXPECT_GT(limit->throttled_ns, 0U);
  EXPECT_LE(limit->throttled_ns, cgroup.throttled_ns());
  owners_.clear();
}

// --- the tool's own programs -------------------------------------------------------------------

uint64_t descriptors_of_statistics() {
  uint64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.find("bpf-stats") != std::string::npos) ++count;
  }
  return count;
}

TEST_F(Threads, ProgramTimesAreReadWhileWanted) {
  if (const std::string reason = why_not("iter"); !reason.empty()) GTEST_SKIP() << reason;
  if (trim(read_file("/proc/sys/kernel/bpf_stats_enabled")) != "0")
    GTEST_SKIP() << "BPF statistics are on here";
  serve([](OwnerBody&, int) {});
  Looker looker(netns_, {});
  const auto before = looker.sample();
  EXPECT_TRUE(before->self.programs.empty());
  listenq::Wanted wanted;
  wanted.program_times = true;
  looker.ask(wanted);
  EXPECT_EQ(descriptors_of_statistics(), 1U);
  const auto total_runs = [](const listenq::Sample& sample) {
    uint64_t runs = 0;
    for (const auto& program : sample.self.programs) {
      EXPECT_TRUE(program.runs && program.run_ns) << program.name;
      runs += program.runs.value_or(0);
    }
    return runs;
  };
  const uint64_t first = total_runs(*looker.sample());
  const auto second = looker.sample();
  EXPECT_GT(total_runs(*second), first);
  if (second->counting) {
    const auto& maps = second->self.maps;
    ASSERT_FALSE(maps.empty());
    EXPECT_EQ(maps[0].name, "listeners");
    EXPECT_GT(maps[0].max_entries, 0U);
    EXPECT_LE(maps[0].entries, maps[0].max_entries);
  }
  looker.ask({});
  EXPECT_EQ(descriptors_of_statistics(), 0U);
  EXPECT_TRUE(looker.sample()->self.programs.empty());
}

}  // namespace
}  // namespace lqtest
