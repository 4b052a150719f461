// System calls about memory, recorded where the program makes them. The allocator's own, and ours,
// pass by.
#include <dlfcn.h>
#include <cerrno>
#include <cstdarg>

#include "preload/entry.h"
#include "sys/memory_calls.h"

namespace probe = tide::probe;
namespace format = tide::format;
using namespace tide::preload;

namespace {

bool are_wanted() {
  const format::TraceArena* const arena = probe::g_recording.arena;
  return arena != nullptr && (arena->flags & format::kWithSystemCalls) != 0;
}

// Whether the code at `caller` is in the file that the program's malloc is from. If that stands
// before us we see nothing of it but these calls, the first ones in the middle of its own start:
// and ours calls malloc.
TIDE_NOINLINE TIDE_COLD bool is_of_malloc(const void* caller) {
  Dl_info from;
  Dl_info malloc_at;
  const void* const malloc_found = dlsym(RTLD_DEFAULT, "malloc");
  return malloc_found != nullptr && dladdr(caller, &from) != 0 &&
         dladdr(malloc_found, &malloc_at) != 0 && from.dli_fbase == malloc_at.dli_fbase;
}

// Null: not to be recorded. `caller`: where the call returns to.
TIDE_INLINE ThreadStream* enter_from(const void* frame, const void* caller) {
  if (g_own_code.contains(caller) || g_allocator_code.contains(caller)) return nullptr;
  if (TIDE_UNLIKELY(NextFunctions::is_untried()) && is_of_malloc(caller)) return nullptr;
  // Whoever never allocates has a trace as well, so the first call may be one of these.
  ThreadStream* const stream = enter(frame);
  return stream != nullptr && are_wanted() ? stream : nullptr;
}

template <class Serve>
void* mapping(const void* frame, const void* caller, size_t bytes, int protection, int flags,
              int descriptor, uint64_t offset, Serve serve) {
  ThreadStream* const stream = enter_from(frame, caller);
  if (stream == nullptr) return serve();
  set_busy(*stream, probe::kInCall);
  void* const p = serve();
  set_busy(*stream, probe::kWriting);
  probe::record_slow(*stream, frame,
                     {Call::kMmap,
                      p == MAP_FAILED ? 0 : number(p),
                      bytes,
                      0,
                      {static_cast<uint64_t>(protection), static_cast<uint64_t>(flags),
                       static_cast<uint64_t>(int64_t{descriptor} + 1), offset},
                      4,
                      false});
  set_busy(*stream, probe::kIdle);
  return p;
}

// munmap and madvise: recorded before, and once more when they failed.
template <class Serve>
int changing(const void* frame, const void* caller, const probe::Event& event, Serve serve) {
  ThreadStream* const stream = enter_from(frame, caller);
  if (stream == nullptr) return serve();
  set_busy(*stream, probe::kWriting);
  probe::record_slow(*stream, frame, event);
  set_busy(*stream, probe::kInCall);
  const int result = serve();
  if (result != 0) {
    set_busy(*stream, probe::kWriting);
    probe::record_slow(*stream, nullptr,
                       {Call::kFailed, 0, 0, 0, {static_cast<uint64_t>(errno)}, 1, false});
  }
  set_busy(*stream, probe::kIdle);
  return result;
}

// brk and sbrk: what the end of the data is afterwards.
template <class Serve>
auto moving_the_break(const void* frame, const void* caller, Serve serve) {
  ThreadStream* const stream = enter_from(frame, caller);
  if (stream == nullptr) return serve(nullptr);
  set_busy(*stream, probe::kInCall);
  uintptr_t end = 0;
  const auto result = serve(&end);
  set_busy(*stream, probe::kWriting);
  probe::record_slow(*stream, frame, {Call::kBrk, end, 0, 0, {}, 0, false});
  set_busy(*stream, probe::kIdle);
  return result;
}

}  // namespace

extern "C" {

TIDE_EXPORT void* mmap(void* address, size_t bytes, int protection, int flags, int descriptor,
                       off_t offset) noexcept {
  return mapping(
      TIDE_FRAME, TIDE_CALLER, bytes, protection, flags, descriptor, static_cast<uint64_t>(offset),
      [=] { return g_next.mmap(address, bytes, protection, flags, descriptor, offset); });
}

TIDE_EXPORT void* mmap64(void* address, size_t bytes, int protection, int flags, int descriptor,
                         off64_t offset) noexcept {
  return mapping(
      TIDE_FRAME, TIDE_CALLER, bytes, protection, flags, descriptor, static_cast<uint64_t>(offset),
      [=] { return g_next.mmap(address, bytes, protection, flags, descriptor, offset); });
}

TIDE_EXPORT int munmap(void* address, size_t bytes) noexcept {
  return changing(TIDE_FRAME, TIDE_CALLER, {Call::kMunmap, number(address), bytes, 0, {}, 0, false},
                  [=] { return g_next.munmap(address, bytes); });
}

TIDE_EXPORT int madvise(void* address, size_t bytes, int advice) noexcept {
  return changing(
      TIDE_FRAME, TIDE_CALLER,
      {Call::kMadvise, number(address), bytes, 0, {static_cast<uint64_t>(advice)}, 1, false},
      [=] { return g_next.madvise(address, bytes, advice); });
}

TIDE_EXPORT void* mremap(void* address, size_t old_bytes, size_t new_bytes, int flags,
                         ...) noexcept {
  void* to = nullptr;
  if (tide::sys::has_new_address(flags)) {
    va_list arguments;
    va_start(arguments, flags);
    to = va_arg(arguments, void*);
    va_end(arguments);
  }
  const auto serve = [=] { return g_next.mremap(address, old_bytes, new_bytes, flags, to); };
  const void* const frame = TIDE_FRAME;
  ThreadStream* const stream = enter_from(frame, TIDE_CALLER);
  if (stream == nullptr) return serve();
  set_busy(*stream, probe::kWriting);
  probe::record_slow(*stream, nullptr,
                     {Call::kMremap,
                      number(address),
                      old_bytes,
                      0,
                      {new_bytes, static_cast<uint64_t>(flags)},
                      2,
                      false});
  set_busy(*stream, probe::kInCall);
  void* const p = serve();
  set_busy(*stream, probe::kWriting);
  probe::record_slow(*stream, frame,
                     {Call::kMremapDone, p == MAP_FAILED ? 0 : number(p), 0, 0, {}, 0, false});
  set_busy(*stream, probe::kIdle);
  return p;
}

TIDE_EXPORT int brk(void* end) noexcept {
  using Brk = int(void*);
  static Brk* next = nullptr;
  return moving_the_break(TIDE_FRAME, TIDE_CALLER, [=](uintptr_t* now) {
    const int result = next_function(next, "brk")(end);
    if (now != nullptr && result == 0) *now = number(end);
    return result;
  });
}

TIDE_EXPORT void* sbrk(intptr_t increment) noexcept {
  using Sbrk = void*(intptr_t);
  static Sbrk* next = nullptr;
  return moving_the_break(TIDE_FRAME, TIDE_CALLER, [=](uintptr_t* now) {
    void* const before = next_function(next, "sbrk")(increment);
    if (now != nullptr && before != reinterpret_cast<void*>(-1)) {
      *now = number(before) + static_cast<uintptr_t>(increment);
    }
    return before;
  });
}

}  // extern "C"
