// SPDX-License-Identifier: Apache-2.0
//
// The program itself on a terminal, over a recording: it leaves a sane terminal however it ends, is
// resized, stopped and continued, and plays back and forth.
#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <vector>

#include "app/run.h"
#include "pty_child.h"
#include "record_files.h"

namespace listenq::test {
namespace {

namespace fs = std::filesystem;

std::string recording(const char* story) {
  return (fs::path(LISTENQ_SOURCE_DIR) / "tests/data" / (std::string(story) + ".lqrec")).string();
}

std::string program() {
  const char* set = std::getenv("LISTENQ_TOP");
  return set != nullptr
             ? set
             : (fs::read_symlink("/proc/self/exe").parent_path() / "../listenq-top").string();
}

/// `listenq-top replay FILE ...`; its settings are nobody's.
std::function<int()> replay(const std::string& file, std::vector<std::string> more = {}) {
  return [file, more = std::move(more)] {
    ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    std::vector<std::string> words{program(), "replay", file};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    return 127;
  };
}

class ScreenRun : public testing::Test {
 protected:
  void start(std::vector<std::string> more = {}) {
    child_ = std::make_unique<Child>(replay(recording("overflow"), std::move(more)));
    ASSERT_TRUE(child_->wait_for("nginx"));
  }
  void expect_sane_end(int status) {
    EXPECT_EQ(child_->wait(), status) << child_->output();
    EXPECT_TRUE(child_->is_given_back());
  }
  std::unique_ptr<Child> child_;
};

TEST_F(ScreenRun, QuitsByKey) {
  start();
  child_->type("q");
  expect_sane_end(0);
}

TEST_F(ScreenRun, EverySignalThatEndsItGivesTheTerminalBack) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
    SCOPED_TRACE(number);
    start();
    child_->signal(number);
    expect_sane_end(0);
  }
}

TEST_F(ScreenRun, KeysThatAreSignals) {
  for (const char* key : {"\x03", "\x1c"}) {
    start();
    child_->type(key);
    expect_sane_end(0);
  }
}

TEST_F(ScreenRun, AlsoWhileALineIsEdited) {
  for (const int number : {SIGTERM, SIGHUP}) {
    start();
    child_->type("/");
    ASSERT_TRUE(child_->wait_for(kShowCursor));
    child_->type("redi");
    child_->signal(number);
    expect_sane_end(0);
  }
}

TEST_F(ScreenRun, IsResizedAgainAndAgain) {
  start();
  const std::array<std::array<unsigned short, 2>, 8> sizes = {
      {{5, 20}, {1, 1}, {100, 400}, {24, 80}, {1, 400}, {100, 1}, {6, 40}, {0, 0}}};
  for (int round = 0; round < 20; ++round) {
    for (const auto& size : sizes) {
      child_->resize(size[0], size[1]);
      child_->signal(SIGWINCH);
      child_->type("j");
    }
  }
  child_->resize(30, 100);
  child_->signal(SIGWINCH);
  child_->type("+");
  child_->type("\x0c");  // Ctrl-L: all of it
  ASSERT_TRUE(child_->wait_for("\x1b[30d") || child_->wait_for("\x1b[30;"));
  child_->type("q");
  expect_sane_end(0);
}

class ScreenJob : public testing::Test {
 protected:
  ScreenJob() : child_([] { return run_as_job(replay(recording("overflow"))); }) {}
  void SetUp() override { ASSERT_TRUE(child_.wait_for("Quit")); }

  void to_foreground() const { child_.signal(SIGUSR1); }
  void to_background() const { child_.signal(SIGUSR2); }
  void kill_job(int number) const { ::kill(child_.job(), number); }
  void expect_sane_end() {
    EXPECT_EQ(child_.wait(), 0) << child_.output();
    EXPECT_TRUE(child_.is_given_back());
  }

  Child child_;
};

TEST_F(ScreenJob, IsStoppedAndContinued) {
  for (const bool by_key : {true, false}) {
    if (by_key) {
      child_.type("\x1a");
    } else {
      kill_job(SIGTSTP);
    }
    ASSERT_TRUE(child_.wait_for("STOPPED"));
    EXPECT_TRUE(child_.is_given_back());
    to_foreground();
    ASSERT_TRUE(child_.wait_for(kMouseOn));
    ASSERT_TRUE(child_.wait_for(kEnterScreen));
    ASSERT_TRUE(child_.wait_for("nginx")) << "all of the screen again";
    EXPECT_FALSE(child_.modes_are_back());
  }
  child_.type("q");
  expect_sane_end();
}

TEST_F(ScreenJob, IsResizedWhileStopped) {
  child_.type("\x1a");
  ASSERT_TRUE(child_.wait_for("STOPPED"));
  child_.resize(5, 20);
  to_foreground();
  ASSERT_TRUE(child_.wait_for("need 40x6"));
  child_.resize(40, 120);
  ASSERT_TRUE(child_.wait_for("nginx"));
  child_.type("q");
  expect_sane_end();
}

