// The recording twins of the functions in new.cc: where calls go while `tide trace --pid` records
// the process. No logic: every body is a call.
#include "probe/recorded_new.h"
#include "override/entry.h"
#include "override/own_functions.h"

namespace probe = tide::probe;

namespace {

constexpr tide::override::OwnFunctions kOwn;

}  // namespace

TIDE_TWIN void* tide_recorded_new_block(size_t bytes) {
  return probe::recorded_new_block(kOwn, TIDE_FRAME, bytes);
}

TIDE_TWIN void* tide_recorded_new_nothrow(size_t bytes, const void* tag) noexcept {
  return probe::recorded_new_nothrow(kOwn, TIDE_FRAME, bytes, tag);
}

TIDE_TWIN void* tide_recorded_new_aligned(size_t bytes, size_t alignment) {
  return probe::recorded_new_aligned(kOwn, TIDE_FRAME, bytes, alignment);
}

TIDE_TWIN void* tide_recorded_new_aligned_nothrow(size_t bytes, size_t alignment,
                                                  const void* tag) noexcept {
  return probe::recorded_new_aligned_nothrow(kOwn, TIDE_FRAME, bytes, alignment, tag);
}

TIDE_TWIN void* tide_recorded_new_array(size_t bytes) {
  return probe::recorded_new_array(kOwn, TIDE_FRAME, bytes);
}

TIDE_TWIN void* tide_recorded_new_array_nothrow(size_t bytes, const void* tag) noexcept {
  return probe::recorded_new_array_nothrow(kOwn, TIDE_FRAME, bytes, tag);
}

TIDE_TWIN void* tide_recorded_new_array_aligned(size_t bytes, size_t alignment) {
  return probe::recorded_new_array_aligned(kOwn, TIDE_FRAME, bytes, alignment);
}

TIDE_TWIN void* tide_recorded_new_array_aligned_nothrow(size_t bytes, size_t alignment,
                                                        const void* tag) noexcept {
  return probe::recorded_new_array_aligned_nothrow(kOwn, TIDE_FRAME, bytes, alignment, tag);
}

TIDE_TWIN void tide_recorded_delete_block(void* p) noexcept {
  probe::recorded_delete_block(kOwn, TIDE_FRAME, p);
}

TIDE_TWIN void tide_recorded_delete_nothrow(void* p, const void* tag) noexcept {
  probe::recorded_delete_nothrow(kOwn, TIDE_FRAME, p, tag);
}

TIDE_TWIN void tide_recorded_delete_sized(void* p, size_t bytes) noexcept {
  probe::recorded_delete_sized(kOwn, TIDE_FRAME, p, bytes);
}

TIDE_TWIN void tide_recorded_delete_aligned(void* p, size_t alignment) noexcept {
  probe::recorded_delete_aligned(kOwn, TIDE_FRAME, p, alignment);
}

TIDE_TWIN void tide_recorded_delete_aligned_nothrow(void* p, size_t alignment,
                                                    const void* tag) noexcept {
  probe::recorded_delete_aligned_nothrow(kOwn, TIDE_FRAME, p, alignment, tag);
}

TIDE_TWIN void tide_recorded_delete_sized_aligned(void* p, size_t bytes,
                                                  size_t alignment) noexcept {
  probe::recorded_delete_sized_aligned(kOwn, TIDE_FRAME, p, bytes, alignment);
}

TIDE_TWIN void tide_recorded_delete_array(void* p) noexcept {
  probe::recorded_delete_array(kOwn, TIDE_FRAME, p);
}

TIDE_TWIN void tide_recorded_delete_array_nothrow(void* p, const void* tag) noexcept {
  probe::recorded_delete_array_nothrow(kOwn, TIDE_FRAME, p, tag);
}

TIDE_TWIN void tide_recorded_delete_array_sized(void* p, size_t bytes) noexcept {
  probe::recorded_delete_array_sized(kOwn, TIDE_FRAME, p, bytes);
}

TIDE_TWIN void tide_recorded_delete_array_aligned(void* p, size_t alignment) noexcept {
  probe::recorded_delete_array_aligned(kOwn, TIDE_FRAME, p, alignment);
}

TIDE_TWIN void tide_recorded_delete_array_aligned_nothrow(void* p, size_t alignment,
                                                          const void* tag) noexcept {
  probe::recorded_delete_array_aligned_nothrow(kOwn, TIDE_FRAME, p, alignment, tag);
}

TIDE_TWIN void tide_recorded_delete_array_sized_aligned(void* p, size_t bytes,
                                                        size_t alignment) noexcept {
  probe::recorded_delete_array_sized_aligned(kOwn, TIDE_FRAME, p, bytes, alignment);
}
