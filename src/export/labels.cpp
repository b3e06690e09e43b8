// SPDX-License-Identifier: Apache-2.0
//
// See labels.h.
#include "export/labels.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "util/text.h"

namespace listenq {
namespace {

bool is_plain(char c) {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

template <class T>
void append_digits(std::string& out, T value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

}  // namespace

void append_escaped(std::string& out, std::string_view text) {
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    out += text;
    return;
  }
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
}

void append_value(std::string& out, std::uint64_t value) {
  append_digits(out, value);
}

void append_value(std::string& out, double value) {
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    append_digits(out, value);
  }
}

}  // namespace listenq
