#include "host/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace tide::host {
namespace {

constexpr size_t kUsualWidth = 80;

std::string_view escape_of(Style style) {
  switch (style) {
    case Style::kBold:
      return "\x1b[1m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kRed:
      return "\x1b[31m";
    case Style::kGreen:
      return "\x1b[32m";
    case Style::kYellow:
      return "\x1b[33m";
    case Style::kPlain:
      break;
  }
  return {};
}

bool colour_is_wanted() {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* term = std::getenv("TERM");
  return term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

std::string printable(std::string text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

Terminal::Terminal(int fd) : is_terminal_(isatty(fd) == 1) {
  if (!is_terminal_) return;
  has_colour_ = colour_is_wanted();
  winsize size{};
  const bool is_known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
  width_ = is_known ? size.ws_col : kUsualWidth;
}

Terminal Terminal::for_test(size_t width) {
  Terminal terminal;
  terminal.is_terminal_ = true;
  terminal.width_ = width;
  return terminal;
}

std::string Terminal::styled(std::string_view text, Style style) const {
  const std::string_view escape = has_colour_ ? escape_of(style) : std::string_view{};
  if (escape.empty()) return std::string(text);
  return std::string(escape).append(text).append("\x1b[0m");
}

}  // namespace tide::host
