// A table for people: columns as wide as their widest cell, the last one wrapped to the terminal,
// or below the others where there is no room beside them.
//
// Cells are plain text; the style of a cell is applied after the padding, so that escapes do not
// count as width. Widths count UTF-8 characters, not bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "host/terminal.h"

namespace tide::host {

enum class Align { kLeft, kRight };

class TextTable {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  struct Cell {
    std::string text;
    Style style = Style::kPlain;
  };

  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell per column.
  void add_row(std::vector<Cell> cells);

  // The whole table, each line with its newline and without trailing spaces.
  std::string render(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// `text` in lines of at most `width` characters, broken at spaces; a longer word stays whole.
std::vector<std::string> wrap_text(std::string_view text, size_t width);

}  // namespace tide::host
