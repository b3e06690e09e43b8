// SPDX-License-Identifier: Apache-2.0
//
// Terminal: ncurses, and the restoring of the terminal after a crash.
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
#include <string_view>

// term.h defines macros with the names of terminal capabilities; these would hit ours.
#undef columns
#undef lines

namespace listenq::tui {

namespace {

// --- after a crash

/// All that the handler may touch, filled in before it is installed.
struct CrashRestore {
  volatile std::sig_atomic_t active = 0;
  bool armed = false;
  int fd = -1;
  termios modes{};
  std::array<char, 256> escape{};
  std::size_t escape_size = 0;
  std::array<struct sigaction, 5> before{};
};
CrashRestore crash;
constexpr std::array kCrashSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

extern "C" void restore_after_crash(int signal) {
  if (crash.active != 0) {
    crash.active = 0;
    // What fails here fails; there is nobody to tell.
    [[maybe_unused]] const ssize_t sent = ::write(crash.fd, crash.escape.data(), crash.escape_size);
    ::tcsetattr(crash.fd, TCSANOW, &crash.modes);
  }
  for (std::size_t i = 0; i < kCrashSignals.size(); ++i) {
    if (kCrashSignals[i] == signal) ::sigaction(signal, &crash.before[i], nullptr);
  }
  // Delivered when this handler returns, to whoever had it before: a core dump as without us.
  ::raise(signal);
}

/// Of the terminal's type; empty when it has none of this name.
std::string_view capability(const char* name) {
  const char* text = ::tigetstr(name);
  // (char*)-1: no such name in terminfo at all.
  return text == nullptr || reinterpret_cast<std::intptr_t>(text) == -1 ? std::string_view()
                                                                        : std::string_view(text);
}

/// A capability without its padding ("$<5>"), which needs no terminal of today.
void add_capability(const char* name) {
  std::string_view rest = capability(name);
  while (!rest.empty()) {
    const std::size_t padding = rest.starts_with("$<") ? rest.find('>') : std::string_view::npos;
    if (padding != std::string_view::npos) {
      rest.remove_prefix(padding + 1);
      continue;
    }
    if (crash.escape_size < crash.escape.size()) crash.escape[crash.escape_size++] = rest.front();
    rest.remove_prefix(1);
  }
}

void arm_crash_restore(int fd, const termios& modes) {
  crash.fd = fd;
  crash.modes = modes;
  crash.escape_size = 0;
  // Attributes off, keypad back, cursor on, the screen from before.
  for (const char* name : {"sgr0", "rmkx", "cnorm", "rmcup"}) add_capability(name);
  struct sigaction action {};
  action.sa_handler = restore_after_crash;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kCrashSignals.size(); ++i) {
    ::sigaction(kCrashSignals[i], &action, &crash.before[i]);
  }
  crash.armed = true;
  crash.active = 1;
}

void disarm_crash_restore() {
  if (!crash.armed) return;
  crash.armed = false;
  crash.active = 0;
  for (std::size_t i = 0; i < kCrashSignals.size(); ++i) {
    ::sigaction(kCrashSignals[i], &crash.before[i], nullptr);
  }
}

// --- looks

struct Look {
  short foreground;  ///< -1: as the terminal has it
  short background;
  attr_t attributes;        ///< with colours
  attr_t plain_attributes;  ///< without
};

/// By Style. Bad differs from warn and good also without colour (bold), and the text says it too.
constexpr std::array<Look, static_cast<std::size_t>(Style::count_)> kLooks = {{
    {-1, -1, A_NORMAL, A_NORMAL},                                           // normal
    {-1, -1, A_BOLD, A_BOLD},                                               // strong
    {-1, -1, A_DIM, A_NORMAL},                                              // dim
    {COLOR_GREEN, -1, A_NORMAL, A_NORMAL},                                  // good
    {COLOR_YELLOW, -1, A_BOLD, A_BOLD},                                     // warn
    {COLOR_RED, -1, A_BOLD, A_BOLD},                                        // bad
    {COLOR_BLACK, COLOR_GREEN, A_NORMAL, A_REVERSE},                        // title
    {COLOR_BLACK, COLOR_CYAN, A_NORMAL, A_REVERSE | A_BOLD | A_UNDERLINE},  // title_sorted
    {-1, -1, A_BOLD, A_BOLD},                                               // key
    {COLOR_BLACK, COLOR_CYAN, A_NORMAL, A_REVERSE},                         // key_text
    {COLOR_BLACK, COLOR_YELLOW, A_NORMAL, A_REVERSE},                       // notice
}};
constexpr short kSelectedPair = static_cast<short>(Style::count_) + 1;
constexpr short kSelectedBadPair = kSelectedPair + 1;

}  // namespace

