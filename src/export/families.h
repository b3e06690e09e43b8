// SPDX-License-Identifier: Apache-2.0
//
// The metrics of a listener, as the table of fields tells them: which fields make up one family,
// under which labels, and how the members of a reuseport group become one number.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/fields.h"

namespace listenq {

inline constexpr std::string_view kMetricPrefix = "listenq_";

enum class MetricType : std::uint8_t { gauge, counter, histogram, info };

/// One line of a series. A value is the sum of its fields.
struct MetricPart {
  std::string label;  ///< `step="syn"`; empty: none. Of an info: the label's name
  std::vector<const Field*> fields;
  /// Of these fields, where they are all counted in the kernel; else empty.
  std::vector<Counter> counters;
};

struct MetricFamily {
  std::string name;  ///< with the prefix
  std::string help;
  MetricType type = MetricType::gauge;
  Across across = Across::sum;
  std::vector<MetricPart> parts;
};

/// In the order of the table.
[[nodiscard]] std::span<const MetricFamily> metric_families();

/// The lines before the first of a family, in text format 0.0.4 or OpenMetrics 1.0.
[[nodiscard]] std::string family_head(std::string_view name, MetricType type, std::string_view help,
                                      bool openmetrics);

}  // namespace listenq
