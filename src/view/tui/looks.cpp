// SPDX-License-Identifier: Apache-2.0
//
// See looks.h.
#include "view/tui/looks.h"

#include <array>

namespace listenq::tui {
namespace {

constexpr std::size_t kStyles = static_cast<std::size_t>(Style::count_);
using Looks = std::array<Look, kStyles>;

static_assert(kStyles == 11, "a new Style needs a line in each table here");

// The first eight, in every terminal; the next eight are brighter.
constexpr short kBlack = 0;
constexpr short kRed = 1;
constexpr short kGreen = 2;
constexpr short kYellow = 3;
constexpr short kCyan = 6;
constexpr short kWhite = 7;
constexpr short kBright = 8;

// Good, warn and bad differ without colour too; and what is drawn says it in words or numbers.
constexpr Looks kPlain = {{
    {},                                                  // normal
    {.bold = true},                                      // strong
    {},                                                  // dim
    {},                                                  // good
    {.bold = true},                                      // warn
    {.bold = true, .underline = true},                   // bad
    {.reverse = true},                                   // title
    {.bold = true, .reverse = true, .underline = true},  // title_sorted
    {.bold = true},                                      // key
    {.reverse = true},                                   // key_text
    {.reverse = true},                                   // notice
}};

constexpr Looks kEight = {{
    {},                                             // normal
    {.bold = true},                                 // strong
    {.dim = true},                                  // dim
    {.foreground = kGreen},                         // good
    {.foreground = kYellow, .bold = true},          // warn
    {.foreground = kRed, .bold = true},             // bad
    {.foreground = kBlack, .background = kGreen},   // title
    {.foreground = kBlack, .background = kCyan},    // title_sorted
    {.bold = true},                                 // key
    {.foreground = kBlack, .background = kCyan},    // key_text
    {.foreground = kBlack, .background = kYellow},  // notice
}};

// On cyan neither red nor green nor yellow can be read: these are blocks of their own colour.
constexpr Looks kEightSelected = {{
    {.foreground = kBlack, .background = kCyan},                // normal
    {.foreground = kBlack, .background = kCyan, .bold = true},  // strong
    {.foreground = kBlack, .background = kCyan},                // dim
    {.foreground = kBlack, .background = kGreen},               // good
    {.foreground = kBlack, .background = kYellow},              // warn
    {.foreground = kWhite, .background = kRed, .bold = true},   // bad
    {.foreground = kBlack, .background = kGreen},               // title
    {.foreground = kBlack, .background = kGreen},               // title_sorted
    {.foreground = kBlack, .background = kCyan, .bold = true},  // key
    {.foreground = kBlack, .background = kCyan},                // key_text
    {.foreground = kBlack, .background = kYellow},              // notice
}};

// xterm's numbers: 16 is black and 231 white for certain, 232 to 255 are greys.
constexpr Looks kMany = {{
    {},                                     // normal
    {.bold = true},                         // strong
    {.foreground = 244},                    // dim
    {.foreground = 34},                     // good
    {.foreground = 172, .bold = true},      // warn
    {.foreground = 196, .bold = true},      // bad
    {.foreground = 16, .background = 71},   // title
    {.foreground = 16, .background = 80},   // title_sorted
    {.bold = true},                         // key
    {.foreground = 16, .background = 73},   // key_text
    {.foreground = 16, .background = 178},  // notice
}};

constexpr Looks kManySelected = {{
    {.foreground = 231, .background = 24},                // normal
    {.foreground = 231, .background = 24, .bold = true},  // strong
    {.foreground = 252, .background = 24},                // dim
    {.foreground = 120, .background = 24},                // good
    {.foreground = 221, .background = 24, .bold = true},  // warn
    {.foreground = 217, .background = 24, .bold = true},  // bad
    {.foreground = 16, .background = 71},                 // title
    {.foreground = 16, .background = 80},                 // title_sorted
    {.foreground = 231, .background = 24, .bold = true},  // key
    {.foreground = 231, .background = 24},                // key_text
    {.foreground = 16, .background = 178},                // notice
}};

/// Plain red is dark on black, and plain white grey on red: the bright ones are not.
Look with_sixteen(Look look, Style style, bool selected) {
  if (style == Style::bad && !selected) look.foreground = kRed + kBright;
  if (style == Style::bad && selected) look.foreground = kWhite + kBright;
  return look;
}

/// Bright black, where there is nothing fainter. With eight colours it is black in bold, on the
/// consoles that can't dim: their background is black, and bold is bright.
Look without_dim(Look look, Depth depth) {
  if (!look.dim) return look;
  look.dim = false;
  look.foreground = depth == Depth::eight ? kBlack : kBlack + kBright;
  look.bold = depth == Depth::eight;
  return look;
}

}  // namespace

Look look_of(Style style, bool selected, Depth depth, bool can_dim) {
  const auto index = static_cast<std::size_t>(style);
  if (depth == Depth::none) {
    Look look = kPlain.at(index);
    look.reverse = look.reverse || selected;
    return look;
  }
  if (depth == Depth::many) return selected ? kManySelected.at(index) : kMany.at(index);
  Look look = selected ? kEightSelected.at(index) : kEight.at(index);
  if (depth == Depth::sixteen) look = with_sixteen(look, style, selected);
  return can_dim ? look : without_dim(look, depth);
}

}  // namespace listenq::tui
