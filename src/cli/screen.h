// The whole terminal, for a view that is drawn again and again until a key ends it.
#pragma once

#include <termios.h>

#include <cstddef>
#include <string_view>

namespace tide::cli {

// From here on Ctrl-C and SIGTERM end wait() instead of the process.
void catch_interrupts();

// Waits. True when it is over: `q` (with `keys`: standard input is a terminal of ours), Ctrl-C.
bool wait_for_end(double seconds, bool keys);

// Keys come at once and are not shown, the cursor is hidden; all of it is put back at the end.
class Screen {
 public:
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Whether both standard input and output are a terminal.
  static bool is_possible();

  // Lines that fit.
  static size_t height();
  // Replaces what is shown.
  void draw(std::string_view text) const;

 private:
  termios before_{};
};

}  // namespace tide::cli
