// The malloc family, recorded: each function asks of `next` (see entry.h) what was asked of it.
// `frame`: that of the exported function.
#pragma once

#include "probe/entry.h"

namespace tide::probe {

template <class Next>
TIDE_INLINE void* recorded_malloc(const Next& next, const void* frame, size_t bytes) {
  return giving(next, frame, Call::kMalloc, bytes, [&] { return next.malloc(bytes); });
}

template <class Next>
TIDE_INLINE void recorded_free(const Next& next, const void* frame, void* p) {
  taking(
      next, frame, Call::kFree, p,
      [=](ThreadStream& s) { record(s, frame, Call::kFree, number(p), 0, 0); },
      [&] { next.free(p); });
}

template <class Next>
TIDE_INLINE void* recorded_calloc(const Next& next, const void* frame, size_t count, size_t bytes) {
  return giving_with(next, frame, Call::kCalloc, bytes, count, count * bytes,
                     [&] { return next.calloc(count, bytes); });
}

// realloc and reallocarray: `write` records the intent, `bytes` is the size that stands in it,
// `all` what is asked for.
template <class Next, class Write, class Serve>
TIDE_INLINE void* resizing(const Next& next, const void* frame, void* p, size_t bytes, size_t all,
                           Write write, Serve serve) {
  ThreadStream* const stream = enter(frame, next.open);
  if (TIDE_UNLIKELY(stream == nullptr)) return serve();
  set_busy(*stream, kWriting);
  block_goes(*stream, number(p));
  write(*stream);
  set_busy(*stream, kInCall);
  uint8_t& path = begin_path();
  void* const result = serve();
  const uint64_t slack = slack_of(next, result, bytes);
  leave_call(*stream, number(result));
  record(*stream, frame, Call::kReallocDone, number(result), 0, slack, path);
  block_came(number(result), all);
  set_busy(*stream, kIdle);
  return result;
}

template <class Next>
TIDE_INLINE void* recorded_realloc(const Next& next, const void* frame, void* p, size_t bytes) {
  return resizing(
      next, frame, p, bytes, bytes,
      [=](ThreadStream& s) { record(s, nullptr, Call::kRealloc, number(p), bytes, 0); },
      [&] { return next.realloc(p, bytes); });
}

template <class Next>
TIDE_INLINE void* recorded_reallocarray(const Next& next, const void* frame, void* p, size_t count,
                                        size_t bytes) {
  return resizing(
      next, frame, p, bytes, count * bytes,
      [=](ThreadStream& s) {
        record_with(s, nullptr, Call::kReallocarray, number(p), bytes, 0, count);
      },
      [&] { return next.reallocarray(p, count, bytes); });
}

template <class Next>
TIDE_INLINE void recorded_free_sized(const Next& next, const void* frame, void* p, size_t bytes) {
  taking(
      next, frame, Call::kFreeSized, p,
      [=](ThreadStream& s) { record(s, frame, Call::kFreeSized, number(p), bytes, 0); },
      [&] { next.free_sized(p, bytes); });
}

template <class Next>
TIDE_INLINE void recorded_free_aligned_sized(const Next& next, const void* frame, void* p,
                                             size_t alignment, size_t bytes) {
  taking(
      next, frame, Call::kFreeAlignedSized, p,
      [=](ThreadStream& s) {
        record_with(s, frame, Call::kFreeAlignedSized, number(p), bytes, 0, alignment);
      },
      [&] { next.free_aligned_sized(p, alignment, bytes); });
}

template <class Next>
TIDE_INLINE void* recorded_aligned_alloc(const Next& next, const void* frame, size_t alignment,
                                         size_t bytes) {
  return giving_with(next, frame, Call::kAlignedAlloc, bytes, alignment, bytes,
                     [&] { return next.aligned_alloc(alignment, bytes); });
}

template <class Next>
TIDE_INLINE void* recorded_memalign(const Next& next, const void* frame, size_t alignment,
                                    size_t bytes) {
  return giving_with(next, frame, Call::kMemalign, bytes, alignment, bytes,
                     [&] { return next.memalign(alignment, bytes); });
}

template <class Next>
TIDE_INLINE int recorded_posix_memalign(const Next& next, const void* frame, void** result,
                                        size_t alignment, size_t bytes) {
  ThreadStream* const stream = enter(frame, next.open);
  if (TIDE_UNLIKELY(stream == nullptr)) return next.posix_memalign(result, alignment, bytes);
  set_busy(*stream, kInCall);
  uint8_t& path = begin_path();
  const int error = next.posix_memalign(result, alignment, bytes);
  void* const p = error == 0 ? *result : nullptr;
  const uint64_t slack = slack_of(next, p, bytes);
  leave_call(*stream, number(p));
  record_slow(*stream, frame,
              {Call::kPosixMemalign,
               number(p),
               bytes,
               slack,
               {alignment, static_cast<uint64_t>(error)},
               2,
               false,
               path});
  block_came(number(p), bytes);
  set_busy(*stream, kIdle);
  return error;
}

template <class Next>
TIDE_INLINE void* recorded_valloc(const Next& next, const void* frame, size_t bytes) {
  return giving(next, frame, Call::kValloc, bytes, [&] { return next.valloc(bytes); });
}

template <class Next>
TIDE_INLINE void* recorded_pvalloc(const Next& next, const void* frame, size_t bytes) {
  return giving(next, frame, Call::kPvalloc, bytes, [&] { return next.pvalloc(bytes); });
}

}  // namespace tide::probe
