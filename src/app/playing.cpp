// SPDX-License-Identifier: Apache-2.0
//
// See playing.h.
#include "app/playing.h"

#include <algorithm>
#include <utility>

namespace listenq {
namespace {

/// No gap in a recording (the machine slept) may make one wait longer than this, and no clock that
/// went backwards may make it spin.
constexpr double kShortestGap = 0.02;
constexpr double kLongestGap = 60;
constexpr double kSlowest = 1.0 / 8;
constexpr double kFastest = 64;
/// More pictures a second tell the eye nothing; samples between two of them are passed by.
constexpr double kShortestWait = 0.02;
constexpr double kLongestWait = 1;
constexpr std::uint64_t kSliceNs = 50'000'000;
/// A timer is late by less; a process that was stopped, by more.
constexpr std::uint64_t kLateNs = 250'000'000;
constexpr std::uint64_t kEarlyNs = 1'000'000;

std::uint64_t in_ns(double seconds) {
  return static_cast<std::uint64_t>(seconds * 1e9);
}

}  // namespace

Playing::Playing(Source& source, Stage& stage, std::optional<double> pace_seconds, Clock clock)
    : source_(source), stage_(stage), pace_seconds_(pace_seconds), clock_(std::move(clock)) {}

Result<void> Playing::start() {
  read_next();
  if (!next_) return damage_;
  show(derive_next());
  schedule();
  return {};
}

// ---- samples

/// A recording ends where it is damaged: what came before stays on the screen.
void Playing::read_next() {
  next_ = nullptr;
  auto read = source_.next();
  if (!read) {
    damage_ = tl::unexpected<Error>(read.error());
    return;
  }
  if (!*read) return;
  next_ = std::move(*read);
  if (read_ == walls_.size()) walls_.push_back(next_->wall_ns);
  ++read_;
}

std::shared_ptr<const Snapshot> Playing::derive_next() {
  last_monotonic_ns_ = next_->monotonic_ns;
  auto snapshot = deriver_.derive(std::exchange(next_, nullptr));
  ++derived_;
  read_next();
  return snapshot;
}

void Playing::show(std::shared_ptr<const Snapshot> snapshot) {
  shown_ = derived_ - 1;
  publish();
  stage_.show(std::move(snapshot));
}

void Playing::publish() {
  tui::Playback playback;
  playback.paused = paused_;
  playback.ended = !seeking() && !next_;
  playback.speed = speed_;
  playback.first_wall_ns = walls_.front();
  playback.seeking_wall_ns = to_index_ ? walls_.at(*to_index_) : to_wall_;
  stage_.set_playback(playback);
}

// ---- pace

double Playing::delay_seconds() const {
  if (!next_) return kLongestWait;
  const auto gap = static_cast<std::int64_t>(next_->monotonic_ns - last_monotonic_ns_);
  const double own = std::clamp(static_cast<double>(gap) / 1e9, kShortestGap, kLongestGap);
  return pace_seconds_.value_or(own) / speed_;
}

void Playing::schedule() {
  due_ns_ = clock_() + in_ns(delay_seconds());
}

void Playing::set_pace(double seconds) {
  if (!pace_seconds_) return;
  pace_seconds_ = seconds;
  schedule();
}

double Playing::wait_seconds() const {
  if (paused_ || seeking() || !next_) return kLongestWait;
  const std::uint64_t now = clock_();
  const double left = due_ns_ > now ? static_cast<double>(due_ns_ - now) / 1e9 : 0;
  return std::clamp(left, kShortestWait, kLongestWait);
}

void Playing::tick() {
  const std::uint64_t now = clock_();
  if (paused_ || seeking() || !next_ || now + kEarlyNs < due_ns_) {
    stage_.redraw();
    return;
  }
  if (now > due_ns_ + kLateNs) due_ns_ = now;
  for (;;) {
    auto snapshot = derive_next();
    due_ns_ += in_ns(delay_seconds());
    if (!next_ || due_ns_ > now || clock_() > now + kSliceNs) {
      show(std::move(snapshot));
      return;
    }
    stage_.pass_by(std::move(snapshot));
  }
}

// ---- going elsewhere

void Playing::command(const tui::PlaybackCommand& command) {
  using Do = tui::PlaybackCommand::Kind;
  switch (command.kind) {
    case Do::pause:
      pause();
      break;
    case Do::step:
      step(false);
      break;
    case Do::step_back:
      step(true);
      break;
    case Do::faster:
      speed_ = std::min(speed_ * 2, kFastest);
      break;
    case Do::slower:
      speed_ = std::max(speed_ / 2, kSlowest);
      break;
    case Do::seek:
      seek(command.wall_ns);
      break;
  }
  schedule();
  if (seeking()) return;  // work() shows it, at once in most cases
  publish();
  stage_.redraw();
}

/// On the way somewhere: stops where it has got to.
void Playing::pause() {
  if (!seeking()) {
    paused_ = !paused_;
    return;
  }
  paused_ = true;
  to_wall_.reset();
  to_index_ = derived_;
}

void Playing::step(bool back) {
  paused_ = true;
  const std::size_t from = to_index_.value_or(shown_);
  if (!back) {
    go_to(from + 1);
  } else if (from > 0) {
    go_to(from - 1);
  }
}

void Playing::seek(std::uint64_t wall_ns) {
  if (derived_ > 0 && wall_ns < walls_.at(derived_ - 1)) {
    go_to(last_not_later(wall_ns));
  } else if (derived_ > 0 && (!next_ || next_->wall_ns > wall_ns)) {
    go_to(derived_ - 1);
  } else {
    to_index_.reset();
    to_wall_ = wall_ns;
  }
}

/// Of those before the one derived last; the first where all are later.
std::size_t Playing::last_not_later(std::uint64_t wall_ns) const {
  for (std::size_t index = derived_ - 1; index > 0; --index) {
    if (walls_[index - 1] <= wall_ns) return index - 1;
  }
  return 0;
}

void Playing::go_to(std::size_t index) {
  const bool is_here = derived_ == shown_ + 1;
  if (is_here && (index == shown_ || (index > shown_ && !next_))) {
    stop_seeking();
    return;
  }
  if (index < derived_ && !rewind()) return;
  to_wall_.reset();
  // What the end will be is not known before it is reached.
  to_index_ = std::min(index, walls_.size() - 1);
}

void Playing::stop_seeking() {
  to_index_.reset();
  to_wall_.reset();
}

/// False, and nothing has changed: there is no way back.
bool Playing::rewind() {
  if (auto back = source_.rewind(); !back) {
    stage_.say(back.error().message);
    return false;
  }
  deriver_ = Deriver();
  read_ = 0;
  derived_ = 0;
  read_next();
  stage_.restart();
  return true;
}

bool Playing::arrived() const {
  if (!next_) return true;
  return to_index_ ? derived_ > *to_index_ : next_->wall_ns > *to_wall_;
}

void Playing::work() {
  const std::uint64_t until = clock_() + kSliceNs;
  while (seeking() && next_) {
    auto snapshot = derive_next();
    if (arrived()) {
      stop_seeking();
      schedule();
      show(std::move(snapshot));
      return;
    }
    stage_.pass_by(std::move(snapshot));
    if (clock_() >= until) break;
  }
  if (!next_) stop_seeking();  // the file is not what it was
  publish();
  stage_.redraw();
}

}  // namespace listenq
