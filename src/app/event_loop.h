// SPDX-License-Identifier: Apache-2.0
//
// The one place where the program waits: a timer, signals, the keyboard, samples and the web server
// in one epoll set. No signal handlers.
#pragma once

#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>

#include "util/fd.h"
#include "util/result.h"

namespace listenq {

enum class Event : std::uint8_t {
  tick,     ///< the interval is over
  input,    ///< the input descriptor has something, or was closed
  sample,   ///< the descriptor of the samples has something
  web,      ///< the web server has something to do
  resize,   ///< SIGWINCH
  suspend,  ///< SIGTSTP
  resume,   ///< SIGCONT: somebody else may have used the terminal meanwhile
  reload,   ///< SIGHUP, where it means that
  stop,     ///< SIGINT, SIGTERM, SIGQUIT, else SIGHUP
};

/// What SIGHUP means: a terminal is gone, or a service shall read its configuration again.
enum class Hangup : std::uint8_t { stop, reload };

class EventLoop {
 public:
  /// Blocks the signals that it reports, for the life of the process.
  [[nodiscard]] static Result<std::unique_ptr<EventLoop>> create(double interval_seconds,
                                                                 Hangup hangup = Hangup::stop);

  /// Reports Event::input when `fd`, borrowed, can be read; at most one.
  [[nodiscard]] Result<void> watch_input(int fd);

  /// Reports Event::sample when `fd`, borrowed, can be read; at most one.
  [[nodiscard]] Result<void> watch_samples(int fd);

  /// Reports Event::web when `fd`, borrowed, can be read; at most one. Everything else goes first.
  [[nodiscard]] Result<void> watch_web(int fd);

  /// Waits for the next event. Several at once come one after the other, signals first.
  [[nodiscard]] Event wait();

  /// One that is there already; nullopt: none.
  [[nodiscard]] std::optional<Event> poll() { return next(0); }

  void set_interval(double seconds);

 private:
  explicit EventLoop(Hangup hangup) : hangup_(hangup) {}
  [[nodiscard]] std::optional<Event> next(int timeout_ms);
  [[nodiscard]] Event read_signal() const;

  Fd epoll_;
  Fd timer_;
  Fd signals_;
  int input_ = -1;
  int samples_ = -1;
  int web_ = -1;
  Hangup hangup_;
};

/// Stops the process as an unhandled SIGTSTP would; returns when it is continued. False: it could
/// not be stopped, because nobody would be there to continue it.
bool stop_self();

/// A signal waits that wait() will report as Event::stop.
[[nodiscard]] bool stop_waits();

}  // namespace listenq
