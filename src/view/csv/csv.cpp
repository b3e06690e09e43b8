// SPDX-License-Identifier: Apache-2.0
//
// See csv.h.
#include "view/csv/csv.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <vector>

namespace listenq {
namespace {

constexpr std::string_view kEndOfRecord = "\r\n";

void append_quoted(std::string& out, std::string_view text) {
  // A blank at either end is part of the value, and some readers cut it off.
  const bool blank = text.starts_with(' ') || text.ends_with(' ');
  if (!blank && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

void append_value(std::string& out, const Value& value) {
  // Nearly all values are absent or integers: these take no string of their own.
  if (std::holds_alternative<std::monostate>(value)) return;
  if (const auto* integer = std::get_if<std::uint64_t>(&value)) {
    std::array<char, 24> digits{};
    out.append(digits.data(),
               std::to_chars(digits.data(), digits.data() + digits.size(), *integer).ptr);
    return;
  }
  append_quoted(out, plain(value));
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
  const auto record = [&](const auto& append_cell) {
    std::string_view before;
    for (const Field* field : columns) {
      out += before;
      append_cell(*field);
      before = ",";
    }
    out += kEndOfRecord;
  };
  if (options.header) record([&](const Field& field) { out += field.id; });
  for (const ListenerRow* row : rows) {
    record([&](const Field& field) { append_value(out, field.get(*row)); });
  }
}

}  // namespace listenq
