#include "trace/known_slots.h"

#include <bit>

#include "host/error.h"

namespace tide::trace {

namespace {

// As ColumnWriter::split() and its reverse, but of a long number the low 16 bits stand in
// kSlotsLow, too: nothing packs them, and what is above them is nearly always the same.
void put(std::array<ColumnWriter, kColumns>& columns, uint64_t number) {
  if (number < kTwoBytes) return columns[kSlots].split(number, columns[kSlotsLow], columns[kSlots]);
  columns[kSlots].byte(kLong);
  columns[kSlotsLow].byte(number);
  columns[kSlotsLow].byte(number >> 8);
  columns[kSlotsLong].number(number >> 16);
}

uint64_t take(ColumnReader& first, ColumnReader& low, ColumnReader& above) {
  if (!first.skip(kLong)) return first.split(low, first);
  const uint64_t bits = low.byte();
  return bits | uint64_t{low.byte()} << 8 | above.number() << 16;
}

}  // namespace

void KnownSlots::write(std::array<ColumnWriter, kColumns>& columns) const {
  if (slots_.empty()) return;
  uint64_t bits_plain = 0;
  uint64_t bits_different = 0;
  uint32_t last = 0;
  for (const uint32_t slot : slots_) {
    bits_plain += static_cast<uint64_t>(std::bit_width(slot));
    bits_different += static_cast<uint64_t>(std::bit_width(format::zigzag(uint64_t{slot} - last)));
    last = slot;
  }
  const auto kind = bits_plain < bits_different ? SlotNumbers::kPlain : SlotNumbers::kDifferences;
  columns[kSlotsLong].number(static_cast<uint64_t>(kind));
  last = 0;
  for (const uint32_t slot : slots_) {
    const uint64_t number =
        kind == SlotNumbers::kPlain ? slot : format::zigzag(uint64_t{slot} - last);
    put(columns, number);
    last = slot;
  }
}

void KnownSlots::read(std::array<ColumnReader, kColumns>& columns) {
  clear();
  // A byte there for each.
  const size_t count = columns[kSlots].left();
  if (count == 0) return;
  const uint64_t kind = columns[kSlotsLong].number();
  if (kind > static_cast<uint64_t>(SlotNumbers::kPlain)) {
    throw host::Error("the chunk numbers its blocks in a way that is not known");
  }
  // Not those of the array: of these the compiler knows that nothing else writes to them.
  ColumnReader first = columns[kSlots], low = columns[kSlotsLow], above = columns[kSlotsLong];
  slots_.resize(count);
  uint64_t last = 0;
  for (uint32_t& slot : slots_) {
    const uint64_t number = take(first, low, above);
    last = kind == static_cast<uint64_t>(SlotNumbers::kPlain) ? number
                                                              : last + format::unzigzag(number);
    // Those that are none are found out when they are used.
    slot = last < kNoSlot ? static_cast<uint32_t>(last) : kNoSlot;
  }
  columns[kSlots] = first;
  columns[kSlotsLow] = low;
  columns[kSlotsLong] = above;
}

}  // namespace tide::trace
