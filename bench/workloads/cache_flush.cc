// A cache that two threads fill and flush to a tenth, several times: how near to the page floor is
// RSS a second after each flush?
//
// Entries are spread over the threads anew at each flush, so half of the frees are of the other's
// blocks. One operation is one entry made. Own figures, worst of the flushes: over_floor (RSS over
// page floor one second later), with rss_0_kib, rss_1000_kib, live_kib and floor_kib of that one;
// and RSS over time (see Timeline).
#include <barrier>
#include <deque>
#include <thread>

#include "harness.h"
#include "resident.h"

namespace bench = tide::bench;

namespace {

constexpr size_t kMeanBytes = 2'900;  // of log-uniform 64 B to 16 KiB
constexpr double kLongestRun = 60;    // seconds of the timeline

struct Flush {
  double rss_at_once = 0;
  double rss_later = 0;
  double live = 0;
  double floor = 1;
  double over_floor() const { return rss_later / floor; }
};

void fill(size_t target, bench::Rng& rng, const bench::SizeTable& sizes,
          bench::Table<bench::Held>& entries, bench::LiveBytes& live) {
  size_t total = 0;
  for (const bench::Held& held : entries) total += held.bytes;
  while (total < target) {
    const size_t bytes = sizes.pick(rng.next() >> 52);
    entries.push({static_cast<char*>(bench::must(std::malloc(bytes))), bytes});
    std::memset(entries[entries.size() - 1].block, 4, bytes);
    live.add(static_cast<int64_t>(bytes));
    total += bytes;
  }
}

void flush(size_t target, bench::Rng& rng, bench::Table<bench::Held>& entries,
           bench::LiveBytes& live) {
  size_t total = 0;
  for (const bench::Held& held : entries) total += held.bytes;
  while (total > target && entries.size() > 0) {
    const bench::Held held = entries.take(rng.below(static_cast<uint32_t>(entries.size())));
    std::free(held.block);
    live.add(-static_cast<int64_t>(held.bytes));
    total -= held.bytes;
  }
}

// Every entry comes to a random thread.
void deal(std::deque<bench::Table<bench::Held>>& entries, bench::Table<bench::Held>& all,
          bench::Rng& rng) {
  all.clear();
  for (bench::Table<bench::Held>& mine : entries) {
    for (const bench::Held& held : mine) all.push(held);
    mine.clear();
  }
  for (const bench::Held& held : all)
    entries[rng.below(static_cast<uint32_t>(entries.size()))].push(held);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "cache_flush --cache 512M --threads 2 --flushes 3",
                         "A cache is filled and flushed to a tenth.");
  const size_t cache = options.number("cache", "512M", "bytes of the full cache");
  const uint64_t percent = options.number("left", "10", "percent that a flush leaves");
  const auto threads = static_cast<uint32_t>(options.number("threads", "2", "threads"));
  const uint64_t flushes = options.number("flushes", "3", "how often");
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || flushes == 0 || percent > 100)
    bench::fail("--threads and --flushes at least 1, --left at most 100", 2);

  const bench::SizeTable sizes(64, 16384, true, seed);
  const size_t most = 2 * (cache / kMeanBytes) + 4096;
  bench::Table<bench::LiveBytes> live(threads);
  bench::Table<bench::Held> all(most);
  std::deque<bench::Table<bench::Held>> entries;
  for (uint32_t i = 0; i < threads; ++i) entries.emplace_back(most);
  bench::Rss rss;
  bench::Timeline timeline(rss, live.begin(), threads, kLongestRun);
  std::barrier line(threads + 1);
  std::atomic<uint32_t> busy{0};
  std::atomic<bool> is_done{false};
  std::atomic<uint64_t> operations{0};
  uint64_t last_rss = 0;
  double last_free = 0;
  std::vector<std::thread> workers;
  workers.reserve(threads);
  bench::Meter meter("cache_flush");
  rss.rebase();

  // The last thread of a step notes when it ended.
  const auto end_step = [&] {
    if (busy.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    last_free = bench::seconds_now();
    last_rss = rss.kib();
    is_done.store(true, std::memory_order_release);
  };
  for (uint32_t i = 0; i < threads; ++i) {
    workers.emplace_back([&, i] {
      bench::Rng rng(seed + i);
      for (uint64_t round = 0; round < flushes; ++round) {
        line.arrive_and_wait();
        const size_t before = entries[i].size();
        fill(cache / threads, rng, sizes, entries[i], live[i]);
        operations += entries[i].size() - before;
        end_step();
        line.arrive_and_wait();
        flush(cache / threads * percent / 100, rng, entries[i], live[i]);
        end_step();
      }
      line.arrive_and_wait();
    });
  }
  const auto step = [&] {
    busy.store(threads, std::memory_order_relaxed);
    is_done.store(false, std::memory_order_relaxed);
    line.arrive_and_wait();
    timeline.watch(is_done);
  };

  meter.start();
  const double begin = bench::seconds_now();
  double working = 0;
  timeline.start(begin);
  bench::Rng rng(seed + threads);
  Flush worst;
  for (uint64_t round = 0; round < flushes; ++round) {
    const double step_begin = bench::seconds_now();
    step();
    working += last_free - step_begin;
    deal(entries, all, rng);
    const double flush_begin = bench::seconds_now();
    step();
    working += last_free - flush_begin;
    Flush now;
    now.rss_at_once = static_cast<double>(last_rss);
    timeline.watch_until(last_free + 1);
    now.rss_later = static_cast<double>(rss.kib());
    all.clear();
    for (bench::Table<bench::Held>& mine : entries) {
      for (const bench::Held& held : mine) all.push(held);
    }
    for (const bench::Held& held : all) now.live += static_cast<double>(held.bytes) / 1024;
    now.floor = bench::page_floor_kib(all.begin(), all.size());
    if (now.over_floor() > worst.over_floor()) worst = now;
  }
  meter.stop(begin + working);

  meter.add("over_floor", worst.over_floor());
  meter.add("rss_0_kib", worst.rss_at_once);
  meter.add("rss_1000_kib", worst.rss_later);
  meter.add("live_kib", worst.live);
  meter.add("floor_kib", worst.floor);
  timeline.add_to(meter);
  line.arrive_and_wait();
  for (std::thread& worker : workers) worker.join();
  for (const bench::Held& held : all) std::free(held.block);
  meter.report(operations.load());
  return 0;
}
