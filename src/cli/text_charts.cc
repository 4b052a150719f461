#include "cli/text_charts.h"

#include <fmt/format.h>

#include <algorithm>

namespace tide::cli {
namespace {

constexpr size_t kBarWidth = 40;
// Of a cell: an eighth to eight.
constexpr const char* kRows[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr const char* kColumns[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};

// Eighths of `width` cells; what is more than nothing has one at least.
size_t eighths(uint64_t value, uint64_t most, size_t width) {
  if (value == 0) return 0;
  const double share = static_cast<double>(value) / static_cast<double>(most);
  return std::max<size_t>(1, static_cast<size_t>(share * static_cast<double>(width * 8) + 0.5));
}

}  // namespace

std::string bar_chart(const std::vector<Bar>& bars) {
  size_t name_width = 0;
  size_t figures_width = 0;
  uint64_t most = 0;
  for (const Bar& bar : bars) {
    name_width = std::max(name_width, bar.name.size());
    figures_width = std::max(figures_width, bar.figures.size());
    most = std::max(most, bar.value);
  }
  std::string text;
  for (const Bar& bar : bars) {
    std::string line =
        fmt::format("  {:<{}}  {:>{}}  ", bar.name, name_width, bar.figures, figures_width);
    const size_t length = eighths(bar.value, most, kBarWidth);
    for (size_t i = 0; i < length / 8; ++i) line += kColumns[8];
    line += kColumns[length % 8];
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string sparkline(const std::vector<uint64_t>& values) {
  const uint64_t most = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  std::string text;
  for (const uint64_t value : values) text += kRows[eighths(value, most, 1)];
  return text;
}

}  // namespace tide::cli
