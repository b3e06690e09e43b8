// SPDX-License-Identifier: Apache-2.0
//
// Terminal: ncurses.
#include "view/tui/terminal.h"

#include <curses.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <langinfo.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "util/clock.h"
#include "util/fd.h"
#include "view/tui/looks.h"
#include "view/tui/rescue.h"

// term.h defines macros with the names of terminal capabilities; these would hit ours.
#undef columns
#undef lines

namespace listenq::tui {

namespace {

/// Of the terminal's type; empty when it has none of this name.
std::string_view capability(const char* name) {
  const char* text = ::tigetstr(name);
  // (char*)-1: no such name in terminfo at all.
  return text == nullptr || reinterpret_cast<std::intptr_t>(text) == -1 ? std::string_view()
                                                                        : std::string_view(text);
}

/// A capability without its padding ("$<5>"), which needs no terminal of today.
std::string bytes_of(const char* name) {
  std::string bytes;
  std::string_view rest = capability(name);
  while (!rest.empty()) {
    const std::size_t padding = rest.starts_with("$<") ? rest.find('>') : std::string_view::npos;
    if (padding != std::string_view::npos) {
      rest.remove_prefix(padding + 1);
      continue;
    }
    bytes += rest.front();
    rest.remove_prefix(1);
  }
  return bytes;
}

/// What gives the screen back: attributes off, keypad back, cursor on, the screen from before.
std::string leaving_bytes() {
  std::string bytes;
  for (const char* name : {"sgr0", "rmkx", "cnorm", "rmcup"}) bytes += bytes_of(name);
  return bytes;
}

/// Presses, releases and the wheel; in decimal numbers where the terminal can (1006).
constexpr const char* kMouseOn = "\x1b[?1000h\x1b[?1006h";
constexpr const char* kMouseOff = "\x1b[?1006l\x1b[?1000l";
/// Key codes of our own for the two ways that a terminal begins to tell of its mouse.
constexpr int kMouseDecimal = KEY_MAX + 1;
constexpr int kMouseBytes = KEY_MAX + 2;

/// For what belongs to a key that has begun; what comes later is another key.
constexpr int kRestOfSequenceMs = 25;

constexpr short pair_of(Style style, bool selected) {
  return static_cast<short>(static_cast<int>(style) * 2 + (selected ? 2 : 1));
}
constexpr int kPairs = static_cast<int>(Style::count_) * 2;

}  // namespace

struct Terminal::Handles {
  FILE* input = nullptr;
  FILE* output = nullptr;
  SCREEN* screen = nullptr;
  termios before{};
  Fd spare;             ///< another descriptor of the terminal, see OutputGuard
  std::string leaving;  ///< bytes that give the screen back
  Depth depth = Depth::none;
  bool can_dim = false;
  bool mouse = false;
  bool suspended = false;  ///< it is somebody else's now

  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    if (screen != nullptr) {
      disarm_crash_restore();
      give_back();
      ::delscreen(screen);
    }
    if (input != nullptr) std::fclose(input);
    if (output != nullptr) std::fclose(output);
  }

  [[nodiscard]] bool in_background() const {
    const pid_t foreground = ::tcgetpgrp(::fileno(output));
    return foreground > 0 && foreground != ::getpgrp();
  }

  /// Past ncurses, which holds nothing back between two pictures. What fails here, fails.
  void send(std::string_view bytes) const {
    [[maybe_unused]] const ssize_t sent = ::write(::fileno(output), bytes.data(), bytes.size());
  }

  void give_back() {
    if (suspended) return;
    suspended = true;
    if (in_background()) {
      // Stopped from outside: whoever is in the foreground has set the modes that he needs, but the
      // screen is still ours. Blocked, SIGTTOU does not stop us for it.
      sigset_t output_stop;
      sigset_t mask;
      sigemptyset(&output_stop);
      sigaddset(&output_stop, SIGTTOU);
      ::sigprocmask(SIG_BLOCK, &output_stop, &mask);
      const OutputGuard guard(::fileno(output), OutputGuard::For::closing);
      send(leaving);
      ::sigprocmask(SIG_SETMASK, &mask, nullptr);
      return;
    }
    {
      const OutputGuard guard(::fileno(output), OutputGuard::For::closing);
      if (mouse) send(kMouseOff);
      ::endwin();
    }
    if (OutputGuard::gave_up()) restore_stuck(spare.get(), before, leaving);
  }
};

