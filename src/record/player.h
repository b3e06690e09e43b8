// SPDX-License-Identifier: Apache-2.0
//
// Reads a recording back, Sample by Sample (`listenq-top replay`). Trusts nothing in the file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/sample.h"
#include "util/fd.h"
#include "util/result.h"

namespace listenq {

class Player {
 public:
  /// Reads up to the first sample, so that a file without one is refused here. A pipe will do: the
  /// file is read from front to back, once.
  [[nodiscard]] static Result<Player> open(const std::string& path);

  /// nullopt at the end, and after an error. An error comes after the samples that are whole.
  [[nodiscard]] Result<std::optional<std::shared_ptr<const Sample>>> next();

  /// From the first sample again. An error, and nothing has changed, where the file is a pipe.
  [[nodiscard]] Result<void> rewind();

  /// True once next() gave nullopt because the last sample was not written to its end.
  [[nodiscard]] bool cut_off() const { return cut_off_; }

  /// The number of samples read until now, the one that open() looks ahead included.
  [[nodiscard]] std::uint64_t samples() const { return samples_; }

 private:
  using Bytes = std::vector<std::uint8_t>;
  using Next = Result<std::optional<std::shared_ptr<const Sample>>>;

  Player(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<void> read_header();
  [[nodiscard]] Next read_sample();
  [[nodiscard]] Next decode(const Bytes& payload);
  [[nodiscard]] Next broken_frame();
  [[nodiscard]] Result<Bytes> read_up_to(std::size_t count);
  [[nodiscard]] tl::unexpected<Error> bad(const std::string& what) const;

  Fd fd_;
  std::string path_;
  std::shared_ptr<const OwnerTable> owners_;  ///< those stored last
  std::uint64_t owners_number_ = 0;
  std::uint64_t samples_ = 0;
  bool ended_ = false;
  bool cut_off_ = false;
  std::shared_ptr<const Sample> first_;  ///< read by open(), not yet given out
};

}  // namespace listenq
