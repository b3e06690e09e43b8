// SPDX-License-Identifier: Apache-2.0
//
// Reads and applies the expression of --filter: a tokenizer, a list of comparisons, no precedence.
#include "model/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <regex>

#include "util/text.h"

namespace listenq {

namespace {

enum class Op : std::uint8_t { equal, unequal, less, at_most, more, at_least, search, not_search };

struct OpName {
  std::string_view text;
  Op op;
};

// Longer ones first: they begin with shorter ones.
constexpr std::array<OpName, 8> kOps{{{"==", Op::equal},
                                      {"!=", Op::unequal},
                                      {"<=", Op::at_most},
                                      {">=", Op::at_least},
                                      {"!~", Op::not_search},
                                      {"<", Op::less},
                                      {">", Op::more},
                                      {"~", Op::search}}};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

struct Literal {
  std::string text;
  bool quoted = false;
  std::size_t at = 0;
};

/// Reads tokens from left to right; `at()` is where the next one begins, for messages.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] std::size_t at() {
    while (next_ < text_.size() && is_space(text_[next_])) ++next_;
    return next_;
  }
  [[nodiscard]] bool end() { return at() == text_.size(); }

  std::string_view word() {
    const std::size_t start = at();
    while (next_ < text_.size() && is_word(text_[next_])) ++next_;
    return text_.substr(start, next_ - start);
  }

  std::optional<Op> op() {
    const std::string_view rest = text_.substr(at());
    for (const OpName& known : kOps) {
      if (!rest.starts_with(known.text)) continue;
      next_ += known.text.size();
      return known.op;
    }
    return std::nullopt;
  }

  /// A bare value goes to the next space; quotes of either kind take it literally, where \ makes
  /// the quote itself and \ part of it.
  Result<Literal> literal() {
    Literal literal{{}, false, at()};
    if (end()) return literal;
    const char quote = text_[next_];
    if (quote != '\'' && quote != '"') {
      while (next_ < text_.size() && !is_space(text_[next_])) literal.text += text_[next_++];
      return literal;
    }
    literal.quoted = true;
    for (++next_; next_ < text_.size() && text_[next_] != quote; ++next_) {
      const bool escape = text_[next_] == '\\' && next_ + 1 < text_.size() &&
                          (text_[next_ + 1] == quote || text_[next_ + 1] == '\\');
      if (escape) ++next_;
      literal.text += text_[next_];
    }
    if (next_ == text_.size()) {
      return failure(
          ErrorKind::usage,
          fmt::format("filter: the quote at character {} is not closed", literal.at + 1));
    }
    ++next_;
    return literal;
  }

 private:
  std::string_view text_;
  std::size_t next_ = 0;
};

/// What is not a number of this program (inf, nan, hex) is none.
std::optional<Value> number_of(const std::string& text) {
  const char* const end = text.data() + text.size();
  std::uint64_t integer = 0;
  if (const auto [last, error] = std::from_chars(text.data(), end, integer);
      error == std::errc{} && last == end) {
    return Value(integer);
  }
  double real = 0;
  const auto [last, error] = std::from_chars(text.data(), end, real);
  if (error != std::errc{} || last != end || !std::isfinite(real)) return std::nullopt;
  return Value(real);
}

bool holds(Op op, int order) {
  switch (op) {
    case Op::equal:
      return order == 0;
    case Op::unequal:
      return order != 0;
    case Op::less:
      return order < 0;
    case Op::at_most:
      return order <= 0;
    case Op::more:
      return order > 0;
    case Op::at_least:
      return order >= 0;
    case Op::search:
    case Op::not_search:
      break;
  }
  return false;
}

/// A pattern may be too complex for a text although it is valid; then it is not found there.
bool found(const std::regex& pattern, std::string_view text) {
  try {
    return std::regex_search(text.begin(), text.end(), pattern);
  } catch (const std::regex_error&) {
    return false;
  }
}

bool is_search(Op op) {
  return op == Op::search || op == Op::not_search;
}

}  // namespace

struct Filter::Comparison {
  const Field* field = nullptr;
  Op op = Op::equal;
  bool null = false;   ///< compared with null
  Value operand;       ///< of == != < <= > >=
  std::regex pattern;  ///< of ~ !~

  [[nodiscard]] bool matches(const Value& value) const;
  [[nodiscard]] bool matches_one(const Value& value) const;
  static Result<Comparison> parse(Scanner& scanner);
  Result<void> set_operand(const Literal& literal);
};

bool Filter::Comparison::matches_one(const Value& value) const {
  if (!is_search(op)) return holds(op, compare(value, operand));
  const auto* view = std::get_if<std::string_view>(&value);
  const bool hit = view ? found(pattern, *view) : found(pattern, plain(value));
  return hit == (op == Op::search);
}

