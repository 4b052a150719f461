// Far more threads than cores, each with its own live blocks; then all of them park, most of
// their blocks freed: what their caches hold on to is the question.
//
// One operation is one call of malloc or free while all threads are busy. Own figures:
// live_kib (bytes still live while the threads are parked) and parked_rss_kib (one second later).
#include "harness.h"
#include "threads.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "threads_many --threads 200 --footprint 1M --seconds 2",
                         "Many threads on few cores, then parked with most blocks freed.");
  const auto threads = static_cast<uint32_t>(options.number("threads", "200", "threads"));
  const size_t footprint = options.number("footprint", "1M", "live bytes of each thread");
  const double seconds = options.real("seconds", "2", "length of the measured phase");
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || footprint < 4096)
    bench::fail("--threads at least 1, --footprint at least 4K", 2);

  const bench::SizeTable sizes(16, 8192, true, seed);
  struct Worker {
    std::vector<void*> blocks;
    std::vector<size_t> block_bytes;
    bench::Rng rng{0};
  };
  std::vector<Worker> workers(threads);
  std::atomic<uint64_t> live_bytes{0};
  std::atomic<uint32_t> parked{0};
  std::atomic<bool> release{false};
  double parked_rss = 0;

  bench::Meter meter("threads_many");
  std::thread observer([&] {
    while (parked.load(std::memory_order_acquire) != threads) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
    parked_rss = static_cast<double>(bench::rss_kib());
    release.store(true, std::memory_order_release);
    release.notify_all();
  });
  const uint64_t operations = bench::run_threads(
      meter, threads, seconds,
      [&](uint32_t i) {
        Worker& self = workers[i];
        self.rng = bench::Rng(seed + i);
        for (size_t total = 0; total < footprint;) {
          const size_t bytes = sizes.pick(self.rng.next() >> 52);
          self.blocks.push_back(bench::must(std::malloc(bytes)));
          self.block_bytes.push_back(bytes);
          bench::touch_block(self.blocks.back(), bytes, bench::Touch::kPages);
          total += bytes;
        }
      },
      [&](uint32_t i, std::atomic<bool>& stop) {
        Worker& self = workers[i];
        uint64_t replaced = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          for (uint32_t k = 0; k < 64; ++k) {
            const uint64_t random = self.rng.next();
            const uint32_t at =
                static_cast<uint32_t>(((random & 0xffffffff) * self.blocks.size()) >> 32);
            const size_t bytes = sizes.pick(random >> 52);
            std::free(self.blocks[at]);
            self.blocks[at] = bench::must(std::malloc(bytes));
            self.block_bytes[at] = bytes;
            bench::touch_block(self.blocks[at], bytes, bench::Touch::kPages);
          }
          replaced += 64;
        }
        return 2 * replaced;
      },
      [&](uint32_t i) {
        Worker& self = workers[i];
        uint64_t kept = 0;
        for (size_t k = 0; k < self.blocks.size(); ++k) {
          if (k % 8 == 0) {
            kept += self.block_bytes[k];
            continue;
          }
          std::free(self.blocks[k]);
          self.blocks[k] = nullptr;
        }
        live_bytes += kept;
        parked.fetch_add(1, std::memory_order_release);
        release.wait(false, std::memory_order_acquire);
        for (void* block : self.blocks) std::free(block);
      });
  observer.join();
  meter.add("live_kib", static_cast<double>(live_bytes.load()) / 1024);
  meter.add("parked_rss_kib", parked_rss);
  meter.report(operations);
  return 0;
}
