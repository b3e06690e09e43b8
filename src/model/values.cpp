// SPDX-License-Identifier: Apache-2.0
//
// How the value of a field is written for people and for CSV, and how two values compare.
#include <arpa/inet.h>
#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "model/fields.h"
#include "util/text.h"

namespace listenq {
namespace {

constexpr std::string_view kAbsent = "-";

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::string joined(std::span<const std::int32_t> list, std::string_view separator) {
  return fmt::format("{}", fmt::join(list.begin(), list.end(), separator));
}

/// Rounded down, so that only a full queue shows 100%; what is not quite empty does not show 0%.
std::string percent_text(double ratio) {
  if (ratio > 0 && ratio < 0.01) return "<1%";
  return fmt::format("{:.0f}%", std::floor(ratio * 100.0));
}

/// Three digits at most, rounded down: 59.99 s is not yet a minute.
std::string seconds_text(double seconds) {
  if (seconds <= 0) return "0s";
  const double tenths = std::floor(seconds * 10.0) / 10.0;
  const double milliseconds = std::floor(seconds * 1e4) / 10.0;
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (seconds < 0.001) return fmt::format("{:.0f}us", std::floor(seconds * 1e6));
  if (seconds < 0.01) return fmt::format("{:.1f}ms", milliseconds);
  if (seconds < 1) return fmt::format("{:.0f}ms", std::floor(milliseconds));
  if (seconds < 60) return fmt::format("{:.1f}s", tenths);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86'400) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d{:02}h", whole / 86'400, whole / 3600 % 24);
}

std::string rate_text(double rate) {
  if (rate >= 100) return fmt::format("{:.0f}", rate);
  if (rate >= 0.1) return fmt::format("{:.1f}", rate);
  return fmt::format("{:.2g}", rate);
}

std::string number_text(const Field& field, double value) {
  switch (field.unit) {
    case Unit::ratio:
      return percent_text(value);
    case Unit::seconds:
      return seconds_text(value);
    case Unit::per_second:
      return rate_text(value);
    case Unit::none:
    case Unit::count:
      break;
  }
  return fmt::format("{}", value);
}

/// Absent first, then what is a number, then text, lists and histograms.
int rank(const Value& value) {
  return std::visit(
      Overloaded{[](std::monostate) { return 0; }, [](bool) { return 1; },
                 [](std::uint64_t) { return 1; }, [](double) { return 1; },
                 [](std::string_view) { return 2; }, [](const std::string&) { return 2; },
                 [](std::span<const std::int32_t>) { return 3; },
                 [](const Histogram*) { return 4; }, [](const Waterfall*) { return 5; }},
      value);
}

std::optional<std::uint64_t> as_integer(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1U : 0U;
  if (const auto* integer = std::get_if<std::uint64_t>(&value)) return *integer;
  return std::nullopt;
}

double as_double(const Value& value) {
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return static_cast<double>(as_integer(value).value_or(0));
}

std::string_view as_text(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto* view = std::get_if<std::string_view>(&value);
  return view ? *view : std::string_view();
}

std::uint64_t most_lost(const Waterfall& waterfall) {
  const auto step = waterfall.lost_at();
  return step ? waterfall.lost(*step).value_or(0) : 0;
}

template <class T>
int three_way(const T& a, const T& b) {
  if (a < b) return -1;
  return b < a ? 1 : 0;
}

}  // namespace

std::string display(const Field& field, const Value& value) {
  return std::visit(Overloaded{[](std::monostate) { return std::string(kAbsent); },
                               [](bool flag) { return std::string(flag ? "yes" : "no"); },
                               [](std::uint64_t integer) { return std::to_string(integer); },
                               [&](double real) { return number_text(field, real); },
                               [](std::string_view text) { return printable(text); },
                               [](const std::string& text) { return printable(text); },
                               [](std::span<const std::int32_t> list) { return joined(list, ","); },
                               [](const Histogram*) { return std::string(kAbsent); },
                               [](const Waterfall* flow) { return waterfall_text(*flow); }},
                    value);
}

std::string plain(const Value& value) {
  return std::visit(Overloaded{[](std::monostate) { return std::string(); },
                               [](bool flag) { return std::string(flag ? "true" : "false"); },
                               [](std::uint64_t integer) { return std::to_string(integer); },
                               [](double real) { return fmt::format("{}", real); },
                               [](std::string_view text) { return printable(text); },
                               [](const std::string& text) { return printable(text); },
                               [](std::span<const std::int32_t> list) { return joined(list, " "); },
                               [](const Histogram*) { return std::string(); },
                               [](const Waterfall* flow) { return waterfall_text(*flow); }},
                    value);
}

int compare(const Value& a, const Value& b) {
  const int kind = rank(a);
  if (kind != rank(b)) return three_way(kind, rank(b));
  if (kind == 1) {
    const auto left = as_integer(a);
    const auto right = as_integer(b);
    if (left && right) return three_way(*left, *right);
    return three_way(as_double(a), as_double(b));
  }
  if (kind == 2) return three_way(as_text(a), as_text(b));
  if (kind == 3) {
    const auto left = std::get<std::span<const std::int32_t>>(a);
    const auto right = std::get<std::span<const std::int32_t>>(b);
    if (std::equal(left.begin(), left.end(), right.begin(), right.end())) return 0;
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end()) ? -1
                                                                                              : 1;
  }
  if (kind == 5) {
    return three_way(most_lost(*std::get<const Waterfall*>(a)),
                     most_lost(*std::get<const Waterfall*>(b)));
  }
  return 0;
}

std::string coverage_text(const Totals& totals) {
  if (!totals.coverage && totals.unexplained.empty()) return {};
  std::string text = "-";
  if (totals.coverage == 1.0) {
    text = "1.0";
  } else if (totals.coverage) {
    // Never rounded to 1.
    const double thousandths = *totals.coverage * 1000.0;
    const double away = *totals.coverage < 1 ? std::floor(thousandths) : std::ceil(thousandths);
    text = fmt::format("{:.3f}", away / 1000.0);
  }
  if (totals.unexplained.empty()) return text;
  // All losses are ListenDrops; the other counters tell of one kind each.
  const auto drops =
      std::find_if(totals.unexplained.begin(), totals.unexplained.end(),
                   [](const Unexplained& each) { return each.name == "ListenDrops"; });
  const bool is_drops = drops != totals.unexplained.end();
  const Unexplained& worst = is_drops ? *drops : totals.unexplained.front();
  const std::string of = is_drops ? "" : fmt::format(" of {}", worst.name);
  text += " (";
  if (worst.not_attributed > 0)
    text += fmt::format("{}{} not attributed", worst.not_attributed, of);
  if (worst.not_attributed > 0 && worst.not_in_kernel > 0) text += ", ";
  if (worst.not_in_kernel > 0) text += fmt::format("{}{} too many", worst.not_in_kernel, of);
  return text + ")";
}

std::string address_text(const RawListener& raw) {
  std::string result;
  if (raw.family == Family::ipv4) {
    // inet_ntop() prints IPv4 by sprintf(); there may be ten thousand of them.
    const auto& octet = raw.address;
    result = fmt::format(FMT_COMPILE("{}.{}.{}.{}"), octet[0], octet[1], octet[2], octet[3]);
  } else {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, raw.address.data(), text.data(), text.size());
    result = text.data();
  }
  if (!raw.interface.empty()) result.append("%").append(raw.interface);
  return result;
}

}  // namespace listenq
