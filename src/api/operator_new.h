// operator new without its names: the fast path inline, failure out of line. The names are in
// override/new.cc.
//
// Exceptions thrown by a new-handler or by throw_bad_alloc() pass through these frames: compiled
// without exceptions but with unwind tables, they have nothing to clean up.
#pragma once

#include <cstddef>

#include "api/allocate.h"

namespace tide::api {

// What the fast path could not do. The throwing forms run the new-handler until there is memory or
// it throws, and throw std::bad_alloc when there is no handler.
void* new_slow(size_t bytes, Origin origin);
void* new_aligned(size_t bytes, size_t alignment, Origin origin);
// Null instead; what the handler throws is caught by the C++ runtime.
void* new_nothrow_slow(size_t bytes, Origin origin);
void* new_aligned_nothrow(size_t bytes, size_t alignment, Origin origin);

TIDE_INLINE void* new_block(size_t bytes, Origin origin) {
  void* const block = heap::allocate_fast(g_engine.space(), *t_front, bytes);
  if (TIDE_LIKELY(block != nullptr)) return block;
  return new_slow(bytes, origin);
}

TIDE_INLINE void* new_block_nothrow(size_t bytes, Origin origin) {
  void* const block = heap::allocate_fast(g_engine.space(), *t_front, bytes);
  if (TIDE_LIKELY(block != nullptr)) return block;
  return new_nothrow_slow(bytes, origin);
}

}  // namespace tide::api
