#include "probe/stack_numbers.h"

#include <cstring>

#include "base/compiler.h"
#include "base/mix.h"

namespace tide::probe {

namespace {

constexpr uint64_t kNumberMask = kStackSlots - 1;
constexpr uint32_t kMostHere = kStackSlots / 4 * 3;

// Two sums that do not wait for each other: multiplications take several cycles each.
uint64_t hash_of(const uintptr_t* frames, size_t count) {
  constexpr uint64_t kFactor = 0x9fb21c651e98df25;
  uint64_t even = count;
  uint64_t odd = base::kGoldenGamma;
  size_t i = 0;
  for (; i + 1 < count; i += 2) {
    even = (even ^ frames[i]) * kFactor;
    odd = (odd ^ frames[i + 1]) * kFactor;
    even ^= even >> 29;
    odd ^= odd >> 31;
  }
  if (i < count) even = (even ^ frames[i]) * kFactor;
  return base::mix(even ^ (odd << 1));
}

void define(ThreadStream& stream, const uintptr_t* frames, size_t count, uint64_t tick) {
  format::put_record(stream.cursor, format::Call::kStack, tick, 0, 0, 0, 0);
  uint8_t* at = format::put_varint(stream.cursor.at, count);
  uint64_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    at = format::put_varint(at, format::zigzag(frames[i] - last));
    last = frames[i];
  }
  stream.cursor.at = at;
}

}  // namespace

uint64_t number_stack(ThreadStream& stream, const uintptr_t* frames, size_t count, uint64_t tick) {
  auto* const table = reinterpret_cast<uint64_t*>(&stream + 1);
  const uint64_t hash = hash_of(frames, count);
  const uint64_t tag = hash & ~kNumberMask;
  // 0: what stands in the table is another thread's.
  if (TIDE_UNLIKELY(stream.stacks_here == 0 || stream.stacks_here == kMostHere)) {
    stream.stacks_before += stream.stacks_here;
    stream.stacks_here = 0;
    memset(table, 0, kStackTableBytes);
  }
  size_t slot = hash >> (64 - kStackSlotBits);
  for (; table[slot] != 0; slot = (slot + 1) % kStackSlots) {
    if ((table[slot] & ~kNumberMask) == tag) {
      return stream.stacks_before + (table[slot] & kNumberMask);
    }
  }
  define(stream, frames, count, tick);
  // Never 0, so an entry is not either.
  const uint64_t number = ++stream.stacks_here;
  table[slot] = tag | number;
  return stream.stacks_before + number;
}

}  // namespace tide::probe
