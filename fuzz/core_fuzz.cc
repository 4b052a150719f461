// Any bytes as a core file: they are one or not, and nothing else happens.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/input.h"
#include "host/error.h"
#include "walk/core_target.h"
#include "walk/open_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("core", MFD_CLOEXEC);
  fuzz::require(file >= 0 && ftruncate(file, 0) == 0);
  fuzz::require(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  try {
    const tide::walk::CoreTarget core("/proc/self/fd/" + std::to_string(file));
    tide::walk::Buffer buffer;
    for (const tide::walk::Segment& segment : core.segments()) {
      core.view(segment.start, 100, buffer);
      core.view(segment.end - 1, 100, buffer);
      core.load_text(segment.start, 1000);
    }
    const auto heaps = tide::walk::find_heaps(core);
    for (const auto& heap : heaps) {
      heap->summary();
      heap->check(3);
    }
  } catch (const tide::host::Error&) {
    // One line for the user.
  }
  return 0;
}
