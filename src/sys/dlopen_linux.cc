#include "sys/dlopen.h"

#include <dlfcn.h>
#include <atomic>

namespace tide::sys {

DlopenFunction* next_dlopen() {
  static constinit std::atomic<DlopenFunction*> found{nullptr};
  DlopenFunction* function = found.load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<DlopenFunction*>(dlsym(RTLD_NEXT, "dlopen"));
    found.store(function, std::memory_order_relaxed);
  }
  return function;
}

}  // namespace tide::sys
