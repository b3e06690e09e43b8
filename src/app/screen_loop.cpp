// SPDX-License-Identifier: Apache-2.0
//
// See screen_loop.h.
#include "app/screen_loop.h"

#include <memory>
#include <optional>
#include <utility>

#include "app/event_loop.h"
#include "app/playing.h"
#include "app/sampler.h"
#include "app/wanted.h"
#include "model/derive.h"
#include "util/clock.h"
#include "view/tui/tui.h"

namespace listenq {
namespace {

class TuiStage final : public Stage {
 public:
  explicit TuiStage(tui::Tui& tui) : tui_(tui) {}

  void show(std::shared_ptr<const Snapshot> snapshot) override { tui_.show(std::move(snapshot)); }
  void pass_by(std::shared_ptr<const Snapshot> snapshot) override {
    tui_.pass_by(std::move(snapshot));
  }
  void restart() override { tui_.restart(); }
  void set_playback(const tui::Playback& playback) override { tui_.set_playback(playback); }
  void redraw() override { tui_.tick(); }
  void say(const std::string& sentence) override { tui_.say(sentence); }

 private:
  tui::Tui& tui_;
};

/// What is shown, and what brings the next of it: the interval, or the pace of a recording.
class Show {
 public:
  Show() = default;
  Show(const Show&) = delete;
  Show& operator=(const Show&) = delete;
  virtual ~Show() = default;

  [[nodiscard]] virtual Result<void> start() = 0;
  [[nodiscard]] virtual Result<void> tick() = 0;
  [[nodiscard]] virtual Result<void> sample() { return {}; }
  virtual void act(const tui::TuiAction& action) = 0;
  /// True: work() is to be called whenever no event waits.
  [[nodiscard]] virtual bool busy() const = 0;
  virtual void work() = 0;
  /// What is to be said when the user leaves.
  [[nodiscard]] virtual Result<void> ended_by() const = 0;
};

class LiveShow final : public Show {
 public:
  LiveShow(Sampler& sampler, tui::Tui& tui, EventLoop& loop)
      : sampler_(sampler), tui_(tui), loop_(loop) {}

  Result<void> start() override {
    sampler_.request(wanted());
    return {};
  }

  /// Where the sample before is not here yet, the screen says how old its numbers are.
  Result<void> tick() override {
    if (!sampler_.request(wanted())) tui_.tick();
    return {};
  }

  Result<void> sample() override {
    auto sample = sampler_.take();
    if (!sample) return {};
    if (!*sample) return tl::unexpected<Error>(sample->error());
    shown_ = deriver_.derive(std::move(**sample));
    tui_.show(shown_);
    return {};
  }

  void act(const tui::TuiAction& action) override {
    if (action.interval_seconds) loop_.set_interval(*action.interval_seconds);
  }
  [[nodiscard]] bool busy() const override { return false; }
  void work() override {}
  [[nodiscard]] Result<void> ended_by() const override { return {}; }

 private:
  [[nodiscard]] Wanted wanted() const {
    if (!shown_) return {};
    return wanted_for(*shown_, tui_.close_up(), tui_.wants_program_times(), kCloseUpsOnScreen);
  }

  Sampler& sampler_;
  tui::Tui& tui_;
  EventLoop& loop_;
  Deriver deriver_;
  std::shared_ptr<const Snapshot> shown_;
};

class ReplayShow final : public Show {
 public:
  ReplayShow(const Options& options, Source& source, tui::Tui& tui, EventLoop& loop)
      : stage_(tui),
        loop_(loop),
        playing_(source, stage_,
                 options.delay_given ? std::optional(options.delay_seconds) : std::nullopt,
                 monotonic_ns) {}

  Result<void> start() override {
    auto started = playing_.start();
    if (started) set_timer();
    return started;
  }
  Result<void> tick() override {
    playing_.tick();
    set_timer();
    return {};
  }
  void act(const tui::TuiAction& action) override {
    if (action.interval_seconds) playing_.set_pace(*action.interval_seconds);
    for (const auto& command : action.playback) playing_.command(command);
    if (action.interval_seconds || !action.playback.empty()) set_timer();
  }
  [[nodiscard]] bool busy() const override { return playing_.seeking(); }
  void work() override {
    playing_.work();
    set_timer();
  }
  [[nodiscard]] Result<void> ended_by() const override { return playing_.damage(); }

 private:
  void set_timer() { loop_.set_interval(playing_.wait_seconds()); }

  TuiStage stage_;
  EventLoop& loop_;
  Playing playing_;
};

/// In the background the terminal can't be taken: there it stays stopped, until it is brought to
/// the front or told to end.
void suspend(tui::Tui& tui) {
  tui.suspend();
  do {
    if (!stop_self()) break;
    if (stop_waits()) return;
  } while (tui.in_background());
  tui.resume();
}

Result<void> run_show(Show& show, tui::Tui& tui, EventLoop& loop) {
  if (auto started = show.start(); !started) return started;
  for (;;) {
    const std::optional<Event> event = show.busy() ? loop.poll() : loop.wait();
    if (!event) {
      show.work();
      continue;
    }
    switch (*event) {
      case Event::tick:
        if (auto shown = show.tick(); !shown) return shown;
        break;
      case Event::sample:
        if (auto shown = show.sample(); !shown) return shown;
        break;
      case Event::input: {
        const tui::TuiAction action = tui.on_input();
        if (action.quit) return show.ended_by();
        show.act(action);
        break;
      }
      case Event::web:
      case Event::reload:
        break;
      case Event::resize:
        tui.on_resize();
        break;
      case Event::suspend:
        suspend(tui);
        break;
      case Event::resume:
        if (tui.in_background()) {
          suspend(tui);
        } else {
          tui.resume();
        }
        break;
      case Event::stop:
        return show.ended_by();
    }
  }
}

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
  if (source.live()) {
    auto sampler = Sampler::create(source);
    if (!sampler) return tl::unexpected<Error>(sampler.error());
    if (auto watched = (*loop)->watch_samples((*sampler)->ready_fd()); !watched) return watched;
    LiveShow show(**sampler, **tui, **loop);
    return run_show(show, **tui, **loop);
  }
  ReplayShow show(options, source, **tui, **loop);
  return run_show(show, **tui, **loop);
}

}  // namespace listenq
