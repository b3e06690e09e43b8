// SPDX-License-Identifier: Apache-2.0
//
// The grid: nothing that is written may leave its cells.
#include <gtest/gtest.h>

#include "view/tui/canvas.h"

namespace listenq::tui {
namespace {

std::string one_line(std::string_view text, int width, Charset charset = Charset::utf8) {
  Canvas canvas(1, 40, charset);
  canvas.put(0, 0, text, Style::normal, width);
  canvas.put(0, width, "|", Style::normal);
  std::string out = canvas.to_text();
  out.pop_back();
  return out;
}

// "a", U+202E, "b", not as one literal: it would turn this very line around in an editor.
std::string turned_around() {
  return std::string("a\xe2\x80") + "\xae" + "b";
}

TEST(TuiCanvas, WritesWithinTheWidthAndMarksWhatWasCut) {
  EXPECT_EQ(one_line("nginx", 8), "nginx   |");
  EXPECT_EQ(one_line("nginx", 5), "nginx|");
  EXPECT_EQ(one_line("nginx", 4), "ngi…|");
  EXPECT_EQ(one_line("nginx", 1), "…|");
  EXPECT_EQ(one_line("nginx", 4, Charset::ascii), "ngi~|");
}

TEST(TuiCanvas, KeepsToTheGrid) {
  Canvas canvas(2, 4, Charset::utf8);
  EXPECT_EQ(canvas.put(0, 2, "abcdef", Style::normal), 4);
  canvas.put(2, 0, "below", Style::normal);
  canvas.put(-1, 0, "above", Style::normal);
  canvas.put(0, 4, "right", Style::normal);
  canvas.put(1, -1, "left", Style::normal);
  canvas.fill(1, 3, 1000, Style::title);
  canvas.fill(7, 0, 10, Style::title);
  canvas.select_row(9);
  EXPECT_EQ(canvas.to_text(), "  a…\n\n");
  EXPECT_EQ(canvas.at(1, 3).style, Style::title);
  EXPECT_EQ(Canvas(0, -3, Charset::utf8).to_text(), "\n");
}

TEST(TuiCanvas, WideCharactersTakeTwoCellsAndAreNeverHalved) {
  EXPECT_EQ(text_width("日本", Charset::utf8), 4);
  EXPECT_EQ(one_line("日本語", 6), "日本語|");
  EXPECT_EQ(one_line("日本語", 5), "日本…|");
  EXPECT_EQ(one_line("日本語", 4), "日 …|");
  EXPECT_EQ(one_line("日本語", 3), "日…|");
  EXPECT_EQ(one_line("日本語", 5, Charset::ascii), "???  |");

  Canvas canvas(1, 6, Charset::utf8);
  canvas.put(0, 0, "日本語", Style::normal);
  canvas.put(0, 1, "x", Style::normal);  // upon the right half of the first
  EXPECT_EQ(canvas.to_text(), " x本語\n");
  canvas.put(0, 4, "y", Style::normal);  // upon the left half of the last
  EXPECT_EQ(canvas.to_text(), " x本y\n");
}

TEST(TuiCanvas, CombiningMarksStayWithTheirCharacter) {
  EXPECT_EQ(text_width("e\u0301a", Charset::utf8), 2);
  EXPECT_EQ(one_line("e\u0301a", 2), "e\u0301a|");
  EXPECT_EQ(one_line("\u0301a", 2), "a |") << "a mark upon nothing";
  // However many there are, a cell holds two.
  EXPECT_EQ(one_line("e\u0301\u0302\u0303\u0304\u0305a", 2), "e\u0301\u0302a|");
  EXPECT_EQ(one_line("e\u0301", 2, Charset::ascii), "e |");
}

TEST(TuiCanvas, WhatWouldMoveTheCursorIsWrittenOut) {
  EXPECT_EQ(one_line("a\x1b[2Jb", 12), "a\\x1b[2Jb   |");
  EXPECT_EQ(one_line("a\nb\rc\td", 20), "a\\x0ab\\x0dc\\x09d    |");
  EXPECT_EQ(one_line("\xff\xc0\x80", 12), "\\xff\\xc0\\x80|");
  EXPECT_EQ(one_line("\xed\xa0\x80", 12), "\\xed\\xa0\\x80|") << "a surrogate is no UTF-8";
  EXPECT_EQ(one_line("\xe6\x97", 8), "\\xe6\\x97|") << "cut off";
  EXPECT_EQ(one_line("\u009b1m", 8), "\\u009b1m|") << "CSI in one byte";
  EXPECT_EQ(one_line(turned_around(), 8), "a\\u202eb|") << "turns the direction";
  EXPECT_EQ(one_line("a\u200bb", 8), "a\\u200bb|") << "invisible";
  EXPECT_EQ(one_line("a\ufe0f", 7), "a\\ufe0f|") << "makes emoji wide in some terminals";
  EXPECT_EQ(one_line(std::string("a\0b", 3), 6), "a\\x00b|");
}

TEST(TuiCanvas, RightToLeftTextIsClosedOffByAMark) {
  // Without it a terminal that orders by direction draws the number left of the word.
  EXPECT_EQ(one_line("\u05d0\u05d1", 3), "\u05d0\u05d1\u200e |");
  EXPECT_EQ(one_line("ab", 3), "ab |");
}

TEST(TuiCanvas, PutRightEndsAtTheRight) {
  Canvas canvas(1, 12, Charset::utf8);
  canvas.put_right(0, 1, "42", Style::normal, 5);
  canvas.put_right(0, 7, "1234567", Style::normal, 4);
  EXPECT_EQ(canvas.to_text(), "    42 123…\n");
}

TEST(TuiCanvas, WrapsAtBlanks) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrap_text("one two  three", 7, Charset::utf8), (Lines{"one two", "three"}));
  EXPECT_EQ(wrap_text("incomprehensible word", 5, Charset::utf8),
            (Lines{"incomprehensible", "word"}));
  EXPECT_EQ(wrap_text("", 5, Charset::utf8), Lines{});
}

TEST(TuiCanvas, Utf8ThereAndBack) {
  const std::string text = "a\u00e9\u20ac\U0001d11e";
  std::string again;
  for (const char32_t code : decode_utf8(text)) append_utf8(again, code);
  EXPECT_EQ(again, text);
  EXPECT_EQ(decode_utf8("a\xff"
                        "b"),
            U"ab");
}

}  // namespace
}  // namespace listenq::tui
