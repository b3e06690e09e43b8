// SPDX-License-Identifier: Apache-2.0
//
// A grid of character cells, the paper that the screen is drawn on. It knows how wide a character
// is and nothing of terminals, so that a test reads a drawn screen as text; Terminal copies it out.
//
// No text can break the grid: what a terminal would not show as a character of one known width
// (controls, invalid UTF-8, marks that steer the direction or the shape of other characters) is
// written as an escape, and a wide character is never cut in half.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace listenq::tui {

/// What a cell means; Terminal decides what that looks like with the colours it has.
enum class Style : std::uint8_t {
  normal,
  strong,  ///< numbers and names to be found first
  dim,     ///< labels, absent values, idle listeners
  good,
  warn,
  bad,
  title,         ///< row of column titles
  title_sorted,  ///< title of the column that sorts
  key,           ///< name of a key
  key_text,      ///< what the key does
  notice,        ///< FROZEN, a filter in force
  count_,
};

enum class Charset : std::uint8_t { utf8, ascii };

struct Cell {
  char32_t code = U' ';             ///< 0: covered by the wide character to the left
  std::array<char32_t, 3> marks{};  ///< zero-width characters upon it; 0 ends
  Style style = Style::normal;
  bool selected = false;  ///< in the selected row; its style still tells good from bad

  bool operator==(const Cell&) const = default;
};

class Canvas {
 public:
  static constexpr int kWhole = std::numeric_limits<int>::max();

  /// At least one cell each way.
  Canvas(int rows, int columns, Charset charset);

  [[nodiscard]] int rows() const { return rows_; }
  [[nodiscard]] int columns() const { return columns_; }
  [[nodiscard]] Charset charset() const { return charset_; }
  [[nodiscard]] const Cell& at(int row, int column) const { return cells_[index(row, column)]; }

  /// Writes `text` from `column` on within `width` cells and the grid; text that does not fit ends
  /// in an ellipsis. Returns the column after the last cell written. Outside the grid: nothing.
  int put(int row, int column, std::string_view text, Style style, int width = kWhole);

  /// The same, at the right end of `width` cells.
  void put_right(int row, int column, std::string_view text, Style style, int width);

  /// Blanks of this style, to the edge at most.
  void fill(int row, int column, int width, Style style);

  /// The cells of a row of another canvas, as many as there is place for.
  void copy_row(int row, const Canvas& from, int from_row);

  /// Cuts rows off the end or adds empty ones; at least one stays.
  void set_rows(int rows);

  /// Marks the whole row as the selected one.
  void select_row(int row);

  /// One line a row, trailing blanks cut, each ended by a newline.
  [[nodiscard]] std::string to_text() const;

 private:
  [[nodiscard]] std::size_t index(int row, int column) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
           static_cast<std::size_t>(column);
  }
  void set(int row, int column, char32_t code, int width, Style style);
  void blank_wide(int row, int column);

  int rows_;
  int columns_;
  Charset charset_;
  std::vector<Cell> cells_;
};

/// Cells that Canvas::put() needs for all of `text`.
[[nodiscard]] int text_width(std::string_view text, Charset charset);

/// UTF-8 of one code point, appended.
void append_utf8(std::string& out, char32_t code);

/// `text` in lines of at most `width` cells, broken at blanks; a longer word is cut by put().
[[nodiscard]] std::vector<std::string> wrap_text(std::string_view text, int width, Charset charset);

/// The code points of `text`; bytes that are not UTF-8 are left out.
[[nodiscard]] std::u32string decode_utf8(std::string_view text);

/// Cells of a character as Canvas stores it: 0 for a combining mark, 1 or 2; -1 for one that it
/// never stores.
[[nodiscard]] int cell_width(char32_t code);

}  // namespace listenq::tui
