// SPDX-License-Identifier: Apache-2.0
//
// Where Samples come from: the kernel, or a recording. All modes of the program read a Source and
// do not know which.
#pragma once

#include <memory>
#include <string>

#include "app/options.h"

namespace listenq {

class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  /// nullptr: there are no more. Live sources never end.
  [[nodiscard]] virtual Result<std::shared_ptr<const Sample>> next() = 0;

  [[nodiscard]] virtual bool live() const = 0;

  /// next() begins again with the first sample. An error, and nothing has changed, where there is
  /// no way back.
  [[nodiscard]] virtual Result<void> rewind() = 0;

  /// What the samples to come shall hold beyond the usual; a recording holds what it holds.
  virtual void want(const Wanted& wanted) = 0;

  /// What the user should know beforehand, one line; empty: nothing.
  [[nodiscard]] virtual std::string note() const = 0;

  /// What came to light on the way (a recording cut off), one line; empty: nothing.
  [[nodiscard]] virtual std::string closing_note() const = 0;
};

/// Live, or the recording of `replay`.
[[nodiscard]] Result<std::unique_ptr<Source>> open_source(const Options& options);

}  // namespace listenq
