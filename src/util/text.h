// SPDX-License-Identifier: Apache-2.0
//
// Text that comes from outside (process names, namespace names) and goes to a terminal or a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace listenq {

/// `text` with every control character and every byte that is not valid UTF-8 as \xNN, so that no
/// name can move the cursor or break a line.
[[nodiscard]] std::string printable(std::string_view text);

/// The whole of a small file (a /proc or sysctl file); nullopt when it can't be read.
[[nodiscard]] std::optional<std::string> read_small_file(const std::string& path);

/// A decimal number that fills all of `text`, white space around it allowed; else nullopt.
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);

/// Without the white space at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// 1234567 as "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);

/// `text` cut at every `separator`; empty parts are kept.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace listenq
