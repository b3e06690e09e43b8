// SPDX-License-Identifier: Apache-2.0
//
// libyaml's events, made into a tree.
#include "web/yaml.h"

#include <yaml.h>

#include <memory>

namespace listenq::web {
namespace {

// More than any file of settings has; keeps what a hostile one costs small.
constexpr std::size_t kDeepest = 16;
constexpr std::size_t kMostNodes = 10'000;

class Parser {
 public:
  explicit Parser(std::string_view text) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }

  /// nullopt when failed(); else the whole file's tree.
  bool parse(YamlNode& root) {
    bool any = false;
    while (next()) {
      switch (event_.type) {
        case YAML_STREAM_END_EVENT:
          return true;
        case YAML_DOCUMENT_START_EVENT:
          if (any) return fail("there is a second document");
          any = true;
          if (!next() || !node(root, 0)) return false;
          break;
        default:
          break;
      }
    }
    return false;
  }

  [[nodiscard]] YamlError error() const { return error_; }

 private:
  bool next() {
    yaml_event_delete(&event_);
    event_ = {};
    if (yaml_parser_parse(&parser_, &event_) != 0) return true;
    error_.line = parser_.problem_mark.line + 1;
    error_.message = parser_.problem != nullptr ? parser_.problem : "this is no YAML";
    return false;
  }

  bool fail(const char* message) {
    error_.line = event_.start_mark.line + 1;
    error_.message = message;
    return false;
  }

  /// The node that the present event begins.
  bool node(YamlNode& out, std::size_t depth) {
    if (depth > kDeepest) return fail("it is nested too deeply");
    if (++nodes_ > kMostNodes) return fail("there is too much in it");
    out.line = event_.start_mark.line + 1;
    switch (event_.type) {
      case YAML_SCALAR_EVENT:
        return scalar(out);
      case YAML_SEQUENCE_START_EVENT:
        if (event_.data.sequence_start.anchor != nullptr) return fail_anchor();
        if (event_.data.sequence_start.tag != nullptr) return fail_tag();
        return list(out, depth);
      case YAML_MAPPING_START_EVENT:
        if (event_.data.mapping_start.anchor != nullptr) return fail_anchor();
        if (event_.data.mapping_start.tag != nullptr) return fail_tag();
        return map(out, depth);
      default:
        return fail_anchor();
    }
  }

  bool fail_anchor() { return fail("anchors and aliases are not supported"); }
  bool fail_tag() { return fail("tags are not supported"); }

  bool scalar(YamlNode& out) {
    const auto& scalar = event_.data.scalar;
    if (scalar.anchor != nullptr) return fail_anchor();
    if (scalar.tag != nullptr) return fail_tag();
    out.text.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
    out.quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return true;
  }

  bool list(YamlNode& out, std::size_t depth) {
    out.kind = YamlNode::Kind::list;
    while (next()) {
      if (event_.type == YAML_SEQUENCE_END_EVENT) return true;
      if (!node(out.items.emplace_back(), depth + 1)) return false;
    }
    return false;
  }

  bool map(YamlNode& out, std::size_t depth) {
    out.kind = YamlNode::Kind::map;
    while (next()) {
      if (event_.type == YAML_MAPPING_END_EVENT) return true;
      auto& [key, value] = out.entries.emplace_back();
      if (!node(key, depth + 1)) return false;
      if (!next() || !node(value, depth + 1)) return false;
    }
    return false;
  }

  yaml_parser_t parser_{};
  yaml_event_t event_{};
  YamlError error_;
  std::size_t nodes_ = 0;
};

}  // namespace

tl::expected<YamlNode, YamlError> parse_yaml(std::string_view text) {
  Parser parser(text);
  YamlNode root;
  if (!parser.parse(root)) return tl::unexpected<YamlError>(parser.error());
  return root;
}

}  // namespace listenq::web
