// SPDX-License-Identifier: Apache-2.0
//
// The terminal is given back however the program ends: a child process runs the screen on a
// pseudo-terminal, the test plays the user and looks at what is left.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "pty_child.h"
#include "record_files.h"
#include "tui_world.h"
#include "util/fd.h"
#include "util/text.h"
#include "view/tui/tui.h"

namespace listenq::tui {
namespace {

using test::Child;
using test::kLeaveScreen;
using test::kWaitMs;

std::unique_ptr<Tui> open_screen() {
  static World world;
  auto tui = Tui::open({});
  if (!tui) {
    std::fprintf(stderr, "ERROR %s\n", tui.error().message.c_str());
    ::_exit(9);
  }
  (*tui)->show(small_machine(world));
  return std::move(*tui);
}

/// The application in small: reads keys until it is to quit, and calls `on_key` after each read.
int run_screen(const std::function<void(Tui&)>& on_key = {}) {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGWINCH);
  sigaddset(&blocked, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  auto tui = open_screen();
  for (;;) {
    pollfd ready{tui->input_fd(), POLLIN, 0};
    if (::poll(&ready, 1, kWaitMs) <= 0) return 8;  // nobody types any more
    if (tui->on_input().quit) return 0;
    if (on_key) on_key(*tui);
  }
}

TEST(TuiTerminal, QuitGivesTheTerminalBack) {
  Child child([] { return run_screen(); });
  ASSERT_TRUE(child.wait_for("Quit"));
  EXPECT_FALSE(child.modes_are_back());
  child.type("q");
  EXPECT_TRUE(child.wait_for(kLeaveScreen));
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(child.modes_are_back());
}

TEST(TuiTerminal, FunctionAndArrowKeysAreUnderstood) {
  Child child([] { return run_screen(); });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.type("\x1bOP");  // F1
  ASSERT_TRUE(child.wait_for("listenq-top: help"));
  child.type("\x1b");  // alone: Esc
  ASSERT_TRUE(child.wait_for("trouble"));
  child.type("\x1bOB\x1bOB");  // down, twice
  ASSERT_TRUE(child.wait_for("2049 in netns"));
  child.type("\x1b[21~");  // F10
  EXPECT_EQ(child.wait(), 0);
}

TEST(TuiTerminal, ACrashGivesTheTerminalBack) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE}) {
    Child child([signal] {
      // What a sanitizer would do with the signal is not the question here.
      ::signal(signal, SIG_DFL);
      auto tui = open_screen();
      ::raise(signal);
      return 0;
    });
    const int status = child.wait();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_TRUE(child.wait_for(kLeaveScreen)) << signal;
    EXPECT_TRUE(child.modes_are_back()) << signal;
  }
}

TEST(TuiTerminal, AnExceptionGivesTheTerminalBack) {
  Child caught([] {
    try {
      auto tui = open_screen();
      throw std::runtime_error("in a draw");
    } catch (const std::exception& error) {
      std::printf("CAUGHT %s\n", error.what());
      std::fflush(stdout);
    }
    return 3;
  });
  EXPECT_TRUE(caught.wait_for(kLeaveScreen));
  EXPECT_TRUE(caught.wait_for("CAUGHT in a draw"));
  EXPECT_EQ(WEXITSTATUS(caught.wait()), 3);
  EXPECT_TRUE(caught.modes_are_back());

  Child uncaught([]() -> int {
    auto tui = open_screen();
    std::terminate();
  });
  const int status = uncaught.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
  EXPECT_TRUE(uncaught.wait_for(kLeaveScreen));
  EXPECT_TRUE(uncaught.modes_are_back());
}

TEST(TuiTerminal, SuspendAndResume) {
  Child child([] {
    return run_screen([](Tui& tui) {
      tui.suspend();
      std::printf("STOPPED HERE\n");
      std::fflush(stdout);
      ::raise(SIGSTOP);
      tui.resume();
    });
  });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.type("j");
  ASSERT_TRUE(child.wait_for(kLeaveScreen));
  ASSERT_TRUE(child.wait_for("STOPPED HERE"));
  int status = 0;
  ASSERT_EQ(::waitpid(child.pid(), &status, WUNTRACED), child.pid());
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_TRUE(child.modes_are_back());
  child.resize(24, 120);  // while it can't see it
  ::kill(child.pid(), SIGCONT);
  ASSERT_TRUE(child.wait_for("SOMAXCONN")) << "all of the screen again, in the new width";
  child.type("q");
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(child.modes_are_back());
}

