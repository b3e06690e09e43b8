// SPDX-License-Identifier: Apache-2.0
//
// The full screen as the application uses it. One epoll loop feeds it:
//
//   auto tui = tui::Tui::open({.interval_seconds = 1});   // draws "reading the first sample"
//   input_fd() readable    -> TuiAction a = on_input();   // a.quit: leave; a.interval_seconds:
//   timer a new Snapshot         -> show(snapshot) SIGWINCH (signalfd)    -> on_resize() SIGTSTP
//   (signalfd)     -> suspend(); raise(SIGSTOP); resume() once a second or so    -> tick() // a
//   sample that is late shows its age SIGTERM, SIGINT, SIGHUP, an error -> destroy it, then print
//
// Nothing is drawn but in these calls, only cells that changed are sent, and none of them waits for
// anything but the terminal.
// The signals above must be blocked (SIGTTOU must not: it stops a process that draws from the
// background, as it should). Nobody else may write to the terminal while a Tui exists.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/fields.h"
#include "model/snapshot.h"
#include "util/result.h"
#include "view/tui/screen.h"
#include "view/tui/terminal.h"

namespace listenq::tui {

struct TuiOptions {
  bool ascii = false;
  double interval_seconds = 1;
  SortKey sort;                       ///< as --sort says
  std::string filter;                 ///< as --filter says
  std::vector<const Field*> columns;  ///< as --columns says; empty: what fits
};

struct TuiAction {
  bool quit = false;  ///< asked for, or the terminal is gone
  std::optional<double> interval_seconds;
  std::vector<PlaybackCommand> playback;  ///< in the order of the keys
};

class Tui {
 public:
  /// Fails with a sentence when there is no usable terminal or the filter is wrong.
  [[nodiscard]] static Result<std::unique_ptr<Tui>> open(TuiOptions options);

  [[nodiscard]] int input_fd() const { return terminal_->input_fd(); }
  void show(std::shared_ptr<const Snapshot> snapshot);
  [[nodiscard]] TuiAction on_input();
  void on_resize();
  void suspend();
  void resume();
  [[nodiscard]] bool in_background() const { return terminal_->in_background(); }
  void tick();
  /// One sentence at the bottom, until the next key.
  void say(std::string sentence);

  /// Where the playing of a recording stands; nullopt (and from the start): live.
  void set_playback(const std::optional<Playback>& playback);
  /// The recording goes on elsewhere: what was gathered from sample to sample is forgotten.
  void restart();
  /// The same as show(), but nothing is drawn: on the way to where the user wants to be.
  void pass_by(std::shared_ptr<const Snapshot> snapshot);

  /// The listener whose page is open, in the snapshot that is shown; null: none.
  [[nodiscard]] const RawListener* close_up() const;
  /// The page that shows what our programs cost is open.
  [[nodiscard]] bool wants_program_times() const;

 private:
  Tui(std::unique_ptr<Terminal> terminal, ScreenState state);
  void draw();

  std::unique_ptr<Terminal> terminal_;
  ScreenState state_;
};

}  // namespace listenq::tui
