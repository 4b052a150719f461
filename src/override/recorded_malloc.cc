// The recording twins of the functions in malloc.cc: where calls go while `tide trace --pid`
// records the process. No logic: every body is a call.
#include "probe/recorded_malloc.h"
#include "override/entry.h"
#include "override/own_functions.h"

namespace probe = tide::probe;

namespace {

constexpr tide::override::OwnFunctions kOwn;

}  // namespace

TIDE_TWIN void* tide_recorded_malloc(size_t bytes) noexcept {
  return probe::recorded_malloc(kOwn, TIDE_FRAME, bytes);
}

TIDE_TWIN void tide_recorded_free(void* p) noexcept { probe::recorded_free(kOwn, TIDE_FRAME, p); }

TIDE_TWIN void* tide_recorded_calloc(size_t count, size_t bytes) noexcept {
  return probe::recorded_calloc(kOwn, TIDE_FRAME, count, bytes);
}

TIDE_TWIN void* tide_recorded_realloc(void* p, size_t bytes) noexcept {
  return probe::recorded_realloc(kOwn, TIDE_FRAME, p, bytes);
}

TIDE_TWIN void* tide_recorded_reallocarray(void* p, size_t count, size_t bytes) noexcept {
  return probe::recorded_reallocarray(kOwn, TIDE_FRAME, p, count, bytes);
}

TIDE_TWIN void tide_recorded_free_sized(void* p, size_t bytes) noexcept {
  probe::recorded_free_sized(kOwn, TIDE_FRAME, p, bytes);
}

TIDE_TWIN void tide_recorded_free_aligned_sized(void* p, size_t alignment, size_t bytes) noexcept {
  probe::recorded_free_aligned_sized(kOwn, TIDE_FRAME, p, alignment, bytes);
}

TIDE_TWIN void* tide_recorded_aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return probe::recorded_aligned_alloc(kOwn, TIDE_FRAME, alignment, bytes);
}

TIDE_TWIN int tide_recorded_posix_memalign(void** result, size_t alignment, size_t bytes) noexcept {
  return probe::recorded_posix_memalign(kOwn, TIDE_FRAME, result, alignment, bytes);
}

TIDE_TWIN void* tide_recorded_memalign(size_t alignment, size_t bytes) noexcept {
  return probe::recorded_memalign(kOwn, TIDE_FRAME, alignment, bytes);
}

TIDE_TWIN void* tide_recorded_valloc(size_t bytes) noexcept {
  return probe::recorded_valloc(kOwn, TIDE_FRAME, bytes);
}

TIDE_TWIN void* tide_recorded_pvalloc(size_t bytes) noexcept {
  return probe::recorded_pvalloc(kOwn, TIDE_FRAME, bytes);
}
