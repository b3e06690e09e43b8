// SPDX-License-Identifier: Apache-2.0
//
// The terminal through ncurses: copies a Canvas out, reads keys, gives the terminal back however
// the program ends. The only header whose .cpp includes ncurses; one Terminal at a time, as ncurses
// is one per process.
//
// A terminal that takes no output (stopped, a lost connection) holds up nothing but the picture, as
// long as it is noticed before drawing; within, the process waits for it, and SIGTERM and the like
// end that after a moment (rescue.h). A key typed meanwhile waits too; Ctrl-C is such a signal.
//
// Restoring: the destructor, also when an exception passes; and for a crash (SIGSEGV, SIGBUS,
// SIGILL, SIGFPE, SIGABRT, so std::terminate() too) a signal handler that uses nothing but write()
// and tcsetattr() and then lets the signal take its course. Other signals (SIGTERM, SIGINT, SIGHUP,
// SIGTSTP, SIGWINCH) are the application's: it blocks them, reads them from a signalfd and calls
// suspend(), resize() or the destructor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "util/result.h"
#include "view/tui/canvas.h"
#include "view/tui/key.h"

namespace listenq::tui {

/// Key::value of Shift-Tab, which has no character of its own: a control that no key sends.
constexpr char32_t kShiftTab = 0x8d;

/// Tells the second press of a double click.
class Clicks {
 public:
  [[nodiscard]] Mouse press(int row, int column, std::uint64_t now_ns);

 private:
  int row_ = -1;
  int column_ = -1;
  std::uint64_t last_ns_ = 0;  ///< 0: none that a second one could belong to
};

struct TerminalOptions {
  bool ascii = false;  ///< also where the locale is not UTF-8
};

class Terminal {
 public:
  /// Takes the terminal over: standard input and output where they are terminals, else /dev/tty.
  /// Calls setlocale(LC_CTYPE, ""). NO_COLOR in the environment means no colours.
  [[nodiscard]] static Result<std::unique_ptr<Terminal>> open(const TerminalOptions& options);

  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

  /// Readable when there are keys.
  [[nodiscard]] int input_fd() const;
  [[nodiscard]] int rows() const;
  [[nodiscard]] int columns() const;
  [[nodiscard]] Charset charset() const { return charset_; }

  /// All keys typed so far; never waits (but for the rest of an escape sequence, 25 ms at most).
  [[nodiscard]] std::vector<Key> read_keys();

  /// True once the terminal is gone: end of input or hang-up. Then no key will ever come.
  [[nodiscard]] bool closed() const { return closed_; }

  /// Sends the cells that changed since the last call; `cursor` null hides the text cursor.
  void draw(const Canvas& canvas, int cursor_row, int cursor_column);

  /// The window has another size: ask for it. True when it really changed.
  bool resize();

  /// The next draw() sends every cell.
  void repaint();

  /// Gives the terminal back, for SIGTSTP, and takes it again, after SIGCONT; also without a
  /// suspend() before, when somebody stopped the process and used the terminal meanwhile.
  void suspend();
  void resume();
  /// It belongs to others now: to touch it would stop the process.
  [[nodiscard]] bool in_background() const;

 private:
  struct Handles;
  Terminal(std::unique_ptr<Handles> handles, Charset charset);
  void choose_colors();
  void use_mouse();
  void keep_output_going();
  [[nodiscard]] bool takes_output() const;
  void check_closed();

  std::unique_ptr<Handles> handles_;
  Charset charset_;
  Clicks clicks_;
  bool closed_ = false;
  std::optional<Canvas> drawn_;  ///< what ncurses was last given
};

}  // namespace listenq::tui
