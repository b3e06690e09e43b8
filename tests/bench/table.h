// SPDX-License-Identifier: Apache-2.0
//
// What the reports share: numbers as text, the table of goals, and what the run was made on. Called
// by report.cpp and counting_report.cpp.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "measure.h"
#include "plan.h"

namespace listenq::bench {

std::string number(double value);
std::string with_quartiles(const Spread& spread, std::string_view unit);
std::string thousands(int value);

// One paragraph: when, what and on which machine.
std::string facts(const Results& results, const Sizes& sizes, const std::string& tool);

// Rows of the table of goals. `reached` is judged by the median.
class Goals {
 public:
  void at_least(const std::string& what, double goal, const Spread& measured,
                std::string_view note = "") {
    row(what, fmt::format("{:g} times faster{}", goal, note), with_quartiles(measured, " times"),
        measured.median >= goal);
  }
  void at_most(const std::string& what, double goal, std::string_view unit,
               const Spread& measured) {
    row(what, fmt::format("{:g}{}", goal, unit), with_quartiles(measured, unit),
        measured.median <= goal);
  }
  void row(const std::string& what, const std::string& goal, const std::string& measured,
           bool reached) {
    text_ += fmt::format("| {} | {} | {} | {} |\n", what, goal, measured, reached ? "yes" : "no");
  }
  [[nodiscard]] std::string text() const {
    return "| what | goal | measured: median (quartiles) | reached |\n|---|---|---|---|\n" + text_;
  }

 private:
  std::string text_;
};

}  // namespace listenq::bench
