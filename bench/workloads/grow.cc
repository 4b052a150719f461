// A vector that grows by realloc from 1 KiB to --to bytes, factor --factor over 100, written as it
// grows: the first byte of every new page.
//
// One operation is one whole growth, ended by free.
#include "harness.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "grow --to 1G --factor 150 --times 3",
                         "Growth of one block by realloc.");
  const size_t final_bytes = options.number("to", "1G", "size at which growth ends");
  const uint64_t percent =
      options.number("factor", "150", "growth of each step in percent: 150 is 1.5x");
  const uint64_t times = options.number("times", "3", "growths");
  options.seed();
  options.finish();
  if (percent < 101 || final_bytes < 1024)
    bench::fail("--factor at least 101, --to at least 1K", 2);

  bench::Meter meter("grow");
  meter.start();
  for (uint64_t i = 0; i < times; ++i) {
    size_t bytes = 1024;
    auto* block = static_cast<char*>(bench::must(std::malloc(bytes)));
    std::memset(block, 1, bytes);
    while (bytes < final_bytes) {
      const size_t wanted = std::min(bytes * percent / 100, final_bytes);
      block = static_cast<char*>(bench::must(std::realloc(block, wanted)));
      if (block[0] != 1 || block[bytes - 1] == 0) bench::fail("realloc lost the contents");
      for (size_t at = bytes; at < wanted; at += 4096) block[at] = 1;
      block[wanted - 1] = 1;
      bytes = wanted;
    }
    std::free(block);
  }
  meter.stop();
  meter.report(times);
  return 0;
}
