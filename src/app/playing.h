// SPDX-License-Identifier: Apache-2.0
//
// Plays a recording: at its own pace, faster or slower, step by step, back and to a time. Knows
// neither the terminal nor how one waits: the screen's loop asks when something is due, tests turn
// the clock by hand.
//
// Going back is going on from the start: rates, counts and episodes follow from all samples before,
// so these are derived again and passed by. That is done in slices, for the screen to stay alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/source.h"
#include "model/derive.h"
#include "view/tui/screen.h"

namespace listenq {

/// Where a recording is played: the screen.
class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  virtual void show(std::shared_ptr<const Snapshot> snapshot) = 0;
  virtual void pass_by(std::shared_ptr<const Snapshot> snapshot) = 0;
  virtual void restart() = 0;
  virtual void set_playback(const tui::Playback& playback) = 0;
  virtual void redraw() = 0;
  virtual void say(const std::string& sentence) = 0;
};

class Playing {
 public:
  using Clock = std::function<std::uint64_t()>;  ///< monotonic nanoseconds

  /// `pace_seconds`: from each sample to the next, instead of the recording's own.
  Playing(Source& source, Stage& stage, std::optional<double> pace_seconds, Clock clock);

  /// Shows the first sample; an error only when there is none.
  [[nodiscard]] Result<void> start();

  void command(const tui::PlaybackCommand& command);
  /// Only where the pace was given to begin with.
  void set_pace(double seconds);

  /// True: call work() until it is false, and look at keys and signals in between.
  [[nodiscard]] bool seeking() const { return to_index_ || to_wall_; }
  void work();

  /// Shows what is due; else draws what is shown once more.
  void tick();
  /// When to call tick() next; never 0.
  [[nodiscard]] double wait_seconds() const;

  /// Why the recording could not be read to its end.
  [[nodiscard]] const Result<void>& damage() const { return damage_; }

 private:
  void read_next();
  [[nodiscard]] std::shared_ptr<const Snapshot> derive_next();
  void show(std::shared_ptr<const Snapshot> snapshot);
  void publish();
  void schedule();
  [[nodiscard]] double delay_seconds() const;
  [[nodiscard]] bool rewind();
  void stop_seeking();
  void go_to(std::size_t index);
  void seek(std::uint64_t wall_ns);
  void step(bool back);
  void pause();
  [[nodiscard]] bool arrived() const;
  [[nodiscard]] std::size_t last_not_later(std::uint64_t wall_ns) const;

  Source& source_;
  Stage& stage_;
  std::optional<double> pace_seconds_;
  Clock clock_;
  Deriver deriver_;
  std::shared_ptr<const Sample> next_;   ///< read ahead; null: the end
  std::vector<std::uint64_t> walls_;     ///< of every sample that was ever read, in their order
  std::size_t read_ = 0;                 ///< samples, since the start of the recording
  std::size_t derived_ = 0;              ///< of these
  std::size_t shown_ = 0;                ///< index of the sample on the screen
  std::uint64_t last_monotonic_ns_ = 0;  ///< of the one derived last
  std::uint64_t due_ns_ = 0;             ///< when next_ is to be shown
  double speed_ = 1;
  bool paused_ = false;
  // On the way; one of them at most.
  std::optional<std::size_t> to_index_;
  std::optional<std::uint64_t> to_wall_;  ///< forward, to the last before the first that is later
  Result<void> damage_;
};

}  // namespace listenq
