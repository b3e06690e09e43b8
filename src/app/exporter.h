// SPDX-License-Identifier: Apache-2.0
//
// The pages of `serve`: what is answered to which path. Samples come in at their own pace; a scrape
// is answered from the newest and reads nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "app/options.h"
#include "export/exposition.h"
#include "export/ledger.h"
#include "model/derive.h"
#include "web/server.h"

namespace listenq {

class Exporter {
 public:
  /// `options` outlive it. `now_ns`: the monotonic clock.
  Exporter(const ServeOptions& options, double interval_seconds, std::uint64_t (*now_ns)());

  void add(std::shared_ptr<const Sample> sample);
  /// The sample that was due could not be taken.
  void fail() { sample_failed_ = true; }

  [[nodiscard]] web::Response answer(const web::Request& request);

  /// There is a sample, and it is not too old.
  [[nodiscard]] bool ready() const;

 private:
  [[nodiscard]] web::Response metrics(std::string_view accept);
  void forget_page();

  const ServeOptions& options_;
  std::uint64_t longest_silence_ns_;
  std::uint64_t (*now_ns_)();
  Deriver deriver_;
  Ledger ledger_;
  bool sample_failed_ = false;
  /// Of the newest sample, once somebody has asked.
  std::shared_ptr<const Exposition> page_;
  bool page_is_of_failure_ = false;
  std::shared_ptr<const web::Document> text_;
  std::shared_ptr<const web::Document> openmetrics_;
};

}  // namespace listenq
