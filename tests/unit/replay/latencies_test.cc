// Buckets of latencies, percentiles from them, and the table of slots.
#include "replay/latencies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "format/replay_session.h"
#include "replay/live_pages.h"

namespace tide::replay {
namespace {

using format::latency_bucket;
using format::latency_bucket_begin;

TEST(LatencyHistogram, EveryValueIsInItsBucket) {
  for (uint64_t value = 0; value < 100'000; ++value) {
    const size_t bucket = latency_bucket(value);
    ASSERT_LE(latency_bucket_begin(bucket), value);
    ASSERT_GT(latency_bucket_begin(bucket + 1), value);
  }
  for (size_t bucket = 1; bucket < format::kLatencyBuckets; ++bucket) {
    ASSERT_EQ(latency_bucket(latency_bucket_begin(bucket)), bucket);
    ASSERT_EQ(latency_bucket(latency_bucket_begin(bucket) - 1), bucket - 1);
  }
  EXPECT_EQ(latency_bucket(UINT64_MAX), format::kLatencyBuckets - 1);
}

TEST(LatencyHistogram, PercentilesAreNearTheTrueOnes) {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> distribution(5, 1.5);
  LatencyBand band{};
  std::vector<uint64_t> values;
  for (int i = 0; i < 200'000; ++i) {
    const auto value = static_cast<uint64_t>(distribution(random));
    values.push_back(value);
    ++band.count;
    ++band.counts[latency_bucket(value)];
    band.longest = std::max(band.longest, value);
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.5, 0.9, 0.99, 0.999}) {
    const auto truth = static_cast<double>(
        values[static_cast<size_t>(share * static_cast<double>(values.size()))]);
    EXPECT_NEAR(ticks_at(band, share), truth, truth / 16 + 1) << share;
  }
  EXPECT_EQ(ticks_at(band, 1), static_cast<double>(band.longest));
}

TEST(LatencyHistogram, BandsOfSizes) {
  EXPECT_EQ(format::latency_band(0), 0u);
  EXPECT_EQ(format::latency_band(64), 0u);
  EXPECT_EQ(format::latency_band(65), 1u);
  EXPECT_EQ(format::latency_band(UINT64_MAX), format::kLatencyBands - 1);
}

TEST(ReplaySlot, HoldsAddressAndSize) {
  format::ReplaySlot slot{};
  auto* const pointer = reinterpret_cast<void*>(0x7fff'1234'5678);
  for (const uint64_t size :
       {uint64_t{0}, uint64_t{1}, uint64_t{0xffff'ffff}, format::kMostReplaySize}) {
    slot.set(pointer, size);
    EXPECT_EQ(slot.pointer(), pointer);
    EXPECT_EQ(slot.size(), size);
  }
  EXPECT_FALSE(format::ReplaySlot::can_hold(reinterpret_cast<void*>(uint64_t{1} << 48)));
}

TEST(LivePages, CountsEachPageOnce) {
  format::ReplaySlot slots[5] = {};
  slots[0].set(reinterpret_cast<void*>(0x10000), 100);
  slots[1].set(reinterpret_cast<void*>(0x10fff), 2);     // the same page and the next
  slots[2].set(reinterpret_cast<void*>(0x20000), 8192);  // two
  slots[4].set(reinterpret_cast<void*>(0x21000), 10);    // in them
  const LivePages live = count_live_pages(slots, 5, 4096);
  EXPECT_EQ(live.pages, 4u);
  EXPECT_EQ(live.bytes, 100u + 2 + 8192 + 10);
}

}  // namespace
}  // namespace tide::replay
