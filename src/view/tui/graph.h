// SPDX-License-Identifier: Apache-2.0
//
// Values over time as a filled graph: braille dots, two values and four steps of height a cell, or
// plain characters, one value and three steps. Drawn by the page of a listener.
#pragma once

#include <optional>
#include <vector>

#include "view/tui/canvas.h"

namespace listenq::tui {

struct GraphArea {
  int row = 0;
  int column = 0;
  int rows = 0;
  int columns = 0;
};

/// How many values a graph of so many cells shows side by side.
[[nodiscard]] std::size_t graph_values(int columns, Charset charset);

/// `values` from left to right, as many as graph_values() says; nullopt: nothing is known of that
/// time, and nothing is drawn. `top` is the value that reaches the top; what is above 0 shows, what
/// is above `top` is cut. Values of at least `bad_from` are drawn as bad.
void draw_graph(Canvas& canvas, const GraphArea& area,
                const std::vector<std::optional<double>>& values, double top, double bad_from);

}  // namespace listenq::tui
