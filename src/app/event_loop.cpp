// SPDX-License-Identifier: Apache-2.0
//
// See event_loop.h.
#include "app/event_loop.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

namespace listenq {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};

bool watch(const Fd& epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

tl::unexpected<Error> cannot_wait() {
  return failure(ErrorKind::unsupported,
                 fmt::format("can't wait for events: {}", errno_text(errno)));
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create(double interval_seconds, Hangup hangup) {
  std::unique_ptr<EventLoop> loop(new EventLoop(hangup));
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kSignals) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  loop->signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  loop->timer_ = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  loop->epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->signals_ || !loop->timer_ || !loop->epoll_ ||
      !watch(loop->epoll_, loop->signals_.get()) || !watch(loop->epoll_, loop->timer_.get())) {
    return cannot_wait();
  }
  loop->set_interval(interval_seconds);
  return loop;
}

Result<void> EventLoop::watch_input(int fd) {
  if (!watch(epoll_, fd)) return cannot_wait();
  input_ = fd;
  return {};
}

Result<void> EventLoop::watch_samples(int fd) {
  if (!watch(epoll_, fd)) return cannot_wait();
  samples_ = fd;
  return {};
}

Result<void> EventLoop::watch_web(int fd) {
  if (!watch(epoll_, fd)) return cannot_wait();
  web_ = fd;
  return {};
}

void EventLoop::set_interval(double seconds) {
  itimerspec timer{};
  double whole = 0;
  const double fraction = std::modf(seconds, &whole);
  timer.it_interval.tv_sec = static_cast<time_t>(whole);
  timer.it_interval.tv_nsec = static_cast<long>(fraction * 1e9);
  timer.it_value = timer.it_interval;
  ::timerfd_settime(timer_.get(), 0, &timer, nullptr);
}

Event EventLoop::read_signal() const {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return Event::stop;
  switch (info.ssi_signo) {
    case SIGWINCH:
      return Event::resize;
    case SIGTSTP:
      return Event::suspend;
    case SIGCONT:
      return Event::resume;
    case SIGHUP:
      return hangup_ == Hangup::reload ? Event::reload : Event::stop;
    default:
      return Event::stop;
  }
}

Event EventLoop::wait() {
  for (;;) {
    if (const auto event = next(-1)) return *event;
  }
}

std::optional<Event> EventLoop::next(int timeout_ms) {
  std::array<epoll_event, 4> events{};
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  if (count < 0 && errno != EINTR) return Event::stop;
  bool tick = false;
  bool input = false;
  bool sample = false;
  bool web = false;
  for (int i = 0; i < count; ++i) {
    const int fd = events.at(static_cast<std::size_t>(i)).data.fd;
    if (fd == signals_.get()) return read_signal();  // the rest is still there next time
    tick = tick || fd == timer_.get();
    input = input || fd == input_;
    sample = sample || fd == samples_;
    web = web || fd == web_;
  }
  if (input) return Event::input;
  if (sample) return Event::sample;
  // Ticks that were missed (a stopped process, a slow sample) are one.
  std::uint64_t expirations = 0;
  if (tick && ::read(timer_.get(), &expirations, sizeof(expirations)) > 0) return Event::tick;
  if (web) return Event::web;
  return std::nullopt;
}

bool stop_self() {
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, SIGTSTP);
  // SIGTSTP is blocked here; unblocked and at its default action it stops the process just now.
  struct sigaction usual {};
  struct sigaction before {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(SIGTSTP, &usual, &before);
  ::raise(SIGTSTP);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  sigprocmask(SIG_BLOCK, &only, nullptr);
  ::sigaction(SIGTSTP, &before, nullptr);
  // The caller knows that it goes on.
  sigset_t continued;
  sigemptyset(&continued);
  sigaddset(&continued, SIGCONT);
  const timespec now{};
  return ::sigtimedwait(&continued, nullptr, &now) == SIGCONT;
}

bool stop_waits() {
  sigset_t pending;
  sigemptyset(&pending);
  ::sigpending(&pending);
  constexpr std::array kEnding = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  return std::any_of(kEnding.begin(), kEnding.end(),
                     [&](int number) { return sigismember(&pending, number) == 1; });
}

}  // namespace listenq
