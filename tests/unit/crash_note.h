// What a test that tries thousands of cases in one process was doing when it crashed: the note goes
// to stderr when a signal ends the process.
#pragma once

#include <unistd.h>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace tide::tests {

inline char g_crash_note[256];

inline void crash_handler(int signal) {
  [[maybe_unused]] ssize_t written = write(2, g_crash_note, strlen(g_crash_note));
  ::signal(signal, SIG_DFL);
  raise(signal);
}

// Text as for printf; ends up on stderr only if the process crashes.
[[gnu::format(printf, 1, 2)]] inline void set_crash_note(const char* format, ...) {
  static const bool kInstalled = [] {
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS}) ::signal(signal, crash_handler);
    return true;
  }();
  (void)kInstalled;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(g_crash_note, sizeof g_crash_note - 1, format, arguments);
  va_end(arguments);
  g_crash_note[strlen(g_crash_note)] = '\n';
}

}  // namespace tide::tests
