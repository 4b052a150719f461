// A burst after a rest against bursts back to back: what the calls of malloc and free cost when
// memory went back in between.
//
// One operation is one block of a burst (malloc and free). Own figures in ns, for the warm burst
// and the one after the rest: warm_p999_ns and rested_p999_ns of single calls, warm_write_p999_ns
// and rested_write_p999_ns of the first write to a block (page faults); rested_rss_kib, the RSS at
// the end of the rest.
#include "harness.h"
#include "resident.h"

namespace bench = tide::bench;

namespace {

struct Times {
  bench::Table<uint32_t> calls;
  bench::Table<uint32_t> writes;
  explicit Times(size_t blocks) : calls(2 * blocks), writes(blocks) {}
};

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

uint32_t since(uint64_t begin, uint64_t end) {
  return static_cast<uint32_t>(std::min<uint64_t>(end - begin, UINT32_MAX));
}

double percentile_999(bench::Table<uint32_t>& times) {
  const size_t at = times.size() - 1 - times.size() / 1000;
  std::nth_element(times.begin(), times.begin() + at, times.end());
  return times[at];
}

uint64_t run_burst(size_t total, bench::Rng& rng, const bench::SizeTable& sizes,
                   const bench::SizeTable& wide, bench::Table<char*>& blocks, Times& times) {
  times.calls.clear();
  times.writes.clear();
  for (size_t done = 0; done < total;) {
    const uint64_t random = rng.next();
    const size_t bytes = (random % 16 == 0 ? wide : sizes).pick(random >> 52);
    const uint64_t begin = now_ns();
    char* const block = static_cast<char*>(bench::must(std::malloc(bytes)));
    const uint64_t middle = now_ns();
    std::memset(block, 4, bytes);
    const uint64_t end = now_ns();
    times.calls.push(since(begin, middle));
    times.writes.push(since(middle, end));
    blocks.push(block);
    done += bytes;
  }
  const uint64_t made = blocks.size();
  while (blocks.size() > 0) {
    char* const block = blocks.take(rng.below(static_cast<uint32_t>(blocks.size())));
    const uint64_t begin = now_ns();
    std::free(block);
    times.calls.push(since(begin, now_ns()));
  }
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "burst_again --burst 256M --rest 10",
                         "A burst after a rest against bursts back to back.");
  const size_t burst = options.number("burst", "256M", "bytes of one burst");
  const uint64_t warm = options.number("warm", "3", "bursts back to back before the rest");
  const double rest = options.real("rest", "10", "seconds of rest");
  const uint64_t seed = options.seed();
  options.finish();
  if (burst < 65536 || warm < 2) bench::fail("--burst at least 64K, --warm at least 2", 2);

  const bench::SizeTable sizes(16, 2048, true, seed);
  const bench::SizeTable wide(2048, 65536, true, seed + 1);
  bench::Rng rng(seed);
  const size_t most = burst / 512 + 4096;  // blocks have some 1.5 KiB on average
  bench::Table<char*> blocks(most);
  Times times(most);
  bench::Rss rss;
  bench::Meter meter("burst_again");
  rss.rebase();

  meter.start();
  uint64_t operations = 0;
  for (uint64_t i = 0; i < warm; ++i)
    operations += run_burst(burst, rng, sizes, wide, blocks, times);
  meter.stop();
  const double warm_calls = percentile_999(times.calls);
  const double warm_writes = percentile_999(times.writes);
  bench::sleep_until(bench::seconds_now() + rest);
  const uint64_t rested_rss = rss.kib();
  run_burst(burst, rng, sizes, wide, blocks, times);

  meter.add("warm_p999_ns", warm_calls);
  meter.add("rested_p999_ns", percentile_999(times.calls));
  meter.add("warm_write_p999_ns", warm_writes);
  meter.add("rested_write_p999_ns", percentile_999(times.writes));
  meter.add("rested_rss_kib", static_cast<double>(rested_rss));
  meter.report(operations);
  return 0;
}
