// Two threads writing blocks that an allocator may have put on one cache line.
//
// --kind active: each thread allocates its own small blocks, writes them often, frees them.
// --kind passive: the main thread allocated neighbouring blocks and gave one to each thread;
// each thread frees its own and goes on with blocks of the same size.
// One operation is one round of writes between a malloc and a free.
#include "harness.h"
#include "threads.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "false_sharing --kind passive --threads 2 --seconds 1",
                         "Does the allocator give one cache line to two threads?");
  const std::string kind = options.text("kind", "active", "active or passive");
  const auto threads = static_cast<uint32_t>(options.number("threads", "2", "threads"));
  const size_t bytes = options.number("size", "16", "block size");
  const auto writes = static_cast<uint32_t>(
      options.number("writes", "200", "writes of a block before it is freed"));
  const double seconds = options.real("seconds", "1", "length of the measured phase");
  options.seed();
  options.finish();
  if (kind != "active" && kind != "passive")
    bench::fail("--kind: '" + kind + "' is neither active nor passive", 2);
  if (threads == 0 || bytes == 0) bench::fail("--threads and --size must be at least 1", 2);

  std::vector<void*> gifts(threads, nullptr);
  if (kind == "passive") {
    for (void*& gift : gifts) gift = bench::must(std::malloc(bytes));
  }
  bench::Meter meter("false_sharing");
  const uint64_t rounds = bench::run_threads(
      meter, threads, seconds, [](uint32_t) {},
      [&](uint32_t i, std::atomic<bool>& stop) {
        std::free(gifts[i]);
        uint64_t done = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          volatile char* const block = static_cast<volatile char*>(bench::must(std::malloc(bytes)));
          for (uint32_t k = 0; k < writes; ++k)
            // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): what is there
            block[k % bytes] = static_cast<char>(block[k % bytes] + 1);
          std::free(const_cast<char*>(block));
          ++done;
        }
        return done;
      },
      [](uint32_t) {});
  meter.report(rounds);
  return 0;
}
