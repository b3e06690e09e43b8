// SPDX-License-Identifier: Apache-2.0
//
// Close-ups over a made-up /proc and made-up cgroups: threads, CPU limits, and which listeners.
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <filesystem>
#include <fstream>

#include "collect/close_ups.h"
#include "procmap/threads.h"
#include "procmap/throttling.h"

namespace listenq {
namespace {

namespace fs = std::filesystem;

class CloseUp : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lq-near-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void thread(int pid, int tid, const std::string& name, const std::string& state) const {
    const std::string stat = std::to_string(tid) + " (" + name + ") " + state + " 1 2 3\n";
    const std::string base = std::to_string(pid) + "/";
    write(base + "task/" + std::to_string(tid) + "/stat", stat);
    if (pid == tid) write(base + "stat", stat);
  }
  void mounts(const std::string& line) const { write("self/mountinfo", line); }
  [[nodiscard]] std::string proc() const { return root_.string(); }

  fs::path root_;
};

TEST_F(CloseUp, ThreadsAsTheKernelTellsThem) {
  thread(100, 100, "nginx", "S");
  write("100/task/100/wchan", "ep_poll");
  write("100/task/100/syscall", std::to_string(SYS_epoll_pwait) + " 0x8 0x0 0x7ffc0000aaaa 0x1\n");
  write("100/task/100/schedstat", "123456789 987654 42\n");
  thread(100, 1002, "a) (b c", "R");
  write("100/task/1002/wchan", "0");
  write("100/task/1002/syscall", "running\n");
  write("100/task/1002/schedstat", "5 6\n");
  thread(100, 999, "quiet", "D");
  const auto sharer = read_sharer(proc(), 100);
  ASSERT_TRUE(sharer);
  EXPECT_EQ(sharer->pid, 100);
  EXPECT_EQ(sharer->name, "nginx");
  EXPECT_EQ(sharer->threads_total, 3U);
  ASSERT_EQ(sharer->threads.size(), 3U);
  const RawThread& leader = sharer->threads[0];
  EXPECT_EQ(leader.tid, 100);
  EXPECT_EQ(leader.state, 'S');
  EXPECT_EQ(leader.wait_channel, "ep_poll");
  EXPECT_EQ(leader.system_call, "epoll_pwait");
  EXPECT_EQ(leader.cpu_ns, 123456789U);
  EXPECT_EQ(leader.run_delay_ns, 987654U);
  // What can't be read is absent.
  EXPECT_EQ(sharer->threads[1].tid, 999);
  EXPECT_EQ(sharer->threads[1].state, 'D');
  EXPECT_EQ(sharer->threads[1].wait_channel, std::nullopt);
  EXPECT_EQ(sharer->threads[1].system_call, std::nullopt);
  EXPECT_EQ(sharer->threads[1].cpu_ns, std::nullopt);
  EXPECT_EQ(sharer->threads[1].run_delay_ns, std::nullopt);
  EXPECT_EQ(sharer->threads[2].name, "a) (b c");
  EXPECT_EQ(sharer->threads[2].state, 'R');
  EXPECT_EQ(sharer->threads[2].wait_channel, std::nullopt);
  EXPECT_EQ(sharer->threads[2].system_call, std::nullopt);
  EXPECT_EQ(sharer->threads[2].run_delay_ns, 6U);
  EXPECT_FALSE(read_sharer(proc(), 101));
}

TEST_F(CloseUp, OnlyTheFirstThreads) {
  for (int tid = 200; tid < 300; ++tid) thread(200, tid, "java", "S");
  const auto sharer = read_sharer(proc(), 200);
  ASSERT_TRUE(sharer);
  EXPECT_EQ(sharer->threads_total, 100U);
  ASSERT_EQ(sharer->threads.size(), kThreadsRead);
  EXPECT_EQ(sharer->threads.back().tid, 200 + static_cast<int>(kThreadsRead) - 1);
}

TEST(SystemCalls, HaveNames) {
  EXPECT_EQ(system_call_name(SYS_read), "read");
  EXPECT_EQ(system_call_name(SYS_accept4), "accept4");
  EXPECT_EQ(system_call_name(SYS_futex), "futex");
  EXPECT_EQ(system_call_name(SYS_clone3), "clone3");
  EXPECT_EQ(system_call_name(99999), "syscall 99999");
  EXPECT_EQ(parse_syscall("-1 0x7ffc0000aaaa 0x7f0000001111\n"), std::nullopt);
  EXPECT_EQ(parse_syscall("running\n"), std::nullopt);
  EXPECT_EQ(parse_syscall(""), std::nullopt);
  EXPECT_EQ(parse_syscall("99999 0x1 0x7ffc0000aaaa 0x7f0000001111\n"), "syscall 99999");
#if defined(__x86_64__)
  // 102 is socketcall() in a 32-bit program, and getuid() elsewhere.
  EXPECT_EQ(parse_syscall("102 0x5 0xff92b0a0 0xf7f3d559\n"), "syscall 102");
#endif
}

TEST(ThreadStat, ThatIsNoneIsRefused) {
  RawThread thread;
  for (const char* text : {"", "12", "12 (a", "12 (a)", "12 (a) ", "12 a) S", ") 12 ("}) {
    EXPECT_FALSE(parse_stat(text, thread)) << text;
  }
  EXPECT_TRUE(parse_stat("12 () S 1", thread));
  EXPECT_EQ(thread.name, "");
}

TEST_F(CloseUp, CpuLimitsOfV2) {
  mounts("30 25 0:26 / " + proc() + "/cg rw - cgroup2 cgroup2 rw\n");
  write("100/cgroup", "0::/a.slice/b.service/c\n");
  write("cg/a.slice/cpu.max", "200000 100000\n");
  write("cg/a.slice/cpu.stat", "usage_usec 9\nnr_periods 10\nnr_throttled 2\nthrottled_usec 345\n");
  write("cg/a.slice/b.service/cpu.max", "max 100000\n");
  write("cg/a.slice/b.service/cpu.stat", "usage_usec 9\n");
  write("cg/a.slice/b.service/c/cpu.max", "5000 20000\n");
  write("cg/a.slice/b.service/c/cpu.stat",
        "nr_periods 7\nnr_throttled 6\nthrottled_usec 5\nnr_bursts 0\n");
  const auto limits = CpuLimits(proc()).of_process(100);
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(limits[0].cgroup, "/a.slice/b.service/c");
  EXPECT_EQ(limits[0].quota_ns, 5'000'000U);
  EXPECT_EQ(limits[0].period_ns, 20'000'000U);
  EXPECT_EQ(limits[0].periods, 7U);
  EXPECT_EQ(limits[0].throttled_periods, 6U);
  EXPECT_EQ(limits[0].throttled_ns, 5000U);
  EXPECT_EQ(limits[1].cgroup, "/a.slice");
  EXPECT_EQ(limits[1].quota_ns, 200'000'000U);
  EXPECT_EQ(limits[1].throttled_ns, 345'000U);
}

TEST_F(CloseUp, CpuLimitsOfV1OnAHybridHost) {
  mounts("30 25 0:26 / " + proc() + "/unified rw - cgroup2 cgroup2 rw\n" + "31 25 0:27 / " +
         proc() + "/cpuset rw - cgroup cgroup rw,cpuset\n" + "32 25 0:28 /docker/x " + proc() +
         "/inner rw - cgroup cgroup rw,cpu,cpuacct\n" + "33 25 0:28 / " + proc() +
         "/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  write("100/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/pod/web\n1:name=systemd:/x\n0::/pod/web\n");
  write("unified/pod/web/cpu.max", "1 1\n");
  write("cpu/pod/cpu.cfs_quota_us", "-1\n");
  write("cpu/pod/web/cpu.cfs_quota_us", "50000\n");
  write("cpu/pod/web/cpu.cfs_period_us", "100000\n");
  write("cpu/pod/web/cpu.stat", "nr_periods 8\nnr_throttled 3\nthrottled_time 123456\n");
  CpuLimits limits(proc());
  const auto found = limits.of_process(100);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].cgroup, "/pod/web");
  EXPECT_EQ(found[0].quota_ns, 50'000'000U);
  EXPECT_EQ(found[0].period_ns, 100'000'000U);
  EXPECT_EQ(found[0].periods, 8U);
  EXPECT_EQ(found[0].throttled_periods, 3U);
  EXPECT_EQ(found[0].throttled_ns, 123456U);
  EXPECT_TRUE(limits.of_process(101).empty());
  write("cpu/pod/web/cpu.stat", "nr_periods 9\nnr_throttled 4\nthrottled_time 5\n");
  EXPECT_EQ(limits.of_process(100).at(0).periods, 8U) << "within a sample it is read once";
  limits.forget();
  EXPECT_EQ(limits.of_process(100).at(0).periods, 9U);
}

TEST_F(CloseUp, SharersAndTheirLimitsOnce) {
  mounts("30 25 0:26 / " + proc() + "/cg rw - cgroup2 cgroup2 rw\n");
  write("cg/web/cpu.max", "200000 100000\n");
  write("cg/web/cpu.stat", "nr_periods 10\n");
  OwnerTable owners;
  for (int pid = 100; pid < 120; ++pid) {
    owners.pids.push_back(pid);
    if (pid == 101) continue;  // ended meanwhile
    thread(pid, pid, "worker", "S");
    write(std::to_string(pid) + "/cgroup", "0::/web\n");
  }
  owners.by_inode[7] = {0, 20};
  std::vector<RawCloseUp> close_ups(2);
  close_ups[0].inode = 7;
  close_ups[1].inode = 8;
  CpuLimits limits(proc());
  add_sharers(proc(), owners, limits, close_ups);
  EXPECT_EQ(close_ups[0].sharers_total, 19U);
  ASSERT_EQ(close_ups[0].sharers.size(), kSharersRead - 1);
  EXPECT_EQ(close_ups[0].sharers[0].pid, 100);
  EXPECT_EQ(close_ups[0].sharers[1].pid, 102);
  EXPECT_EQ(close_ups[0].throttlings.size(), 1U);
  EXPECT_TRUE(close_ups[1].sharers.empty());
  EXPECT_EQ(close_ups[1].sharers_total, 0U);
}

TEST(CloseUpRequests, FindTheirListeners) {
  std::vector<RawListener> listeners(3);
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    listeners[i].netns = NetnsId{10};
    listeners[i].inode = 20 + i;
    listeners[i].cookie = SocketCookie{30 + i};
  }
  const std::vector<CloseUpRequest> requests = {{NetnsId{10}, SocketCookie{32}, 0},
                                                {NetnsId{10}, SocketCookie{99}, 20},
                                                {NetnsId{11}, SocketCookie{30}, 0},
                                                {NetnsId{10}, std::nullopt, 21},
                                                {NetnsId{10}, std::nullopt, 0}};
  const auto found = find_close_ups(listeners, requests);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].inode, 22U);
  EXPECT_EQ(found[0].cookie, SocketCookie{32});
  EXPECT_EQ(found[1].inode, 21U);
  EXPECT_FALSE(found[1].waiting);
  EXPECT_TRUE(find_close_ups(listeners, {}).empty());
  const std::vector<CloseUpRequest> many(kMostCloseUps, {NetnsId{10}, SocketCookie{98}, 0});
  std::vector<CloseUpRequest> too_many = many;
  too_many.push_back(requests[0]);
  EXPECT_TRUE(find_close_ups(listeners, too_many).empty());
}

}  // namespace
}  // namespace listenq
