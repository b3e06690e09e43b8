// SPDX-License-Identifier: Apache-2.0
//
// Playing a recording: pace, steps, going back and to a time, without a terminal and with a clock
// that the test turns.
#include "app/playing.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "made_up.h"
#include "record_files.h"

namespace listenq {
namespace {

using made_up::kSecond;
using tui::PlaybackCommand;
using Kind = PlaybackCommand::Kind;

constexpr std::uint64_t kStart = 1'700'000'000 * kSecond;

/// A recording in memory.
class Tape final : public Source {
 public:
  /// One sample at each of these seconds, of both clocks; its listener has lost 10 more each time.
  explicit Tape(const std::vector<std::uint64_t>& seconds) { fill(seconds); }
  void fill(const std::vector<std::uint64_t>& seconds) {
    samples_.clear();
    std::uint32_t drops = 0;
    for (const std::uint64_t second : seconds) {
      RawListener listener = made_up::listener();
      listener.sk_drops = drops += 10;
      add(made_up::sample(second, {listener}));
    }
  }
  void add(Sample sample) { samples_.push_back(std::make_shared<const Sample>(std::move(sample))); }
  void damage(std::string sentence) { damage_ = std::move(sentence); }
  void make_pipe() { pipe_ = true; }

  Result<std::shared_ptr<const Sample>> next() override {
    if (at_ < samples_.size()) return samples_[at_++];
    if (!damage_.empty()) return failure(ErrorKind::usage, damage_);
    return nullptr;
  }
  [[nodiscard]] bool live() const override { return false; }
  Result<void> rewind() override {
    if (pipe_) return failure(ErrorKind::usage, "a pipe");
    at_ = 0;
    ++rewinds;
    return {};
  }
  void want(const Wanted& /*wanted*/) override {}
  [[nodiscard]] std::string note() const override { return ""; }
  [[nodiscard]] std::string closing_note() const override { return ""; }

  int rewinds = 0;

 private:
  std::vector<std::shared_ptr<const Sample>> samples_;
  std::size_t at_ = 0;
  std::string damage_;
  bool pipe_ = false;
};

/// Remembers what it is given.
class Notes final : public Stage {
 public:
  void show(std::shared_ptr<const Snapshot> given) override {
    ++shown;
    take(std::move(given));
  }
  void pass_by(std::shared_ptr<const Snapshot> given) override { take(std::move(given)); }
  void restart() override { gathered.clear(); }
  void set_playback(const tui::Playback& now) override { playback = now; }
  void redraw() override { ++redrawn; }
  void say(const std::string& sentence) override { said = sentence; }

  [[nodiscard]] std::uint64_t second() const {
    return (snapshot->sample->wall_ns - kStart) / kSecond;
  }

  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::uint64_t> gathered;  ///< seconds, since the start of the recording
  tui::Playback playback;
  int shown = 0;
  int redrawn = 0;
  std::string said;

 private:
  void take(std::shared_ptr<const Snapshot> given) {
    snapshot = std::move(given);
    gathered.push_back(second());
  }
};

class PlayingTest : public testing::Test {
 protected:
  void play(std::optional<double> pace = {}) {
    playing_ = std::make_unique<Playing>(tape_, notes_, pace, [this] {
      now_ += cost_;
      return now_;
    });
    ASSERT_TRUE(playing_->start());
  }
  void command(Kind kind, std::uint64_t second = 0) {
    playing_->command({kind, kStart + second * kSecond});
  }
  void finish() {
    for (int i = 0; i < 1000 && playing_->seeking(); ++i) playing_->work();
    ASSERT_FALSE(playing_->seeking());
  }
  void press(Kind kind, std::uint64_t second = 0) {
    command(kind, second);
    finish();
  }
  void pass(double seconds) {
    now_ += static_cast<std::uint64_t>(seconds * 1e9);
    playing_->tick();
  }

