// Bursts in many threads, of which a few blocks stay; then all threads sleep and nobody calls
// malloc: does memory go back by itself, and how close to the page floor?
//
// One block in three is up to 64 KiB, the others up to 2 KiB. Of every burst one block in 16 stays
// until enough bytes are live in the process; the rest is freed in random order.
// One operation is one block. Own figures, in KiB above the RSS before the first block: peak_kib,
// rss_0_kib (at the last free), rss_100_kib .. rss_5000_kib (so many ms later), trimmed_kib (after
// malloc_trim(0), which took trim_s); live_kib; floor_kib; and RSS over time (see Timeline).
#include <deque>
#include <thread>

#include "harness.h"
#include "resident.h"

namespace bench = tide::bench;

namespace {

constexpr uint32_t kKeepOneIn = 16;
constexpr size_t kMeanBytes = 11'600;  // of the mix below: 2/3 of 1 KiB and 1/3 of 32 KiB
constexpr double kLongestRun = 60;     // seconds of the timeline

size_t pick_size(bench::Rng& rng) {
  return 1 + (rng.below(3) == 0 ? rng.below(64 << 10) : rng.below(2 << 10));
}

struct Plan {
  uint64_t total_bytes;  // of each thread
  uint64_t burst_bytes;
  uint64_t live_bytes;  // of the process
};

// What all threads write to.
struct Shared {
  bench::Table<bench::Held> kept;
  std::atomic<size_t> kept_count{0};
  std::atomic<uint64_t> kept_bytes{0};
  std::atomic<uint64_t> operations{0};
  std::atomic<uint32_t> busy;
  std::atomic<bool> is_done{false};
  std::atomic<bool> may_end{false};
  uint64_t last_rss = 0;
  double last_free = 0;

  Shared(size_t kept_capacity, uint32_t threads) : kept(kept_capacity), busy(threads) {}

  bool keep(char* block, size_t bytes, uint64_t most) {
    if (kept_bytes.load(std::memory_order_relaxed) >= most) return false;
    const size_t at = kept_count.fetch_add(1, std::memory_order_relaxed);
    if (at >= kept.capacity()) bench::fail("the table of kept blocks is too small");
    kept[at] = {block, bytes};
    kept_bytes.fetch_add(bytes, std::memory_order_relaxed);
    return true;
  }
};

// One burst: allocated, written, and freed again but for the blocks that stay.
void run_burst(const Plan& plan, bench::Rng& rng, bench::Table<bench::Held>& order,
               bench::LiveBytes& live, Shared& shared) {
  uint64_t made = 0;
  for (uint64_t total = 0; total < plan.burst_bytes; ++made) {
    const size_t bytes = pick_size(rng);
    char* const block = static_cast<char*>(bench::must(std::malloc(bytes)));
    std::memset(block, 4, bytes);
    total += bytes;
    live.add(static_cast<int64_t>(bytes));
    const bool stays = rng.below(kKeepOneIn) == 0 && shared.keep(block, bytes, plan.live_bytes);
    if (!stays) order.push({block, bytes});
  }
  while (order.size() > 0) {
    const bench::Held held = order.take(rng.below(static_cast<uint32_t>(order.size())));
    live.add(-static_cast<int64_t>(held.bytes));
    std::free(held.block);
  }
  shared.operations.fetch_add(made, std::memory_order_relaxed);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "burst_threads --threads 16 --bytes 640M --burst 64M",
                         "Bursts in many threads, which then sleep.");
  const auto threads = static_cast<uint32_t>(options.number("threads", "16", "threads"));
  const Plan plan{options.number("bytes", "640M", "bytes that each thread allocates"),
                  options.number("burst", "64M", "bytes of one burst"),
                  options.number("live", "256M", "bytes of the process that stay")};
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || plan.burst_bytes == 0) bench::fail("--threads and --burst at least 1", 2);

  // Room for twice what the mix gives on average.
  Shared shared(2 * (plan.live_bytes / kMeanBytes) + 4096, threads);
  bench::Table<bench::LiveBytes> live(threads);
  std::deque<bench::Table<bench::Held>> orders;
  for (uint32_t i = 0; i < threads; ++i)
    orders.emplace_back(2 * (plan.burst_bytes / kMeanBytes) + 4096);
  bench::Rss rss;
  bench::Timeline timeline(rss, live.begin(), threads, kLongestRun);
  std::vector<std::thread> workers;
  workers.reserve(threads);
  bench::Meter meter("burst_threads");
  rss.rebase();

  meter.start();
  const double begin = bench::seconds_now();
  timeline.start(begin);
  for (uint32_t i = 0; i < threads; ++i) {
    workers.emplace_back([&, i] {
      bench::Rng rng(seed + i);
      for (uint64_t done = 0; done < plan.total_bytes; done += plan.burst_bytes)
        run_burst(plan, rng, orders[i], live[i], shared);
      if (shared.busy.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        shared.last_free = bench::seconds_now();
        shared.last_rss = rss.kib();
        shared.is_done.store(true, std::memory_order_release);
      }
      shared.may_end.wait(false, std::memory_order_acquire);
    });
  }
  timeline.watch(shared.is_done);
  meter.stop(shared.last_free);

  constexpr uint32_t kMarks[] = {100, 500, 1000, 5000};  // ms after the last free
  uint64_t later[std::size(kMarks)];
  for (size_t i = 0; i < std::size(kMarks); ++i) {
    timeline.watch_until(shared.last_free + kMarks[i] * 1e-3);
    later[i] = rss.kib();
  }
  const double trim_begin = bench::seconds_now();
  malloc_trim(0);
  const double trim_seconds = bench::seconds_now() - trim_begin;
  const uint64_t trimmed = rss.kib();

  // Nobody idles from here on: this may allocate.
  const size_t kept = shared.kept_count.load();
  meter.add("peak_kib", static_cast<double>(bench::peak_rss_kib() - rss.base_kib()));
  meter.add("rss_0_kib", static_cast<double>(shared.last_rss));
  for (size_t i = 0; i < std::size(kMarks); ++i) {
    const std::string name = "rss_" + std::to_string(kMarks[i]) + "_kib";
    meter.add(name.c_str(), static_cast<double>(later[i]));
  }
  meter.add("trimmed_kib", static_cast<double>(trimmed));
  meter.add("trim_s", trim_seconds);
  meter.add("live_kib", static_cast<double>(shared.kept_bytes.load()) / 1024);
  meter.add("floor_kib", bench::page_floor_kib(shared.kept.begin(), kept));
  meter.add("base_kib", static_cast<double>(rss.base_kib()));
  timeline.add_to(meter);

  shared.may_end.store(true, std::memory_order_release);
  shared.may_end.notify_all();
  for (std::thread& worker : workers) worker.join();
  for (size_t i = 0; i < kept; ++i) std::free(shared.kept[i].block);
  meter.report(shared.operations.load());
  return 0;
}
