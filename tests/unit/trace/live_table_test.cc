#include "trace/live_table.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <unordered_map>

namespace tide::trace {
namespace {

TEST(LiveTable, KeepsWhatABlockIs) {
  LiveTable table;
  const Block block{0x7fff'ffff'fff8,
                    UINT64_MAX - 1,
                    (uint64_t{1} << 48) - 1,
                    (uint64_t{1} << 48) - 1 + UINT32_MAX,
                    77,
                    88};
  const uint32_t slot = table.add(block);
  ASSERT_NE(slot, LiveTable::kNoSlot);
  EXPECT_EQ(table.add(block), LiveTable::kNoSlot);
  Block found;
  EXPECT_EQ(table.take(block.address, found), slot);
  EXPECT_EQ(found.address, block.address);
  EXPECT_EQ(found.time_ns, block.time_ns);
  EXPECT_EQ(found.size, block.size);
  EXPECT_EQ(found.usable, block.usable);
  EXPECT_EQ(found.thread, block.thread);
  EXPECT_EQ(found.stack, block.stack);
  EXPECT_EQ(table.take(block.address, found), LiveTable::kNoSlot);
  EXPECT_EQ(table.blocks(), 0u);
}

TEST(LiveTable, IsAMapWithRecycledSlots) {
  LiveTable table;
  std::unordered_map<uint64_t, uint32_t> model;
  std::set<uint32_t> used;
  std::mt19937_64 random(1);
  size_t most = 0;
  for (int i = 0; i < 300'000; ++i) {
    // Few addresses, close together, so that all ways of an open table are taken.
    const uint64_t address = 16 * (random() % 60'000);
    Block block{address, random(), random() % 1000, 1000, 1, 2};
    if (random() % 5 < 3) {
      const uint32_t slot = table.add(block);
      ASSERT_EQ(slot == LiveTable::kNoSlot, model.contains(address));
      if (slot == LiveTable::kNoSlot) continue;
      model[address] = slot;
      ASSERT_TRUE(used.insert(slot).second);
      most = std::max(most, used.size());
    } else {
      const uint32_t slot = table.take(address, block);
      ASSERT_EQ(slot == LiveTable::kNoSlot, !model.contains(address));
      if (slot == LiveTable::kNoSlot) continue;
      ASSERT_EQ(model[address], slot);
      model.erase(address);
      used.erase(slot);
    }
    ASSERT_EQ(table.blocks(), model.size());
  }
  EXPECT_EQ(table.slots(), most);
  size_t seen = 0;
  table.for_each([&](const Block& block, uint32_t slot) {
    EXPECT_EQ(model.at(block.address), slot);
    ++seen;
  });
  EXPECT_EQ(seen, model.size());
}

TEST(LiveTable, AMovingBlockKeepsItsSlot) {
  LiveTable table;
  const uint32_t slot = table.add({.address = 64, .size = 1});
  Block block;
  EXPECT_EQ(table.detach(64, block), slot);
  EXPECT_FALSE(table.contains(64));
  EXPECT_NE(table.add({.address = 64, .size = 2}), slot);
  table.for_each([&](const Block&, uint32_t at) { EXPECT_NE(at, slot); });
  block.address = 128;
  EXPECT_EQ(table.attach(slot, block), slot);
  EXPECT_TRUE(table.contains(128));
}

}  // namespace
}  // namespace tide::trace
