// Many threads that live for a moment, a few at a time; each leaves some blocks behind that the
// main thread frees later.
//
// One operation is one thread: created, its blocks made and most of them freed, joined.
#include "harness.h"
#include "threads.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "threads_short --threads 1000 --at-once 4",
                         "The cost of a thread that allocates: set-up, use and exit.");
  const auto threads = static_cast<uint32_t>(options.number("threads", "1000", "threads in all"));
  const auto at_once = static_cast<uint32_t>(options.number("at-once", "4", "threads at a time"));
  const auto blocks =
      static_cast<uint32_t>(options.number("blocks", "300", "blocks of each thread"));
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || at_once == 0 || blocks == 0) bench::fail("counts must be at least 1", 2);

  const bench::SizeTable sizes(16, 4096, true, seed);
  std::vector<std::vector<void*>> left(at_once);
  bench::Meter meter("threads_short");
  meter.start();
  for (uint32_t first = 0; first < threads; first += at_once) {
    const uint32_t count = std::min(at_once, threads - first);
    std::vector<std::thread> group;
    for (uint32_t k = 0; k < count; ++k) {
      left[k].clear();
      left[k].reserve(blocks / 8 + 1);
      group.emplace_back([&, k, first] {
        bench::Rng rng(seed + first + k);
        std::vector<void*> mine(blocks);
        for (void*& block : mine) {
          const size_t bytes = sizes.pick(rng.next() >> 52);
          block = bench::must(std::malloc(bytes));
          bench::touch_block(block, bytes, bench::Touch::kEnds);
        }
        for (uint32_t i = 0; i < blocks; ++i) {
          if (i % 8 == 7)
            left[k].push_back(mine[i]);
          else
            std::free(mine[i]);
        }
      });
    }
    for (std::thread& thread : group) thread.join();
    for (uint32_t k = 0; k < count; ++k) {
      for (void* block : left[k]) std::free(block);
    }
  }
  meter.stop();
  meter.report(threads);
  return 0;
}
