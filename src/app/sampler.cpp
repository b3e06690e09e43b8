// SPDX-License-Identifier: Apache-2.0
//
// See sampler.h.
#include "app/sampler.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

namespace listenq {
namespace {

/// Signals are for the thread that waits for them. A fault is the business of whoever makes it.
void leave_signals_to_others() {
  sigset_t all;
  sigfillset(&all);
  constexpr std::array kFaults = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  for (const int number : kFaults) sigdelset(&all, number);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

tl::unexpected<Error> no_thread(int error) {
  return failure(ErrorKind::unsupported,
                 fmt::format("can't start a thread: {}; use --batch", errno_text(error)));
}

}  // namespace

Result<std::unique_ptr<Sampler>> Sampler::create(Source& source) {
  Fd ready(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ready) return no_thread(errno);
  std::unique_ptr<Sampler> sampler(new Sampler(source, std::move(ready)));
  try {
    sampler->thread_ = std::thread([self = sampler.get()] { self->run(); });
  } catch (const std::system_error& error) {
    return no_thread(error.code().value());
  }
  return sampler;
}

Sampler::~Sampler() {
  {
    const std::lock_guard lock(mutex_);
    work_ = Work::over;
  }
  asked_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool Sampler::request(const Wanted& wanted) {
  {
    const std::lock_guard lock(mutex_);
    if (work_ != Work::none) return false;
    work_ = Work::asked;
    wanted_ = wanted;
  }
  asked_.notify_one();
  return true;
}

std::optional<Result<std::shared_ptr<const Sample>>> Sampler::take() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(ready_.get(), &count, sizeof count);
  if (work_ != Work::done) return std::nullopt;
  work_ = Work::none;
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  return std::exchange(sample_, std::nullopt);
}

void Sampler::run() {
  leave_signals_to_others();
  for (;;) {
    Wanted wanted;
    {
      std::unique_lock lock(mutex_);
      asked_.wait(lock, [&] { return work_ == Work::asked || work_ == Work::over; });
      if (work_ == Work::over) return;
      work_ = Work::under_way;
      wanted = wanted_;
    }
    take_sample(wanted);
  }
}

void Sampler::take_sample(const Wanted& wanted) {
  std::optional<Result<std::shared_ptr<const Sample>>> sample;
  std::exception_ptr thrown;
  try {
    source_.want(wanted);
    sample = source_.next();
  } catch (...) {
    thrown = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    if (work_ == Work::over) return;
    sample_ = std::move(sample);
    thrown_ = thrown;
    work_ = Work::done;
  }
  constexpr std::uint64_t kOne = 1;
  [[maybe_unused]] const ssize_t sent = ::write(ready_.get(), &kOne, sizeof kOne);
}

}  // namespace listenq
