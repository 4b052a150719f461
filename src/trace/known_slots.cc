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

uint64_t take(std::array<ColumnReader, kColumns>& columns) {
  if (!columns[kSlots].skip(kLong)) {
    return columns[kSlots].split(columns[kSlotsLow], columns[kSlots]);
  }
  const uint64_t low = columns[kSlotsLow].byte();
  return low | uint64_t{columns[kSlotsLow].byte()} << 8 | columns[kSlotsLong].number() << 16;
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
  slots_.reserve(count);
  uint64_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t number = take(columns);
    last = kind == static_cast<uint64_t>(SlotNumbers::kPlain) ? number
                                                              : last + format::unzigzag(number);
    // Those that are none are found out when they are used.
    slots_.push_back(last < kNoSlot ? static_cast<uint32_t>(last) : kNoSlot);
  }
}

}  // namespace tide::trace