struct Terminal::Handles {
  FILE* input = nullptr;
  FILE* output = nullptr;
  SCREEN* screen = nullptr;
  bool colors = false;
  bool suspended = false;

  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    if (screen != nullptr) {
      disarm_crash_restore();
      if (!suspended) ::endwin();
      ::delscreen(screen);
    }
    if (input != nullptr) std::fclose(input);
    if (output != nullptr) std::fclose(output);
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
  termios modes{};
  if (::tcgetattr(::fileno(handles->output), &modes) != 0) {
    return failure(
        ErrorKind::unsupported,
        fmt::format("the terminal can't be set up ({}); use --once or --batch", errno_text(errno)));
  }
  const Charset charset = charset_of_locale();
  const char* type = std::getenv("TERM");
  handles->screen = ::newterm(nullptr, handles->output, handles->input);
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
  arm_crash_restore(::fileno(handles->output), modes);
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
  ::set_escdelay(25);
  ::keypad(stdscr, TRUE);
  ::nodelay(stdscr, TRUE);
  ::intrflush(stdscr, FALSE);
  ::leaveok(stdscr, FALSE);
  choose_colors();
}

Terminal::~Terminal() = default;

void Terminal::choose_colors() {
  const char* no_color = std::getenv("NO_COLOR");
  if ((no_color != nullptr && *no_color != '\0') || !::has_colors() || ::start_color() != OK ||
      COLORS < 8 || COLOR_PAIRS <= kSelectedBadPair) {
    return;
  }
  handles_->colors = true;
  const bool keeps_default = ::use_default_colors() == OK;
  const auto pair = [&](short number, short foreground, short background) {
    // Terminals that can't keep their own colours get white on black.
    if (!keeps_default && foreground < 0) foreground = COLOR_WHITE;
    if (!keeps_default && background < 0) background = COLOR_BLACK;
    ::init_pair(number, foreground, background);
  };
  for (std::size_t i = 0; i < kLooks.size(); ++i) {
    pair(static_cast<short>(i + 1), kLooks[i].foreground, kLooks[i].background);
  }
  pair(kSelectedPair, COLOR_BLACK, COLOR_CYAN);
  // Plain red on cyan is hard to read; with more colours there is a darker one.
  pair(kSelectedBadPair, COLORS >= 256 ? 88 : COLOR_RED, COLORS >= 256 ? 80 : COLOR_CYAN);
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
    if (const auto key = translate(status, code)) keys.push_back(*key);
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

struct CellLook {
  attr_t attributes;
  short pair;
};

CellLook look_of(const Cell& cell, bool colors) {
  const auto style = static_cast<std::size_t>(cell.style);
  const Look& look = kLooks[style];
  if (!colors) {
    // The selected row is reversed; what is bad within it stays bold.
    return {look.plain_attributes | (cell.selected ? A_REVERSE : A_NORMAL), 0};
  }
  if (!cell.selected) return {look.attributes, static_cast<short>(style + 1)};
  const bool bad = cell.style == Style::bad;
  return {bad || cell.style == Style::strong ? A_BOLD : A_NORMAL,
          bad ? kSelectedBadPair : kSelectedPair};
}

void draw_cell(int row, int column, const Cell& cell, bool colors, Charset charset) {
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
  const CellLook look = look_of(cell, colors);
  cchar_t out{};
  if (::setcchar(&out, text.data(), look.attributes, look.pair, nullptr) == OK) {
    ::mvwadd_wch(stdscr, row, column, &out);
  }
}

}  // namespace

void Terminal::draw(const Canvas& canvas, int cursor_row, int cursor_column) {
  if (handles_->suspended || closed_) return;
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
      draw_cell(row, column, cell, handles_->colors, charset_);
    }
  }
  drawn_ = canvas;
  ::curs_set(cursor_row >= 0 ? 1 : 0);
  if (cursor_row >= 0) ::wmove(stdscr, cursor_row, cursor_column);
  ::wnoutrefresh(stdscr);
  ::doupdate();
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
  if (handles_->suspended) return;
  handles_->suspended = true;
  crash.active = 0;
  ::endwin();
}

void Terminal::resume() {
  if (!handles_->suspended) return;
  handles_->suspended = false;
  crash.active = 1;
  ::reset_prog_mode();
  ::wrefresh(stdscr);
  resize();
  repaint();
}

}  // namespace listenq::tui
