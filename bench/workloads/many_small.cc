// A great many small blocks freed in random order, all but a few: how many of the pages that hold
// no live block any more are gone from memory shortly after?
//
// One operation is one block (malloc, later free). Own figures: empty_pages (OS pages without a
// live block), returned (the share of them that is not resident 200 ms after the last free),
// rss_0_kib and rss_200_kib (at the last free and then).
#include <numeric>

#include "harness.h"
#include "resident.h"

namespace bench = tide::bench;

namespace {

constexpr double kDelay = 0.2;  // seconds from the last free to the look
constexpr double kIdle = 1.0;   // seconds until the program goes on: what comes late is counted too

uintptr_t page_size() { return static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)); }

// The pages of blocks[from..to), sorted, each once.
void collect_pages(bench::Table<char*>& blocks, size_t from, size_t to, size_t bytes,
                   bench::Table<uintptr_t>& pages) {
  pages.clear();
  for (size_t i = from; i < to; ++i) {
    const uintptr_t start = reinterpret_cast<uintptr_t>(blocks[i]);
    for (uintptr_t page = start / page_size(); page <= (start + bytes - 1) / page_size(); ++page)
      pages.push(page);
  }
  std::sort(pages.begin(), pages.end());
  pages.shrink(static_cast<size_t>(std::unique(pages.begin(), pages.end()) - pages.begin()));
}

bool is_resident(uintptr_t page) {
  unsigned char flags = 0;  // a page without a mapping is an error and not resident
  return mincore(reinterpret_cast<void*>(page * page_size()), page_size(), &flags) == 0 &&
         (flags & 1) != 0;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "many_small --count 1M --bytes 100 --keep 64",
                         "Small blocks freed in random order; which pages go back?");
  const uint64_t count = options.number("count", "1M", "blocks");
  const size_t bytes = options.number("bytes", "100", "bytes of a block");
  const uint64_t keep = options.number("keep", "64", "one block in so many stays; 0: none");
  const uint64_t seed = options.seed();
  options.finish();
  if (count == 0 || count > UINT32_MAX || bytes == 0 || bytes > 4096)
    bench::fail("--count at least 1 and below 4G, --bytes 1 to 4096", 2);

  bench::Rng rng(seed);
  bench::Table<char*> blocks(count);
  bench::Table<uintptr_t> all(2 * count);
  bench::Table<uintptr_t> live(2 * count);
  bench::Rss rss;
  bench::Meter meter("many_small");
  rss.rebase();

  meter.start();
  for (uint64_t i = 0; i < count; ++i) {
    blocks.push(static_cast<char*>(bench::must(std::malloc(bytes))));
    std::memset(blocks[i], 4, bytes);
  }
  const double made = bench::seconds_now();
  for (size_t i = count; i > 1; --i)
    std::swap(blocks[i - 1], blocks[rng.below(static_cast<uint32_t>(i))]);
  const size_t kept = keep == 0 ? 0 : count / keep;
  collect_pages(blocks, 0, count, bytes, all);
  collect_pages(blocks, 0, kept, bytes, live);

  const double again = bench::seconds_now();
  for (size_t i = kept; i < count; ++i) std::free(blocks[i]);
  const double last_free = bench::seconds_now();
  meter.stop(last_free - (again - made));
  const uint64_t rss_at_once = rss.kib();
  bench::sleep_until(last_free + kDelay);
  const uint64_t rss_later = rss.kib();
  size_t empty = 0;
  size_t returned = 0;
  for (const uintptr_t page : all) {
    if (std::binary_search(live.begin(), live.end(), page)) continue;
    ++empty;
    returned += is_resident(page) ? 0 : 1;
  }
  bench::sleep_until(last_free + kIdle);

  meter.add("empty_pages", static_cast<double>(empty));
  meter.add("returned",
            empty == 0 ? 0 : static_cast<double>(returned) / static_cast<double>(empty));
  meter.add("rss_0_kib", static_cast<double>(rss_at_once));
  meter.add("rss_200_kib", static_cast<double>(rss_later));
  for (size_t i = 0; i < kept; ++i) std::free(blocks[i]);
  meter.report(count);
  return 0;
}
