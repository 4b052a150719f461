// A pool of threads over a set of live blocks shrinks to a few, or all of it goes to sleep: what is
// resident beside the live blocks a second later?
//
// The live blocks are made first, by one thread. Then every thread allocates and writes its scratch
// memory; when all have, each frees its own. One operation is one block of scratch memory. Own
// figures: live_kib, floor_kib, and rss_0_kib and rss_1000_kib (when the last thread has freed its
// blocks, and ended unless it stays; and one second later), without the threads' stacks.
#include <barrier>
#include <thread>

#include "harness.h"
#include "resident.h"

namespace bench = tide::bench;

namespace {

constexpr size_t kMinBytes = 64;  // of a block
constexpr size_t kMaxBytes = 8192;

// Blocks of `total` bytes, written. Returns how many.
size_t fill(size_t total, bench::Rng& rng, const bench::SizeTable& sizes, bench::Held* out) {
  size_t count = 0;
  for (size_t done = 0; done < total; ++count) {
    const size_t bytes = sizes.pick(rng.next() >> 52);
    out[count] = {static_cast<char*>(bench::must(std::malloc(bytes))), bytes};
    std::memset(out[count].block, 4, bytes);
    done += bytes;
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "pool_shrinks --threads 200 --left 2",
                         "A pool of threads shrinks, or falls asleep.");
  const auto threads = static_cast<uint32_t>(options.number("threads", "200", "threads at first"));
  const uint64_t left = options.number("left", "2", "threads that stay, asleep");
  const size_t live = options.number("live", "64M", "bytes of blocks that stay");
  const size_t scratch = options.number("scratch", "1M", "bytes that each thread uses and frees");
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || left > threads) bench::fail("--threads at least 1 and at least --left", 2);

  const bench::SizeTable sizes(kMinBytes, kMaxBytes, true, seed);
  const size_t most_scratch = scratch / kMinBytes + 1;
  bench::Table<bench::Held> kept(live / kMinBytes + 1);
  bench::Table<bench::Held> blocks(threads * most_scratch);
  std::barrier all_filled(threads);
  std::barrier line(threads + 1);
  std::atomic<uint64_t> operations{0};
  std::atomic<uint32_t> busy{threads};
  std::atomic<bool> may_end{false};
  std::vector<std::thread> pool;
  pool.reserve(threads);
  bench::Rss rss;
  bench::Meter meter("pool_shrinks");
  rss.rebase();

  for (uint32_t i = 0; i < threads; ++i) {
    pool.emplace_back([&, i] {
      bench::Rng own_rng(seed + 1 + i);
      bench::Held* const mine = &blocks[i * most_scratch];
      line.arrive_and_wait();
      line.arrive_and_wait();
      const size_t count = fill(scratch, own_rng, sizes, mine);
      operations += count;
      all_filled.arrive_and_wait();
      for (size_t k = count; k > 0; --k) {
        std::swap(mine[k - 1], mine[own_rng.below(static_cast<uint32_t>(k))]);
        std::free(mine[k - 1].block);
      }
      busy.fetch_sub(1, std::memory_order_release);
      busy.notify_one();
      if (i < left) may_end.wait(false, std::memory_order_acquire);
    });
  }
  line.arrive_and_wait();
  const uint64_t stacks =
      rss.kib() * left / threads;  // of the threads that will be there at the end
  bench::Rng rng(seed);
  const size_t live_count = fill(live, rng, sizes, kept.begin());
  meter.start();
  line.arrive_and_wait();
  for (uint32_t now; (now = busy.load(std::memory_order_acquire)) != 0;)
    busy.wait(now, std::memory_order_acquire);
  for (uint32_t i = static_cast<uint32_t>(left); i < threads; ++i) pool[i].join();
  meter.stop();
  const double end = bench::seconds_now();
  const uint64_t rss_at_once = rss.kib() - stacks;
  bench::sleep_until(end + 1);
  const uint64_t rss_later = rss.kib() - stacks;

  uint64_t live_bytes = 0;
  for (size_t i = 0; i < live_count; ++i) live_bytes += kept[i].bytes;
  meter.add("live_kib", static_cast<double>(live_bytes) / 1024);
  meter.add("floor_kib", bench::page_floor_kib(kept.begin(), live_count));
  meter.add("rss_0_kib", static_cast<double>(rss_at_once));
  meter.add("rss_1000_kib", static_cast<double>(rss_later));
  may_end.store(true, std::memory_order_release);
  may_end.notify_all();
  for (uint32_t i = 0; i < left; ++i) pool[i].join();
  for (size_t i = 0; i < live_count; ++i) std::free(kept[i].block);
  meter.report(operations.load());
  return 0;
}
