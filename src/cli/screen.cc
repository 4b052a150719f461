#include "cli/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>

#include "cli/command.h"

namespace tide::cli {
namespace {

volatile std::sig_atomic_t g_is_interrupted = 0;

void interrupted(int) { g_is_interrupted = 1; }

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = interrupted;  // without SA_RESTART: poll returns
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

bool wait_for_end(double seconds, bool keys) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (g_is_interrupted == 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return false;
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    const int ready = poll(&input, keys ? 1 : 0, static_cast<int>(left));
    if (ready <= 0) continue;
    char key = 0;
    const ssize_t count = read(STDIN_FILENO, &key, 1);
    if (count == 1 && (key == 'q' || key == 'Q')) return true;
    if (count == 0 || (count < 0 && errno != EINTR)) return true;  // the terminal is gone
  }
  return true;
}

bool Screen::is_possible() { return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1; }

Screen::Screen() {
  tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  print("\x1b[?25l\x1b[2J");
}

Screen::~Screen() {
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  static constexpr std::string_view kShowCursor = "\x1b[?25h";
  [[maybe_unused]] const ssize_t done =
      write(STDOUT_FILENO, kShowCursor.data(), kShowCursor.size());
}

size_t Screen::height() {
  winsize size{};
  constexpr size_t kUsual = 24;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0 ? size.ws_row : kUsual;
}

void Screen::draw(std::string_view text) const {
  // Home, each line cleared behind its end, and all below: no flicker.
  std::string out = "\x1b[H";
  for (const char c : text) {
    if (c == '\n') out += "\x1b[K";
    out += c;
  }
  out += "\x1b[J";
  print(out);
}

}  // namespace tide::cli
