// All replaceable forms of operator new and delete, recorded: each function asks of `next` (see
// entry.h) what was asked of it. `frame`: that of the exported function.
#pragma once

#include "probe/entry.h"

namespace tide::probe {

// As giving(), for a call that may end by an exception: nobody resets `busy` then, and enter()
// finds out by the frame, and what failed by `attempt`.
template <class Next, class Serve, class Write>
TIDE_INLINE void* giving_or_throwing_by(const Next& next, const void* frame, const Attempt& attempt,
                                        Serve serve, Write write) {
  const auto busy = reinterpret_cast<uintptr_t>(frame);
  const auto try_it = [&](ThreadStream* stream) {
    if (stream != nullptr) stream->attempt = attempt;
    return serve();
  };
  return giving_by(
      next, frame, busy, attempt.size, attempt.size, try_it, [](void*) {}, write);
}

template <class Next, class Serve>
TIDE_INLINE void* giving_or_throwing(const Next& next, const void* frame, Call call, size_t bytes,
                                     Serve serve) {
  return giving_or_throwing_by(
      next, frame, {call, false, 0, bytes, 0}, serve,
      [=](ThreadStream& stream, uint64_t block, uint64_t slack, uint64_t path) {
        record(stream, frame, call, block, bytes, slack, path);
      });
}

// The other forms of new: `form` is of format::NewForm. `alignment` 0: without one.
template <class Next, class Serve>
TIDE_INLINE void* giving_form(const Next& next, const void* frame, size_t bytes, uint32_t form,
                              size_t alignment, Serve serve) {
  return giving_or_throwing_by(
      next, frame, {Call::kNewForm, true, form, bytes, alignment}, serve,
      [=](ThreadStream& stream, uint64_t block, uint64_t slack, uint64_t path) {
        const uint32_t extras = alignment != 0 ? 2 : 1;
        record_slow(stream, frame,
                    {Call::kNewForm, block, bytes, slack, {form, alignment}, extras, false, path});
      });
}

template <class Next, class Serve>
TIDE_INLINE void taking_plain(const Next& next, const void* frame, Call call, void* p,
                              Serve serve) {
  taking(
      next, frame, call, p, [=](ThreadStream& s) { record(s, frame, call, number(p), 0, 0); },
      serve);
}

template <class Next, class Serve>
TIDE_INLINE void taking_sized(const Next& next, const void* frame, Call call, void* p, size_t bytes,
                              Serve serve) {
  taking(
      next, frame, call, p,
      [=](ThreadStream& s) { record_sized(s, frame, call, number(p), bytes); }, serve);
}

template <class Next, class Serve>
TIDE_INLINE void taking_form(const Next& next, const void* frame, void* p, size_t bytes,
                             uint64_t form, size_t alignment, Serve serve) {
  taking(
      next, frame, Call::kFree, p,
      [=](ThreadStream& s) {
        record_slow(s, frame,
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

template <class Next>
TIDE_INLINE void* recorded_new_block(const Next& next, const void* frame, size_t bytes) {
  return giving_or_throwing(next, frame, Call::kNew, bytes, [&] { return next.new_block(bytes); });
}

template <class Next>
TIDE_INLINE void* recorded_new_nothrow(const Next& next, const void* frame, size_t bytes,
                                       const void* tag) {
  return giving_form(next, frame, bytes, format::kFormNothrow, 0,
                     [&] { return next.new_nothrow(bytes, tag); });
}

template <class Next>
TIDE_INLINE void* recorded_new_aligned(const Next& next, const void* frame, size_t bytes,
                                       size_t alignment) {
  return giving_form(next, frame, bytes, format::kFormAligned, alignment,
                     [&] { return next.new_aligned(bytes, alignment); });
}

template <class Next>
TIDE_INLINE void* recorded_new_aligned_nothrow(const Next& next, const void* frame, size_t bytes,
                                               size_t alignment, const void* tag) {
  return giving_form(next, frame, bytes, format::kFormAligned | format::kFormNothrow, alignment,
                     [&] { return next.new_aligned_nothrow(bytes, alignment, tag); });
}

template <class Next>
TIDE_INLINE void* recorded_new_array(const Next& next, const void* frame, size_t bytes) {
  return giving_or_throwing(next, frame, Call::kNewArray, bytes,
                            [&] { return next.new_array(bytes); });
}

template <class Next>
TIDE_INLINE void* recorded_new_array_nothrow(const Next& next, const void* frame, size_t bytes,
                                             const void* tag) {
  return giving_form(next, frame, bytes, format::kFormArray | format::kFormNothrow, 0,
                     [&] { return next.new_array_nothrow(bytes, tag); });
}

template <class Next>
TIDE_INLINE void* recorded_new_array_aligned(const Next& next, const void* frame, size_t bytes,
                                             size_t alignment) {
  return giving_form(next, frame, bytes, format::kFormArray | format::kFormAligned, alignment,
                     [&] { return next.new_array_aligned(bytes, alignment); });
}

template <class Next>
TIDE_INLINE void* recorded_new_array_aligned_nothrow(const Next& next, const void* frame,
                                                     size_t bytes, size_t alignment,
                                                     const void* tag) {
  return giving_form(next, frame, bytes,
                     format::kFormArray | format::kFormAligned | format::kFormNothrow, alignment,
                     [&] { return next.new_array_aligned_nothrow(bytes, alignment, tag); });
}

template <class Next>
TIDE_INLINE void recorded_delete_block(const Next& next, const void* frame, void* p) {
  taking_plain(next, frame, Call::kDelete, p, [&] { next.delete_block(p); });
}

template <class Next>
TIDE_INLINE void recorded_delete_sized(const Next& next, const void* frame, void* p, size_t bytes) {
  taking_sized(next, frame, Call::kDelete, p, bytes, [&] { next.delete_sized(p, bytes); });
}

template <class Next>
TIDE_INLINE void recorded_delete_nothrow(const Next& next, const void* frame, void* p,
                                         const void* tag) {
  taking_form(next, frame, p, 0, format::kFormNothrow, 0, [&] { next.delete_nothrow(p, tag); });
}

template <class Next>
TIDE_INLINE void recorded_delete_aligned(const Next& next, const void* frame, void* p,
                                         size_t alignment) {
  taking_form(next, frame, p, 0, format::kFormAligned, alignment,
              [&] { next.delete_aligned(p, alignment); });
}

template <class Next>
TIDE_INLINE void recorded_delete_aligned_nothrow(const Next& next, const void* frame, void* p,
                                                 size_t alignment, const void* tag) {
  taking_form(next, frame, p, 0, format::kFormAligned | format::kFormNothrow, alignment,
              [&] { next.delete_aligned_nothrow(p, alignment, tag); });
}

template <class Next>
TIDE_INLINE void recorded_delete_sized_aligned(const Next& next, const void* frame, void* p,
                                               size_t bytes, size_t alignment) {
  taking_form(next, frame, p, bytes, format::kFormAligned | format::kFormSized, alignment,
              [&] { next.delete_sized_aligned(p, bytes, alignment); });
}

template <class Next>
TIDE_INLINE void recorded_delete_array(const Next& next, const void* frame, void* p) {
  taking_plain(next, frame, Call::kDeleteArray, p, [&] { next.delete_array(p); });
}

template <class Next>
TIDE_INLINE void recorded_delete_array_sized(const Next& next, const void* frame, void* p,
                                             size_t bytes) {
  taking_sized(next, frame, Call::kDeleteArray, p, bytes,
               [&] { next.delete_array_sized(p, bytes); });
}

template <class Next>
TIDE_INLINE void recorded_delete_array_nothrow(const Next& next, const void* frame, void* p,
                                               const void* tag) {
  taking_form(next, frame, p, 0, format::kFormArray | format::kFormNothrow, 0,
              [&] { next.delete_array_nothrow(p, tag); });
}

template <class Next>
TIDE_INLINE void recorded_delete_array_aligned(const Next& next, const void* frame, void* p,
                                               size_t alignment) {
  taking_form(next, frame, p, 0, format::kFormArray | format::kFormAligned, alignment,
              [&] { next.delete_array_aligned(p, alignment); });
}

template <class Next>
TIDE_INLINE void recorded_delete_array_aligned_nothrow(const Next& next, const void* frame, void* p,
                                                       size_t alignment, const void* tag) {
  taking_form(next, frame, p, 0, format::kFormArray | format::kFormAligned | format::kFormNothrow,
              alignment, [&] { next.delete_array_aligned_nothrow(p, alignment, tag); });
}

template <class Next>
TIDE_INLINE void recorded_delete_array_sized_aligned(const Next& next, const void* frame, void* p,
                                                     size_t bytes, size_t alignment) {
  taking_form(next, frame, p, bytes, format::kFormArray | format::kFormAligned | format::kFormSized,
              alignment, [&] { next.delete_array_sized_aligned(p, bytes, alignment); });
}

}  // namespace tide::probe
