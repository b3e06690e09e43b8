// SPDX-License-Identifier: Apache-2.0
//
// Writes Samples to a recording (`listenq-top record`); docs/recording.md describes the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/sample.h"
#include "util/fd.h"
#include "util/result.h"

namespace listenq {

class Recorder {
 public:
  /// Makes the file, readable by its owner alone: it holds the names of processes. One that exists
  /// is taken only when it is empty. Nothing is written before the first sample.
  [[nodiscard]] static Result<Recorder> create(const std::string& path);

  Recorder(Recorder&& other) noexcept = default;
  Recorder& operator=(Recorder&&) = delete;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  /// Removes the file when create() made it and nothing was recorded.
  ~Recorder();

  /// One write() per sample, so that a crash leaves at most one torn sample, at the end. When it
  /// fails the file holds the samples before, all of them whole.
  [[nodiscard]] Result<void> append(const Sample& sample);

 private:
  Recorder(Fd fd, std::string path, bool made_here);

  [[nodiscard]] Result<void> write_all(const std::vector<std::uint8_t>& bytes);

  Fd fd_;
  std::string path_;
  bool made_here_;
  std::uint64_t length_ = 0;  ///< of the file: header and whole frames

  // The owners stored last; samples that have the same ones only refer to them.
  std::shared_ptr<const OwnerTable> owners_;
  std::vector<std::uint8_t> owners_bytes_;
  std::uint64_t owners_number_ = 0;
};

}  // namespace listenq
