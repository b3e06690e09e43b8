// SPDX-License-Identifier: Apache-2.0
//
// See screen_loop.h.
#include "app/screen_loop.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "app/event_loop.h"
#include "model/derive.h"
#include "view/tui/tui.h"

namespace listenq {
namespace {

/// No pace of a recording may make the screen wait longer, or spin.
constexpr double kShortestPace = 0.02;
constexpr double kLongestPace = 60;

class Screen {
 public:
  Screen(const Options& options, Source& source, tui::Tui& tui, EventLoop& loop)
      : source_(source),
        tui_(tui),
        loop_(loop),
        own_pace_(!source.live() && !options.delay_given) {}

  Result<void> run() {
    if (auto shown = next(); !shown) return shown;
    for (;;) {
      switch (loop_.wait()) {
        case Event::tick:
          if (auto shown = next(); !shown) return shown;
          break;
        case Event::input:
          if (!input()) return ended_by_;
          break;
        case Event::resize:
          tui_.on_resize();
          break;
        case Event::suspend:
          suspend();
          break;
        case Event::stop:
          return ended_by_;
      }
    }
  }

 private:
  /// Shows the sample whose time has come; a recording's next one decides when it comes itself.
  Result<void> next() {
    if (ended_) {
      tui_.tick();
      return {};
    }
    auto sample = std::exchange(waiting_, nullptr);
    if (!sample) {
      auto read = read_next();
      if (!read) return tl::unexpected<Error>(read.error());
      sample = std::move(*read);
    }
    if (!sample) return {};
    const std::uint64_t now = sample->monotonic_ns;
    tui_.show(deriver_.derive(std::move(sample)));
    return own_pace_ ? look_ahead(now) : Result<void>{};
  }

  /// A recording that ends, or is damaged from here on, stays on the screen as far as it got; then
  /// the error is said when the user leaves.
  Result<std::shared_ptr<const Sample>> read_next() {
    auto read = source_.next();
    if (!read && !source_.live()) {
      ended_by_ = tl::unexpected<Error>(read.error());
      read = nullptr;
    }
    ended_ = read && *read == nullptr;
    return read;
  }

  Result<void> look_ahead(std::uint64_t now) {
    auto read = read_next();
    if (!read) return tl::unexpected<Error>(read.error());
    waiting_ = std::move(*read);
    const double pace =
        ended_ ? 1
               : static_cast<double>(static_cast<std::int64_t>(waiting_->monotonic_ns - now)) / 1e9;
    loop_.set_interval(std::clamp(pace, kShortestPace, kLongestPace));
    return {};
  }

  /// False: leave.
  bool input() {
    const tui::TuiAction action = tui_.on_input();
    if (action.interval_seconds && !own_pace_) loop_.set_interval(*action.interval_seconds);
    return !action.quit;
  }

  void suspend() {
    tui_.suspend();
    stop_self();
    tui_.resume();
  }

  Source& source_;
  tui::Tui& tui_;
  EventLoop& loop_;
  Deriver deriver_;
  bool own_pace_;
  bool ended_ = false;
  Result<void> ended_by_;
  std::shared_ptr<const Sample> waiting_;
};

}  // namespace

Result<void> run_screen(const Options& options, Source& source) {
  auto loop = EventLoop::create(options.delay_seconds);  // first: it blocks the signals
  if (!loop) return tl::unexpected<Error>(loop.error());
  auto tui = tui::Tui::open({.ascii = options.ascii,
                             .interval_seconds = options.delay_seconds,
                             .sort = options.sort,
                             .filter = options.filter_text,
                             .columns = options.columns});
  if (!tui) return tl::unexpected<Error>(tui.error());
  if (auto watched = (*loop)->watch_input((*tui)->input_fd()); !watched) return watched;
  return Screen(options, source, **tui, **loop).run();
}

}  // namespace listenq
