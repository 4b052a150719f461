// Memory for the time in which the next malloc is being looked for: the dynamic linker may want
// some for that. Nothing of it is used twice; all functions may be called at any time by anybody.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/compiler.h"

namespace tide::preload {

inline constexpr size_t kBootstrapBytes = size_t{256} << 10;
extern char g_bootstrap[kBootstrapBytes];

// Reads as zero; null when there is none left.
void* bootstrap_allocate(size_t alignment, size_t bytes);

TIDE_INLINE bool is_bootstrap(const void* p) {
  return reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(g_bootstrap) <
         kBootstrapBytes;
}

// Of a block from here.
size_t bootstrap_usable_size(const void* p);

}  // namespace tide::preload
