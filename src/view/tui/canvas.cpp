// SPDX-License-Identifier: Apache-2.0
//
// Canvas: UTF-8 into cells.
#include "view/tui/canvas.h"

#include <fmt/core.h>

#include <algorithm>
#include <clocale>
#include <cwchar>

#include "util/text.h"

namespace listenq::tui {

namespace {

constexpr char32_t kInvalid = 0xffffffff;
constexpr char32_t kLeftToRightMark = 0x200e;

struct Range {
  char32_t first;
  char32_t last;
};

/// Characters whose effect on their neighbours differs between terminals, or that nobody sees:
/// format controls, joiners and variation selectors, flags and skin tones (which merge), private
/// use. They are shown as an escape instead.
constexpr std::array kEscaped = {
    Range{0x0000, 0x001f},   Range{0x007f, 0x009f},   Range{0x00ad, 0x00ad},
    Range{0x034f, 0x034f},   Range{0x0600, 0x0605},   Range{0x061c, 0x061c},
    Range{0x06dd, 0x06dd},   Range{0x070f, 0x070f},   Range{0x08e2, 0x08e2},
    Range{0x115f, 0x1160},   Range{0x180b, 0x180f},   Range{0x200b, 0x200f},
    Range{0x2028, 0x202e},   Range{0x2060, 0x206f},   Range{0x3164, 0x3164},
    Range{0xd800, 0xf8ff},   Range{0xfe00, 0xfe0f},   Range{0xfeff, 0xfeff},
    Range{0xffa0, 0xffa0},   Range{0xfff0, 0xfffb},   Range{0xfffe, 0xffff},
    Range{0x1bca0, 0x1bca3}, Range{0x1d173, 0x1d17a}, Range{0x1f1e6, 0x1f1ff},
    Range{0x1f3fb, 0x1f3ff}, Range{0xe0000, 0x10ffff}};

/// Written from right to left.
constexpr std::array kRightToLeft = {Range{0x0590, 0x08ff}, Range{0xfb1d, 0xfdff},
                                     Range{0xfe70, 0xfefc}, Range{0x10800, 0x10fff},
                                     Range{0x1e800, 0x1efff}};

template <std::size_t n>
bool in_ranges(const std::array<Range, n>& ranges, char32_t code) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& r) { return code >= r.first && code <= r.last; });
}

/// wcwidth() by the tables of a UTF-8 locale, whatever the locale of the process: what is drawn
/// must not depend on it. Where C.UTF-8 is missing the locale of the process decides.
int locale_width(char32_t code) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
  if (utf8 == locale_t{}) return ::wcwidth(static_cast<wchar_t>(code));
  const locale_t before = uselocale(utf8);
  const int width = ::wcwidth(static_cast<wchar_t>(code));
  uselocale(before);
  return width;
}

/// Takes the first code point off `text`; kInvalid (and one byte) where it is not UTF-8.
char32_t next_code(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  std::size_t length = 1;
  char32_t code = first;
  char32_t least = 0;
  if (first >= 0x80) {
    length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    least = first >= 0xf0 ? 0x10000 : first >= 0xe0 ? 0x800 : 0x80;
    code = first & (0xffU >> (length + 1));
    bool valid = first >= 0xc2 && first <= 0xf4 && text.size() >= length;
    for (std::size_t i = 1; valid && i < length; ++i) {
      valid = (byte(i) & 0xc0U) == 0x80;
      code = (code << 6U) | (byte(i) & 0x3fU);
    }
    if (!valid || code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
      text.remove_prefix(1);
      return kInvalid;
    }
  }
  text.remove_prefix(length);
  return code;
}

/// Calls `glyph(code, width)` for all that put() writes for `text`, escapes included; stops when it
/// returns false.
template <class F>
void for_each_glyph(std::string_view text, Charset charset, F glyph) {
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    const char32_t code = next_code(text);
    const int width = code == kInvalid ? -1 : cell_width(code);
    if (width >= 0 && (charset == Charset::utf8 || code < 0x80)) {
      if (!glyph(code, width)) return;
    } else if (width >= 0) {
      if (width > 0 && !glyph(U'?', 1)) return;
    } else {
      const std::string escape = code == kInvalid || code < 0x80
                                     ? fmt::format("\\x{:02x}", byte)
                                     : fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code));
      for (const char c : escape) {
        if (!glyph(static_cast<char32_t>(c), 1)) return;
      }
    }
  }
}

}  // namespace

int cell_width(char32_t code) {
  if (code >= 0x20 && code < 0x7f) return 1;
  if (code > 0x10ffff || in_ranges(kEscaped, code)) return -1;
  return locale_width(code);
}

int text_width(std::string_view text, Charset charset) {
  int total = 0;
  for_each_glyph(text, charset, [&](char32_t, int width) {
    total += width;
    return true;
  });
  return total;
}

