// The malloc family, recorded. What is asked of the next allocator is what was asked of us.
#include "preload/bootstrap.h"
#include "preload/entry.h"

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

// realloc and reallocarray: `write` records the intent, `bytes` is the size that stands in it,
// `all` what is asked for.
template <class Write, class Serve>
TIDE_INLINE void* resizing(const void* frame, void* p, size_t bytes, size_t all, Write write,
                           Serve serve) {
  ThreadStream* const stream = enter(frame);
  if (TIDE_UNLIKELY(stream == nullptr)) return serve();
  set_busy(*stream, probe::kWriting);
  probe::block_goes(*stream, number(p));
  write(*stream);
  set_busy(*stream, probe::kInCall);
  void* const result = serve();
  const uint64_t slack = slack_of(result, bytes);
  leave_call(*stream, number(result));
  probe::record(*stream, frame, Call::kReallocDone, number(result), 0, slack);
  probe::block_came(number(result), all);
  set_busy(*stream, probe::kIdle);
  return result;
}

}  // namespace

}  // namespace tide::preload

using namespace tide::preload;
namespace probe = tide::probe;

extern "C" {

TIDE_EXPORT void* malloc(size_t bytes) noexcept {
  return giving(TIDE_FRAME, Call::kMalloc, bytes, [=] { return g_next.malloc(bytes); });
}

TIDE_EXPORT void free(void* p) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return;
  const void* const frame = TIDE_FRAME;
  taking(
      frame, Call::kFree, p,
      [=](ThreadStream& s) { probe::record(s, frame, Call::kFree, number(p), 0, 0); },
      [=] { g_next.free(p); });
}

TIDE_EXPORT void* calloc(size_t count, size_t bytes) noexcept {
  return giving_with(TIDE_FRAME, Call::kCalloc, bytes, count, count * bytes,
                     [=] { return g_next.calloc(count, bytes); });
}

TIDE_EXPORT void* realloc(void* p, size_t bytes) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return leave_bootstrap(p, bytes);
  return resizing(
      TIDE_FRAME, p, bytes, bytes,
      [=](ThreadStream& s) { probe::record(s, nullptr, Call::kRealloc, number(p), bytes, 0); },
      [=] { return g_next.realloc(p, bytes); });
}

TIDE_EXPORT void* reallocarray(void* p, size_t count, size_t bytes) noexcept {
  size_t all;
  if (TIDE_UNLIKELY(is_bootstrap(p)) && !__builtin_mul_overflow(count, bytes, &all)) {
    return leave_bootstrap(p, all);
  }
  return resizing(
      TIDE_FRAME, p, bytes, count * bytes,
      [=](ThreadStream& s) {
        probe::record_with(s, nullptr, Call::kReallocarray, number(p), bytes, 0, count);
      },
      [=] { return g_next.reallocarray(p, count, bytes); });
}

TIDE_EXPORT void free_sized(void* p, size_t bytes) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return;
  const void* const frame = TIDE_FRAME;
  taking(
      frame, Call::kFreeSized, p,
      [=](ThreadStream& s) { probe::record(s, frame, Call::kFreeSized, number(p), bytes, 0); },
      [=] { g_next.free_sized(p, bytes); });
}

TIDE_EXPORT void free_aligned_sized(void* p, size_t alignment, size_t bytes) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return;
  const void* const frame = TIDE_FRAME;
  taking(
      frame, Call::kFreeAlignedSized, p,
      [=](ThreadStream& s) {
        probe::record_with(s, frame, Call::kFreeAlignedSized, number(p), bytes, 0, alignment);
      },
      [=] { g_next.free_aligned_sized(p, alignment, bytes); });
}

TIDE_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return giving_with(TIDE_FRAME, Call::kAlignedAlloc, bytes, alignment, bytes,
                     [=] { return g_next.aligned_alloc(alignment, bytes); });
}

TIDE_EXPORT void* memalign(size_t alignment, size_t bytes) noexcept {
  return giving_with(TIDE_FRAME, Call::kMemalign, bytes, alignment, bytes,
                     [=] { return g_next.memalign(alignment, bytes); });
}

TIDE_EXPORT int posix_memalign(void** result, size_t alignment, size_t bytes) noexcept {
  const void* const frame = TIDE_FRAME;
  ThreadStream* const stream = enter(frame);
  if (TIDE_UNLIKELY(stream == nullptr)) return g_next.posix_memalign(result, alignment, bytes);
  set_busy(*stream, probe::kInCall);
  const int error = g_next.posix_memalign(result, alignment, bytes);
  void* const p = error == 0 ? *result : nullptr;
  const uint64_t slack = slack_of(p, bytes);
  leave_call(*stream, number(p));
  probe::record_slow(*stream, frame,
                     {Call::kPosixMemalign,
                      number(p),
                      bytes,
                      slack,
                      {alignment, static_cast<uint64_t>(error)},
                      2,
                      false});
  probe::block_came(number(p), bytes);
  set_busy(*stream, probe::kIdle);
  return error;
}

TIDE_EXPORT void* valloc(size_t bytes) noexcept {
  return giving(TIDE_FRAME, Call::kValloc, bytes, [=] { return g_next.valloc(bytes); });
}

TIDE_EXPORT void* pvalloc(size_t bytes) noexcept {
  return giving(TIDE_FRAME, Call::kPvalloc, bytes, [=] { return g_next.pvalloc(bytes); });
}

// Not recorded: defined for the blocks that only we know.
TIDE_EXPORT size_t malloc_usable_size(void* p) noexcept {
  if (TIDE_UNLIKELY(is_bootstrap(p))) return bootstrap_usable_size(p);
  if (TIDE_UNLIKELY(g_next.malloc_usable_size == nullptr)) enter_aside(TIDE_FRAME);
  return g_next.malloc_usable_size == nullptr ? 0 : g_next.malloc_usable_size(p);
}

}  // extern "C"