namespace {

/// A stream of our own onto the terminal behind `fd`, else onto /dev/tty.
FILE* terminal_stream(int fd, const char* mode) {
  const bool is_terminal = ::isatty(fd) == 1;
  const int own = is_terminal ? ::fcntl(fd, F_DUPFD_CLOEXEC, 3)
                              : ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (own < 0) return nullptr;
  FILE* stream = ::fdopen(own, mode);
  if (stream == nullptr) ::close(own);
  return stream;
}

extern "C" void handle_nothing(int /*signal*/) {}

/// While one exists, SIGTSTP has a handler.
class HandledStop {
 public:
  HandledStop() {
    struct sigaction action {};
    action.sa_handler = handle_nothing;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGTSTP, &action, &before_);
  }
  HandledStop(const HandledStop&) = delete;
  HandledStop& operator=(const HandledStop&) = delete;
  ~HandledStop() { ::sigaction(SIGTSTP, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

Charset charset_of_locale() {
  ::setlocale(LC_CTYPE, "");
  return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0 ? Charset::utf8 : Charset::ascii;
}

}  // namespace

Result<std::unique_ptr<Terminal>> Terminal::open(const TerminalOptions& options) {
  auto handles = std::make_unique<Handles>();
  handles->input = terminal_stream(STDIN_FILENO, "r");
  handles->output = terminal_stream(STDOUT_FILENO, "w");
  if (handles->input == nullptr || handles->output == nullptr) {
    return failure(ErrorKind::unsupported,
                   "there is no terminal for the full screen; use --once or --batch");
  }
  if (::tcgetattr(::fileno(handles->output), &handles->before) != 0) {
    return failure(
        ErrorKind::unsupported,
        fmt::format("the terminal can't be set up ({}); use --once or --batch", errno_text(errno)));
  }
  const Charset charset = charset_of_locale();
  const char* type = std::getenv("TERM");
  {
    // ncurses would set SIGTSTP aside for each picture, and lose one that waits. It leaves alone
    // what it finds handled.
    const HandledStop handled;
    handles->screen = ::newterm(nullptr, handles->output, handles->input);
  }
  if (handles->screen == nullptr) {
    return failure(
        ErrorKind::unsupported,
        fmt::format("the terminal type \"{}\" is not known here; set TERM (xterm-256color "
                    "fits most), or use --once or --batch",
                    type == nullptr ? "" : type));
  }
  if (capability("cup").empty() || capability("clear").empty()) {
    return failure(
        ErrorKind::unsupported,
        fmt::format("the terminal type \"{}\" can't place text on the screen; use --once "
                    "or --batch",
                    type == nullptr ? "" : type));
  }
  handles->spare = Fd(::fcntl(::fileno(handles->output), F_DUPFD_CLOEXEC, 3));
  handles->leaving = leaving_bytes();
  arm_crash_restore(::fileno(handles->output), handles->before, handles->leaving);
  return std::unique_ptr<Terminal>(
      new Terminal(std::move(handles), options.ascii ? Charset::ascii : charset));
}

Terminal::Terminal(std::unique_ptr<Handles> handles, Charset charset)
    : handles_(std::move(handles)), charset_(charset) {
  // cbreak and not raw: Ctrl-C, Ctrl-Z and Ctrl-\ stay signals, for the application to handle.
  ::cbreak();
  ::noecho();
  ::nonl();
  ::curs_set(0);
  ::set_escdelay(kRestOfSequenceMs);
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::intrflush(stdscr, FALSE);
  ::leaveok(stdscr, FALSE);
  choose_colors();
  use_mouse();
  keep_output_going();
}

Terminal::~Terminal() = default;

void Terminal::choose_colors() {
  const char* no_color = std::getenv("NO_COLOR");
  if ((no_color != nullptr && *no_color != '\0') || !::has_colors() || ::start_color() != OK ||
      COLORS < 8 || COLOR_PAIRS <= kPairs) {
    return;
  }
  handles_->depth = COLORS >= 256 ? Depth::many : COLORS >= 16 ? Depth::sixteen : Depth::eight;
  // ncv: attributes that the terminal can't show together with colours, by their bit.
  constexpr int kDimBit = 1 << 4;
  const int excluded = ::tigetnum("ncv");
  handles_->can_dim = !capability("dim").empty() && (excluded <= 0 || (excluded & kDimBit) == 0);
  const bool keeps_default = ::use_default_colors() == OK;
  for (int i = 0; i < kPairs; ++i) {
    const auto style = static_cast<Style>(i / 2);
    const bool selected = i % 2 != 0;
    Look look = look_of(style, selected, handles_->depth, handles_->can_dim);
    // Terminals that can't keep their own colours get white on black.
    if (!keeps_default && look.foreground < 0) look.foreground = COLOR_WHITE;
    if (!keeps_default && look.background < 0) look.background = COLOR_BLACK;
    ::init_pair(pair_of(style, selected), look.foreground, look.background);
  }
}

/// Read by us and not by ncurses, which tells a click from a double click by waiting for what may
/// come after it, and keeps no more than a few events. Shift is the terminal's own, so that text
/// can be selected as ever.
void Terminal::use_mouse() {
  if (capability("kmous").empty()) return;
  const auto define = [](const char* start, int code) {
    ::define_key(start, 0);
    return ::define_key(start, code) == OK;
  };
  if (!define("\x1b[<", kMouseDecimal) || !define("\x1b[M", kMouseBytes)) return;
  handles_->mouse = true;
  handles_->leaving.insert(0, kMouseOff);
  arm_crash_restore(::fileno(handles_->output), handles_->before, handles_->leaving);
  const OutputGuard guard(::fileno(handles_->output), OutputGuard::For::drawing);
  handles_->send(kMouseOn);
}

/// Ctrl-S would stop the output and with it all of the program; it is a key like others.
void Terminal::keep_output_going() {
  termios modes{};
  const int fd = ::fileno(handles_->output);
  if (::tcgetattr(fd, &modes) != 0) return;
  modes.c_iflag &= ~static_cast<tcflag_t>(IXON);
  if (::tcsetattr(fd, TCSANOW, &modes) == 0) ::def_prog_mode();
}

int Terminal::input_fd() const {
  return ::fileno(handles_->input);
}
int Terminal::rows() const {
  return std::max(LINES, 1);
}
int Terminal::columns() const {
  return std::max(COLS, 1);
}

namespace {

struct MouseReport {
  unsigned button = 0;
  int column = 0;  ///< from 1
  int row = 0;
};

/// The next character of a report that has begun.
std::optional<wint_t> next_of_report() {
  wint_t code = 0;
  return ::wget_wch(stdscr, &code) == OK ? std::optional(code) : std::nullopt;
}

/// "0;5;3M" after "ESC [ <": a press; with m in the end a release.
std::optional<MouseReport> read_decimal_report() {
  constexpr int kMost = 9999;
  std::array<int, 3> numbers{};
  std::size_t at = 0;
  for (;;) {
    const auto code = next_of_report();
    if (!code) return std::nullopt;
    if (*code >= L'0' && *code <= L'9') {
      numbers.at(at) = std::min(numbers.at(at) * 10 + static_cast<int>(*code - L'0'), kMost);
    } else if (*code == L';' && at + 1 < numbers.size()) {
      ++at;
    } else {
      if (*code != L'M' || at != 2) return std::nullopt;
      return MouseReport{static_cast<unsigned>(numbers[0]), numbers[1], numbers[2]};
    }
  }
}

/// Three characters after "ESC [ M", each 32 more than its number.
std::optional<MouseReport> read_byte_report() {
  std::array<int, 3> numbers{};
  for (int& number : numbers) {
    const auto code = next_of_report();
    if (!code || *code < 32) return std::nullopt;
    number = static_cast<int>(*code) - 32;
  }
  return MouseReport{static_cast<unsigned>(numbers[0]), numbers[1], numbers[2]};
}

std::optional<Key> read_mouse(bool decimal, Clicks& clicks) {
  ::wtimeout(stdscr, kRestOfSequenceMs);
  const auto report = decimal ? read_decimal_report() : read_byte_report();
  ::nodelay(stdscr, TRUE);
  if (!report || report->row < 1 || report->column < 1) return std::nullopt;
  constexpr unsigned kHeldKeys = 4 + 8 + 16;  // Shift, Meta, Control
  Key key{KeyCode::mouse};
  key.row = report->row - 1;
  key.column = report->column - 1;
  switch (report->button & ~kHeldKeys) {
    case 0:
      key.mouse = clicks.press(key.row, key.column, monotonic_ns());
      return key;
    case 64:
      key.mouse = Mouse::wheel_up;
      return key;
    case 65:
      key.mouse = Mouse::wheel_down;
      return key;
    default:
      return std::nullopt;
  }
}

/// nullopt: a key that means nothing to us (KEY_RESIZE among them; the application asks itself).
std::optional<Key> translate(int status, wint_t code) {
  if (status == KEY_CODE_YES) {
    if (code >= KEY_F(1) && code <= KEY_F(12)) {
      return Key{KeyCode::function, static_cast<char32_t>(code - KEY_F0)};
    }
    switch (static_cast<int>(code)) {
      case KEY_UP:
        return Key{KeyCode::up};
      case KEY_DOWN:
        return Key{KeyCode::down};
      case KEY_LEFT:
        return Key{KeyCode::left};
      case KEY_RIGHT:
        return Key{KeyCode::right};
      case KEY_PPAGE:
        return Key{KeyCode::page_up};
      case KEY_NPAGE:
        return Key{KeyCode::page_down};
      case KEY_HOME:
        return Key{KeyCode::home};
      case KEY_END:
        return Key{KeyCode::end};
      case KEY_ENTER:
        return Key{KeyCode::enter};
      case KEY_BACKSPACE:
        return Key{KeyCode::backspace};
      case KEY_DC:
        return Key{KeyCode::del};
      case KEY_IC:
        return Key{KeyCode::insert};
      case KEY_BTAB:
        return Key{KeyCode::character, kShiftTab};
      default:
        return std::nullopt;
    }
  }
  switch (code) {
    case L'\n':
    case L'\r':
      return Key{KeyCode::enter};
    case 27:
      return Key{KeyCode::escape};
    case 8:
    case 127:
      return Key{KeyCode::backspace};
    default:
      return Key{KeyCode::character, static_cast<char32_t>(code)};
  }
}

}  // namespace

Mouse Clicks::press(int row, int column, std::uint64_t now_ns) {
  constexpr std::uint64_t kDoubleNs = 400'000'000;
  const bool second =
      last_ns_ != 0 && row == row_ && column == column_ && now_ns - last_ns_ <= kDoubleNs;
  row_ = row;
  column_ = column;
  last_ns_ = second ? 0 : now_ns;  // a third one is a first one
  return second ? Mouse::double_click : Mouse::click;
}

std::vector<Key> Terminal::read_keys() {
  std::vector<Key> keys;
  if (handles_->suspended) return keys;
  // A paste of any length must not keep the screen from being drawn.
  constexpr std::size_t kAtOnce = 256;
  while (keys.size() < kAtOnce) {
    wint_t code = 0;
    const int status = ::wget_wch(stdscr, &code);
    if (status == ERR) {
      check_closed();
      break;
    }
    const bool decimal = code == kMouseDecimal;
    const bool is_mouse = status == KEY_CODE_YES && (decimal || code == kMouseBytes);
    const auto key = is_mouse ? read_mouse(decimal, clicks_) : translate(status, code);
    if (key) keys.push_back(*key);
  }
  return keys;
}

/// ncurses says the same for "no key" and "no terminal any more"; the file descriptor tells them
/// apart: readable, and nothing in it.
void Terminal::check_closed() {
  pollfd state{input_fd(), POLLIN, 0};
  if (::poll(&state, 1, 0) <= 0) return;
  int waiting = 0;
  const bool empty = ::ioctl(input_fd(), FIONREAD, &waiting) != 0 || waiting == 0;
  closed_ = (state.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 || empty;
}

namespace {

attr_t attributes_of(const Look& look) {
  return (look.bold ? A_BOLD : A_NORMAL) | (look.dim ? A_DIM : A_NORMAL) |
         (look.reverse ? A_REVERSE : A_NORMAL) | (look.underline ? A_UNDERLINE : A_NORMAL);
}

void draw_cell(int row, int column, const Cell& cell, Depth depth, bool can_dim, Charset charset) {
  std::array<wchar_t, CCHARW_MAX> text{};
  std::size_t size = 0;
  text[size++] = static_cast<wchar_t>(cell.code);
  // A terminal whose locale sees another width than the Canvas would push the row aside.
  const bool agreed = cell.code < 0x7f || ::wcwidth(text[0]) == cell_width(cell.code);
  if (!agreed) text[0] = charset == Charset::utf8 ? L'\ufffd' : L'?';
  for (const char32_t mark : cell.marks) {
    if (agreed && mark != 0 && size + 1 < text.size() &&
        ::wcwidth(static_cast<wchar_t>(mark)) == 0) {
      text[size++] = static_cast<wchar_t>(mark);
    }
  }
  const attr_t attributes = attributes_of(look_of(cell.style, cell.selected, depth, can_dim));
  const short pair = depth == Depth::none ? short{0} : pair_of(cell.style, cell.selected);
  cchar_t out{};
  if (::setcchar(&out, text.data(), attributes, pair, nullptr) == OK) {
    ::mvwadd_wch(stdscr, row, column, &out);
  }
}

}  // namespace

void Terminal::draw(const Canvas& canvas, int cursor_row, int cursor_column) {
  if (handles_->suspended || closed_ || !takes_output()) return;
  const bool same_size =
      drawn_ && drawn_->rows() == canvas.rows() && drawn_->columns() == canvas.columns();
  if (!same_size) ::werase(stdscr);
  for (int row = 0; row < std::min(canvas.rows(), rows()); ++row) {
    for (int column = 0; column < std::min(canvas.columns(), columns()); ++column) {
      const Cell& cell = canvas.at(row, column);
      if (cell.code == 0) continue;
      // A wide character also changes when only the cell to its right did.
      const bool wide = column + 1 < canvas.columns() && canvas.at(row, column + 1).code == 0;
      if (same_size && drawn_->at(row, column) == cell &&
          (!wide || drawn_->at(row, column + 1) == canvas.at(row, column + 1))) {
        continue;
      }
      draw_cell(row, column, cell, handles_->depth, handles_->can_dim, charset_);
    }
  }
  drawn_ = canvas;
  ::curs_set(cursor_row >= 0 ? 1 : 0);
  if (cursor_row >= 0) ::wmove(stdscr, cursor_row, cursor_column);
  ::wnoutrefresh(stdscr);
  const OutputGuard guard(::fileno(handles_->output), OutputGuard::For::drawing);
  ::doupdate();
  closed_ = closed_ || OutputGuard::gave_up();
}

/// A terminal that has stopped reading gets this picture later, or a newer one: what is not given
/// to ncurses is not taken for drawn.
bool Terminal::takes_output() const {
  pollfd state{::fileno(handles_->output), POLLOUT, 0};
  return ::poll(&state, 1, 0) != 0;
}

bool Terminal::in_background() const {
  return handles_->in_background();
}

bool Terminal::resize() {
  winsize size{};
  if (::ioctl(::fileno(handles_->output), TIOCGWINSZ, &size) != 0) return false;
  if (size.ws_row == 0 || size.ws_col == 0) return false;
  if (size.ws_row == LINES && size.ws_col == COLS) return false;
  ::resizeterm(size.ws_row, size.ws_col);
  repaint();
  return true;
}

void Terminal::repaint() {
  drawn_.reset();
  ::clearok(curscr, TRUE);
}

void Terminal::suspend() {
  set_crash_restore_active(false);
  handles_->give_back();
}

void Terminal::resume() {
  if (closed_ || OutputGuard::gave_up()) return;
  handles_->suspended = false;
  set_crash_restore_active(true);
  const OutputGuard guard(::fileno(handles_->output), OutputGuard::For::drawing);
  ::reset_prog_mode();
  if (handles_->mouse) handles_->send(kMouseOn);
  ::wrefresh(stdscr);
  resize();
  repaint();
}

}  // namespace listenq::tui
