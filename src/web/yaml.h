// SPDX-License-Identifier: Apache-2.0
//
// A small YAML file as a tree that knows its lines. Anchors, aliases and tags are refused: in a
// file of settings they are mistakes or attacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace listenq::web {

struct YamlEntry;

struct YamlNode {
  enum class Kind : std::uint8_t { scalar, list, map };

  Kind kind = Kind::scalar;
  std::size_t line = 1;
  std::string text;     ///< of a scalar
  bool quoted = false;  ///< so it is text, whatever it looks like
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries;

  /// Nothing was written: "key:", "~" or "null".
  [[nodiscard]] bool empty() const {
    return kind == Kind::scalar && !quoted &&
           (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL");
  }
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

struct YamlError {
  std::size_t line = 1;
  std::string message;
};

/// One document, or none: an empty scalar then.
[[nodiscard]] tl::expected<YamlNode, YamlError> parse_yaml(std::string_view text);

}  // namespace listenq::web
