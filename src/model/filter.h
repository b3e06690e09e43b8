// SPDX-License-Identifier: Apache-2.0
//
// The expression of --filter: comparisons on fields joined by `and`, as in
//   port == 443 and accept_queue_fill > 0.8
//   process ~ nginx
// == != < <= > >= compare numbers or text, ~ and !~ search a regular expression (ECMAScript, case
// ignored) in the text. A list (pids) matches when one element does. An absent value matches only
// `field == null`; every other comparison with it is false.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "model/fields.h"
#include "model/snapshot.h"
#include "util/result.h"

namespace listenq {

class Filter {
 public:
  /// An empty filter: matches everything.
  Filter();
  Filter(Filter&&) noexcept;
  Filter& operator=(Filter&&) noexcept;
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;
  ~Filter();

  /// A usage error says what was not understood and where. Text that is empty or blank gives the
  /// empty filter.
  [[nodiscard]] static Result<Filter> parse(std::string_view text);

  [[nodiscard]] bool matches(const ListenerRow& row) const;

  /// True when it names a field with this need.
  [[nodiscard]] bool needs(Need need) const;

 private:
  struct Comparison;
  std::vector<Comparison> comparisons_;
};

}  // namespace listenq