  Tape tape_{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
  Notes notes_;
  std::uint64_t now_ = 1000 * kSecond;
  std::uint64_t cost_ = 0;  ///< of each look at the clock
  std::unique_ptr<Playing> playing_;
};

TEST_F(PlayingTest, BeginsWithTheFirstSample) {
  play();
  EXPECT_EQ(notes_.second(), 0U);
  EXPECT_EQ(notes_.playback.first_wall_ns, kStart);
  EXPECT_FALSE(notes_.playback.paused);
  EXPECT_FALSE(notes_.playback.ended);
}

TEST_F(PlayingTest, GoesAtItsOwnPaceAndThenStays) {
  play();
  EXPECT_NEAR(playing_->wait_seconds(), 1, 0.01);
  pass(0.5);
  EXPECT_EQ(notes_.second(), 0U) << "not due yet";
  pass(0.5);
  EXPECT_EQ(notes_.second(), 1U);
  for (int i = 0; i < 20; ++i) pass(1);
  EXPECT_EQ(notes_.second(), 9U);
  EXPECT_TRUE(notes_.playback.ended);
  EXPECT_EQ(notes_.shown, 10);
  EXPECT_TRUE(playing_->damage());
}

TEST_F(PlayingTest, EveryGapOfTheRecordingIsKept) {
  tape_.fill({0, 10, 10'000});
  play();
  pass(9);
  EXPECT_EQ(notes_.second(), 0U);
  pass(1);
  EXPECT_EQ(notes_.second(), 10U);
  pass(59);
  EXPECT_EQ(notes_.second(), 10U);
  pass(1);
  EXPECT_EQ(notes_.second(), 10'000U) << "no gap is longer than a minute";
}

TEST_F(PlayingTest, APaceThatWasGivenReplacesIt) {
  play(5);
  pass(4);
  EXPECT_EQ(notes_.second(), 0U);
  pass(1);
  EXPECT_EQ(notes_.second(), 1U);
  playing_->set_pace(0.5);
  pass(0.5);
  EXPECT_EQ(notes_.second(), 2U);
  press(Kind::faster);
  pass(0.25);
  EXPECT_EQ(notes_.second(), 3U);
}

TEST_F(PlayingTest, SpeedHasLimits) {
  play();
  for (int i = 0; i < 10; ++i) press(Kind::faster);
  EXPECT_EQ(notes_.playback.speed, 64);
  for (int i = 0; i < 20; ++i) press(Kind::slower);
  EXPECT_EQ(notes_.playback.speed, 0.125);
  pass(7.9);
  EXPECT_EQ(notes_.second(), 0U);
  pass(0.1);
  EXPECT_EQ(notes_.second(), 1U);
}

TEST_F(PlayingTest, AtFullSpeedSamplesBetweenTwoPicturesArePassedBy) {
  play();
  for (int i = 0; i < 6; ++i) press(Kind::faster);
  pass(0.065);  // four of 1/64 s
  EXPECT_EQ(notes_.second(), 4U);
  EXPECT_EQ(notes_.shown, 2);
  EXPECT_EQ(notes_.gathered, (std::vector<std::uint64_t>{0, 1, 2, 3, 4})) << "none is left out";
}

TEST_F(PlayingTest, AStoppedProcessDoesNotRushAfterwards) {
  play();
  pass(3600);
  EXPECT_EQ(notes_.second(), 1U);
  pass(0.1);
  EXPECT_EQ(notes_.second(), 1U);
}

TEST_F(PlayingTest, PauseAndGoOn) {
  play();
  press(Kind::pause);
  EXPECT_TRUE(notes_.playback.paused);
  pass(10);
  EXPECT_EQ(notes_.second(), 0U);
  press(Kind::pause);
  EXPECT_FALSE(notes_.playback.paused);
  pass(1);
  EXPECT_EQ(notes_.second(), 1U);
}

TEST_F(PlayingTest, StepsPause) {
  play();
  press(Kind::step);
  EXPECT_EQ(notes_.second(), 1U);
  EXPECT_TRUE(notes_.playback.paused);
  press(Kind::step);
  press(Kind::step);
  EXPECT_EQ(notes_.second(), 3U);
  press(Kind::step_back);
  EXPECT_EQ(notes_.second(), 2U);
  EXPECT_EQ(notes_.gathered, (std::vector<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(notes_.snapshot->listeners.at(0).sk_drops_per_second, 10) << "as if it was played";
}

TEST_F(PlayingTest, StepsStayWithinTheRecording) {
  play();
  press(Kind::step_back);
  EXPECT_EQ(notes_.second(), 0U);
  for (int i = 0; i < 15; ++i) press(Kind::step);
  EXPECT_EQ(notes_.second(), 9U);
  EXPECT_TRUE(notes_.playback.ended);
  press(Kind::step_back);
  EXPECT_EQ(notes_.second(), 8U);
  EXPECT_FALSE(notes_.playback.ended);
}

TEST_F(PlayingTest, StepsInARowAddUp) {
  play();
  press(Kind::seek, 6);
  command(Kind::step_back);
  command(Kind::step_back);
  command(Kind::step_back);
  finish();
  EXPECT_EQ(notes_.second(), 3U);
  command(Kind::step);
  command(Kind::step);
  finish();
  EXPECT_EQ(notes_.second(), 5U);
}

TEST_F(PlayingTest, SeekGoesToTheLastThatIsNotLater) {
  tape_.fill({0, 10, 20, 30});
  play();
  press(Kind::seek, 25);
  EXPECT_EQ(notes_.second(), 20U);
  press(Kind::seek, 20);
  EXPECT_EQ(notes_.second(), 20U);
  EXPECT_EQ(tape_.rewinds, 0) << "forward from where it is";
  press(Kind::seek, 10);
  EXPECT_EQ(notes_.second(), 10U);
  press(Kind::seek, 9);
  EXPECT_EQ(notes_.second(), 0U);
  press(Kind::seek, 1000);
  EXPECT_EQ(notes_.second(), 30U);
  EXPECT_TRUE(notes_.playback.ended);
  playing_->command({Kind::seek, 0});
  finish();
  EXPECT_EQ(notes_.second(), 0U) << "the first, where all are later";
  EXPECT_EQ(notes_.gathered, std::vector<std::uint64_t>{0});
  EXPECT_FALSE(notes_.playback.paused) << "it plays on";
  pass(10);
  EXPECT_EQ(notes_.second(), 10U);
}

TEST_F(PlayingTest, WhatWasGatheredIsAsIfItWasPlayed) {
  play();
  press(Kind::seek, 7);
  EXPECT_EQ(notes_.gathered, (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  press(Kind::seek, 2);
  EXPECT_EQ(notes_.gathered, (std::vector<std::uint64_t>{0, 1, 2}));
}

TEST_F(PlayingTest, TheOrderOfTheFileCountsWhereTheWallClockJumps) {
  tape_.fill({});
  std::uint64_t monotonic = 0;
  for (const std::uint64_t wall : {100U, 101U, 50U, 51U, 60U}) {
    Sample sample = made_up::sample(wall);
    sample.monotonic_ns = ++monotonic * kSecond;
    tape_.add(std::move(sample));
  }
  play();
  press(Kind::seek, 102);
  EXPECT_EQ(notes_.gathered.size(), 5U) << "nothing is later";
  press(Kind::seek, 55);
  EXPECT_EQ(notes_.second(), 51U);
  press(Kind::seek, 50);
  EXPECT_EQ(notes_.second(), 50U);
  press(Kind::seek, 49);
  EXPECT_EQ(notes_.second(), 100U) << "none before is as early: the first";
}

class LongPlaying : public PlayingTest {
 protected:
  LongPlaying() {
    std::vector<std::uint64_t> seconds;
    for (std::uint64_t second = 0; second < 100; ++second) seconds.push_back(second);
    tape_.fill(seconds);
    play();
    cost_ = 10'000'000;
  }
};

TEST_F(LongPlaying, SeeksInSlices) {
  command(Kind::seek, 90);
  playing_->work();
  EXPECT_TRUE(playing_->seeking());
  EXPECT_EQ(notes_.playback.seeking_wall_ns, kStart + 90 * kSecond);
  EXPECT_GT(notes_.gathered.size(), 1U);
  EXPECT_LE(notes_.gathered.size(), 7U);
  EXPECT_EQ(notes_.shown, 1);
  EXPECT_GE(notes_.redrawn, 1);
  finish();
  EXPECT_EQ(notes_.second(), 90U);
  EXPECT_FALSE(notes_.playback.seeking_wall_ns);
  EXPECT_EQ(notes_.shown, 2);
}

TEST_F(LongPlaying, AnotherCommandReplacesASeek) {
  command(Kind::seek, 90);
  playing_->work();
  press(Kind::seek, 3);
  EXPECT_EQ(notes_.second(), 3U);

  command(Kind::seek, 90);
  playing_->work();
  press(Kind::step);
  EXPECT_EQ(notes_.second(), 4U) << "from what was shown last";
  EXPECT_EQ(notes_.gathered.size(), 5U);

  command(Kind::seek, 90);
  playing_->work();
  command(Kind::pause);
  finish();
  EXPECT_TRUE(notes_.playback.paused);
  EXPECT_GT(notes_.second(), 4U);
  EXPECT_LT(notes_.second(), 20U);
  EXPECT_EQ(notes_.gathered.size(), notes_.second() + 1);

  command(Kind::seek, 90);
  playing_->work();
  press(Kind::faster);
  EXPECT_EQ(notes_.second(), 90U) << "a speed replaces nothing";
}

TEST_F(LongPlaying, TheWayBackSaysWhereToAndDoesNotBlock) {
  press(Kind::seek, 90);
  command(Kind::step_back);
  playing_->work();
  EXPECT_TRUE(playing_->seeking());
  EXPECT_EQ(notes_.playback.seeking_wall_ns, kStart + 89 * kSecond);
  EXPECT_FALSE(notes_.playback.ended);
  finish();
  EXPECT_EQ(notes_.second(), 89U);
}

TEST_F(PlayingTest, APipeCanNotBePlayedBackAndSaysSo) {
  tape_.make_pipe();
  play();
  press(Kind::seek, 4);
  press(Kind::step_back);
  EXPECT_EQ(notes_.said, "a pipe");
  EXPECT_EQ(notes_.second(), 4U);
  press(Kind::seek, 1);
  EXPECT_EQ(notes_.second(), 4U);
  press(Kind::step);
  EXPECT_EQ(notes_.second(), 5U) << "forward it goes on";
}

TEST_F(PlayingTest, DamageIsAnEndThatCanBeLeftBackwards) {
  tape_.fill({0, 1, 2});
  tape_.damage("damaged after sample 3");
  play();
  press(Kind::seek, 100);
  EXPECT_EQ(notes_.second(), 2U);
  EXPECT_TRUE(notes_.playback.ended);
  press(Kind::step_back);
  EXPECT_EQ(notes_.second(), 1U);
  ASSERT_FALSE(playing_->damage()) << "said when the user leaves, wherever he is";
  EXPECT_EQ(playing_->damage().error().message, "damaged after sample 3");
}

TEST_F(PlayingTest, OneSampleIsARecording) {
  tape_.fill({5});
  play();
  EXPECT_TRUE(notes_.playback.ended);
  press(Kind::step);
  press(Kind::step_back);
  press(Kind::seek, 100);
  press(Kind::seek, 1);
  EXPECT_EQ(notes_.shown, 1);
  pass(5);
  EXPECT_EQ(notes_.second(), 5U);
}

// ---- the file behind it

class PlayerRewind : public testing::Test {
 protected:
  PlayerRewind() {
    auto recorder = Recorder::create(file_);
    for (std::uint64_t second = 0; second < 3; ++second) {
      EXPECT_TRUE(recorder->append(made_up::sample(second, {made_up::listener()})));
    }
  }
  static std::vector<std::uint64_t> rest(Player& player) {
    std::vector<std::uint64_t> seconds;
    for (auto sample = player.next(); sample && *sample; sample = player.next()) {
      seconds.push_back((**sample)->monotonic_ns / kSecond);
    }
    return seconds;
  }

  test::TempDir directory_;
  const std::string file_ = directory_.file("a.lqrec");
};

TEST_F(PlayerRewind, BeginsAnewFromAnywhere) {
  auto player = Player::open(file_);
  ASSERT_TRUE(player);
  ASSERT_TRUE(player->rewind());
  EXPECT_EQ(rest(*player), (std::vector<std::uint64_t>{0, 1, 2}));
  ASSERT_TRUE(player->rewind());
  ASSERT_TRUE(player->next());
  ASSERT_TRUE(player->rewind());
  EXPECT_EQ(rest(*player), (std::vector<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(player->samples(), 3U);
}

TEST_F(PlayerRewind, AFileThatIsGoneStillCan) {
  auto player = Player::open(file_);
  ASSERT_TRUE(player);
  std::filesystem::remove(file_);
  rest(*player);
  ASSERT_TRUE(player->rewind());
  EXPECT_EQ(rest(*player).size(), 3U);
}

TEST_F(PlayerRewind, APipeIsRefusedAndGoesOn) {
  const std::string pipe = directory_.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const Fd writer(::open(pipe.c_str(), O_RDWR | O_CLOEXEC));  // so that neither side waits
  const auto bytes = test::read_file(file_);
  ASSERT_EQ(::write(writer.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  auto player = Player::open(pipe);
  ASSERT_TRUE(player);
  const auto back = player->rewind();
  ASSERT_FALSE(back);
  EXPECT_NE(back.error().message.find("is a pipe"), std::string::npos) << back.error().message;
  auto first = player->next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((**first)->monotonic_ns, 0U);
}

TEST_F(PlayerRewind, AFileThatWasEmptiedMeanwhileIsAnErrorAndThenTheEnd) {
  auto player = Player::open(file_);
  ASSERT_TRUE(player);
  std::filesystem::resize_file(file_, 0);
  EXPECT_FALSE(player->rewind());
  EXPECT_EQ(rest(*player).size(), 0U);
}

}  // namespace
}  // namespace listenq
