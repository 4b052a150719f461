#include "sys/frames.h"

#include <sys/resource.h>

#include "sys/line_reader.h"
#include "sys/mapping_line.h"
#include "sys/thread_pointer.h"

// Of the C library's loader: the stack pointer that the process began with.
extern "C" void* __libc_stack_end __attribute__((weak));

namespace tide::sys {

namespace {

// The main thread's stack grows when it is touched; nothing else is put that close below it.
constexpr uintptr_t kMainStackBytes = uintptr_t{128} << 20;
// A thread's stack is hardly ever smaller, so nothing else lies between.
constexpr uintptr_t kThreadStackBytes = uintptr_t{64} << 10;

}  // namespace

StackBounds stack_bounds(uintptr_t inside) {
  char lines[2048];
  LineReader reader("/proc/self/maps", lines);
  std::string_view line;
  MappingLine mapping;
  while (reader.next(line)) {
    if (!mapping.parse(line) || inside < mapping.begin || inside >= mapping.end) continue;
    StackBounds found{mapping.begin, mapping.end};
    if (mapping.path == "[stack]") {
      rlimit limit{};
      const ErrnoKeeper keeper;
      uintptr_t bytes = kMainStackBytes;
      if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < bytes) bytes = limit.rlim_cur;
      if (found.high - found.low < bytes) found.low = found.high - bytes;
    }
    return found;
  }
  return {0, 0};
}

StackBounds near_stack_bounds(uintptr_t inside, bool is_main_thread) {
  const StackBounds none{0, 0};
  if (&__libc_stack_end == nullptr) return none;
  const auto end = reinterpret_cast<uintptr_t>(__libc_stack_end);
  if (inside < end && end - inside < kMainStackBytes) return {end - kMainStackBytes, end};
  const auto own = reinterpret_cast<uintptr_t>(thread_pointer());
  if (inside >= own || own - inside >= kThreadStackBytes) return none;
  // The main thread's own memory is among libraries, and below that may be any stack.
  return is_main_thread ? none : StackBounds{own - kThreadStackBytes, own};
}

}  // namespace tide::sys