bool Filter::Comparison::matches(const Value& value) const {
  const bool is_absent = std::holds_alternative<std::monostate>(value);
  if (null) return is_absent == (op == Op::equal);
  if (is_absent) return false;
  const auto* list = std::get_if<std::span<const std::int32_t>>(&value);
  if (list == nullptr) return matches_one(value);
  return std::any_of(list->begin(), list->end(), [&](std::int32_t element) {
    return matches_one(static_cast<std::uint64_t>(element));
  });
}

Result<void> Filter::Comparison::set_operand(const Literal& literal) {
  const auto wrong = [&](std::string_view expected) {
    return failure(ErrorKind::usage,
                   fmt::format("filter: {} is compared with {}, not with '{}' (character {})",
                               field->id, expected, printable(literal.text), literal.at + 1));
  };
  if (!literal.quoted && literal.text == "null") {
    null = true;
    if (op != Op::equal && op != Op::unequal) return wrong("null by == or != only");
    return {};
  }
  if (is_search(op)) {
    try {
      pattern.assign(literal.text, std::regex::ECMAScript | std::regex::icase);
    } catch (const std::regex_error&) {
      return failure(ErrorKind::usage,
                     fmt::format("filter: '{}' at character {} is not a regular expression",
                                 printable(literal.text), literal.at + 1));
    }
    return {};
  }
  switch (field->type) {
    case Type::text:
      operand = literal.text;
      return {};
    case Type::boolean:
      if (op != Op::equal && op != Op::unequal) return wrong("true or false by == or != only");
      if (literal.text != "true" && literal.text != "false") return wrong("true, false or null");
      operand = literal.text == "true";
      return {};
    case Type::number:
    case Type::list:
      break;
    case Type::histogram:
      return wrong("null only; its _p50, _p99 and _max are numbers");
    case Type::waterfall:
      return wrong("null only, or by ~ and !~ with its text");
  }
  const auto parsed = number_of(literal.text);
  if (!parsed) return wrong("a number or null");
  operand = *parsed;
  return {};
}

Result<Filter::Comparison> Filter::Comparison::parse(Scanner& scanner) {
  Comparison comparison;
  const std::size_t start = scanner.at();
  const std::string_view id = scanner.word();
  if (id.empty()) {
    return failure(
        ErrorKind::usage,
        fmt::format("filter: a field id is expected at character {}; --list-fields shows "
                    "all",
                    start + 1));
  }
  comparison.field = find_field(id);
  if (comparison.field == nullptr) return failure(ErrorKind::usage, "filter: " + unknown_field(id));
  const std::size_t op_start = scanner.at();
  const auto op = scanner.op();
  if (!op) {
    return failure(ErrorKind::usage,
                   fmt::format("filter: after {} one of == != < <= > >= ~ !~ is expected "
                               "(character {})",
                               id, op_start + 1));
  }
  comparison.op = *op;
  const auto literal = scanner.literal();
  if (!literal) return tl::unexpected(literal.error());
  if (literal->text.empty() && !literal->quoted) {
    return failure(ErrorKind::usage,
                   fmt::format("filter: a value is expected at character {}", literal->at + 1));
  }
  if (const auto set = comparison.set_operand(*literal); !set) return tl::unexpected(set.error());
  return comparison;
}

Filter::Filter() = default;
Filter::Filter(Filter&&) noexcept = default;
Filter& Filter::operator=(Filter&&) noexcept = default;
Filter::~Filter() = default;

Result<Filter> Filter::parse(std::string_view text) {
  Filter filter;
  Scanner scanner(text);
  if (scanner.end()) return filter;
  for (;;) {
    auto comparison = Comparison::parse(scanner);
    if (!comparison) return tl::unexpected(comparison.error());
    filter.comparisons_.push_back(std::move(*comparison));
    if (scanner.end()) return filter;
    const std::size_t start = scanner.at();
    if (scanner.word() != "and") {
      return failure(
          ErrorKind::usage,
          fmt::format("filter: only `and` can follow a comparison (character {}); quote a "
                      "value with spaces",
                      start + 1));
    }
  }
}

bool Filter::matches(const ListenerRow& row) const {
  return std::all_of(comparisons_.begin(), comparisons_.end(), [&](const Comparison& comparison) {
    return comparison.matches(comparison.field->get(row));
  });
}

bool Filter::needs(Need need) const {
  return std::any_of(comparisons_.begin(), comparisons_.end(),
                     [&](const Comparison& comparison) { return comparison.field->need == need; });
}

}  // namespace listenq
