// SPDX-License-Identifier: Apache-2.0
//
// Takes samples on a thread of its own, so that a slow one (many namespaces, programs to be
// attached) keeps the screen neither from its keys nor from showing how old its numbers are. Used
// by the screen's loop alone; all else waits for its samples.
#pragma once

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "app/source.h"
#include "util/fd.h"

namespace listenq {

class Sampler {
 public:
  /// `source` is the thread's from here on, until the Sampler is gone.
  [[nodiscard]] static Result<std::unique_ptr<Sampler>> create(Source& source);

  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;
  /// Waits for the sample under way.
  ~Sampler();

  /// Readable once there is a sample to take().
  [[nodiscard]] int ready_fd() const { return ready_.get(); }

  /// Asks for one sample that holds what is wanted; false: the one before is not taken yet.
  bool request(const Wanted& wanted);

  /// The sample that was asked for; nullopt: there is none yet. Throws what taking it threw.
  [[nodiscard]] std::optional<Result<std::shared_ptr<const Sample>>> take();

 private:
  enum class Work : std::uint8_t { none, asked, under_way, done, over };

  Sampler(Source& source, Fd ready) : source_(source), ready_(std::move(ready)) {}
  void run();
  void take_sample(const Wanted& wanted);

  Source& source_;
  Fd ready_;
  std::mutex mutex_;
  std::condition_variable asked_;
  // Guarded by mutex_.
  Work work_ = Work::none;
  Wanted wanted_;
  std::optional<Result<std::shared_ptr<const Sample>>> sample_;
  std::exception_ptr thrown_;

  std::thread thread_;
};

}  // namespace listenq
