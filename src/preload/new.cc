// All replaceable forms of operator new and delete, recorded. No logic: see probe/recorded_new.h.
#include <new>

#include "preload/next.h"
#include "probe/recorded_new.h"

namespace probe = tide::probe;
using tide::preload::g_next;

namespace {

size_t bytes_of(std::align_val_t alignment) { return static_cast<size_t>(alignment); }

// As giving(), for a call that may end by an exception: nobody resets `busy` then, and enter()
// finds out by the frame.
template <class Serve, class Write>
TIDE_INLINE void* giving_or_throwing_by(const void* frame, size_t bytes, Serve serve, Write write) {
  const auto busy = reinterpret_cast<uintptr_t>(frame);
  return giving_by(
      frame, busy, bytes, bytes, serve, [](void*) {}, write);
}

template <class Serve>
TIDE_INLINE void* giving_or_throwing(const void* frame, Call call, size_t bytes, Serve serve) {
  return giving_or_throwing_by(frame, bytes, serve,
                               [=](ThreadStream& stream, uint64_t block, uint64_t slack) {
                                 probe::record(stream, frame, call, block, bytes, slack);
                               });
}

// The other forms of new. `alignment` 0: without one.
template <class Serve>
TIDE_INLINE void* giving_form(const void* frame, size_t bytes, uint64_t form, size_t alignment,
                              Serve serve) {
  return giving_or_throwing_by(
      frame, bytes, serve, [=](ThreadStream& stream, uint64_t block, uint64_t slack) {
        const uint32_t extras = alignment != 0 ? 2 : 1;
        probe::record_slow(stream, frame,
                           {Call::kNewForm, block, bytes, slack, {form, alignment}, extras, false});
      });
}

template <class Serve>
TIDE_INLINE void taking_plain(const void* frame, Call call, void* p, Serve serve) {
  taking(
      frame, call, p, [=](ThreadStream& s) { probe::record(s, frame, call, number(p), 0, 0); },
      serve);
}

template <class Serve>
TIDE_INLINE void taking_sized(const void* frame, Call call, void* p, size_t bytes, Serve serve) {
  taking(
      frame, call, p,
      [=](ThreadStream& s) { probe::record_sized(s, frame, call, number(p), bytes); }, serve);
}

template <class Serve>
TIDE_INLINE void taking_form(const void* frame, void* p, size_t bytes, uint64_t form,
                             size_t alignment, Serve serve) {
  taking(
      frame, Call::kFree, p,
      [=](ThreadStream& s) {
        probe::record_slow(s, frame,
                           {Call::kDeleteForm,
                            number(p),
                            bytes,
                            0,
                            {form, alignment},
                            alignment != 0 ? 2u : 1u,
                            false});
      },
      serve);
}

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
