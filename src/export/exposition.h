// SPDX-License-Identifier: Apache-2.0
//
// Everything that Prometheus is told at one moment, written in pieces: ten thousand listeners make
// twenty megabytes of text, which are never in memory at once. Made from the Ledger when somebody
// scrapes; shared by all who scrape before the next sample.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "export/ledger.h"

namespace listenq {

enum class ExpositionFormat : std::uint8_t { text, openmetrics };

/// What the exporter knows of itself; nullopt where it could not be read.
struct ExporterFacts {
  std::string version;
  bool sample_failed =
      false;  ///< the newest is too old, or could not be taken: no listener is told
  std::optional<double> cpu_seconds{};
  std::optional<std::uint64_t> resident_bytes{};
  std::optional<double> start_time_seconds{};  ///< since 1970
  std::optional<std::uint64_t> open_fds{};
  std::optional<std::uint64_t> max_fds{};
};

class Exposition {
 public:
  Exposition(Ledger& ledger, const Selection& selection, const ExporterFacts& facts);

  /// A reader's place; begins at the start.
  struct Cursor {
    std::size_t family = 0;
    std::size_t series = 0;
    bool headed = false;  ///< the family's first lines are written
    bool ended = false;
  };

  /// Appends some `size` bytes from where the cursor stands; false: there was nothing left.
  bool write(Cursor& cursor, ExpositionFormat format, std::string& out, std::size_t size) const;

  /// Of listeners, that are told.
  [[nodiscard]] std::size_t series() const { return entries_.size(); }

 private:
  static constexpr std::uint32_t kNothingGone = UINT32_MAX;
  struct Entry {
    std::size_t labels = 0;  ///< where they begin in labels_; they end where the next begin
    std::uint32_t first_row = Series::kNoRow;
    std::uint32_t gone = kNothingGone;  ///< index in gone_
    std::uint64_t gone_sk_drops = 0;
    std::uint32_t accept_queue_peak = 0;
    std::uint32_t syn_queue_peak = 0;
  };
  class Lines;

  void add(const Series& series, std::uint64_t now_ns);
  [[nodiscard]] std::string_view labels(std::size_t entry) const;

  std::shared_ptr<const Snapshot> snapshot_;  ///< null: none was taken yet
  std::vector<std::uint32_t> next_rows_;
  std::string labels_;
  std::vector<Entry> entries_;
  std::vector<ListenerCounts> gone_;
  std::string rest_;              ///< all that is not of a listener
  std::string rest_openmetrics_;  ///< the same
};

}  // namespace listenq