TEST_F(ScreenJob, IsStoppedWhileALineIsEdited) {
  child_.type("/");
  ASSERT_TRUE(child_.wait_for(kShowCursor));
  child_.type("zebra");
  ASSERT_TRUE(child_.wait_for("ebra"));
  child_.type("\x1a");
  ASSERT_TRUE(child_.wait_for("STOPPED"));
  EXPECT_TRUE(child_.modes_are_back());
  to_foreground();
  EXPECT_TRUE(child_.wait_for("zebra")) << "what was typed is still there";
  child_.type("\x03");
  expect_sane_end();
}

/// There the terminal is the shell's: it stops again, until it is brought to the front.
TEST_F(ScreenJob, ContinuedInTheBackgroundItTouchesNothing) {
  child_.type("\x1a");
  ASSERT_TRUE(child_.wait_for("STOPPED"));
  for (int i = 0; i < 3; ++i) {
    to_background();
    ASSERT_TRUE(child_.wait_for("STOPPED"));
    EXPECT_TRUE(child_.is_given_back());
  }
  to_foreground();
  ASSERT_TRUE(child_.wait_for("nginx"));
  child_.type("q");
  expect_sane_end();
}

TEST_F(ScreenJob, EndsWhileItIsStopped) {
  child_.type("\x1a");
  ASSERT_TRUE(child_.wait_for("STOPPED"));
  kill_job(SIGTERM);
  to_background();
  expect_sane_end();
}

/// kill -STOP: nothing can be given back before.
TEST_F(ScreenJob, DrawsAnewAfterStopAndCont) {
  kill_job(SIGSTOP);
  ASSERT_TRUE(child_.wait_for("STOPPED"));
  EXPECT_TRUE(child_.modes_are_back()) << "by the shell";
  to_foreground();
  ASSERT_TRUE(child_.wait_for("nginx"));
  // It was stopped anywhere, in a picture too: that is drawn to its end before the modes are set.
  for (int i = 0; i < 1000 && child_.modes_are_back(); ++i) ::poll(nullptr, 0, 10);
  EXPECT_FALSE(child_.modes_are_back());
  child_.type("q");
  expect_sane_end();
}

TEST_F(ScreenJob, AfterStopItEndsInTheBackgroundToo) {
  kill_job(SIGSTOP);
  ASSERT_TRUE(child_.wait_for("STOPPED"));
  to_background();
  ASSERT_TRUE(child_.wait_for("STOPPED")) << "it can't draw there";
  kill_job(SIGTERM);
  to_background();
  expect_sane_end();
}

TEST_F(ScreenRun, EndsWithItsTerminal) {
  start();
  child_->hang_up();
  EXPECT_EQ(child_->wait_without_reading(), 0);
}

TEST_F(ScreenRun, EndsWithItsTerminalWhereSighupIsIgnored) {
  const auto run = replay(recording("overflow"));
  Child child([&] {
    ::signal(SIGHUP, SIG_IGN);
    return run();
  });
  ASSERT_TRUE(child.wait_for("nginx"));
  child.hang_up();
  EXPECT_EQ(child.wait_without_reading(), 0);
}

TEST_F(ScreenRun, StoppedOutputDoesNotHoldUpTheEnd) {
  for (const bool by_key : {true, false}) {
    start();
    child_->settle();
    child_->stop_output();
    if (by_key) {
      child_->type("q");
    } else {
      child_->signal(SIGTERM);
    }
    EXPECT_EQ(child_->wait_without_reading(), 0);
    EXPECT_TRUE(child_->modes_are_back());
  }
}

TEST_F(ScreenRun, PlaysToTheEndAndBackWithoutAPause) {
  start({"-d", "0.05"});
  ASSERT_TRUE(child_->wait_for("END"));
  child_->type(" ");
  child_->type("q");
  expect_sane_end(0);
}

TEST_F(ScreenRun, DamageIsSaidOnTheNormalScreenWhenTheUserLeaves) {
  const TempDir directory;
  const std::string file = directory.file("damaged.lqrec");
  auto bytes = read_file(recording("overflow"));
  bytes.at(bytes.size() - 20) ^= 0xffU;
  bytes.push_back(1);
  write_file(file, bytes);
  Child child(replay(file, {"-d", "0.05"}));
  ASSERT_TRUE(child.wait_for("END"));
  child.type("q");
  EXPECT_EQ(WEXITSTATUS(child.wait()), 2);
  EXPECT_TRUE(child.is_given_back());
  EXPECT_GT(child.output().find("it is damaged after sample"), child.output().rfind(kLeaveScreen));
}

// ---- an error in the midst of drawing

Value out_of_memory(const ListenerRow& /*row*/) {
  throw std::bad_alloc();
}
constexpr Field kThrowing = {"throws",
                             "THROWS",
                             Kind::gauge,
                             Type::number,
                             Unit::none,
                             Need::listener,
                             "Always out of memory.",
                             out_of_memory};

TEST(ScreenError, AnExceptionIsASentenceOnTheNormalScreen) {
  Child child([] {
    Options options;
    options.command = Command::replay;
    options.file = recording("overflow");
    options.sort = {&kThrowing, false};
    return run(options);
  });
  EXPECT_TRUE(child.wait_for(kLeaveScreen));
  EXPECT_TRUE(child.wait_for("listenq-top: can't go on: std::bad_alloc"));
  EXPECT_EQ(WEXITSTATUS(child.wait()), 3);
  EXPECT_TRUE(child.is_given_back());
}

}  // namespace
}  // namespace listenq::test