TEST(TuiTerminal, Resize) {
  Child child([] { return run_screen([](Tui& tui) { tui.on_resize(); }); });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.resize(5, 20);
  child.type("k");
  ASSERT_TRUE(child.wait_for("need 40x6"));
  child.resize(1, 1);
  child.type("k");
  child.resize(30, 130);
  child.type("k");
  ASSERT_TRUE(child.wait_for("SOMAXCONN"));
  child.type("q");
  EXPECT_EQ(child.wait(), 0);
}

TEST(TuiTerminal, CtrlSIsAKeyLikeOthers) {
  Child child([] { return run_screen(); });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.type("\x13");
  child.type("q");
  EXPECT_EQ(child.wait_without_reading(), 0);
  EXPECT_TRUE(child.modes_are_back()) << "also the flow control";
}

/// Output stopped from outside: pictures are left out, keys go on working, and the end is not held
/// up.
TEST(TuiTerminal, ATerminalThatTakesNoOutputHoldsUpNothing) {
  Child child([] { return run_screen([](Tui& tui) { tui.tick(); }); });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.settle();  // a write under way would wait for the terminal
  child.stop_output();
  child.type("jkjk");
  child.type("q");
  EXPECT_EQ(child.wait_without_reading(), 0);
  EXPECT_TRUE(child.modes_are_back());
}

/// It stops in the midst of a picture that does not fit: the process waits, until it is told to
/// end.
TEST(TuiTerminal, AWriteThatHangsEndsWhenTheProcessIsToldToEnd) {
  Child child([] {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    auto terminal = Terminal::open({});
    if (!terminal) return 9;
    (*terminal)->draw(Canvas(24, 80, Charset::utf8), -1, -1);
    char letter = 'a';
    while (!(*terminal)->closed()) {
      // Each cell another than before: more than any buffer takes, for nobody reads.
      Canvas canvas(24, 80, Charset::utf8);
      for (int row = 0; row < 24; ++row) canvas.put(row, 0, std::string(80, letter), Style::normal);
      (*terminal)->draw(canvas, -1, -1);
      letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1);
      sigset_t pending;
      ::sigpending(&pending);
      if (sigismember(&pending, SIGTERM) == 1) break;
    }
    return 5;
  });
  ASSERT_TRUE(child.wait_for("\x1b["));
  child.signal(SIGTERM);
  const int status = child.wait_without_reading();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
  EXPECT_TRUE(child.modes_are_back());
}

TEST(TuiTerminal, AClosedTerminalIsAReasonToQuit) {
  Child child([] { return run_screen(); });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.hang_up();
  EXPECT_EQ(child.wait_without_reading(), 0);
}

/// True when some "ESC [ ... m" sets a colour of the text or behind it: 30 to 38, 40 to 48.
bool sets_colour(std::string_view output) {
  for (std::size_t at = output.find("\x1b["); at != std::string_view::npos;
       at = output.find("\x1b[", at + 1)) {
    const std::string_view rest = output.substr(at + 2);
    const std::size_t end = rest.find_first_not_of("0123456789;");
    if (end == std::string_view::npos || rest[end] != 'm') continue;
    for (const std::string_view number : split(rest.substr(0, end), ';')) {
      const auto value = parse_integer(number).value_or(0);
      if ((value >= 30 && value <= 38) || (value >= 40 && value <= 48)) return true;
    }
  }
  return false;
}

/// What a key was understood as, written after the screen was given back.
int name_keys() {
  auto terminal = Terminal::open({});
  if (!terminal) return 9;
  (*terminal)->draw(Canvas(24, 80, Charset::utf8), -1, -1);
  std::string names;
  for (;;) {
    pollfd ready{(*terminal)->input_fd(), POLLIN, 0};
    if (::poll(&ready, 1, kWaitMs) <= 0) return 8;
    for (const Key& key : (*terminal)->read_keys()) {
      if (key.code == KeyCode::character && key.value == U'q') {
        terminal->reset();
        std::printf("KEYS%s.\n", names.c_str());
        std::fflush(stdout);
        return 0;
      }
      names += " " + std::to_string(static_cast<int>(key.code));
      if (key.code == KeyCode::mouse) {
        names += "m" + std::to_string(static_cast<int>(key.mouse)) + "@" + std::to_string(key.row) +
                 "," + std::to_string(key.column);
      } else if (key.value != 0) {
        names += "=" + std::to_string(static_cast<unsigned>(key.value));
      }
    }
  }
}

