// Any bytes as a workload: it is one or not, and nothing else happens.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/input.h"
#include "host/error.h"
#include "replay/workload_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Behind the first byte: a block's columns, or a file.
  if (size > 0 && data[0] % 2 == 0) {
    tide::format::WorkloadBlockReader block;
    tide::format::WorkloadOperation operation;
    if (block.open(data + 1, size - 1, data[0] / 2, 1000)) {
      while (block.next(operation)) {
        fuzz::require(operation.slot == tide::format::WorkloadOperation::kNone ||
                      operation.slot < 1000);
      }
    }
    return 0;
  }
  static const int file = memfd_create("workload", MFD_CLOEXEC);
  fuzz::require(file >= 0 && ftruncate(file, 0) == 0);
  if (size > 0)
    fuzz::require(pwrite(file, data + 1, size - 1, 0) == static_cast<ssize_t>(size - 1));
  try {
    const tide::replay::WorkloadReader workload("/proc/self/fd/" + std::to_string(file));
    tide::format::WorkloadOperation operation;
    for (size_t thread = 0; thread < workload.threads().size(); ++thread) {
      auto operations = workload.operations(thread);
      while (operations.next(operation)) {
      }
    }
  } catch (const tide::host::Error&) {
    // One line for the user.
  }
  return 0;
}
