// Sampled profiles against what was allocated: right on average, and as far off as they say.
//
// Each run allocates the same blocks with another seed of the sampler. Bounds are those of chance:
// with the runs that there are, a sound sampler is beyond them once in thousands of seeds, and the
// seeds are fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "api/allocate.h"
#include "api/options.h"
#include "api/profile.h"
#include "heap/sample_points.h"

namespace tide {
namespace {

// Functions whose call stacks are told apart by the section that their code is in.
#define TIDE_SITE(number)                                                                     \
  extern "C" const char __start_site_##number[], __stop_site_##number[];                      \
  [[gnu::section("site_" #number), gnu::noinline]] void* allocate_at_##number(size_t bytes) { \
    void* block = api::allocate(bytes);                                                       \
    asm volatile("" : "+r"(block)); /* the call is none in the place of a return */           \
    return block;                                                                             \
  }
TIDE_SITE(0)
TIDE_SITE(1)
TIDE_SITE(2)
TIDE_SITE(3)

constexpr size_t kSites = 4;
constexpr void* (*kAllocate[kSites])(size_t) = {allocate_at_0, allocate_at_1, allocate_at_2,
                                                allocate_at_3};
const std::array<std::pair<const char*, const char*>, kSites> kCode = {
    {{__start_site_0, __stop_site_0},
     {__start_site_1, __stop_site_1},
     {__start_site_2, __stop_site_2},
     {__start_site_3, __stop_site_3}}};

// Blocks of one site: live at the end, and others that were freed at once.
struct Plan {
  size_t bytes;
  size_t live;
  size_t temporary = 0;
};
using Plans = std::array<Plan, kSites>;

struct Estimate {
  double live = 0;  // bytes
  double live_variance = 0;
  double live_blocks = 0;
  double allocated = 0;
  double allocated_variance = 0;
  uint64_t samples = 0;
};
using Estimates = std::array<Estimate, kSites>;

class ProfileStatistics : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Nothing that depends on time or that takes blocks out of turn.
    setenv("TIDE_OPTIONS", "guard_rate=0,background=off,purge=off", 1);
    api::engine();
  }

  static heap::ThreadCache& cache() { return *api::cache_or_null(); }

  static void start(size_t gap_bytes, uint64_t seed) {
    api::profile_reset();
    ASSERT_EQ(api::profile_start(gap_bytes), 0);
    // Threads follow in their slow path.
    api::release(api::allocate(size_t{1} << 20));
    ASSERT_NE(cache().marks, nullptr);
    heap::SamplePoints points(cache());
    points.open_all();
    points.start(static_cast<int64_t>(gap_bytes), base::mix(seed), cache().marks->counts_calls);
    api::profile_reset();
  }

  // In turn, a block of each site as often as it has them.
  static std::vector<void*> allocate_all(const Plans& plans) {
    std::vector<void*> blocks;
    size_t rounds = 0;
    for (const Plan& plan : plans) rounds = std::max({rounds, plan.live, plan.temporary});
    for (size_t round = 0; round < rounds; ++round) {
      for (size_t i = 0; i < kSites; ++i) {
        // The sampler slows down where samples come faster than a clock says.
        cache().marks->window_samples = 0;
        const auto is_due = [&](size_t count) {
          return round * count / rounds != (round + 1) * count / rounds;
        };
        if (is_due(plans[i].live)) blocks.push_back(kAllocate[i](plans[i].bytes));
        if (is_due(plans[i].temporary)) api::release(kAllocate[i](plans[i].bytes));
      }
    }
    return blocks;
  }

  static Estimates estimates() {
    Estimates result;
    const layout::ProfileTable& table = *api::g_samples.table();
    const auto* const stacks = reinterpret_cast<const layout::SampledStack*>(table.stacks);
    const auto* const frames = reinterpret_cast<const uint64_t*>(table.frames);
    for (uint32_t s = 0; s < table.stack_count; ++s) {
      for (uint32_t f = 0; f < stacks[s].frame_count; ++f) {
        const auto address = reinterpret_cast<const char*>(frames[stacks[s].first_frame + f]);
        for (size_t i = 0; i < kSites; ++i) {
          if (address <= kCode[i].first || address > kCode[i].second) continue;
          result[i].live += stacks[s].live.bytes;
          result[i].live_variance += stacks[s].live.bytes_variance;
          result[i].live_blocks += stacks[s].live.count;
          result[i].allocated += stacks[s].allocated.bytes;
          result[i].allocated_variance += stacks[s].allocated.bytes_variance;
          result[i].samples += stacks[s].samples;
        }
      }
    }
    EXPECT_EQ(table.missed, 0u);
    return result;
  }

  static std::vector<Estimates> runs(const Plans& plans, size_t gap_bytes, size_t count) {
    std::vector<Estimates> all;
    for (uint64_t seed = 1; seed <= count; ++seed) {
      start(gap_bytes, seed);
      const std::vector<void*> blocks = allocate_all(plans);
      all.push_back(estimates());
      for (void* const block : blocks) api::release(block);
    }
    api::profile_stop();
    return all;
  }

  struct Spread {
    double mean = 0;
    double deviation = 0;
    double of_mean = 0;  // the mean's own standard error
  };
  template <class Value>
  static Spread spread(const std::vector<Estimates>& all, Value value) {
    Spread spread;
    const auto count = static_cast<double>(all.size());
    for (const Estimates& one : all) spread.mean += value(one) / count;
    for (const Estimates& one : all) {
      spread.deviation += std::pow(value(one) - spread.mean, 2) / (count - 1);
    }
    spread.deviation = std::sqrt(spread.deviation);
    spread.of_mean = spread.deviation / std::sqrt(count);
    return spread;
  }
};

constexpr double kMostSigmas = 4;
// Of what is sampled for certain there is no spread to tell a fault from.
constexpr double kCertain = 1e-4;

TEST_F(ProfileStatistics, TotalsAreRightOnAverage) {
  // Blocks much smaller than the gap, about as large, larger, and such as are their own sample.
  const Plans plans = {{{64, 8000, 24'000}, {3000, 300, 900}, {20'000, 60, 60}, {400'000, 5, 5}}};
  const auto all = runs(plans, size_t{32} << 10, 600);
  for (size_t i = 0; i < kSites; ++i) {
    const Plan& plan = plans[i];
    const auto bytes = static_cast<double>(plan.bytes);
    const Spread live = spread(all, [&](const Estimates& one) { return one[i].live; });
    EXPECT_NEAR(live.mean, bytes * plan.live,
                kMostSigmas * live.of_mean + kCertain * bytes * plan.live)
        << "site " << i;
    const Spread blocks = spread(all, [&](const Estimates& one) { return one[i].live_blocks; });
    EXPECT_NEAR(blocks.mean, plan.live, kMostSigmas * blocks.of_mean + kCertain * plan.live)
        << "site " << i;
    const double allocated = bytes * static_cast<double>(plan.live + plan.temporary);
    const Spread made = spread(all, [&](const Estimates& one) { return one[i].allocated; });
    EXPECT_NEAR(made.mean, allocated, kMostSigmas * made.of_mean + kCertain * allocated)
        << "site " << i;
    printf("site %zu: live %.0f of %.0f, allocated %.0f of %.0f; one run is off by %.0f and %.0f\n",
           i, live.mean, bytes * plan.live, made.mean, allocated, live.deviation, made.deviation);
  }
}

// Between the largest classes there are lengths without a class.
TEST_F(ProfileStatistics, LengthsWithoutAClassAreSampled) {
  static_assert(layout::class_of(100'000) == 0 && layout::class_of(170'000) == 0 &&
                layout::class_of(130'000) != 0);
  const Plans plans = {{{100'000, 40, 40}, {170'000, 40, 40}, {130'000, 40, 40}, {300'000, 9, 9}}};
  const auto all = runs(plans, size_t{64} << 10, 60);
  for (size_t i = 0; i < kSites; ++i) {
    const auto truth = static_cast<double>(plans[i].bytes * plans[i].live);
    const Spread live = spread(all, [&](const Estimates& one) { return one[i].live; });
    EXPECT_NEAR(live.mean, truth, kMostSigmas * live.of_mean + kCertain * truth) << "site " << i;
  }
}

// Whether malloc finds a block at hand without the slow path.
bool is_fast(size_t bytes) {
  void* const block = heap::allocate_fast(api::g_engine.space(), *api::t_front, bytes);
  if (block != nullptr) api::release(block);
  return block != nullptr;
}

// A thread that goes round with one block of each size never fills or empties a stack: hardly ever
// is one of its few slots marked. Where every call is counted, its blocks are samples as all
// others.
TEST_F(ProfileStatistics, ShortCyclesAreSeenWhereEveryCallCounts) {
  constexpr size_t kRuns = 200;
  const Plans plans = {{{200, 0, 20'000}, {48, 0, 40'000}, {3000, 20, 2000}, {64, 2000, 0}}};
  ASSERT_EQ(api::set_option("profile_calls", "on"), api::OptionFault::kNone);
  const auto all = runs(plans, size_t{32} << 10, kRuns);
  ASSERT_EQ(api::set_option("profile_calls", "off"), api::OptionFault::kNone);
  for (size_t i = 0; i < kSites; ++i) {
    const auto truth = static_cast<double>(plans[i].bytes * (plans[i].live + plans[i].temporary));
    const Spread made = spread(all, [&](const Estimates& one) { return one[i].allocated; });
    EXPECT_NEAR(made.mean, truth, kMostSigmas * made.of_mean) << "site " << i;
    size_t within_one = 0;
    for (const Estimates& one : all) {
      if (std::abs(one[i].allocated - truth) <= std::sqrt(one[i].allocated_variance)) ++within_one;
    }
    const double share = static_cast<double>(within_one) / kRuns;
    EXPECT_GE(share, 0.56) << "site " << i;
    EXPECT_LE(share, 0.80) << "site " << i;
    printf("site %zu: allocated %.0f of %.0f, one run is off by %.0f; within one error %.2f\n", i,
           made.mean, truth, made.deviation, share);
  }
}

// What sends threads to the slow path once does so once.
TEST_F(ProfileStatistics, CalledThreadsAreFastAgain) {
  const size_t sizes[] = {1, 200, 1024, 1025, 30'000};
  const auto have_at_hand = [&] {
    for (const size_t bytes : sizes) api::release(api::allocate(bytes));
    for (const size_t bytes : sizes) api::release(api::allocate(bytes));
  };
  have_at_hand();
  for (const size_t bytes : sizes) EXPECT_TRUE(is_fast(bytes)) << bytes;
  api::g_engine.call_all_threads();
  for (const size_t bytes : sizes) EXPECT_FALSE(is_fast(bytes)) << bytes;
  have_at_hand();
  for (const size_t bytes : sizes) EXPECT_TRUE(is_fast(bytes)) << bytes;

  ASSERT_EQ(api::set_option("profile_calls", "on"), api::OptionFault::kNone);
  ASSERT_EQ(api::profile_start(0), 0);
  have_at_hand();
  for (const size_t bytes : sizes) EXPECT_FALSE(is_fast(bytes)) << bytes;
  api::profile_stop();
  have_at_hand();
  for (const size_t bytes : sizes) EXPECT_TRUE(is_fast(bytes)) << bytes;
  EXPECT_EQ(cache().marks, nullptr);
  ASSERT_EQ(api::set_option("profile_calls", "off"), api::OptionFault::kNone);
  api::profile_reset();
}

// Nobody outside has to stay alive for it.
TEST_F(ProfileStatistics, CountingEndsWithItsTime) {
  auto* const word = const_cast<uint32_t*>(&api::g_samples.table()->is_on);
  const auto count_until = [&](uint64_t end_s) {
    const uint32_t mode = layout::counting_until(layout::kSamplesEveryCallNow, end_s);
    __atomic_store_n(word, mode, __ATOMIC_RELAXED);
  };
  const auto make_samples = [] {
    const uint64_t before = estimates()[0].samples;
    for (size_t i = 0; i < 100'000 && estimates()[0].samples < before + 1; ++i) {
      api::release(kAllocate[0](200));
    }
    EXPECT_GE(estimates()[0].samples, before + 1);
  };
  start(4096, 1);
  count_until((uint64_t{1} << 30) - 1);
  api::g_engine.call_all_threads();
  make_samples();
  EXPECT_TRUE(cache().marks->counts_calls);

  count_until(1);  // a second after the machine's start
  make_samples();
  EXPECT_EQ(*word, layout::kSamplesPlaces);
  api::release(api::allocate(200));
  EXPECT_FALSE(cache().marks->counts_calls);
  EXPECT_FALSE(layout::is_table_closed(cache(), 200));
  api::profile_stop();
  api::profile_reset();
}

// What realloc leaves where it is stays a sample, and has its new length.
TEST_F(ProfileStatistics, ReallocInPlaceKeepsTheSample) {
  constexpr size_t kBlocks = 400;
  constexpr size_t kBefore = 1290;
  constexpr size_t kAfter = 1400;
  std::vector<Estimates> all;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    start(size_t{8} << 10, seed);
    std::vector<void*> blocks;
    for (size_t i = 0; i < kBlocks; ++i) {
      cache().marks->window_samples = 0;
      void* const block = kAllocate[0](kBefore);
      blocks.push_back(api::reallocate(block, kAfter));
      ASSERT_EQ(blocks.back(), block);
    }
    all.push_back(estimates());
    for (void* const block : blocks) api::release(block);
    EXPECT_EQ(api::g_samples.table()->live.bytes, 0);
  }
  api::profile_stop();
  const Spread live = spread(all, [](const Estimates& one) { return one[0].live; });
  EXPECT_NEAR(live.mean, kBlocks * kAfter, kMostSigmas * live.of_mean);
}

// A block that grows piece by piece moves as rarely when it is a sample.
TEST_F(ProfileStatistics, ASampleHasRoomToGrowAsAnyBlock) {
  constexpr size_t kLength = size_t{48} << 10;
  const auto moves_of_a_text = [](bool expect_sample) {
    size_t moves = 0;
    size_t sampled = 0;
    void* text = nullptr;
    for (size_t bytes = 64; bytes <= kLength; bytes += 64) {
      cache().marks->window_samples = 0;
      void* const grown = api::reallocate(text == nullptr ? kAllocate[0](bytes) : text, bytes);
      if (grown != text) ++moves;
      text = grown;
      if (api::g_samples.holds(text)) ++sampled;
    }
    if (expect_sample) EXPECT_GT(sampled, kLength / 64 / 2);
    if (!expect_sample) EXPECT_EQ(sampled, 0u);
    api::release(text);
    return moves;
  };
  start(size_t{1} << 40, 1);
  const size_t as_any = moves_of_a_text(false);
  start(size_t{4} << 10, 1);
  EXPECT_EQ(moves_of_a_text(true), as_any);
  api::profile_stop();
}

TEST_F(ProfileStatistics, AsOftenOffAsTheErrorSays) {
  const Plans plans = {{{48, 60'000, 0}, {3000, 1200, 3600}, {6000, 800, 0}, {30'000, 160, 160}}};
  const auto all = runs(plans, size_t{32} << 10, 500);
  for (size_t i = 0; i < kSites; ++i) {
    const auto truth = static_cast<double>(plans[i].bytes * plans[i].live);
    size_t within_one = 0;
    size_t within_two = 0;
    double predicted = 0;
    for (const Estimates& one : all) {
      const double off = std::abs(one[i].live - truth);
      const double error = std::sqrt(one[i].live_variance);
      within_one += off <= error ? 1 : 0;
      within_two += off <= 2 * error ? 1 : 0;
      predicted += one[i].live_variance / static_cast<double>(all.size());
    }
    const auto share = [&](size_t count) {
      return static_cast<double>(count) / static_cast<double>(all.size());
    };
    EXPECT_GE(share(within_one), 0.60) << "site " << i;
    EXPECT_LE(share(within_one), 0.76) << "site " << i;
    EXPECT_GE(share(within_two), 0.92) << "site " << i;
    // What is predicted is what there is.
    const Spread live = spread(all, [&](const Estimates& one) { return one[i].live; });
    EXPECT_NEAR(std::sqrt(predicted) / live.deviation, 1, 0.15) << "site " << i;
    printf("site %zu: within one error %.3f, two %.3f; error %.4f, predicted %.4f\n", i,
           share(within_one), share(within_two), live.deviation / truth,
           std::sqrt(predicted) / truth);
  }
}

// A cache goes from each to the next: were its marks the same, what one thread's samples miss all
// would miss.
TEST_F(ProfileStatistics, ShortThreadsHaveMarksOfTheirOwn) {
  ASSERT_EQ(api::profile_start(size_t{64} << 10), 0);
  std::set<uint64_t> drawn;
  constexpr size_t kThreads = 16;
  for (size_t i = 0; i < kThreads; ++i) {
    std::thread([&] {
      api::release(api::allocate(size_t{1} << 20));
      if (cache().marks != nullptr) drawn.insert(cache().marks->random);
    }).join();
  }
  EXPECT_EQ(drawn.size(), kThreads);
  api::profile_reset();
}

// As of 1 GiB at the usual rate: the same number of samples.
TEST_F(ProfileStatistics, AStackWithATwentiethOfTheHeap) {
  constexpr size_t kHeap = size_t{64} << 20;
  constexpr size_t kGap = (size_t{512} << 10) / 16;
  const Plans plans = {{{256, kHeap / 20 / 256},
                        {100, kHeap * 45 / 100 / 100},
                        {2000, kHeap * 30 / 100 / 2000},
                        {12'000, kHeap * 20 / 100 / 12'000}}};
  const auto all = runs(plans, kGap, 150);
  const auto truth = static_cast<double>(plans[0].bytes * plans[0].live);
  const Spread live = spread(all, [](const Estimates& one) { return one[0].live; });
  const double predicted = std::sqrt(kGap / truth);
  printf("a twentieth: error %.4f, predicted %.4f\n", live.deviation / truth, predicted);
  EXPECT_NEAR(live.mean, truth, kMostSigmas * live.of_mean);
  EXPECT_LT(predicted, 0.10);
  // 150 runs know their spread to 6 %.
  EXPECT_NEAR(live.deviation / truth, predicted, predicted * 0.2);
}

}  // namespace
}  // namespace tide
