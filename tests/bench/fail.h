// SPDX-License-Identifier: Apache-2.0
//
// The one way out of the bench worker when something is wrong: a sentence on stderr, then _exit.
// Nothing is cleaned up here on purpose: the supervisor does that after every end of the worker.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

namespace listenq::bench {

[[noreturn]] inline void fail_with(const std::string& text) {
  fmt::print(stderr, "bench: {}\n", text);
  std::fflush(nullptr);
  _exit(1);
}

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  fail_with(fmt::format(format, std::forward<Args>(args)...));
}

// As fail(), with the meaning of errno behind the text.
template <typename... Args>
[[noreturn]] void fail_errno(fmt::format_string<Args...> format, Args&&... args) {
  const int error = errno;
  fail_with(fmt::format(format, std::forward<Args>(args)...) + ": " + std::strerror(error));
}

}  // namespace listenq::bench
