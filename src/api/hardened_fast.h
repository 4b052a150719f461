// malloc and free in hardened mode, as they nearly always go. Everything else is left to
// hardened.cc.
#pragma once

#include "api/allocate.h"
#include "api/audit.h"
#include "api/clear.h"
#include "api/guarded.h"
#include "api/hardened.h"
#include "api/seal.h"
#include "base/align.h"
#include "base/compiler.h"
#include "heap/block_bytes.h"
#include "heap/cache_use.h"
#include "heap/engine_retire.h"
#include "heap/shuffle.h"
#include "layout/stacks.h"

#include <cstring>

namespace tide::api {

// What seals are made with; fixed when the engine starts.
extern uint64_t g_secret __attribute__((visibility("hidden")));
// Blocks with less room than that are freed by release_short_sealed(); 0 but at level 1.
extern size_t g_short_room __attribute__((visibility("hidden")));
inline constexpr size_t kShortRoom = 512;
// Levels 1 and 2: blocks of size classes end in a standing seal, also while they are free.
extern bool g_has_standing_seals __attribute__((visibility("hidden")));

// Whether a block with a standing seal can be the one that the caller says: realloc leaves a block
// in place that has become up to half as long. `bytes`: see release_slow().
TIDE_INLINE bool may_be_size(size_t usable, size_t bytes) {
  return TIDE_LIKELY(bytes == kUnknownBytes) || usable > layout::kSmallMaxBytes ||
         heap::stays_in_class(usable - kSealBytes, bytes);
}

// Freed blocks of size classes read as zero, all of them but for a standing seal.
[[noreturn]] TIDE_COLD void touched_after_free(const void* block, size_t usable);
TIDE_INLINE void check_untouched(const void* block, size_t usable) {
  const size_t room = usable - kSealBytes;
  const bool intact = g_has_standing_seals
                          ? all_zero(block, room) && has_standing_seal(g_secret, block, room)
                          : all_zero(block, usable);
  if (TIDE_UNLIKELY(!intact)) touched_after_free(block, usable);
}

// Of the block that is handed out next.
inline constexpr size_t kPrefetchedLines = 4;

// Level 3: what the thread's cache has, checked, and sealed to the byte. Null: it has nothing, or
// another path has to look at the call.
TIDE_INLINE void* take_exact_fast(size_t bytes, Origin origin) {
  heap::ThreadCache* const cache = cache_or_null();
  if (TIDE_UNLIKELY(cache == nullptr || t_until_guarded <= 0)) return nullptr;
  const SealInFlight flight(cache);
  void* const block = heap::allocate_fast(g_engine.space(), *cache, bytes);
  if (TIDE_UNLIKELY(block == nullptr)) return nullptr;
  --t_until_guarded;
  const heap::PlainBlock its = heap::block_of_class(g_engine.space(), block);
  const size_t usable = its.bytes();
  // The next one is read when it is handed out: that its lines come meanwhile saves a tenth.
  const auto* const next = reinterpret_cast<const char*>(base::racy_load(*cache->top[its.stack]));
  for (size_t line = 0; line != kPrefetchedLines; ++line) {
    __builtin_prefetch(next + line * kLineBytes, 1);
  }
  check_untouched(block, usable);
  put_seal_on_zero(g_secret, block, usable - kSealBytes, bytes == 0 ? 1 : bytes, origin);
  return block;
}

// Level 1: a short block that goes to its own thread's stack, by straight code without a call.
// False: it is another one, or something stands in the way; it is live as before.
TIDE_INLINE bool release_short_sealed(void* p, size_t bytes) {
  const auto& zone = g_engine.space().small;
  const size_t granule = zone.template granule_of<layout::kSmallGranuleShift>(p);
  if (TIDE_UNLIKELY(granule >= zone.limit())) return false;
  const uint32_t stack = zone.stack_at(zone.states(), granule);
  // Of stack 0, which has no blocks, this is more than any.
  const size_t room = size_t{layout::kStackBytes[stack]} - kSealBytes;
  if (TIDE_UNLIKELY(room >= g_short_room || zone.state_or_stack(granule) != stack)) return false;
  auto& cache = static_cast<heap::ThreadCache&>(*t_front);
  if (TIDE_UNLIKELY(cache.top[stack] == cache.limit[stack])) return false;
  if (TIDE_UNLIKELY(!has_standing_seal(g_secret, p, room))) return false;
  if (!may_be_size(room + kSealBytes, bytes)) return false;
  clear_short_block(p, room);
  if (TIDE_UNLIKELY(!heap::begin_use(cache))) return false;
  base::racy_store(zone.state(granule), static_cast<uint8_t>(layout::kNotLive));
  heap::push_unforeseen(cache, stack, cache.top[stack], p);
  heap::end_use(cache);
  return true;
}

// The same of the block that leaves its wait, inlined or as a call.
TIDE_INLINE void inspect_standing(void* block, size_t usable) {
  const size_t room = usable - kSealBytes;
  const bool intact = all_zero(block, room) && has_standing_seal(g_secret, block, room);
  if (TIDE_UNLIKELY(!intact)) touched_after_free(block, usable);
}

// Level 2: check the seal, clear the block, and let it wait. False: nothing has changed.
TIDE_INLINE bool retire_sealed_fast(void* p, size_t bytes) {
  const heap::PlainBlock block = heap::plain_block(g_engine.space(), p);
  if (TIDE_UNLIKELY(block.stack == 0 || !g_engine.may_wait(block))) return false;
  heap::ThreadCache* const cache = cache_or_null();
  if (TIDE_UNLIKELY(cache == nullptr)) return false;
  const size_t usable = block.bytes();
  const size_t room = usable - kSealBytes;
  if (TIDE_UNLIKELY(!has_standing_seal(g_secret, p, room) || !may_be_size(usable, bytes))) {
    return false;
  }
  clear_any_block(p, room);
  g_engine.retire_plain(*cache, p, block, inspect_standing);
  return true;
}

// Level 3: who leaves its wait is looked at when it is handed out, until then by audits.
TIDE_INLINE void leave_unseen(void* /*block*/, size_t /*usable*/) {}

// Level 3: the same with an exact seal.
TIDE_INLINE bool retire_exact_fast(heap::ThreadCache* cache, void* p, Origin origin, size_t bytes) {
  const heap::PlainBlock block = heap::plain_block(g_engine.space(), p);
  if (TIDE_UNLIKELY(block.stack == 0 || !g_engine.may_wait(block) || cache == nullptr)) {
    return false;
  }
  const size_t usable = block.bytes();
  const size_t room = usable - kSealBytes;
  const SealInFlight flight(cache);
  Seal seal;
  if (TIDE_UNLIKELY(!read_seal(g_secret, p, room, seal) || !has_slack(p, room, seal.slack) ||
                    seal.origin != origin)) {
    return false;
  }
  if (bytes != kUnknownBytes && bytes != (room - seal.slack) % kSizeBits) {
    return false;
  }
  clear_any_block(p, room);
  memset(static_cast<char*>(p) + room, 0, kSealBytes);
  g_engine.retire_plain(*cache, p, block, leave_unseen);
  return true;
}

// Level 3: the block holds `bytes` where it is, no fewer than before. Of the slack behind them the
// beginning is checked, as hardened_grow_in_place() does. False: not possible, nothing has changed.
TIDE_INLINE bool grow_exact_fast(void* p, size_t bytes) {
  constexpr size_t kAlsoChecked = 64;
  heap::ThreadCache* const cache = cache_or_null();
  const heap::PlainBlock block = heap::plain_block(g_engine.space(), p);
  if (TIDE_UNLIKELY(block.stack == 0 || cache == nullptr)) return false;
  const size_t room = block.bytes() - kSealBytes;
  const SealInFlight flight(cache);
  Seal seal;
  if (TIDE_UNLIKELY(!read_seal(g_secret, p, room, seal))) return false;
  const size_t known = room - seal.slack;
  if (bytes < known || bytes > room || TIDE_UNLIKELY(seal.slack == kMostSlack)) return false;
  const size_t wanted = bytes - known + kAlsoChecked;
  const auto* const slack = static_cast<unsigned char*>(p) + known;
  constexpr size_t kMostly = kFewLines * kLineBytes;  // always the same, whatever it grew by
  if (TIDE_LIKELY(wanted <= kMostly && kMostly <= seal.slack)) {
    if (TIDE_UNLIKELY(!are_slack(slack, kMostly))) return false;
  } else {
    const size_t checked = wanted < seal.slack ? wanted : seal.slack;
    if (first_other_than(kSlackByte, slack, checked) != checked) return false;
  }
  seal.slack = room - bytes;
  put_seal_word(g_secret, p, room, seal);
  return true;
}

// Level 1: check the seal, clear the block, push it on the thread's stack. False: nothing has
// changed.
TIDE_INLINE bool release_sealed_fast(void* p, size_t bytes) {
  const heap::PlainBlock block = heap::plain_block(g_engine.space(), p);
  heap::CacheFront& front = *t_front;
  const uint32_t stack = block.stack;
  // There is room in no stack but of an own cache. Stack 0 is always full.
  uintptr_t* const top = front.top[stack];
  if (TIDE_UNLIKELY(top == front.limit[stack])) return false;
  const size_t usable = layout::kStackBytes[stack];
  const size_t room = usable - kSealBytes;
  if (TIDE_UNLIKELY(!has_standing_seal(g_secret, p, room) || !may_be_size(usable, bytes))) {
    return false;
  }
  clear_block(p, room);
  auto& cache = static_cast<heap::ThreadCache&>(front);
  const heap::CacheUse use(&cache);
  base::racy_store(*block.state, static_cast<uint8_t>(layout::kNotLive));
  // The top may have moved: what was taken out from outside is closed up first.
  heap::push_unforeseen(cache, stack, cache.top[stack], p);
  return true;
}

}  // namespace tide::api
