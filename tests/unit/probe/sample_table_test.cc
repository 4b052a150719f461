#include "probe/sample_table.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>
#include <vector>

namespace tide::probe {
namespace {

const void* block(uint64_t number) { return reinterpret_cast<const void*>(number * 16); }

class SampleTableTest : public testing::Test {
 protected:
  void add(uint64_t number, size_t bytes, double chance, uintptr_t caller = 0x1000) {
    const uintptr_t frames[] = {caller, 0x2000};
    table_.add({block(number), bytes, chance, frames, 2, 1});
  }
  const layout::SampledStack& stack(uint32_t i) const {
    return reinterpret_cast<const layout::SampledStack*>(table_.table()->stacks)[i];
  }

  SampleTable table_;
};

TEST_F(SampleTableTest, CountsWhatASampleStandsFor) {
  add(1, 100, 0.25);
  EXPECT_EQ(stack(0).live.count, 4);
  EXPECT_EQ(stack(0).live.bytes, 400);
  EXPECT_EQ(stack(0).live.count_variance, 4 * 3);
  EXPECT_EQ(stack(0).live.bytes_variance, 4 * 3 * 100.0 * 100);
  table_.remove(block(2));
  EXPECT_EQ(table_.table()->live_count, 1u);
  table_.remove(block(1));
  EXPECT_EQ(table_.table()->live_count, 0u);
  EXPECT_EQ(stack(0).live.bytes, 0);
  EXPECT_EQ(stack(0).allocated.bytes, 400);
  EXPECT_EQ(stack(0).freed.count, 4);
}

TEST_F(SampleTableTest, ABlockThatIsResizedStaysASample) {
  add(1, 1000, 0.25);
  table_.resize(*table_.find(block(1)), 1010);  // not worth a note
  EXPECT_EQ(stack(0).live.bytes, 4000);
  table_.resize(*table_.find(block(1)), 1100);
  EXPECT_EQ(table_.find(block(2)), nullptr);
  EXPECT_EQ(stack(0).live.count, 4);
  EXPECT_EQ(stack(0).live.bytes, 4400);
  EXPECT_EQ(stack(0).allocated.bytes, 4400);
  EXPECT_EQ(stack(0).live.bytes_variance, 4 * 3 * 1100.0 * 1100);
  EXPECT_EQ(table_.table()->live.bytes, 4400);
  table_.remove(block(1));
  EXPECT_EQ(stack(0).freed.bytes, 4400);
  EXPECT_EQ(table_.table()->live.bytes, 0);
}

TEST_F(SampleTableTest, TellsStacksApart) {
  add(1, 100, 1, 0x1000);
  add(2, 100, 1, 0x1010);
  add(3, 100, 1, 0x1000);
  EXPECT_EQ(table_.table()->stack_count, 2u);
  EXPECT_EQ(stack(0).live.count, 2);
}

TEST_F(SampleTableTest, KeepsThePeak) {
  for (uint64_t i = 1; i <= 100; ++i) add(i, 1000, 1);
  for (uint64_t i = 1; i <= 90; ++i) table_.remove(block(i));
  add(1000, 1, 1, 0x1010);
  EXPECT_GE(table_.table()->peak.bytes, 100'000 / 1.05);
  EXPECT_EQ(stack(0).peak.bytes, table_.table()->peak.bytes);
  EXPECT_EQ(stack(1).peak.bytes, 0);
}

TEST_F(SampleTableTest, KnowsWhatIsLiveAfterThousandsOfSteps) {
  std::mt19937_64 random(4711);
  std::unordered_map<uint64_t, size_t> live;
  for (int step = 0; step < 200'000; ++step) {
    const uint64_t number = 1 + random() % (step % 50'000 < 25'000 ? 100 : 3000);
    const auto found = live.find(number);
    if (found == live.end()) {
      live[number] = random() % 1000 + 1;
      add(number, live[number], 0.5, 0x1000 + random() % 200);
    } else {
      ASSERT_TRUE(table_.holds(block(number))) << "step " << step;
      table_.remove(block(number));
      live.erase(found);
    }
    ASSERT_EQ(table_.table()->live_count, live.size());
  }
  double bytes = 0;
  for (const auto& [number, size] : live) bytes += 2.0 * static_cast<double>(size);
  EXPECT_NEAR(table_.table()->live.bytes, bytes, 1e-6 * bytes);
}

TEST_F(SampleTableTest, NoBlockIsNoSample) {
  add(1, 100, 1);
  table_.remove(nullptr);
  EXPECT_EQ(table_.table()->live_count, 1u);
}

TEST_F(SampleTableTest, ForgetsAll) {
  add(1, 100, 1);
  table_.reset();
  EXPECT_EQ(table_.table()->stack_count, 0u);
  EXPECT_FALSE(table_.holds(block(1)));
  add(1, 100, 1);
  EXPECT_EQ(stack(0).live.count, 1);
}

}  // namespace
}  // namespace tide::probe
