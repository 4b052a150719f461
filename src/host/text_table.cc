#include "host/text_table.h"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <utility>

namespace tide::host {
namespace {

constexpr std::string_view kGap = "  ";
// With less room than this the last column is unreadable beside the others; it goes below them.
constexpr size_t kNarrowest = 20;
constexpr size_t kIndentBelow = 4;

size_t character_count(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a continuation byte
  }));
}

void append_padded(std::string& line, std::string_view text, size_t width, Align align, Style style,
                   const Terminal& terminal) {
  const size_t length = character_count(text);
  const std::string padding(width > length ? width - length : 0, ' ');
  if (align == Align::kRight) line += padding;
  line += terminal.styled(text, style);
  if (align == Align::kLeft) line += padding;
}

void end_line(std::string& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  out += line;
  out += '\n';
}

}  // namespace

std::vector<std::string> wrap_text(std::string_view text, size_t width) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t length = character_count(lines.back());
    if (length != 0 && length + 1 + character_count(word) > width) lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
  }
  return lines;
}

void TextTable::add_row(std::vector<Cell> cells) {
  assert(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::render(const Terminal& terminal) const {
  const size_t last = columns_.size() - 1;
  std::vector<size_t> widths;
  for (size_t i = 0; i <= last; ++i) {
    size_t width = character_count(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, character_count(row[i].text));
    widths.push_back(width);
  }
  size_t indent = std::accumulate(widths.begin(), widths.end() - 1, last * kGap.size());
  bool is_below = false;
  if (const auto width = terminal.width()) {
    is_below = indent + std::min(widths[last], kNarrowest) > *width && *width > 2 * kIndentBelow;
    if (is_below) indent = kIndentBelow;
    if (*width > indent) widths[last] = std::min(widths[last], *width - indent);
  }

  std::string out;
  const auto add_line = [&](const std::vector<Cell>& cells) {
    std::string line;
    for (size_t i = 0; i < last; ++i) {
      append_padded(line, cells[i].text, widths[i], columns_[i].align, cells[i].style, terminal);
      line += kGap;
    }
    if (is_below) end_line(out, std::exchange(line, std::string(indent, ' ')));
    for (const std::string& part : wrap_text(cells[last].text, widths[last])) {
      append_padded(line, part, widths[last], columns_[last].align, cells[last].style, terminal);
      end_line(out, std::exchange(line, std::string(indent, ' ')));
    }
  };

  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({column.title, Style::kBold});
  add_line(titles);
  for (const auto& row : rows_) add_line(row);
  return out;
}

}  // namespace tide::host
