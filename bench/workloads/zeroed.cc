// calloc of one big block in a loop; a byte here and there is checked to be zero and written.
//
// Memory that is known to be zero needs no clearing: an allocator that clears it all the same
// shows here. One operation is one calloc and free.
#include "harness.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "zeroed --size 1G --times 100",
                         "calloc of a big block in a loop.");
  const size_t bytes = options.number("size", "1G", "block size");
  const uint64_t times = options.number("times", "100", "blocks, one after the other");
  const uint64_t writes = options.number("writes", "16", "bytes checked and written in each");
  const uint64_t seed = options.seed();
  options.finish();
  if (bytes == 0) bench::fail("--size must be at least 1", 2);

  bench::Rng rng(seed);
  bench::Meter meter("zeroed");
  meter.start();
  for (uint64_t i = 0; i < times; ++i) {
    volatile char* const block = static_cast<volatile char*>(bench::must(std::calloc(1, bytes)));
    const uint64_t base = rng.next();
    for (uint64_t k = 0; k < writes; ++k) {
      volatile char& at = block[(base + k * 0x9e3779b97f4a7c15ull) % bytes];
      if (at != 0) bench::fail("calloc gave memory that is not zero");
      at = 1;
    }
    std::free(const_cast<char*>(block));
  }
  meter.stop();
  meter.report(times);
  return 0;
}