std::string keys_of(const char* type, std::string_view typed) {
  Child child([type] {
    ::setenv("TERM", type, 1);
    return name_keys();
  });
  if (!child.wait_for("\x1b[H") && !child.wait_for("\x1b[2J")) return "no screen";
  child.type(typed);
  child.type("q");
  child.wait();
  const std::size_t at = child.output().find("KEYS");
  return at == std::string::npos
             ? "nothing"
             : child.output().substr(at + 4, child.output().find('.', at) - at - 4);
}

std::string name(KeyCode code, char32_t value = 0) {
  std::string text = " " + std::to_string(static_cast<int>(code));
  return value == 0 ? text : text + "=" + std::to_string(static_cast<unsigned>(value));
}
std::string name(Mouse mouse, int row, int column) {
  return " " + std::to_string(static_cast<int>(KeyCode::mouse)) + "m" +
         std::to_string(static_cast<int>(mouse)) + "@" + std::to_string(row) + "," +
         std::to_string(column);
}

TEST(TuiTerminal, KeysOfEveryKindAreUnderstood) {
  EXPECT_EQ(keys_of("xterm-256color", "\t\x1b[Z\x1b[2~\x1b[3~"),
            name(KeyCode::character, U'\t') + name(KeyCode::character, kShiftTab) +
                name(KeyCode::insert) + name(KeyCode::del));
  std::string functions;
  for (char32_t number = 1; number <= 12; ++number) functions += name(KeyCode::function, number);
  const std::string from_five = "\x1b[15~\x1b[17~\x1b[18~\x1b[19~\x1b[20~\x1b[21~\x1b[23~\x1b[24~";
  EXPECT_EQ(keys_of("xterm", "\x1bOP\x1bOQ\x1bOR\x1bOS" + from_five), functions);
  EXPECT_EQ(keys_of("tmux-256color", "\x1bOP\x1bOQ\x1bOR\x1bOS" + from_five), functions);
  EXPECT_EQ(keys_of("linux", "\x1b[[A\x1b[[B\x1b[[C\x1b[[D\x1b[[E\x1b[17~"),
            functions.substr(0, functions.find(name(KeyCode::function, 7))));
}

TEST(TuiTerminal, TheMouseClicksAndTurns) {
  EXPECT_EQ(keys_of("xterm-256color",
                    "\x1b[<0;5;3M\x1b[<0;5;3m"       // click
                    "\x1b[<0;5;3M\x1b[<0;5;3m"       // at once again
                    "\x1b[<0;9;3M\x1b[<0;9;3m"       // elsewhere
                    "\x1b[<64;300;20M\x1b[<65;1;1M"  // wheel, far to the right
                    "\x1b[<2;1;1M\x1b[<2;1;1m"),     // the right button
            name(Mouse::click, 2, 4) + name(Mouse::double_click, 2, 4) + name(Mouse::click, 2, 8) +
                name(Mouse::wheel_up, 19, 299) + name(Mouse::wheel_down, 0, 0));
  // The older way to tell it.
  EXPECT_EQ(keys_of("screen", "\x1b[M %#\x1b[M#%#\x1b[M`%#\x1b[Ma%#"),
            name(Mouse::click, 2, 4) + name(Mouse::wheel_up, 2, 4) + name(Mouse::wheel_down, 2, 4));
}

TEST(TuiClicks, ASecondOneSoonAndAtTheSamePlaceIsDouble) {
  constexpr std::uint64_t kMs = 1'000'000;
  Clicks clicks;
  EXPECT_EQ(clicks.press(1, 1, 1000 * kMs), Mouse::click);
  EXPECT_EQ(clicks.press(1, 1, 1300 * kMs), Mouse::double_click);
  EXPECT_EQ(clicks.press(1, 1, 1400 * kMs), Mouse::click) << "the third is a first";
  EXPECT_EQ(clicks.press(1, 2, 1500 * kMs), Mouse::click);
  EXPECT_EQ(clicks.press(2, 2, 1600 * kMs), Mouse::click);
  EXPECT_EQ(clicks.press(2, 2, 2100 * kMs), Mouse::click) << "too late";
}

