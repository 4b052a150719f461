// The malloc family, recorded (probe/recorded_malloc.h). Blocks that were given before the next
// malloc was known are ours alone.
#include "preload/bootstrap.h"
#include "preload/entry.h"
#include "probe/recorded_malloc.h"

namespace tide::preload {

namespace {

// A block that the next allocator does not know becomes one of its own.
void* leave_bootstrap(void* p, size_t bytes) {
  void* const block = malloc(bytes);
  if (block == nullptr) return nullptr;
  const size_t old = bootstrap_usable_size(p);
  memcpy(block, p, old < bytes ? old : bytes);
  return block;
}

}  // namespace

}  // namespace tide::preload

using namespace tide::preload;
namespace probe = tide::probe;

extern "C" {

TIDE_EXPORT void* malloc(size_t bytes) noexcept {
  return probe::recorded_malloc(g_next, TIDE_FRAME, bytes);
}

TIDE_EXPORT void free(void* p) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return;
  probe::recorded_free(g_next, TIDE_FRAME, p);
}

TIDE_EXPORT void* calloc(size_t count, size_t bytes) noexcept {
  return probe::recorded_calloc(g_next, TIDE_FRAME, count, bytes);
}

TIDE_EXPORT void* realloc(void* p, size_t bytes) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return leave_bootstrap(p, bytes);
  return probe::recorded_realloc(g_next, TIDE_FRAME, p, bytes);
}

TIDE_EXPORT void* reallocarray(void* p, size_t count, size_t bytes) noexcept {
  size_t all;
  if (TIDE_UNLIKELY(is_bootstrap(p)) && !__builtin_mul_overflow(count, bytes, &all)) {
    return leave_bootstrap(p, all);
  }
  return probe::recorded_reallocarray(g_next, TIDE_FRAME, p, count, bytes);
}

TIDE_EXPORT void free_sized(void* p, size_t bytes) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return;
  probe::recorded_free_sized(g_next, TIDE_FRAME, p, bytes);
}

TIDE_EXPORT void free_aligned_sized(void* p, size_t alignment, size_t bytes) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return;
  probe::recorded_free_aligned_sized(g_next, TIDE_FRAME, p, alignment, bytes);
}

TIDE_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return probe::recorded_aligned_alloc(g_next, TIDE_FRAME, alignment, bytes);
}

TIDE_EXPORT void* memalign(size_t alignment, size_t bytes) noexcept {
  return probe::recorded_memalign(g_next, TIDE_FRAME, alignment, bytes);
}

TIDE_EXPORT int posix_memalign(void** result, size_t alignment, size_t bytes) noexcept {
  return probe::recorded_posix_memalign(g_next, TIDE_FRAME, result, alignment, bytes);
}

TIDE_EXPORT void* valloc(size_t bytes) noexcept {
  return probe::recorded_valloc(g_next, TIDE_FRAME, bytes);
}

TIDE_EXPORT void* pvalloc(size_t bytes) noexcept {
  return probe::recorded_pvalloc(g_next, TIDE_FRAME, bytes);
}

// Not recorded: defined for the blocks that only we know.
TIDE_EXPORT size_t malloc_usable_size(void* p) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return bootstrap_usable_size(p);
  if (TIDE_UNLIKELY(g_next.malloc_usable_size == nullptr)) enter(TIDE_FRAME);
  return g_next.malloc_usable_size == nullptr ? 0 : g_next.malloc_usable_size(p);
}

}  // extern "C"
