// SPDX-License-Identifier: Apache-2.0
//
// See graph.h.
#include "view/tui/graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace listenq::tui {

namespace {

constexpr int kBrailleSteps = 4;  ///< of height in a cell
constexpr int kPlainSteps = 3;

/// Steps that the value reaches in a graph of so many; a step at least for what is not nothing.
int steps_of(const std::optional<double>& value, double top, int steps) {
  if (!value || *value <= 0 || top <= 0) return 0;
  const double reached = std::ceil(*value / top * steps);
  return std::clamp(static_cast<int>(std::min(reached, static_cast<double>(steps))), 1, steps);
}

/// Of a value that reaches `reached` steps, those within the cell `above` cells over the ground.
int steps_in_cell(int reached, int above, int cell_steps) {
  return std::clamp(reached - above * cell_steps, 0, cell_steps);
}

/// Dots from the bottom up, of the left and the right half of a braille cell.
char32_t braille(int left, int right) {
  constexpr std::array<unsigned, 4> kLeft = {0x40, 0x04, 0x02, 0x01};
  constexpr std::array<unsigned, 4> kRight = {0x80, 0x20, 0x10, 0x08};
  unsigned dots = 0;
  for (int i = 0; i < left; ++i) dots |= kLeft.at(static_cast<std::size_t>(i));
  for (int i = 0; i < right; ++i) dots |= kRight.at(static_cast<std::size_t>(i));
  return U'\u2800' + dots;
}

char32_t plain(int steps) {
  constexpr std::array<char32_t, 4> kCells = {U' ', U'.', U':', U'|'};
  return kCells.at(static_cast<std::size_t>(steps));
}

}  // namespace

std::size_t graph_values(int columns, Charset charset) {
  const auto cells = static_cast<std::size_t>(std::max(columns, 0));
  return charset == Charset::utf8 ? 2 * cells : cells;
}

void draw_graph(Canvas& canvas, const GraphArea& area,
                const std::vector<std::optional<double>>& values, double top, double bad_from) {
  const bool dots = canvas.charset() == Charset::utf8;
  const int cell_steps = dots ? kBrailleSteps : kPlainSteps;
  const int steps = area.rows * cell_steps;
  const std::size_t per_cell = dots ? 2 : 1;
  for (int column = 0; column < area.columns; ++column) {
    std::array<int, 2> reached{};
    bool bad = false;
    for (std::size_t i = 0; i < per_cell; ++i) {
      const std::size_t at = static_cast<std::size_t>(column) * per_cell + i;
      if (at >= values.size()) break;
      reached.at(i) = steps_of(values[at], top, steps);
      bad = bad || values[at].value_or(0) >= bad_from;
    }
    for (int row = 0; row < area.rows; ++row) {
      const int above = area.rows - 1 - row;
      const int left = steps_in_cell(reached[0], above, cell_steps);
      const int right = steps_in_cell(reached[1], above, cell_steps);
      if (left == 0 && right == 0) continue;
      std::string cell;
      append_utf8(cell, dots ? braille(left, right) : plain(left));
      canvas.put(area.row + row, area.column + column, cell, bad ? Style::bad : Style::good);
    }
  }
}

}  // namespace listenq::tui
