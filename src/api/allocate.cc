#include "api/allocate.h"

#include <cerrno>
#include <cstring>

#include "api/background.h"
#include "api/c_family.h"
#include "api/guarded.h"
#include "api/hardened.h"
#include "api/hardened_fast.h"
#include "api/options.h"
#include "api/profile.h"
#include "api/startup.h"
#include "api/surroundings.h"
#include "base/text.h"
#include "heap/block_bytes.h"
#include "sys/libc_heap.h"
#include "sys/report.h"
#include "sys/thread.h"
#include "sys/unwind_tables.h"

namespace tide::api {

namespace {

void* out_of_memory() {
  errno = ENOMEM;
  return nullptr;
}

// More than one thread may be here at once; both set the same.
void start_hardening_and_guards() {
  const OptionSet& set = options();
  const auto level = static_cast<uint32_t>(set.number(OptionId::harden));
  const uint64_t rate = set.number(OptionId::guard_rate);
  start_hardening(level);
  start_guards(rate);
  if (level >= kExactLevel || (rate != 0 && rate < kExactRate)) see_every_call();
}

// How many free blocks the thread has at hand from which one for `bytes` would come.
uint32_t at_hand(heap::ThreadCache* cache, size_t bytes) {
  const uint32_t c = layout::class_of(bytes);
  return cache == nullptr || c == 0 ? 0 : layout::stack_count(*cache, layout::own_stack(*cache, c));
}

// How many allocations a slow one stands for: itself, and those that it put at the thread's
// disposal. One that took what was there already is counted.
uint32_t allocations_of(uint32_t had, uint32_t has) { return has + 1 > had ? has + 1 - had : 0; }

// The block that `attempt` makes; once more if it was refused and limits have changed meanwhile.
template <class Attempt>
TIDE_INLINE void* allocate_by(Attempt attempt) {
  void* block = attempt();
  if (TIDE_LIKELY(block != nullptr && !g_engine.take_growth())) return block;
  if (watch_auto_limits() && block == nullptr) block = attempt();
  return block != nullptr ? block : out_of_memory();
}

TIDE_INLINE void* serve(const Request& request) {
  heap::ThreadCache* const cache = own_cache();
  if (TIDE_UNLIKELY(!g_engine.started())) return out_of_memory();
  if (TIDE_UNLIKELY(t_until_guarded <= 0)) {
    if (void* const block = guard_now(request.bytes, request.alignment)) return block;
  }
  const uint32_t had = at_hand(cache, request.bytes);
  void* const block = allocate_by([&]() -> void* {
    if (TIDE_UNLIKELY(g_harden != 0)) return hardened_allocate(cache, request);
    return take_block(cache, request, request.bytes);
  });
  if (TIDE_UNLIKELY(had != 0 && g_harden == 0)) RealEngine::reopen_tables(*cache, request.bytes);
  sample_if_due(cache, block, request.bytes, request.alignment);
  if (TIDE_UNLIKELY(g_engine.wants_look_after_refill(cache))) wake_background();
  t_until_guarded -= g_sees_every_call ? 1 : allocations_of(had, at_hand(cache, request.bytes));
  return block;
}

// The bytes of the block if it is one of a slab and nothing is special about it, else 0.
TIDE_INLINE size_t plain_bytes(const void* p) {
  return TIDE_LIKELY(g_harden == 0) ? heap::plain_block_bytes(g_engine.space(), p) : 0;
}

TIDE_INLINE void look_if_due(heap::ThreadCache* cache) {
  if (TIDE_UNLIKELY(g_engine.wants_look(cache))) wake_background();
}

// A span that the calling thread keeps, or null. (None is large enough for guards to look at.)
TIDE_INLINE void* take_span_at_hand(size_t bytes) {
  if (TIDE_UNLIKELY(g_samples.is_on())) return nullptr;
  return g_engine.take_span(*t_front, bytes);
}

TIDE_NOINLINE void release_slower(void* p, size_t bytes, Origin origin);

// Of a block that is not the engine's.
size_t bytes_elsewhere(const char* call, const void* p) {
  if (const size_t bytes = guarded_bytes(call, p)) return bytes;
  if (const size_t bytes = sys::libc_block_bytes(p)) return bytes;
  bad_pointer(call, p);
}

// The most of `wanted` for which a seal can say to the byte where `bytes` end in what is given.
size_t most_with_exact_seal(size_t wanted, size_t bytes) {
  const size_t most = bytes + kSealBytes + kMostSlack - 1;
  uint32_t c = layout::class_of(wanted + kSealBytes);
  if (c == 0 || layout::class_bytes(c) > most) c = layout::class_of(most);
  if (c != 0 && layout::class_bytes(c) > most) --c;
  const size_t room = layout::class_bytes(c) - kSealBytes;
  return c != 0 && room >= bytes ? room : bytes;
}

// For a block of a slab that has to move.
void* allocate_to_move(size_t usable, size_t bytes) {
  const size_t seal = TIDE_LIKELY(g_harden == 0) ? 0 : kSealBytes;
  size_t wanted = heap::bytes_to_grow_to(usable + seal, bytes + seal) - seal;
  // Where a span costs more than a move: it has a quarantine and a guard page of its own.
  constexpr size_t kMostOfClass = layout::kClassedMaxBytes - kSealBytes;
  if (g_harden >= kGuardLevel && bytes <= kMostOfClass && wanted > kMostOfClass) {
    wanted = kMostOfClass;
  }
  if (g_harden >= kExactLevel && wanted != bytes) wanted = most_with_exact_seal(wanted, bytes);
  if (wanted == bytes) return allocate(bytes);
  const int saved = errno;
  if (void* const block = allocate(wanted)) return block;
  errno = saved;
  return allocate(bytes);
}

}  // namespace

RealEngine& engine() {
  if (TIDE_UNLIKELY(!g_engine.started())) {
    sys::look_at_stderr();
    sys::note_objects_at_start();
    start_hardening_and_guards();
    g_engine.start(config_from_options());
    start_profile_by_options();
  }
  return g_engine;
}

namespace {

TIDE_NOINLINE void* allocate_slower(size_t bytes, Origin origin) {
  return serve({bytes, 0, false, origin, nullptr});
}

TIDE_NOINLINE void* allocate_hardened(size_t bytes, Origin origin) {
  if (g_harden >= kExactLevel) {
    if (void* const block = take_exact_fast(bytes, origin)) return block;
  }
  return allocate_slower(bytes, origin);
}

}  // namespace

TIDE_NOINLINE void* allocate_slow(size_t bytes, Origin origin) {
  if (TIDE_UNLIKELY(g_harden != 0)) return allocate_hardened(bytes, origin);
  if (TIDE_UNLIKELY(g_samples.counts_calls())) {
    if (void* const block = take_counted(bytes)) return block;
  }
  if (void* const block = take_span_at_hand(bytes)) return block;
  return allocate_slower(bytes, origin);
}

TIDE_NOINLINE void* allocate_zeroed_slow(size_t bytes) {
  return serve({bytes, 0, true, Origin::kMalloc, nullptr});
}

TIDE_NOINLINE void* allocate_aligned_slow(size_t alignment, size_t bytes, Origin origin) {
  return serve({bytes, alignment, false, origin, nullptr});
}

void* allocate_in_heap(heap::PrivateHeap<sys::LinuxVm>* heap, size_t alignment, size_t bytes,
                       bool zeroed) {
  return allocate_by([&] {
    if (TIDE_LIKELY(g_harden == 0)) return engine().heap_allocate(heap, bytes, alignment, zeroed);
    return hardened_allocate(own_cache(), {bytes, alignment, zeroed, Origin::kMalloc, heap});
  });
}

namespace {

TIDE_NOINLINE void release_span(void* p, size_t bytes, Origin origin) {
  if (g_engine.keep_span(*t_front, p)) return;
  release_slower(p, bytes, origin);
}

TIDE_NOINLINE void wake_if_due(heap::ThreadCache* cache) { look_if_due(cache); }

TIDE_NOINLINE void release_long_sealed(void* p, size_t bytes, Origin origin) {
  if (release_sealed_fast(p, bytes)) return look_if_due(static_cast<heap::ThreadCache*>(t_front));
  release_slower(p, bytes, origin);
}

// Without a call but at its end: there are no registers to save.
TIDE_NOINLINE void release_sealed(void* p, size_t bytes, Origin origin) {
  if (TIDE_UNLIKELY(!release_short_sealed(p, bytes))) return release_long_sealed(p, bytes, origin);
  auto* const cache = static_cast<heap::ThreadCache*>(t_front);
  if (TIDE_UNLIKELY(RealEngine::has_freed_much(*cache))) wake_if_due(cache);
}

// Level 2.
TIDE_NOINLINE void release_waiting(void* p, size_t bytes, Origin origin) {
  if (TIDE_UNLIKELY(!retire_sealed_fast(p, bytes))) return release_slower(p, bytes, origin);
  auto* const cache = cache_or_null();
  if (TIDE_UNLIKELY(RealEngine::has_freed_much(*cache))) wake_if_due(cache);
}

// Level 3.
TIDE_NOINLINE void release_exact(void* p, size_t bytes, Origin origin) {
  heap::ThreadCache* const cache = cache_or_null();
  if (TIDE_UNLIKELY(!retire_exact_fast(cache, p, origin, bytes))) {
    return release_slower(p, bytes, origin);
  }
  audit_if_due(cache);
  if (TIDE_UNLIKELY(RealEngine::has_freed_much(*cache))) wake_if_due(cache);
}

TIDE_INLINE void release_hardened(void* p, size_t bytes, Origin origin) {
  if (g_harden == 1) return release_sealed(p, bytes, origin);
  if (g_harden == 2) return release_waiting(p, bytes, origin);
  release_exact(p, bytes, origin);
}

// While there are samples.
TIDE_NOINLINE void release_watched(void* p, size_t bytes, Origin origin) {
  if (p == nullptr) return;
  g_samples.remove(p);
  if (g_harden != 0) return release_hardened(p, bytes, origin);
  release_slower(p, bytes, origin);
}

}  // namespace

// Nothing but jumps: whoever does the work saves its registers itself.
TIDE_NOINLINE void release_slow(void* p, size_t bytes, Origin origin) {
  if (TIDE_UNLIKELY(g_samples.has_live())) return release_watched(p, bytes, origin);
  if (TIDE_UNLIKELY(g_harden != 0)) return release_hardened(p, bytes, origin);
  release_span(p, bytes, origin);
}

namespace {

TIDE_NOINLINE void release_slower(void* p, size_t bytes, Origin origin) {
  if (p == nullptr) return;
  heap::ThreadCache* const cache = own_cache();
  if (TIDE_UNLIKELY(g_harden != 0) && hardened_release(cache, p, origin, bytes)) {
    return look_if_due(cache);
  }
  // A size of another class has failed on the fast path. One that is too small may be a base
  // class's.
  if (bytes != kUnknownBytes) {
    const size_t usable = plain_bytes(p);
    if (TIDE_UNLIKELY(usable != 0 && bytes > usable)) wrong_size(p, bytes);
  }
  switch (g_engine.release_slow(cache, p)) {
    case heap::Released::kDone:
      return look_if_due(cache);
    case heap::Released::kForeign:
      if (release_guarded(p)) return;
      if (sys::libc_block_bytes(p) != 0) return sys::libc_free(p);
      [[fallthrough]];
    case heap::Released::kBad:
      bad_pointer("free", p);
  }
}

}  // namespace

size_t usable_size(const void* p) {
  if (p == nullptr) return 0;
  constexpr const char* kCall = "malloc_usable_size";
  if (const size_t bytes = plain_bytes(p)) return bytes;
  const size_t bytes = g_engine.usable_bytes(p);
  if (TIDE_UNLIKELY(bytes == 0)) return bytes_elsewhere(kCall, p);
  return TIDE_LIKELY(g_harden == 0) ? bytes : hardened_bytes(kCall, p, bytes);
}

namespace {

// A block of a slab, of which `usable` bytes are the program's.
TIDE_INLINE void* reallocate_plain(void* p, size_t usable, size_t bytes) {
  if (heap::stays_in_class(usable, bytes)) return p;
  void* const moved = allocate_to_move(usable, bytes);
  // A block that only had to become smaller can stay as it is.
  if (moved == nullptr) return bytes <= usable ? p : nullptr;
  memcpy(moved, p, bytes < usable ? bytes : usable);
  release(p);
  return moved;
}

// Level 3: the same with a seal to the byte.
void* allocate_to_move_exact(size_t room, size_t bytes) {
  void* const moved = allocate_to_move(room, bytes);
  const size_t whole = heap::plain_block_bytes(g_engine.space(), moved);
  if (whole != 0) hardened_resize(moved, whole, bytes);
  return moved;
}

// A large block, one of a first-class heap or of the C library's, a guarded one; any in hardened
// mode; or no block at all.
TIDE_NOINLINE void* reallocate_other(void* p, size_t bytes) {
  constexpr const char* kCall = "realloc";
  if (TIDE_UNLIKELY(g_has_standing_seals)) {
    const size_t whole = heap::plain_block_bytes(g_engine.space(), p);
    if (TIDE_LIKELY(whole != 0)) {
      if (!has_standing_seal(g_secret, p, whole - kSealBytes)) broken_seal(kCall, p, whole);
      return reallocate_plain(p, whole - kSealBytes, bytes);
    }
  }
  if (TIDE_UNLIKELY(g_harden >= kExactLevel) && grow_exact_fast(p, bytes)) return p;
  const bool is_exact_plain =
      g_harden >= kExactLevel && heap::plain_block_bytes(g_engine.space(), p) != 0;
  size_t usable = g_engine.usable_bytes(p);
  const bool ours = usable != 0;
  if (TIDE_UNLIKELY(!ours)) {
    usable = bytes_elsewhere(kCall, p);
    if (usable == bytes) return p;
  } else if (TIDE_UNLIKELY(g_harden != 0)) {
    if (hardened_grow_in_place(p, usable, bytes)) return p;
    const size_t known = hardened_bytes(kCall, p, usable);
    if (void* const same = hardened_resize(p, usable, bytes)) return same;
    usable = known;
  } else if (void* const same = g_engine.resize(p, usable, bytes, cache_or_null())) {
    if (heap::ThreadCache* const cache = cache_or_null()) look_if_due(cache);
    if (TIDE_UNLIKELY(g_samples.is_on())) sample_resized(p, same, usable, bytes);
    return same;
  }
  heap::PrivateHeap<sys::LinuxVm>* const heap = ours ? g_engine.heap_of(p) : nullptr;
  void* const moved = heap != nullptr  ? allocate_in_heap(heap, 0, bytes, false)
                      : is_exact_plain ? allocate_to_move_exact(usable, bytes)
                                       : allocate(bytes);
  if (moved == nullptr) {
    // A block that only had to become smaller can stay as it is.
    return bytes <= usable ? p : nullptr;
  }
  memcpy(moved, p, bytes < usable ? bytes : usable);
  release(p);
  return moved;
}

TIDE_NOINLINE void* move_plain(void* p, size_t usable, size_t bytes) {
  return reallocate_plain(p, usable, bytes);
}

// While there are samples: one of a slab goes as any block of its class. Without a call but at its
// end: there are no registers to save.
TIDE_NOINLINE void* reallocate_watched(void* p, size_t bytes) {
  const layout::SampledBlock* const sample = g_samples.find(p);
  if (sample == nullptr) return reallocate_other(p, bytes);
  const size_t usable = heap::sampled_block_bytes(g_engine.space(), p);
  if (TIDE_UNLIKELY(usable == 0)) return reallocate_other(p, bytes);
  if (TIDE_UNLIKELY(!heap::stays_in_class(usable, bytes))) return move_plain(p, usable, bytes);
  g_samples.resize(*sample, bytes);
  return p;
}

}  // namespace

void* reallocate(void* p, size_t bytes) {
  const size_t usable = plain_bytes(p);
  if (TIDE_LIKELY(usable != 0)) return reallocate_plain(p, usable, bytes);
  if (g_samples.has_live()) return reallocate_watched(p, bytes);
  return reallocate_other(p, bytes);
}

void collect_stats(heap::Stats& stats) {
  engine().collect_stats(stats);
  count_quarantine_as_cached(stats);
}

size_t purge() { return g_engine.purge(cache_or_null()); }

size_t purge_to(size_t target_bytes) { return g_engine.purge_to(cache_or_null(), target_bytes); }

void enforce_limits() { g_engine.enforce_limits(cache_or_null()); }

void bad_pointer(const char* call, const void* p) {
  using Kind = heap::PointerInfo::Kind;
  const heap::PointerInfo info = g_engine.describe(p);
  const bool freeing = call[0] == 'f';
  base::TextBuffer<256> line;
  const auto size_of_block = [&] {
    line.put('(').decimal(info.block_bytes).text(info.size_class != 0 ? "-byte class)" : " bytes)");
  };
  switch (info.kind) {
    case Kind::kFree:
      line.text(freeing ? "double free" : call).text(" of ").hex(base::address_of(p)).put(' ');
      if (info.block_bytes != 0) size_of_block();
      if (info.block_bytes == 0) line.text("(large block)");
      if (!freeing) line.text(", which is free already");
      break;
    case Kind::kInside:
      line.text(call).text(" of ").hex(base::address_of(p)).text(", which is inside the ");
      line.text(info.live ? "live" : "free").text(" block at ").hex(info.block).put(' ');
      size_of_block();
      break;
    case Kind::kUnused:
      line.text(call).text(" of ").hex(base::address_of(p));
      line.text(", where no block was ever allocated");
      break;
    case Kind::kForeign:
      line.text(call).text(" of ").hex(base::address_of(p));
      line.text(", which is not memory of this allocator");
      break;
    case Kind::kLive:
      line.text(call).text(" of ").hex(base::address_of(p)).text(", a race with another call");
      break;
  }
  sys::fatal(line.view());
}

}  // namespace tide::api
