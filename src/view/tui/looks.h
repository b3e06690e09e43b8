// SPDX-License-Identifier: Apache-2.0
//
// What each Style looks like, with as many colours as the terminal has. Pure data, so that a test
// can measure the contrast; Terminal turns it into attributes.
//
// Up to 16 colours are the terminal's own (its theme chose them to be readable on its background),
// so only their order in lightness is relied on. Of 256 those are used that every terminal shows
// alike, and that can be read on black and on white.
#pragma once

#include <cstdint>

#include "view/tui/canvas.h"

namespace listenq::tui {

enum class Depth : std::uint8_t { none, eight, sixteen, many };

struct Look {
  short foreground = -1;  ///< -1: as the terminal has it
  short background = -1;
  bool bold = false;
  bool dim = false;
  bool reverse = false;
  bool underline = false;
  bool operator==(const Look&) const = default;
};

/// `can_dim`: the terminal has a faint face that goes with colours.
[[nodiscard]] Look look_of(Style style, bool selected, Depth depth, bool can_dim);

}  // namespace listenq::tui
