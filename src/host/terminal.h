// What the stream that we write to is: a terminal or not, how wide, and whether it may have colour.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tide::host {

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow };

// A text from elsewhere for a terminal: what would move the cursor is a '?'.
std::string printable(std::string text);

// One output stream's properties, asked once.
class Terminal {
 public:
  explicit Terminal(int fd);

  // A terminal of that width without colour.
  static Terminal for_test(size_t width);

  bool is_terminal() const { return is_terminal_; }

  // Columns to fit text into; nothing when the output is no terminal and lines may be any length.
  std::optional<size_t> width() const { return width_; }

  // `text` in that style, or as it is where colour has no place: no terminal, NO_COLOR set to
  // anything (https://no-color.org), TERM=dumb.
  std::string styled(std::string_view text, Style style) const;

 private:
  Terminal() = default;

  bool is_terminal_ = false;
  bool has_colour_ = false;
  std::optional<size_t> width_;
};

}  // namespace tide::host
