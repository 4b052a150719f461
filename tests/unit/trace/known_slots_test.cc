// Numbers of slots in a chunk: what is written is read, in either form, and nonsense is refused.
#include "trace/known_slots.h"

#include <gtest/gtest.h>

#include <random>

#include "host/error.h"

namespace tide::trace {
namespace {

using Writers = std::array<ColumnWriter, kColumns>;

Writers written(const std::vector<uint32_t>& slots) {
  KnownSlots known;
  for (const uint32_t slot : slots) known.add(slot);
  Writers columns;
  known.write(columns);
  return columns;
}

std::vector<uint32_t> slots_in(const Writers& columns) {
  std::array<ColumnReader, kColumns> readers;
  for (size_t i = 0; i < kColumns; ++i) readers[i] = ColumnReader(columns[i].bytes());
  KnownSlots known;
  known.read(readers);
  for (const ColumnReader& reader : readers) EXPECT_TRUE(reader.is_at_end());
  ChunkModel model;
  model.reset();
  std::vector<uint32_t> slots;
  while (!known.is_at_end()) slots.push_back(known.next(model));
  EXPECT_EQ(known.next(model), kNoSlot);
  return slots;
}

size_t bytes(const Writers& columns) {
  size_t sum = 0;
  for (const ColumnWriter& column : columns) sum += column.bytes().size();
  return sum;
}

TEST(KnownSlots, AreReadAsWritten) {
  std::mt19937 random(7);
  for (const uint32_t most : {1u, 191u, 192u, 16'319u, 16'320u, 70'000u, kNoSlot - 1}) {
    std::vector<uint32_t> slots = {0, most, most, 0};
    for (int i = 0; i < 1000; ++i) {
      slots.push_back(std::uniform_int_distribution<uint32_t>(0, most)(random));
    }
    EXPECT_EQ(slots_in(written(slots)), slots) << most;
  }
  EXPECT_TRUE(slots_in(written({})).empty());
  EXPECT_EQ(bytes(written({})), 0u);
}

TEST(KnownSlots, InOrderTakeAByteEach) {
  std::vector<uint32_t> slots;
  for (uint32_t i = 0; i < 5000; ++i) slots.push_back(100'000 + 7 * i);
  const Writers columns = written(slots);
  EXPECT_LT(bytes(columns), slots.size() + 10);
  EXPECT_EQ(slots_in(columns), slots);
}

TEST(KnownSlots, OfAnyOrderTakeNoMoreThanTheyMust) {
  std::mt19937 random(9);
  std::vector<uint32_t> slots;
  for (int i = 0; i < 5000; ++i) slots.push_back(random() % 16'000);
  EXPECT_LE(bytes(written(slots)), 2 * slots.size() + 10);
}

TEST(KnownSlots, OfAnUnknownFormAreRefused) {
  Writers columns = written({1, 2, 3});
  columns[kSlotsLong].clear();
  columns[kSlotsLong].number(2);
  EXPECT_THROW(slots_in(columns), host::Error);
  columns[kSlotsLong].clear();
  EXPECT_THROW(slots_in(columns), host::Error);
  columns = written({20'000});
  columns[kSlotsLow].clear();
  EXPECT_THROW(slots_in(columns), host::Error);
}

TEST(KnownSlots, BeyondAllSlotsAreNone) {
  Writers columns;
  columns[kSlots].byte(kLong);
  columns[kSlotsLow].byte(0);
  columns[kSlotsLow].byte(0);
  columns[kSlotsLong].number(static_cast<uint64_t>(SlotNumbers::kPlain));
  columns[kSlotsLong].number(uint64_t{1} << 40);
  EXPECT_EQ(slots_in(columns), std::vector<uint32_t>{kNoSlot});
}

}  // namespace
}  // namespace tide::trace
