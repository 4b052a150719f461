#include "trace/peak.h"

#include <gtest/gtest.h>

#include <random>

namespace tide::trace {
namespace {

TEST(Peak, IsTheHistogramOfItsMoment) {
  std::mt19937_64 random(3);
  Peak peak;
  std::vector<std::pair<uint64_t, uint32_t>> live;
  uint64_t bytes = 0;
  uint64_t most = 0;
  Histogram at_most;
  std::vector<Histogram::Bin> stacks_at_most;
  uint64_t time_ns = 0;
  for (int i = 0; i < 60'000; ++i) {
    // Grows, falls by more than is kept of changes, grows to a new peak, and again.
    const bool grows = i % 20'000 < 10'000 ? random() % 10 < 7 : random() % 10 < 3;
    if (live.empty() || grows) {
      const uint64_t size = random() % 5000;
      const auto stack = static_cast<uint32_t>(random() % 20);
      live.push_back({size, stack});
      bytes += size;
      peak.came(static_cast<uint64_t>(i), size, stack);
    } else {
      std::swap(live[random() % live.size()], live.back());
      bytes -= live.back().first;
      peak.gone(live.back().first, live.back().second);
      live.pop_back();
    }
    ASSERT_EQ(peak.live_bytes(), bytes);
    if (bytes > most) {
      most = bytes;
      time_ns = static_cast<uint64_t>(i);
      at_most = peak.live_sizes();
      stacks_at_most = peak.live_stacks();
    }
    if (i % 1000 != 0) continue;
    ASSERT_EQ(peak.bytes(), most);
    ASSERT_EQ(peak.time_ns(), time_ns);
    const Histogram found = peak.peak_sizes();
    for (size_t bin = 0; bin < Histogram::kBins; ++bin) {
      ASSERT_EQ(found.bins[bin].count, at_most.bins[bin].count) << i << " " << bin;
      ASSERT_EQ(found.bins[bin].sum, at_most.bins[bin].sum) << i << " " << bin;
    }
    const auto stacks = peak.peak_stacks();
    for (size_t stack = 1; stack < stacks_at_most.size(); ++stack) {
      ASSERT_EQ(stacks[stack].count, stacks_at_most[stack].count) << i << " " << stack;
      ASSERT_EQ(stacks[stack].sum, stacks_at_most[stack].sum) << i << " " << stack;
    }
  }
}

}  // namespace
}  // namespace tide::trace