std::vector<std::string> wrap_text(std::string_view text, int width, Charset charset) {
  std::vector<std::string> lines;
  std::string line;
  int used = 0;
  for (const std::string_view word : split(text, ' ')) {
    if (word.empty()) continue;
    const int needed = text_width(word, charset);
    if (!line.empty() && used + 1 + needed > width) {
      lines.push_back(std::move(line));
      line.clear();
      used = 0;
    }
    if (!line.empty()) {
      line += ' ';
      ++used;
    }
    line += word;
    used += needed;
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

std::u32string decode_utf8(std::string_view text) {
  std::u32string codes;
  while (!text.empty()) {
    const char32_t code = next_code(text);
    if (code != kInvalid) codes.push_back(code);
  }
  return codes;
}

void append_utf8(std::string& out, char32_t code) {
  const auto tail = [&](unsigned shift) {
    out.push_back(static_cast<char>(0x80U | ((code >> shift) & 0x3fU)));
  };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0U | (code >> 6U)));
    tail(0);
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0U | (code >> 12U)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0U | (code >> 18U)));
    tail(12);
    tail(6);
    tail(0);
  }
}

Canvas::Canvas(int rows, int columns, Charset charset)
    : rows_(std::max(rows, 1)), columns_(std::max(columns, 1)), charset_(charset) {
  cells_.resize(static_cast<std::size_t>(rows_) * static_cast<std::size_t>(columns_));
}

void Canvas::blank_wide(int row, int column) {
  if (at(row, column).code == 0 && column > 0) cells_[index(row, column - 1)].code = U' ';
  if (column + 1 < columns_ && at(row, column + 1).code == 0) {
    cells_[index(row, column + 1)].code = U' ';
  }
}

void Canvas::set(int row, int column, char32_t code, int width, Style style) {
  for (int i = 0; i < width; ++i) {
    blank_wide(row, column + i);
    cells_[index(row, column + i)] = Cell{i == 0 ? code : 0, {}, style, false};
  }
}

int Canvas::put(int row, int column, std::string_view text, Style style, int width) {
  if (row < 0 || row >= rows_ || column < 0 || column >= columns_ || width <= 0) return column;
  const int end = column + std::min(width, columns_ - column);
  const bool cut = text_width(text, charset_) > end - column;
  const int text_end = cut ? end - 1 : end;  // one cell for the ellipsis
  int last = -1;
  bool right_to_left = false;
  const auto mark_last = [&](char32_t mark) {
    if (last < 0) return;
    for (char32_t& slot : cells_[index(row, last)].marks) {
      if (slot == 0) {
        slot = mark;
        return;
      }
      // The last slot is kept for the mark that ends a run from right to left.
      if (&slot == &cells_[index(row, last)].marks[1] && mark != kLeftToRightMark) return;
    }
  };
  for_each_glyph(text, charset_, [&](char32_t code, int glyph_width) {
    if (glyph_width == 0) {
      mark_last(code);
      return true;
    }
    if (column + glyph_width > text_end) return false;
    set(row, column, code, glyph_width, style);
    right_to_left = right_to_left || in_ranges(kRightToLeft, code);
    last = column;
    column += glyph_width;
    return true;
  });
  // A terminal that orders text by direction would carry the next column's digits into this run.
  if (right_to_left) mark_last(kLeftToRightMark);
  if (cut) {
    if (column < text_end) fill(row, column, text_end - column, style);
    set(row, end - 1, charset_ == Charset::utf8 ? U'…' : U'~', 1, style);
    column = end;
  }
  return column;
}

void Canvas::put_right(int row, int column, std::string_view text, Style style, int width) {
  const int used = std::min(text_width(text, charset_), width);
  put(row, column + width - used, text, style, used);
}

void Canvas::fill(int row, int column, int width, Style style) {
  if (row < 0 || row >= rows_ || column < 0 || column >= columns_) return;
  const int end = column + std::min(width, columns_ - column);
  for (; column < end; ++column) set(row, column, U' ', 1, style);
}

void Canvas::copy_row(int row, const Canvas& from, int from_row) {
  if (row < 0 || row >= rows_ || from_row < 0 || from_row >= from.rows_) return;
  for (int column = 0; column < std::min(columns_, from.columns_); ++column) {
    cells_[index(row, column)] = from.at(from_row, column);
  }
}

void Canvas::set_rows(int rows) {
  rows_ = std::max(rows, 1);
  cells_.resize(static_cast<std::size_t>(rows_) * static_cast<std::size_t>(columns_));
}

void Canvas::select_row(int row) {
  if (row < 0 || row >= rows_) return;
  for (int column = 0; column < columns_; ++column) cells_[index(row, column)].selected = true;
}

std::string Canvas::to_text() const {
  std::string out;
  for (int row = 0; row < rows_; ++row) {
    const std::size_t start = out.size();
    std::size_t end = start;
    for (int column = 0; column < columns_; ++column) {
      const Cell& cell = at(row, column);
      if (cell.code == 0) continue;
      append_utf8(out, cell.code);
      for (const char32_t mark : cell.marks) {
        if (mark != 0) append_utf8(out, mark);
      }
      if (cell.code != U' ' || cell.marks[0] != 0) end = out.size();
    }
    out.resize(end);
    out.push_back('\n');
  }
  return out;
}

}  // namespace listenq::tui
