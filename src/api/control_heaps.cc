// First-class heaps, the visit of all blocks, and what is at an address.
#include "api/audit.h"
#include "api/c_family.h"
#include "api/control.h"
#include "api/guarded.h"
#include "api/hardened.h"
#include "base/align.h"
#include "base/compiler.h"
#include "base/racy.h"
#include "base/text.h"
#include "sys/report.h"

namespace tide::api {

namespace {

using Heap = heap::PrivateHeap<sys::LinuxVm>;

// tide_heap is a name for the engine's heap that C can say; nothing else is behind it.
Heap* inner(tide_heap_t* heap) { return reinterpret_cast<Heap*>(heap); }
tide_heap_t* outer(Heap* heap) { return reinterpret_cast<tide_heap_t*>(heap); }

// A heap that is used after its end, until another one has its place.
[[noreturn]] TIDE_COLD void destroyed_before(const char* call, const Heap* heap) {
  base::TextBuffer<160> line;
  line.text(call).text(" of the heap at ").hex(base::address_of(heap));
  line.text(", which was destroyed already");
  sys::fatal(line.view());
}
// The same, which must not have been destroyed; `call` is for the line that says otherwise.
TIDE_INLINE Heap* live(const char* call, tide_heap_t* heap) {
  Heap* const it = inner(heap);
  if (TIDE_UNLIKELY(!base::racy_load(it->is_live))) destroyed_before(call, it);
  return it;
}

// The API says 0 for "no limit", the engine SIZE_MAX.
size_t inner_limit(size_t limit) { return limit == 0 ? SIZE_MAX : limit; }
size_t outer_limit(size_t limit) { return limit == SIZE_MAX ? 0 : limit; }

void* allocate_in(tide_heap_t* heap, size_t alignment, size_t bytes, bool zeroed) {
  return allocate_in_heap(live("tide_heap_malloc", heap), alignment, bytes, zeroed);
}

struct Visit {
  tide_block_visitor visit;
  void* argument;
};

bool visit_one(const heap::BlockInfo& info, void* argument) {
  const auto& visit = *static_cast<const Visit*>(argument);
  Heap* const heap =
      info.heap_id == 0 ? nullptr : engine().heap_by_id(static_cast<uint16_t>(info.heap_id));
  if (g_harden != 0 && info.size_class == 0 && in_quarantine(info.address)) return true;
  const size_t usable =
      g_harden == 0 ? info.usable_bytes : hardened_bytes_at_most(info.address, info.usable_bytes);
  const tide_block block{info.address, usable,
                         info.size_class == 0 ? 0 : layout::class_bytes(info.size_class),
                         outer(heap)};
  return visit.visit(&block, visit.argument) != 0;
}

// By heap::BlockPlace::State.
constexpr uint32_t kPublicStates[] = {TIDE_NOT_OURS, TIDE_LIVE, TIDE_CACHED, TIDE_HELD_BACK,
                                      TIDE_FREE};

int describe_guarded(const void* address, tide_description& description) {
  using Found = probe::GuardPool::Found;
  uintptr_t block = 0;
  const Found found = g_guard_pool.find_around(address, block, description.usable_bytes);
  if (found == Found::kElsewhere) return 0;
  description.state = found == Found::kLive ? TIDE_LIVE : TIDE_FREE;
  description.block = reinterpret_cast<void*>(block);
  return 1;
}

bool visit_one_guarded(void* address, size_t bytes, void* argument) {
  const auto& visit = *static_cast<const Visit*>(argument);
  const tide_block block{address, bytes, 0, nullptr};
  return visit.visit(&block, visit.argument) != 0;
}

}  // namespace

tide_heap_t* heap_create(size_t limit) {
  RealEngine& started = engine();
  Heap* const heap = started.started() ? started.heap_create(inner_limit(limit)) : nullptr;
  if (heap == nullptr) out_of_memory_error();
  return outer(heap);
}

void heap_destroy(tide_heap_t* heap) {
  if (heap == nullptr) return;
  Heap* const it = live("tide_heap_destroy", heap);
  const SealInFlight flight(cache_or_null());
  if (g_harden != 0) clear_heap(it);
  engine().heap_destroy(it);
}

void* heap_allocate(tide_heap_t* heap, size_t alignment, size_t bytes) {
  if (!base::is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_in(heap, alignment, bytes, false);
}

void* heap_allocate_array(tide_heap_t* heap, size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return out_of_memory_error();
  return allocate_in(heap, layout::kMinAlignment, total, true);
}

void* heap_resize(tide_heap_t* heap, void* p, size_t bytes) {
  if (p == nullptr) return allocate_in(heap, layout::kMinAlignment, bytes, false);
  if (usable_size(p) != 0 && engine().heap_of(p) != live("tide_heap_realloc", heap)) {
    errno = EINVAL;
    return nullptr;
  }
  return resize(p, bytes);
}

tide_heap_t* heap_of(const void* p) {
  if (usable_size(p) == 0) return nullptr;
  return outer(engine().heap_of(p));
}

tide_heap_stats heap_stats(tide_heap_t* heap) {
  const heap::HeapUse use = engine().heap_use(live("tide_heap_get_stats", heap));
  return {use.live_bytes, use.live_blocks, outer_limit(use.limit_bytes), use.kept_bytes,
          outer_limit(use.soft_limit_bytes)};
}

void heap_set_limit(tide_heap_t* heap, size_t limit) {
  engine().heap_set_limit(live("tide_heap_set_limit", heap), inner_limit(limit));
}

void heap_set_soft_limit(tide_heap_t* heap, size_t limit) {
  engine().heap_set_soft_limit(live("tide_heap_set_soft_limit", heap), inner_limit(limit));
}

int heap_walk(tide_block_visitor visit, void* argument) {
  RealEngine& started = engine();
  if (!started.started()) return 1;
  Visit context{visit, argument};
  const bool all =
      started.visit_blocks(visit_one, &context) && visit_guarded(visit_one_guarded, &context);
  return all ? 1 : 0;
}

int describe(const void* address, tide_description& description) {
  using State = heap::BlockPlace::State;
  description = {};
  if (!g_engine.started()) return 0;
  const heap::BlockPlace place = g_engine.locate(address);
  if (place.state == State::kForeign) return describe_guarded(address, description);
  void* const block = reinterpret_cast<void*>(place.block);
  const bool is_large_live = place.state == State::kLive && place.size_class == 0;
  const State state = is_large_live && in_quarantine(block) ? State::kRetired : place.state;
  description.state = kPublicStates[static_cast<size_t>(state)];
  description.block = block;
  description.usable_bytes = place.block_bytes;
  if (place.size_class != 0) description.class_bytes = layout::class_bytes(place.size_class);
  if (place.heap_id != 0) {
    description.heap = outer(g_engine.heap_by_id(static_cast<uint16_t>(place.heap_id)));
  }
  if (state == State::kLive && g_harden != 0) {
    // The seal of a large block is not looked at: its pages may be denied at any moment.
    description.usable_bytes = is_large_live ? room_of(block, place.block_bytes)
                                             : hardened_bytes_at_most(block, place.block_bytes);
  }
  return 1;
}

}  // namespace tide::api