TEST(TuiTerminal, TheMouseIsSwitchedOffHoweverItEnds) {
  Child quits([] { return run_screen(); });
  ASSERT_TRUE(quits.wait_for(test::kMouseOn));
  ASSERT_TRUE(quits.wait_for("Quit"));
  quits.type("q");
  EXPECT_TRUE(quits.wait_for(test::kMouseOff));
  quits.wait();
  EXPECT_TRUE(quits.is_given_back());

  Child crashes([] {
    ::signal(SIGSEGV, SIG_DFL);
    auto tui = open_screen();
    ::raise(SIGSEGV);
    return 0;
  });
  EXPECT_TRUE(crashes.wait_for("\x1b[?1006l\x1b[?1000l"));
  crashes.wait();

  Child none([] {
    ::setenv("TERM", "vt100", 1);
    return run_screen();
  });
  ASSERT_TRUE(none.wait_for("Quit"));
  none.type("q");
  none.wait();
  EXPECT_EQ(none.output().find("\x1b[?1000"), std::string::npos);
  EXPECT_EQ(none.output().find("\x1b[?1006"), std::string::npos);
}

TEST(TuiTerminal, NoColorMeansNone) {
  Child plain([] {
    ::setenv("NO_COLOR", "1", 1);
    return run_screen();
  });
  ASSERT_TRUE(plain.wait_for("Quit"));
  plain.type("q");
  plain.wait();
  EXPECT_FALSE(sets_colour(plain.output()));

  Child coloured([] { return run_screen(); });
  ASSERT_TRUE(coloured.wait_for("Quit"));
  coloured.type("q");
  coloured.wait();
  EXPECT_TRUE(sets_colour(coloured.output()));
}

/// A terminal type that this machine need not have, compiled from one that every one has.
bool make_sixteen_colours(const std::string& directory) {
  const std::string command =
      "printf 'lq-16color|xterm with 16 "
      "colours,\\n\\tcolors#16,pairs#256,setab=\\\\E[%%?%%p1%%{8}%%<%%t4%%p1%%d"
      "%%e10%%p1%%{8}%%-%%d%%;m,setaf=\\\\E[%%?%%p1%%{8}%%<%%t3%%p1%%d%%e9%%p1%%{8}%%-%%d%%;m,use="
      "xterm,\\n' | "
      "tic -x -o '" +
      directory + "' - 2>/dev/null";
  return std::system(command.c_str()) == 0;
}

TEST(TuiTerminal, SixteenColours) {
  test::TempDir directory;
  const std::string path = directory.file("terminfo");
  if (!make_sixteen_colours(path)) GTEST_SKIP() << "no tic here";
  Child child([&path] {
    ::setenv("TERMINFO", path.c_str(), 1);
    ::setenv("TERM", "lq-16color", 1);
    return run_screen();
  });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.type("jj");
  child.type("q");
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(child.modes_are_back());
  EXPECT_NE(child.output().find("\x1b[91m"), std::string::npos) << "bad is bright red";
  EXPECT_EQ(child.output().find("\x1b[38;5"), std::string::npos);
}

TEST(TuiTerminal, ColoursByTheNumberThatThereAre) {
  const auto shown = [](const char* type) {
    Child child([type] {
      ::setenv("TERM", type, 1);
      return run_screen();
    });
    EXPECT_TRUE(child.wait_for("Quit")) << type;
    child.type("q");
    child.wait();
    return child.output();
  };
  for (const char* type : {"xterm", "linux", "screen"}) {
    const std::string eight = shown(type);
    EXPECT_TRUE(sets_colour(eight)) << type;
    EXPECT_EQ(eight.find("\x1b[38;5"), std::string::npos) << type;
    EXPECT_EQ(eight.find("\x1b[9"), std::string::npos) << type;
  }
  for (const char* type : {"xterm-256color", "tmux-256color"}) {
    const std::string many = shown(type);
    EXPECT_NE(many.find("\x1b[38;5;244m"), std::string::npos) << type << ": dim";
    EXPECT_NE(many.find("48;5;24m"), std::string::npos) << type << ": the selected row";
  }
  EXPECT_FALSE(sets_colour(shown("vt100")));
}

