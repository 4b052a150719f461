#include "probe/stack_numbers.h"

#include <cstring>

namespace tide::probe {

namespace {

constexpr uint64_t kNumberMask = kStackSlots - 1;
constexpr uint32_t kMostHere = kStackSlots / 4 * 3;

void write(ThreadStream& stream, const uintptr_t* frames, size_t count, uint64_t tick) {
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

uint64_t define_stack(ThreadStream& stream, const uintptr_t* frames, size_t count, uint64_t hash,
                      uint64_t tick) {
  auto* const table = reinterpret_cast<uint64_t*>(&stream + 1);
  if (stream.stacks_here == 0 || stream.stacks_here == kMostHere) {
    stream.stacks_before += stream.stacks_here;
    stream.stacks_here = 0;
    memset(table, 0, kStackTableBytes);
  }
  size_t slot = hash >> (64 - kStackSlotBits);
  while (table[slot] != 0) slot = (slot + 1) % kStackSlots;
  write(stream, frames, count, tick);
  // Never 0, so an entry is not either.
  const uint64_t number = ++stream.stacks_here;
  table[slot] = (hash & ~kNumberMask) | number;
  return stream.stacks_before + number;
}

}  // namespace tide::probe
