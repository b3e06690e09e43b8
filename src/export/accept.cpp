// SPDX-License-Identifier: Apache-2.0
//
// See accept.h.
#include "export/accept.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>

#include "util/text.h"

namespace listenq {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

struct Range {
  std::string type;
  std::string version;
  double weight = 1;
};

Range parse_range(std::string_view text) {
  Range range;
  bool first = true;
  for (const std::string_view part : split(text, ';')) {
    if (first) {
      range.type = lower(trimmed(part));
      first = false;
      continue;
    }
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name = lower(trimmed(part.substr(0, equals)));
    std::string_view value = trimmed(part.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    if (name == "version") range.version = value;
    if (name == "q") {
      const auto read = std::from_chars(value.data(), value.data() + value.size(), range.weight);
      if (read.ec != std::errc() || !(range.weight >= 0 && range.weight <= 1)) range.weight = 0;
    }
  }
  return range;
}

constexpr std::string_view kOpenMetrics = "application/openmetrics-text";

}  // namespace

ExpositionFormat wanted_format(std::string_view accept) {
  double openmetrics = 0;
  std::optional<double> text;
  double any_text = 0;
  for (const std::string_view part : split(accept, ',')) {
    const Range range = parse_range(part);
    constexpr std::array<std::string_view, 3> kWritten = {"", "1.0.0", "0.0.1"};
    if (range.type == kOpenMetrics &&
        std::find(kWritten.begin(), kWritten.end(), range.version) != kWritten.end()) {
      openmetrics = std::max(openmetrics, range.weight);
    }
    if (range.type == "text/plain" && (range.version.empty() || range.version == "0.0.4")) {
      text = std::max(text.value_or(0), range.weight);
    }
    if (range.type == "text/*" || range.type == "*/*") any_text = std::max(any_text, range.weight);
  }
  return openmetrics > text.value_or(any_text) ? ExpositionFormat::openmetrics
                                               : ExpositionFormat::text;
}

std::string_view content_type(ExpositionFormat format) {
  return format == ExpositionFormat::openmetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace listenq
