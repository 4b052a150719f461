#include "sys/frames.h"

#include <sys/resource.h>

#include "sys/line_reader.h"
#include "sys/mapping_line.h"

namespace tide::sys {

namespace {

// The main thread's stack grows when it is touched; nothing else is put that close below it.
constexpr uintptr_t kMainStackBytes = uintptr_t{128} << 20;

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

}  // namespace tide::sys
