// SPDX-License-Identifier: Apache-2.0
//
// That every style can be read and told from the others, with as few colours as there are.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "view/tui/looks.h"

namespace listenq::tui {
namespace {

constexpr std::array kDepths = {Depth::none, Depth::eight, Depth::sixteen, Depth::many};

std::vector<Style> styles() {
  std::vector<Style> all;
  for (int i = 0; i < static_cast<int>(Style::count_); ++i) all.push_back(static_cast<Style>(i));
  return all;
}

using Rgb = std::array<double, 3>;

/// xterm's colours from 16 on, the same in every terminal.
Rgb rgb_of(int number) {
  if (number >= 232) {
    const double grey = 8 + 10 * (number - 232);
    return {grey, grey, grey};
  }
  const auto level = [](int step) { return step == 0 ? 0.0 : 55.0 + 40 * step; };
  const int cube = number - 16;
  return {level(cube / 36), level(cube / 6 % 6), level(cube % 6)};
}

double luminance(const Rgb& rgb) {
  const auto linear = [](double value) {
    value /= 255;
    return value <= 0.03928 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2]);
}

/// As the W3C measures it: 1 is none, 21 is black on white.
double contrast(const Rgb& a, const Rgb& b) {
  const double one = luminance(a) + 0.05;
  const double other = luminance(b) + 0.05;
  return std::max(one, other) / std::min(one, other);
}

TEST(TuiLooks, GoodWarnAndBadDifferEverywhere) {
  for (const Depth depth : kDepths) {
    for (const bool selected : {false, true}) {
      for (const bool can_dim : {false, true}) {
        const Look warn = look_of(Style::warn, selected, depth, can_dim);
        const Look bad = look_of(Style::bad, selected, depth, can_dim);
        const Look good = look_of(Style::good, selected, depth, can_dim);
        EXPECT_NE(warn, bad);
        EXPECT_NE(warn, good);
        EXPECT_NE(bad, good);
        EXPECT_NE(bad, look_of(Style::normal, selected, depth, can_dim));
      }
    }
  }
}

TEST(TuiLooks, TheSelectedRowIsAnotherInEveryStyleOfText) {
  for (const Depth depth : kDepths) {
    for (const Style style :
         {Style::normal, Style::strong, Style::dim, Style::good, Style::warn, Style::bad}) {
      EXPECT_NE(look_of(style, true, depth, true), look_of(style, false, depth, true));
    }
  }
}

TEST(TuiLooks, NoColourIsUsedThatTheTerminalLacks) {
  const std::array<short, 4> colours = {0, 8, 16, 256};
  for (const Depth depth : kDepths) {
    const short count = colours.at(static_cast<std::size_t>(depth));
    for (const Style style : styles()) {
      for (const bool selected : {false, true}) {
        for (const bool can_dim : {false, true}) {
          const Look look = look_of(style, selected, depth, can_dim);
          EXPECT_LT(look.foreground, std::max<short>(count, 0));
          EXPECT_LT(look.background, std::max<short>(count, 0));
          EXPECT_TRUE(can_dim || !look.dim);
          EXPECT_TRUE(look.foreground < 0 || look.foreground != look.background);
        }
      }
    }
  }
}

TEST(TuiLooks, WithManyColoursTextIsReadableOnBlackAndOnWhite) {
  const Rgb black = rgb_of(16);
  const Rgb white = rgb_of(231);
  for (const Style style : styles()) {
    for (const bool selected : {false, true}) {
      const Look look = look_of(style, selected, Depth::many, true);
      if (look.foreground < 0) continue;  // the terminal's own
      SCOPED_TRACE(static_cast<int>(style));
      const Rgb text = rgb_of(look.foreground);
      if (look.background >= 0) {
        EXPECT_GE(contrast(text, rgb_of(look.background)), 4);
      } else {
        EXPECT_GE(contrast(text, black), 2.8);
        EXPECT_GE(contrast(text, white), 2.8);
      }
    }
  }
}

TEST(TuiLooks, RedIsBrightWhereItCanBe) {
  EXPECT_EQ(look_of(Style::bad, false, Depth::eight, true).foreground, 1);
  EXPECT_EQ(look_of(Style::bad, false, Depth::sixteen, true).foreground, 9);
}

TEST(TuiLooks, DimIsBrightBlackWhereNothingDims) {
  EXPECT_TRUE(look_of(Style::dim, false, Depth::sixteen, true).dim);
  const Look sixteen = look_of(Style::dim, false, Depth::sixteen, false);
  EXPECT_EQ(sixteen.foreground, 8);
  const Look eight = look_of(Style::dim, false, Depth::eight, false);
  EXPECT_EQ(eight.foreground, 0);
  EXPECT_TRUE(eight.bold);
}

}  // namespace
}  // namespace listenq::tui
