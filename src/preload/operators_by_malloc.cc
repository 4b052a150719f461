#include "preload/operators_by_malloc.h"

#include "base/align.h"
#include "preload/next.h"
#include "sys/cxx_runtime.h"

namespace tide::preload {

namespace {

constexpr char kNothrowTag = 0;

// `alignment` 0: the usual one. A size of 0 gives a block, too.
void* attempt(size_t bytes, size_t alignment) {
  if (bytes == 0) bytes = 1;
  return alignment == 0 ? g_next.malloc(bytes) : g_next.memalign(alignment, bytes);
}

void* new_or_throw(size_t bytes, size_t alignment) {
  if (alignment != 0 && !base::is_power_of_two(alignment)) sys::throw_bad_alloc();
  for (;;) {
    if (void* const block = attempt(bytes, alignment)) return block;
    const sys::NewHandler handler = sys::current_new_handler();
    if (handler == nullptr) sys::throw_bad_alloc();
    handler();
  }
}

}  // namespace

void* new_by_malloc(size_t bytes) { return new_or_throw(bytes, 0); }

void* new_by_malloc_aligned(size_t bytes, size_t alignment) {
  return new_or_throw(bytes, alignment);
}

// What a handler throws is caught by the C++ runtime's own function, which calls us once more.
void* new_by_malloc_nothrow(size_t bytes, const void*) {
  if (void* const block = attempt(bytes, 0)) return block;
  const sys::NothrowNew again =
      sys::current_new_handler() == nullptr ? nullptr : sys::runtime_nothrow_new();
  return again == nullptr ? nullptr : again(bytes, &kNothrowTag);
}

void* new_by_malloc_aligned_nothrow(size_t bytes, size_t alignment, const void*) {
  if (!base::is_power_of_two(alignment)) return nullptr;
  if (void* const block = attempt(bytes, alignment)) return block;
  const sys::AlignedNothrowNew again =
      sys::current_new_handler() == nullptr ? nullptr : sys::runtime_aligned_nothrow_new();
  return again == nullptr ? nullptr : again(bytes, alignment, &kNothrowTag);
}

void delete_by_free(void* p) { g_next.free(p); }
void delete_by_free_nothrow(void* p, const void*) { g_next.free(p); }
void delete_by_free_sized(void* p, size_t) { g_next.free(p); }
void delete_by_free_aligned_nothrow(void* p, size_t, const void*) { g_next.free(p); }
void delete_by_free_sized_aligned(void* p, size_t, size_t) { g_next.free(p); }

}  // namespace tide::preload
