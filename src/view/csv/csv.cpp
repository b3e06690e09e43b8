// SPDX-License-Identifier: Apache-2.0
//
// See csv.h.
#include "view/csv/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <vector>

namespace listenq {
namespace {

constexpr std::string_view kEndOfRecord = "\n";

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

void append_text(std::string& out, std::string_view text) {
  // A blank at either end is part of the value, and some readers cut it off.
  const bool blank = text.starts_with(' ') || text.ends_with(' ');
  if (blank || text.find_first_of(",\"\r\n") != std::string_view::npos) {
    append_quoted(out, text);
  } else {
    out += text;
  }
}

bool is_simple(char c) {
  return c > 0x20 && c < 0x7f && c != ',' && c != '"';
}

void append_integer(std::string& out, std::integral auto integer) {
  std::array<char, 24> digits{};
  out.append(digits.data(),
             std::to_chars(digits.data(), digits.data() + digits.size(), integer).ptr);
}

/// Nearly all values are absent, integers, rates of 0 or simple words: these take no string of
/// their own.
void append_value(std::string& out, const Value& value) {
  if (std::holds_alternative<std::monostate>(value)) return;
  if (const auto* integer = std::get_if<std::uint64_t>(&value))
    return append_integer(out, *integer);
  const auto* real = std::get_if<double>(&value);
  constexpr double kExact = 1e15;
  if (real != nullptr && *real > -kExact && *real < kExact && std::trunc(*real) == *real) {
    return append_integer(out, static_cast<std::int64_t>(*real));
  }
  const auto* text = std::get_if<std::string_view>(&value);
  if (text != nullptr && std::all_of(text->begin(), text->end(), is_simple)) {
    out += *text;
    return;
  }
  append_text(out, plain(value));
}

}  // namespace

void write_csv(std::string& out, std::span<const ListenerRow* const> rows,
               const CsvOptions& options) {
  std::vector<const Field*> columns(options.columns.begin(), options.columns.end());
  if (columns.empty()) {
    for (const Field& field : fields()) {
      if (field.kind != Kind::histogram) columns.push_back(&field);
    }
  }
  // A comma after each value; the last one makes way for the end of the record.
  const auto end_record = [&out] {
    out.pop_back();
    out += kEndOfRecord;
  };
  if (options.header) {
    for (const Field* field : columns) out.append(field->id).push_back(',');
    end_record();
  }
  for (const ListenerRow* row : rows) {
    for (const Field* field : columns) {
      append_value(out, field->get(*row));
      out += ',';
    }
    end_record();
  }
}

}  // namespace listenq
