// SPDX-License-Identifier: Apache-2.0
//
// The bodies of the small functions in result.h, clock.h and text.h.
#include <fcntl.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <ctime>
#include <system_error>

#include "util/clock.h"
#include "util/fd.h"
#include "util/result.h"
#include "util/text.h"

namespace listenq {

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

namespace {

std::uint64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

/// Bytes of the UTF-8 sequence at the start of `text` that is safe to show; 0 when there is none.
std::size_t printable_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  std::size_t length = 0;
  if (first >= 0xc2 && first <= 0xdf) length = 2;
  if (first >= 0xe0 && first <= 0xef) length = 3;
  if (first >= 0xf0 && first <= 0xf4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if (first == 0xc2 && second < 0xa0) return 0;   // C1 controls: CSI and its kin
  if (first == 0xe0 && second < 0xa0) return 0;   // overlong
  if (first == 0xed && second >= 0xa0) return 0;  // surrogates
  if (first == 0xf0 && second < 0x90) return 0;   // overlong
  if (first == 0xf4 && second >= 0x90) return 0;  // above U+10FFFF
  // Line and paragraph separators, and the marks that turn the direction of writing.
  const auto is = [&](unsigned char lead, unsigned char from, unsigned char to) {
    const auto last = byte(length - 1);
    return second == lead && last >= from && last <= to;
  };
  if (first == 0xe2 && (is(0x80, 0xa8, 0xae) || is(0x80, 0x8e, 0x8f) || is(0x81, 0xa6, 0xa9))) {
    return 0;
  }
  if (first == 0xd8 && second == 0x9c) return 0;
  return length;
}

}  // namespace

std::uint64_t monotonic_ns() {
  return read_clock(CLOCK_MONOTONIC);
}

std::uint64_t wall_ns() {
  return read_clock(CLOCK_REALTIME);
}

std::string rfc3339(std::uint64_t wall) {
  const auto seconds = static_cast<std::time_t>(wall / 1'000'000'000U);
  const auto milliseconds = static_cast<unsigned>(wall / 1'000'000U % 1000U);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%s.%03uZ", date.data(), milliseconds);
  return text.data();
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = printable_sequence(text);
    if (length > 0) {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
      continue;
    }
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(text.front());
    out.append({'\\', 'x', kHex[byte >> 4U], kHex[byte & 15U]});
    text.remove_prefix(1);
  }
  return out;
}

std::optional<std::string> read_small_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  std::string content;
  std::array<char, 8192> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) return std::nullopt;
    if (got == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  text = trimmed(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace listenq
