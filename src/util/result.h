// SPDX-License-Identifier: Apache-2.0
//
// How everything here reports a failure: a value or an Error, never an exception across modules.
// A function adds its context with `failure()`; main() prints the sentence once and exits with the
// code that belongs to the kind.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace listenq {

enum class ErrorKind {
  usage,        ///< the call was wrong: exit code 2
  unsupported,  ///< not permitted or not supported here: exit code 3
};

struct Error {
  ErrorKind kind = ErrorKind::unsupported;
  std::string message;  ///< one sentence without a full stop, with what to do where something helps
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> failure(ErrorKind kind, std::string message) {
  return tl::unexpected<Error>(Error{kind, std::move(message)});
}

/// The text of an errno value; thread-safe.
[[nodiscard]] std::string errno_text(int error);

}  // namespace listenq
