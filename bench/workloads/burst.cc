// Bursts of blocks over a live set that stays: each burst is allocated, written, and freed in
// random order; a few of its blocks join the live set and an old one leaves for each.
//
// One operation is one block of a burst (malloc and free).
#include "harness.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "burst --live 64M --burst 64M --bursts 24",
                         "Bursts of allocation over a live set.");
  const size_t live_target = options.number("live", "64M", "bytes that stay");
  const size_t burst_bytes = options.number("burst", "64M", "bytes of one burst");
  const uint64_t bursts = options.number("bursts", "24", "bursts");
  const uint64_t seed = options.seed();
  options.finish();

  const bench::SizeTable small(16, 2048, true, seed);
  const bench::SizeTable wide(2048, 65536, true, seed + 1);
  bench::Rng rng(seed);
  const auto allocate = [&](size_t& total) {
    const uint64_t random = rng.next();
    const size_t bytes = random % 16 == 0 ? wide.pick(random >> 52) : small.pick(random >> 52);
    void* const block = bench::must(std::malloc(bytes));
    bench::touch_block(block, bytes, bench::Touch::kAll);
    total += bytes;
    return block;
  };

  std::vector<void*> live;
  live.reserve(live_target / 256);
  for (size_t total = 0; total < live_target;) live.push_back(allocate(total));
  std::vector<void*> burst;
  burst.reserve(burst_bytes / 128);
  uint64_t operations = 0;

  bench::Meter meter("burst");
  meter.start();
  for (uint64_t round = 0; round < bursts; ++round) {
    burst.clear();
    for (size_t total = 0; total < burst_bytes;) burst.push_back(allocate(total));
    operations += burst.size();
    for (size_t i = burst.size(); i > 1; --i) {
      std::swap(burst[i - 1], burst[rng.below(static_cast<uint32_t>(i))]);
    }
    for (size_t i = 0; i < burst.size(); ++i) {
      if (i % 64 == 0 && !live.empty()) {
        std::swap(burst[i], live[rng.below(static_cast<uint32_t>(live.size()))]);
      }
      std::free(burst[i]);
    }
  }
  meter.stop();
  meter.add("live_rss_kib", static_cast<double>(bench::rss_kib()));
  for (void* block : live) std::free(block);
  meter.report(operations);
  return 0;
}
