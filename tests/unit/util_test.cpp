// SPDX-License-Identifier: Apache-2.0
//
// util: escaping of foreign text, numbers, times.
#include <gtest/gtest.h>

#include "util/clock.h"
#include "util/text.h"

namespace listenq {
namespace {

TEST(Printable, KeepsText) {
  EXPECT_EQ(printable("nginx: worker"), "nginx: worker");
  EXPECT_EQ(printable("größe ✓ 漢字"), "größe ✓ 漢字");
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, EscapesWhatMovesATerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(printable("a\nb\tc\x7f"), "a\\x0ab\\x09c\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J");  // CSI as a C1 control
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "x"),
            "\\xe2\\x80\\xaex");                                         // right-to-left override
  EXPECT_EQ(printable("\xe2\x80\x8f"), "\\xe2\\x80\\x8f");               // right-to-left mark
  EXPECT_EQ(printable("\xe2\x81\xa7"), "\\xe2\\x81\\xa7");               // right-to-left isolate
  EXPECT_EQ(printable("\xd8\x9c"), "\\xd8\\x9c");                        // Arabic letter mark
  EXPECT_EQ(printable("\xe2\x80\x93\xd8\xa7"), "\xe2\x80\x93\xd8\xa7");  // a dash, an alef
}

TEST(Printable, EscapesWhatIsNoUtf8) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                    // cut off
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(ParseInteger, TakesAllOrNothing) {
  EXPECT_EQ(parse_integer("4096\n"), 4096);
  EXPECT_EQ(parse_integer(" -1 "), -1);
  EXPECT_FALSE(parse_integer(""));
  EXPECT_FALSE(parse_integer("12x"));
  EXPECT_FALSE(parse_integer("99999999999999999999"));
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(123456), "123,456");
  EXPECT_EQ(grouped(18446744073709551615U), "18,446,744,073,709,551,615");
  EXPECT_EQ(split("a,,b", ',').size(), 3U);
  EXPECT_EQ(split("", ',').size(), 1U);
}

TEST(Rfc3339, IsUtcWithMilliseconds) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(rfc3339(1'769'903'999'123'456'789U), "2026-01-31T23:59:59.123Z");
}

TEST(ReadSmallFile, MissingIsAbsent) {
  EXPECT_FALSE(read_small_file("/nonexistent/file"));
}

}  // namespace
}  // namespace listenq
