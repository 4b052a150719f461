// Any bytes as a file of another tracer: they are events or an error.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/input.h"
#include "host/error.h"
#include "trace/imported.h"
#include "trace/summary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const int file = memfd_create("import", MFD_CLOEXEC);
  fuzz::require(file >= 0 && ftruncate(file, 0) == 0);
  fuzz::require(pwrite(file, data + 1, size - 1, 0) == static_cast<ssize_t>(size - 1));
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  try {
    tide::trace::import_format(path);
    const auto source = tide::trace::import_file(path, data[0] % 2 == 0 ? "mtrace" : "heaptrack");
    tide::trace::Summary summary;
    while (const tide::trace::Event* event = source->next()) summary.add(*event);
    summary.finish(*source);
    fuzz::require(summary.totals().leaked_blocks == source->live().blocks());
  } catch (const tide::host::Error&) {
    // One line for the user.
  }
  return 0;
}
