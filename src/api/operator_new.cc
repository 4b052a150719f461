#include "api/operator_new.h"

#include "base/align.h"
#include "sys/cxx_runtime.h"

namespace tide::api {

namespace {

// The tag object that the nothrow forms take; nobody looks into it.
constexpr char kNothrowTag = 0;

// 0: no alignment was asked for. An alignment that is none can't be had, whatever a handler frees.
void* try_new(size_t bytes, size_t alignment, Origin origin) {
  if (alignment == 0) return allocate_slow(bytes, origin);
  return allocate_aligned(alignment, bytes, origin);
}

TIDE_COLD void* new_failed(size_t bytes, size_t alignment, Origin origin) {
  for (;;) {
    const sys::NewHandler handler = sys::current_new_handler();
    if (handler == nullptr) sys::throw_bad_alloc();
    handler();
    if (void* const block = try_new(bytes, alignment, origin)) return block;
  }
}

TIDE_COLD void* new_failed_nothrow(size_t bytes, size_t alignment, Origin origin) {
  if (sys::current_new_handler() == nullptr) return nullptr;
  if (alignment == 0) {
    if (const sys::NothrowNew again = sys::runtime_nothrow_new()) return again(bytes, &kNothrowTag);
  } else if (const sys::AlignedNothrowNew again = sys::runtime_aligned_nothrow_new()) {
    return again(bytes, alignment, &kNothrowTag);
  }
  // A static program: the handler runs, and what it throws reaches the caller.
  while (const sys::NewHandler handler = sys::current_new_handler()) {
    handler();
    if (void* const block = try_new(bytes, alignment, origin)) return block;
  }
  return nullptr;
}

}  // namespace

TIDE_NOINLINE void* new_slow(size_t bytes, Origin origin) {
  void* const block = allocate_slow(bytes, origin);
  return TIDE_LIKELY(block != nullptr) ? block : new_failed(bytes, 0, origin);
}

TIDE_NOINLINE void* new_nothrow_slow(size_t bytes, Origin origin) {
  void* const block = allocate_slow(bytes, origin);
  return TIDE_LIKELY(block != nullptr) ? block : new_failed_nothrow(bytes, 0, origin);
}

void* new_aligned(size_t bytes, size_t alignment, Origin origin) {
  if (TIDE_UNLIKELY(!base::is_power_of_two(alignment))) sys::throw_bad_alloc();
  void* const block = allocate_aligned(alignment, bytes, origin);
  return TIDE_LIKELY(block != nullptr) ? block : new_failed(bytes, alignment, origin);
}

void* new_aligned_nothrow(size_t bytes, size_t alignment, Origin origin) {
  if (TIDE_UNLIKELY(!base::is_power_of_two(alignment))) return nullptr;
  void* const block = allocate_aligned(alignment, bytes, origin);
  return TIDE_LIKELY(block != nullptr) ? block : new_failed_nothrow(bytes, alignment, origin);
}

}  // namespace tide::api
