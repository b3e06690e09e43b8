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
          if (!input()) return {};
          break;
        case Event::resize:
          tui_.on_resize();
          break;
        case Event::suspend:
          suspend();
          break;
        case Event::stop:
          return {};
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
    auto sample = waiting_ ? std::exchange(waiting_, nullptr) : nullptr;
    if (!sample) {
      auto read = source_.next();
      if (!read) return tl::unexpected<Error>(read.error());
      sample = std::move(*read);
    }
    ended_ = sample == nullptr;
    if (ended_) return {};
    const std::uint64_t now = sample->monotonic_ns;
    tui_.show(deriver_.derive(std::move(sample)));
    return own_pace_ ? look_ahead(now) : Result<void>{};
  }

  Result<void> look_ahead(std::uint64_t now) {
    auto read = source_.next();
    if (!read) return tl::unexpected<Error>(read.error());
    waiting_ = std::move(*read);
    ended_ = waiting_ == nullptr;
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
