// Buffers of the few sizes that programs use to read and write: 4 KiB to 256 KiB, few live, each
// replaced at random by one of another size.
//
// Half of them are larger than what allocators keep in size classes: what counts is how a thread
// gets such a block back that it freed a moment ago. One operation is one free and malloc.
#include <iterator>

#include "threads.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "buffers --threads 2 --live 12",
                         "Input and output buffers of a few sizes, replaced at random.");
  const auto threads = static_cast<uint32_t>(options.number("threads", "2", "threads"));
  const auto live = static_cast<uint32_t>(options.number("live", "12", "live buffers a thread"));
  const double seconds = options.real("seconds", "1", "duration");
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || live == 0) bench::fail("--threads and --live at least 1", 2);

  // One is a byte more than a power of two, as of a text and its end.
  constexpr size_t kSizes[] = {4096, 16384, 65536, 65537, 131072, 262144};
  std::vector<std::vector<void*>> buffers(threads, std::vector<void*>(live));
  bench::Meter meter("buffers");
  const uint64_t operations = bench::run_threads(
      meter, threads, seconds, [](uint32_t) {},
      [&](uint32_t thread, const std::atomic<bool>& stop) {
        bench::Rng rng(seed + thread);
        std::vector<void*>& mine = buffers[thread];
        uint64_t done = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          for (uint32_t i = 0; i < 64; ++i) {
            void*& buffer = mine[rng.below(live)];
            const size_t bytes = kSizes[rng.below(std::size(kSizes))];
            std::free(buffer);
            buffer = bench::must(std::malloc(bytes));
            bench::touch_block(buffer, bytes, bench::Touch::kEnds);
          }
          done += 64;
        }
        return done;
      },
      [&](uint32_t thread) {
        for (void* const buffer : buffers[thread]) std::free(buffer);
      });
  meter.report(operations);
  return 0;
}
