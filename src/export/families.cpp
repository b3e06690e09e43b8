// SPDX-License-Identifier: Apache-2.0
//
// See families.h.
#include "export/families.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace listenq {
namespace {

/// Of families that several fields make up.
constexpr std::array kHelp = {
    std::pair<std::string_view, std::string_view>{
        "overflows_total",
        "Connections refused because the accept queue was full, by step of the handshake (as "
        "ListenOverflows counts). They are among the drops."},
    std::pair<std::string_view, std::string_view>{
        "drops_total",
        "Everything that the listener refused, by reason; the sum is what ListenDrops counts. "
        "Reason accept_queue_full is the sum of overflows_total."},
    std::pair<std::string_view, std::string_view>{
        "syncookies_total",
        "SYN cookies sent, and ACKs that brought a valid one or none back. A cookie sent is not a "
        "drop."},
    std::pair<std::string_view, std::string_view>{
        "listener_info", "Whose listener it is, and who set its limit; always 1."},
};

MetricType type_of(const Field& field) {
  switch (field.kind) {
    case Kind::counter:
      return MetricType::counter;
    case Kind::histogram:
      return MetricType::histogram;
    case Kind::label:
      return MetricType::info;
    default:
      return MetricType::gauge;
  }
}

std::optional<Counter> counter_of(const Field& field) {
  for (std::size_t i = 0; i < kCounters; ++i) {
    const auto counter = static_cast<Counter>(i);
    if (counter_name(counter) == field.id) return counter;
  }
  return std::nullopt;
}

MetricPart part_of(std::string label, std::vector<const Field*> fields) {
  MetricPart part{std::move(label), std::move(fields), {}};
  for (const Field* field : part.fields) {
    if (const auto counter = counter_of(*field)) part.counters.push_back(*counter);
  }
  return part;
}

std::string help_for(const Field& field) {
  const auto* const known = std::find_if(kHelp.begin(), kHelp.end(), [&](const auto& entry) {
    return entry.first == field.metric.name;
  });
  std::string help(known != kHelp.end() ? known->second : field.help);
  if (field.metric.across == Across::window_max) {
    help =
        "The longest that the queue was within the last minute (60 to 70 seconds), seen at "
        "everything that entered it.";
  }
  return help;
}

std::vector<MetricFamily> make_families() {
  std::vector<MetricFamily> families;
  for (const Field& field : fields()) {
    const Metric& metric = field.metric;
    if (metric.name.empty()) continue;
    const std::string name = fmt::format("{}{}", kMetricPrefix, metric.name);
    auto family = std::find_if(families.begin(), families.end(),
                               [&](const MetricFamily& other) { return other.name == name; });
    if (family == families.end()) {
      families.push_back({name, help_for(field), type_of(field), metric.across, {}});
      family = std::prev(families.end());
    }
    std::string label(metric.label);
    if (!metric.value.empty()) label = fmt::format(R"({}="{}")", metric.label, metric.value);
    family->parts.push_back(part_of(std::move(label), {&field}));
  }
  // An overflow is a drop too: the one reason that is the sum of two fields.
  for (MetricFamily& family : families) {
    if (family.name != fmt::format("{}drops_total", kMetricPrefix)) continue;
    family.parts.insert(family.parts.begin(),
                        part_of(R"(reason="accept_queue_full")",
                                {find_field("overflows_syn"), find_field("overflows_ack")}));
  }
  return families;
}

std::string_view type_name(MetricType type, bool openmetrics) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::histogram:
      return "histogram";
    case MetricType::info:
      return openmetrics ? "info" : "gauge";
    case MetricType::gauge:
      break;
  }
  return "gauge";
}

}  // namespace

std::span<const MetricFamily> metric_families() {
  static const std::vector<MetricFamily> families = make_families();
  return families;
}

std::string family_head(std::string_view name, MetricType type, std::string_view help,
                        bool openmetrics) {
  // OpenMetrics names a family without the ending that its type gives to the samples.
  if (openmetrics && type == MetricType::counter && name.ends_with("_total")) {
    name.remove_suffix(std::string_view("_total").size());
  }
  if (openmetrics && type == MetricType::info && name.ends_with("_info")) {
    name.remove_suffix(std::string_view("_info").size());
  }
  std::string escaped;
  for (const char c : help) {
    if (c == '\\' || (openmetrics && c == '"')) escaped += '\\';
    escaped += c;
  }
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped, name,
                     type_name(type, openmetrics));
}

}  // namespace listenq
