// SPDX-License-Identifier: Apache-2.0
//
// procmap over a made-up /proc: namespaces, owners, cgroups.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "procmap/namespaces.h"
#include "procmap/owners.h"

namespace listenq {
namespace {

namespace fs = std::filesystem;

class FakeProc : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lq-proc-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    process("self", "net:[100]", "mnt:[7]");
    write("self/mountinfo", "");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void link(const std::string& path, const std::string& target) const {
    fs::create_directories((root_ / path).parent_path());
    fs::create_symlink(target, root_ / path);
  }
  void process(const std::string& pid, const std::string& net, const std::string& mnt) const {
    link(pid + "/ns/net", net);
    link(pid + "/ns/mnt", mnt);
  }

  fs::path root_;
};

TEST_F(FakeProc, ListsNamespacesOfProcessesAndMounts) {
  process("1", "net:[100]", "mnt:[7]");
  process("20", "net:[200]", "mnt:[7]");
  process("21", "net:[200]", "mnt:[7]");
  write("self/mountinfo",
        "30 25 0:4 net:[300] /run/netns/blue rw shared:1 - nsfs nsfs rw\n"
        "31 25 0:4 net:[300] /somewhere/else rw - nsfs nsfs rw\n"
        "32 25 0:4 mnt:[301] /run/mnt rw - nsfs nsfs rw\n"
        "33 25 0:4 net:[200] /run/netns/with\\040space rw - nsfs nsfs rw\n"
        "34 25 8:1 / / rw - ext4 /dev/vda rw\n");
  NamespaceLister lister(root_.string());
  const auto list = lister.list();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(number(list[0].id), 100U);
  EXPECT_FALSE(list[0].name);
  EXPECT_EQ(number(list[1].id), 200U);
  EXPECT_EQ(list[1].name, "with space");
  EXPECT_EQ(list[1].path, "/run/netns/with space");
  EXPECT_EQ(number(list[2].id), 300U);
  EXPECT_EQ(list[2].name, "blue");
  EXPECT_EQ(lister.own(), NetnsId{100});
  EXPECT_FALSE(lister.own_name());
}

TEST_F(FakeProc, KnowsTheNameOfTheOwnNamespace) {
  write("self/mountinfo", "30 25 0:4 net:[100] /run/netns/red rw - nsfs nsfs rw\n");
  EXPECT_EQ(NamespaceLister(root_.string()).own_name(), "red");
}

TEST_F(FakeProc, FindsMountsOfOtherMountNamespaces) {
  process("50", "net:[100]", "mnt:[8]");
  write("50/mountinfo", "30 25 0:4 net:[500] /run/hidden rw - nsfs nsfs rw\n");
  const auto list = NamespaceLister(root_.string()).list();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[1].path, (root_ / "50/root/run/hidden").string());
  EXPECT_EQ(list[1].name, "hidden");
}

TEST_F(FakeProc, AVanishedNamespaceIsNotListedAgain) {
  process("20", "net:[200]", "mnt:[7]");
  NamespaceLister lister(root_.string());
  EXPECT_EQ(lister.list().size(), 2U);
  fs::remove_all(root_ / "20");
  EXPECT_EQ(lister.list().size(), 1U);
}

// A file that `pid`'s link to its namespace leads to, and whose inode number is that namespace's.
TEST_F(FakeProc, OpensAnewThroughAnyProcessThatIsStillThere) {
  write("made", "");
  struct stat about {};
  ASSERT_EQ(::stat((root_ / "made").c_str(), &about), 0);
  const NetnsId id{static_cast<std::uint32_t>(about.st_ino)};
  const std::string text = "net:[" + std::to_string(number(id)) + "]";
  for (const char* pid : {"20", "21", "22"}) process(pid, text, "mnt:[7]");
  fs::rename(root_ / "made", root_ / "21/ns" / text);  // the others' links dangle: they ended
  process("30", "net:[300]", "mnt:[7]");               // listed, and can't be opened
  NamespaceLister lister(root_.string());
  const std::vector<NetnsId> wanted = {id, NetnsId{300}, NetnsId{400}};
  const auto found = lister.open_anew(wanted);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(found.at(id));
  EXPECT_FALSE(found.at(NetnsId{300}));
}

TEST_F(FakeProc, OpensNoOtherNamespaceThatThePathCameToLeadTo) {
  write("made", "");
  struct stat about {};
  ASSERT_EQ(::stat((root_ / "made").c_str(), &about), 0);
  const auto inode = static_cast<std::uint32_t>(about.st_ino);
  EXPECT_TRUE(open_namespace((root_ / "made").string(), NetnsId{inode}));
  EXPECT_FALSE(open_namespace((root_ / "made").string(), NetnsId{inode + 1}));
  EXPECT_FALSE(open_namespace((root_ / "none").string(), NetnsId{inode}));
}

TEST_F(FakeProc, ScansOwnersOfWantedSocketsOnly) {
  process("10", "net:[100]", "mnt:[7]");
  link("10/fd/3", "socket:[1001]");
  link("10/fd/4", "socket:[1001]");  // dup(): one owner
  link("10/fd/5", "socket:[1002]");
  link("10/fd/6", "/dev/null");
  write("10/comm", "nginx\n");
  write("10/cgroup", "0::/system.slice/nginx.service\n");
  link("11/fd/7", "socket:[1001]");
  write("11/comm", "work er\n");
  const auto table = make_owner_table(root_.string(), scan_owners(root_.string(), {1001}));
  ASSERT_EQ(table->by_inode.size(), 1U);
  const auto range = table->by_inode.at(1001);
  ASSERT_EQ(range.count, 2U);
  EXPECT_EQ(table->pids[range.first], 10);
  EXPECT_EQ(table->pids[range.first + 1], 11);
  EXPECT_EQ(table->processes.at(10).name, "nginx");
  EXPECT_EQ(table->processes.at(10).cgroup, "/system.slice/nginx.service");
  EXPECT_EQ(table->processes.at(11).name, "work er");
  EXPECT_FALSE(table->processes.at(11).cgroup) << "absent is not the root cgroup";
}

TEST(CgroupOfProcess, PrefersTheUnifiedHierarchyUnlessItIsOnlyTheRoot) {
  EXPECT_EQ(cgroup_of_process("0::/a/b\n"), "/a/b");
  EXPECT_EQ(cgroup_of_process("0::/\n"), "/");
  EXPECT_EQ(cgroup_of_process("4:memory:/docker/abc\n1:name=systemd:/d\n0::/\n"), "/docker/abc");
  EXPECT_EQ(cgroup_of_process("4:memory:/docker/abc\n0::/a\n"), "/a");
  EXPECT_EQ(cgroup_of_process("4:memory:/\n"), "/");
  EXPECT_EQ(cgroup_of_process("0::/with:colon\n"), "/with:colon");
  EXPECT_FALSE(cgroup_of_process(""));
}

TEST(NamespaceNumber, TakesOnlyItsKind) {
  EXPECT_EQ(namespace_number("net:[4026531840]", "net"), 4026531840U);
  EXPECT_FALSE(namespace_number("mnt:[4026531840]", "net"));
  EXPECT_FALSE(namespace_number("net:[]", "net"));
  EXPECT_FALSE(namespace_number("net:[-3]", "net"));
  EXPECT_FALSE(namespace_number("", "net"));
}

}  // namespace
}  // namespace listenq
