// All replaceable forms of operator new and delete, recorded. No logic: see probe/recorded_new.h.
#include <new>

#include "preload/next.h"
#include "probe/recorded_new.h"

namespace probe = tide::probe;
using tide::preload::g_next;

namespace {

size_t bytes_of(std::align_val_t alignment) { return static_cast<size_t>(alignment); }

}  // namespace

TIDE_EXPORT void* operator new(size_t bytes) {
  return probe::recorded_new_block(g_next, TIDE_FRAME, bytes);
}

TIDE_EXPORT void* operator new(size_t bytes, const std::nothrow_t& tag) noexcept {
  return probe::recorded_new_nothrow(g_next, TIDE_FRAME, bytes, &tag);
}

TIDE_EXPORT void* operator new(size_t bytes, std::align_val_t alignment) {
  return probe::recorded_new_aligned(g_next, TIDE_FRAME, bytes, bytes_of(alignment));
}

TIDE_EXPORT void* operator new(size_t bytes, std::align_val_t alignment,
                               const std::nothrow_t& tag) noexcept {
  return probe::recorded_new_aligned_nothrow(g_next, TIDE_FRAME, bytes, bytes_of(alignment), &tag);
}

TIDE_EXPORT void* operator new[](size_t bytes) {
  return probe::recorded_new_array(g_next, TIDE_FRAME, bytes);
}

TIDE_EXPORT void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  return probe::recorded_new_array_nothrow(g_next, TIDE_FRAME, bytes, &tag);
}

TIDE_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment) {
  return probe::recorded_new_array_aligned(g_next, TIDE_FRAME, bytes, bytes_of(alignment));
}

TIDE_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment,
                                 const std::nothrow_t& tag) noexcept {
  return probe::recorded_new_array_aligned_nothrow(g_next, TIDE_FRAME, bytes, bytes_of(alignment),
                                                   &tag);
}

TIDE_EXPORT void operator delete(void* p) noexcept {
  probe::recorded_delete_block(g_next, TIDE_FRAME, p);
}

TIDE_EXPORT void operator delete(void* p, size_t bytes) noexcept {
  probe::recorded_delete_sized(g_next, TIDE_FRAME, p, bytes);
}

TIDE_EXPORT void operator delete(void* p, const std::nothrow_t& tag) noexcept {
  probe::recorded_delete_nothrow(g_next, TIDE_FRAME, p, &tag);
}

TIDE_EXPORT void operator delete(void* p, std::align_val_t alignment) noexcept {
  probe::recorded_delete_aligned(g_next, TIDE_FRAME, p, bytes_of(alignment));
}

TIDE_EXPORT void operator delete(void* p, std::align_val_t alignment,
                                 const std::nothrow_t& tag) noexcept {
  probe::recorded_delete_aligned_nothrow(g_next, TIDE_FRAME, p, bytes_of(alignment), &tag);
}

TIDE_EXPORT void operator delete(void* p, size_t bytes, std::align_val_t alignment) noexcept {
  probe::recorded_delete_sized_aligned(g_next, TIDE_FRAME, p, bytes, bytes_of(alignment));
}

TIDE_EXPORT void operator delete[](void* p) noexcept {
  probe::recorded_delete_array(g_next, TIDE_FRAME, p);
}

TIDE_EXPORT void operator delete[](void* p, size_t bytes) noexcept {
  probe::recorded_delete_array_sized(g_next, TIDE_FRAME, p, bytes);
}

TIDE_EXPORT void operator delete[](void* p, const std::nothrow_t& tag) noexcept {
  probe::recorded_delete_array_nothrow(g_next, TIDE_FRAME, p, &tag);
}

TIDE_EXPORT void operator delete[](void* p, std::align_val_t alignment) noexcept {
  probe::recorded_delete_array_aligned(g_next, TIDE_FRAME, p, bytes_of(alignment));
}

TIDE_EXPORT void operator delete[](void* p, std::align_val_t alignment,
                                   const std::nothrow_t& tag) noexcept {
  probe::recorded_delete_array_aligned_nothrow(g_next, TIDE_FRAME, p, bytes_of(alignment), &tag);
}

TIDE_EXPORT void operator delete[](void* p, size_t bytes, std::align_val_t alignment) noexcept {
  probe::recorded_delete_array_sized_aligned(g_next, TIDE_FRAME, p, bytes, bytes_of(alignment));
}