TEST(TuiTerminal, TerminalsOfManyKindsWork) {
  for (const char* type :
       {"xterm", "xterm-256color", "vt100", "linux", "screen", "tmux-256color"}) {
    Child child([type] {
      ::setenv("TERM", type, 1);
      return run_screen();
    });
    EXPECT_TRUE(child.wait_for("nginx")) << type;
    child.type("q");
    EXPECT_EQ(child.wait(), 0) << type;
    EXPECT_TRUE(child.modes_are_back()) << type;
  }
}

TEST(TuiTerminal, AsciiWhereTheLocaleIsNotUtf8) {
  const auto non_ascii = [](const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
  };
  Child child([] {
    ::setenv("LC_ALL", "C", 1);
    return run_screen();
  });
  ASSERT_TRUE(child.wait_for("Quit"));
  child.type("q");
  child.wait();
  EXPECT_FALSE(non_ascii(child.output()));

  Child utf8([] { return run_screen(); });
  ASSERT_TRUE(utf8.wait_for("Quit"));
  utf8.type("q");
  utf8.wait();
  EXPECT_TRUE(non_ascii(utf8.output()));
}

TEST(TuiTerminal, UnusableTerminalsAreRefusedInASentence) {
  const auto open_with = [](const char* type) {
    return [type] {
      ::setenv("TERM", type, 1);
      auto tui = Tui::open({});
      if (tui) return 0;
      std::printf("%s\n", tui.error().message.c_str());
      std::fflush(stdout);
      return 3;
    };
  };
  Child unknown(open_with("no-such-terminal"));
  EXPECT_TRUE(unknown.wait_for("\"no-such-terminal\" is not known here; set TERM"));
  EXPECT_EQ(WEXITSTATUS(unknown.wait()), 3);
  EXPECT_TRUE(unknown.modes_are_back());
  Child dumb(open_with("dumb"));
  EXPECT_TRUE(dumb.wait_for("\"dumb\" can't place text on the screen")) << dumb.output();
  EXPECT_EQ(WEXITSTATUS(dumb.wait()), 3);
  EXPECT_TRUE(dumb.modes_are_back());

  Child none([] {
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0);
    ::dup2(null, 1);
    ::signal(SIGHUP, SIG_IGN);
    ::ioctl(2, TIOCNOTTY, 0);
    auto tui = Tui::open({});
    const bool said = !tui && tui.error().message.find("no terminal") != std::string::npos;
    return said ? 3 : 1;
  });
  EXPECT_EQ(WEXITSTATUS(none.wait()), 3);
}

TEST(TuiTerminal, ATerminalOfNoSizeOrTypeIsNoProblem) {
  Child sizeless([] {
    const winsize none{};
    ::ioctl(1, TIOCSWINSZ, &none);
    return run_screen([](Tui& tui) { tui.on_resize(); });
  });
  EXPECT_TRUE(sizeless.wait_for("Quit"));
  sizeless.type("j");
  sizeless.type("q");
  EXPECT_EQ(sizeless.wait(), 0);

  Child typeless([] {
    ::unsetenv("TERM");
    auto tui = Tui::open({});
    if (tui) return 0;
    std::printf("%s\n", tui.error().message.c_str());
    std::fflush(stdout);
    return 3;
  });
  EXPECT_TRUE(typeless.wait_for("set TERM")) << typeless.output();
  EXPECT_EQ(WEXITSTATUS(typeless.wait()), 3);
  EXPECT_TRUE(typeless.modes_are_back());
}

TEST(TuiTerminal, AWrongFilterIsRefusedBeforeTheTerminalIsTouched) {
  Child child([] {
    TuiOptions options;
    options.filter = "prot == 1";
    return Tui::open(std::move(options)) ? 0 : 2;
  });
  EXPECT_EQ(WEXITSTATUS(child.wait()), 2);
  EXPECT_EQ(child.output(), "");
}

}  // namespace
}  // namespace listenq::tui
