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

#include "tui_world.h"
#include "util/fd.h"
#include "util/text.h"
#include "view/tui/tui.h"

namespace listenq::tui {
namespace {

constexpr const char* kLeaveScreen = "\x1b[?1049l";  // rmcup of xterm
constexpr int kWaitMs = 10000;                       // for what comes at once, or never

class Child {
 public:
  /// Runs `body` in a process of its own whose terminal is a new pseudo-terminal.
  explicit Child(const std::function<int()>& body) {
    master_ = Fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master_ || ::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0) return;
    resize(24, 80);
    ::tcgetattr(master_.get(), &before_);
    const std::string name = ::ptsname(master_.get());
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::setsid();
    const int terminal = ::open(name.c_str(), O_RDWR);
    ::ioctl(terminal, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; ++fd) ::dup2(terminal, fd);
    ::close(terminal);
    master_ = Fd();
    ::setenv("TERM", "xterm-256color", 1);
    ::setenv("LC_ALL", "C.UTF-8", 1);
    ::unsetenv("NO_COLOR");
    ::_exit(body());
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }

  void resize(unsigned short rows, unsigned short columns) {
    const winsize size{rows, columns, 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
  }
  void type(std::string_view keys) {
    ASSERT_EQ(::write(master_.get(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  /// Reads until `part` was written; false when the child is gone, or silent, before.
  bool wait_for(std::string_view part) {
    while (output_.find(part, seen_) == std::string::npos) {
      if (!read_some()) return false;
    }
    seen_ = output_.find(part, seen_) + part.size();
    return true;
  }
  /// The status as waitpid() gives it, after all output.
  int wait() {
    while (read_some()) {
    }
    int status = -1;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  void hang_up() { master_ = Fd(); }
  [[nodiscard]] bool modes_are_back() const {
    termios now{};
    ::tcgetattr(master_.get(), &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag;
  }
  [[nodiscard]] const std::string& output() const { return output_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  int wait_without_reading() {
    int status = -1;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  bool read_some() {
    pollfd ready{master_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kWaitMs) <= 0) return false;
    char buffer[4096];
    const ssize_t got = ::read(master_.get(), buffer, sizeof buffer);
    if (got <= 0) return false;
    output_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  Fd master_;
  pid_t pid_ = -1;
  termios before_{};
  std::string output_;
  std::size_t seen_ = 0;
};

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

TEST(TuiTerminal, TerminalsOfManyKindsWork) {
  for (const char* type : {"xterm", "vt100", "linux", "screen", "tmux-256color"}) {
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
