// How long a block of the process heap is, and when realloc leaves it where it is: what realloc
// asks at every call, answered as quickly as free finds a block's stack.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "heap/space.h"
#include "layout/size_classes.h"
#include "layout/stacks.h"

namespace tide::heap {

// A block of a slab that belongs to no first-class heap, mostly a live one.
struct PlainBlock {
  uint8_t* state;
  uint32_t stack;  // 0: there is no such block
  size_t bytes() const { return layout::kStackBytes[stack]; }
};

// found(zone, granule) if a block of a slab may start at `p`, else nothing.
template <class Vm, class Found>
TIDE_INLINE auto with_granule(const Space<Vm>& space, const void* p, Found found)
    -> decltype(found(space.small, size_t{})) {
  const Zone<Vm>* zone = &space.small;
  size_t granule = zone->template granule_of<layout::kSmallGranuleShift>(p);
  if (granule >= zone->limit()) {
    zone = &space.mid;
    granule = zone->template granule_of<layout::kMidGranuleShift>(p);
    if (granule >= zone->limit()) return {};
  }
  return found(*zone, granule);
}

// The one that starts at `p`.
template <class Vm>
TIDE_INLINE PlainBlock plain_block(const Space<Vm>& space, const void* p) {
  return with_granule(space, p, [](const Zone<Vm>& zone, size_t granule) -> PlainBlock {
    const uint32_t stack = Zone<Vm>::stack_at(zone.states(), granule);
    if (zone.state_or_stack(granule) != stack) return {nullptr, 0};
    return {&zone.state(granule), stack};
  });
}

// The block of a size class that starts at `p`, whatever its state.
template <class Vm>
TIDE_INLINE PlainBlock block_of_class(const Space<Vm>& space, const void* p) {
  const Zone<Vm>& zone = space.small.contains(p) ? space.small : space.mid;
  const size_t granule = zone.granule_of_any(p);
  return {&zone.state(granule), Zone<Vm>::stack_at(zone.states(), granule)};
}

template <class Vm>
TIDE_INLINE size_t plain_block_bytes(const Space<Vm>& space, const void* p) {
  return plain_block(space, p).bytes();
}

// The bytes of a sampled block if it is one of a slab, else 0.
template <class Vm>
TIDE_INLINE size_t sampled_block_bytes(const Space<Vm>& space, const void* sampled) {
  return with_granule(space, sampled, [](const Zone<Vm>& zone, size_t granule) -> size_t {
    if (zone.state_or_stack(granule) != layout::kLiveSpecial) return 0;
    return layout::kStackBytes[Zone<Vm>::stack_at(zone.states(), granule)];
  });
}

// Whether a block of a slab that is to hold `bytes` stays as it is: shrinking below half is worth a
// move, except where there is little to gain.
constexpr bool stays_in_class(size_t usable, size_t bytes) {
  return bytes <= usable && (bytes > usable / 2 || usable <= 64);
}

// The least of 2^n and 3 * 2^n that is not less than `bytes`.
constexpr size_t growth_step(size_t bytes) {
  const size_t power = std::bit_ceil(bytes);
  const size_t between = power / 4 * 3;
  return bytes <= between ? between : power;
}

// What to ask for when a block of `usable` bytes has to move to hold `bytes`. One that grows a
// little, as a text that is written piece by piece, will grow again: it gets a third or a half more
// than it had, and moves a third as often. In steps that are the same for all, or what one leaves
// behind is of no use to the next. Spans have room to grow where they are.
constexpr size_t bytes_to_grow_to(size_t usable, size_t bytes) {
  constexpr size_t kLeast = 128;
  if (bytes <= usable || usable < kLeast || bytes > layout::kMidMaxBytes) return bytes;
  const size_t ahead = growth_step(usable + usable / 8);
  if (bytes >= ahead) return bytes;
  return ahead < layout::kMidMaxBytes ? ahead : layout::kMidMaxBytes;
}

}  // namespace tide::heap
