// All replaceable forms of operator new and delete, recorded. What is asked of the next library is
// what was asked of us.
#include <new>

#include "preload/entry.h"

namespace probe = tide::probe;
namespace format = tide::format;
using namespace tide::preload;

namespace {

constexpr uint64_t kArray = format::kFormArray;
constexpr uint64_t kAligned = format::kFormAligned;
constexpr uint64_t kNothrow = format::kFormNothrow;
constexpr uint64_t kSized = format::kFormSized;

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
  return giving_or_throwing(TIDE_FRAME, Call::kNew, bytes, [=] { return g_next.new_block(bytes); });
}

TIDE_EXPORT void* operator new[](size_t bytes) {
  return giving_or_throwing(TIDE_FRAME, Call::kNewArray, bytes,
                            [=] { return g_next.new_array(bytes); });
}

TIDE_EXPORT void* operator new(size_t bytes, const std::nothrow_t& tag) noexcept {
  return giving_form(TIDE_FRAME, bytes, kNothrow, 0,
                     [&] { return g_next.new_nothrow(bytes, &tag); });
}

TIDE_EXPORT void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  return giving_form(TIDE_FRAME, bytes, kArray | kNothrow, 0,
                     [&] { return g_next.new_array_nothrow(bytes, &tag); });
}

TIDE_EXPORT void* operator new(size_t bytes, std::align_val_t alignment) {
  return giving_form(TIDE_FRAME, bytes, kAligned, bytes_of(alignment),
                     [=] { return g_next.new_aligned(bytes, bytes_of(alignment)); });
}

TIDE_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment) {
  return giving_form(TIDE_FRAME, bytes, kArray | kAligned, bytes_of(alignment),
                     [=] { return g_next.new_array_aligned(bytes, bytes_of(alignment)); });
}

TIDE_EXPORT void* operator new(size_t bytes, std::align_val_t alignment,
                               const std::nothrow_t& tag) noexcept {
  return giving_form(TIDE_FRAME, bytes, kAligned | kNothrow, bytes_of(alignment),
                     [&] { return g_next.new_aligned_nothrow(bytes, bytes_of(alignment), &tag); });
}

TIDE_EXPORT void* operator new[](size_t bytes, std::align_val_t alignment,
                                 const std::nothrow_t& tag) noexcept {
  return giving_form(TIDE_FRAME, bytes, kArray | kAligned | kNothrow, bytes_of(alignment), [&] {
    return g_next.new_array_aligned_nothrow(bytes, bytes_of(alignment), &tag);
  });
}

TIDE_EXPORT void operator delete(void* p) noexcept {
  taking_plain(TIDE_FRAME, Call::kDelete, p, [=] { g_next.delete_block(p); });
}

TIDE_EXPORT void operator delete[](void* p) noexcept {
  taking_plain(TIDE_FRAME, Call::kDeleteArray, p, [=] { g_next.delete_array(p); });
}

TIDE_EXPORT void operator delete(void* p, size_t bytes) noexcept {
  taking_sized(TIDE_FRAME, Call::kDelete, p, bytes, [=] { g_next.delete_sized(p, bytes); });
}

TIDE_EXPORT void operator delete[](void* p, size_t bytes) noexcept {
  taking_sized(TIDE_FRAME, Call::kDeleteArray, p, bytes,
               [=] { g_next.delete_array_sized(p, bytes); });
}

TIDE_EXPORT void operator delete(void* p, const std::nothrow_t& tag) noexcept {
  taking_form(TIDE_FRAME, p, 0, kNothrow, 0, [&] { g_next.delete_nothrow(p, &tag); });
}

TIDE_EXPORT void operator delete[](void* p, const std::nothrow_t& tag) noexcept {
  taking_form(TIDE_FRAME, p, 0, kArray | kNothrow, 0,
              [&] { g_next.delete_array_nothrow(p, &tag); });
}

TIDE_EXPORT void operator delete(void* p, std::align_val_t alignment) noexcept {
  taking_form(TIDE_FRAME, p, 0, kAligned, bytes_of(alignment),
              [=] { g_next.delete_aligned(p, bytes_of(alignment)); });
}

TIDE_EXPORT void operator delete[](void* p, std::align_val_t alignment) noexcept {
  taking_form(TIDE_FRAME, p, 0, kArray | kAligned, bytes_of(alignment),
              [=] { g_next.delete_array_aligned(p, bytes_of(alignment)); });
}

TIDE_EXPORT void operator delete(void* p, std::align_val_t alignment,
                                 const std::nothrow_t& tag) noexcept {
  taking_form(TIDE_FRAME, p, 0, kAligned | kNothrow, bytes_of(alignment),
              [&] { g_next.delete_aligned_nothrow(p, bytes_of(alignment), &tag); });
}

TIDE_EXPORT void operator delete[](void* p, std::align_val_t alignment,
                                   const std::nothrow_t& tag) noexcept {
  taking_form(TIDE_FRAME, p, 0, kArray | kAligned | kNothrow, bytes_of(alignment),
              [&] { g_next.delete_array_aligned_nothrow(p, bytes_of(alignment), &tag); });
}

TIDE_EXPORT void operator delete(void* p, size_t bytes, std::align_val_t alignment) noexcept {
  taking_form(TIDE_FRAME, p, bytes, kAligned | kSized, bytes_of(alignment),
              [=] { g_next.delete_sized_aligned(p, bytes, bytes_of(alignment)); });
}

TIDE_EXPORT void operator delete[](void* p, size_t bytes, std::align_val_t alignment) noexcept {
  taking_form(TIDE_FRAME, p, bytes, kArray | kAligned | kSized, bytes_of(alignment),
              [=] { g_next.delete_array_sized_aligned(p, bytes, bytes_of(alignment)); });
}
