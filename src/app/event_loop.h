// SPDX-License-Identifier: Apache-2.0
//
// The one place where the program waits: a timer, signals and the keyboard in one epoll set. No
// threads, no signal handlers.
#pragma once

#include <csignal>
#include <cstdint>
#include <memory>

#include "util/fd.h"
#include "util/result.h"

namespace listenq {

enum class Event : std::uint8_t {
  tick,     ///< the interval is over
  input,    ///< the input descriptor has something, or was closed
  resize,   ///< SIGWINCH
  suspend,  ///< SIGTSTP
  stop,     ///< SIGINT, SIGTERM, SIGHUP, SIGQUIT
};

class EventLoop {
 public:
  /// Blocks the signals that it reports, for the life of the process.
  [[nodiscard]] static Result<std::unique_ptr<EventLoop>> create(double interval_seconds);

  /// Reports Event::input when `fd`, borrowed, can be read; at most one.
  [[nodiscard]] Result<void> watch_input(int fd);

  /// Waits for the next event. Several at once come one after the other, signals first.
  [[nodiscard]] Event wait();

  void set_interval(double seconds);

 private:
  EventLoop() = default;
  [[nodiscard]] Event read_signal() const;

  Fd epoll_;
  Fd timer_;
  Fd signals_;
  int input_ = -1;
};

/// Stops the process as an unhandled SIGTSTP would; returns when it is continued.
void stop_self();

}  // namespace listenq
