// A full trim of a heap of 100 GiB with 10 GiB live: how long does it keep a lock that somebody's
// malloc or free may wait for?
//
// The engine runs in this program, on a VM source whose memory is only addresses: nothing is made
// resident but its own records. Built with TIDE_LOCK_METER, every lock reports when it is taken and
// left; held times are CPU time of the thread, so that a busy machine does not count. Own figures
// in us: longest_us, of all locks but those that only who gives memory back takes (purging_us).
#include <ctime>

#include "harness.h"
#include "heap/engine_blocks.h"
#include "heap/engine_decay.h"
#include "heap/engine_heaps.h"
#include "heap/engine_limits.h"
#include "heap/engine_purge.h"
#include "heap/engine_sampling.h"
#include "heap/engine_survey.h"
#include "heap/engine_trade.h"
#include "heap/engine_verify.h"
#include "resident.h"

namespace bench = tide::bench;
namespace heap = tide::heap;

namespace {

// Gives and takes back addresses as the system does, and never a page.
class AddressesOnly : public tide::sys::LinuxVm {
 public:
  uint32_t purge_many(const tide::sys::PageRange*, uint32_t) { return 0; }
  bool purge(void*, size_t) { return true; }
  bool purge_lazily(void*, size_t) { return true; }
  void deny(void*, size_t) {}
  void populate(void*, size_t) {}
  void populate_huge(void*, size_t) {}
};

constinit heap::Engine<AddressesOnly> g_engine;

uint64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

struct Held {
  const void* lock;
  uint64_t since;
};
Held g_held[16];
size_t g_depth = 0;
uint64_t g_longest = 0;
uint64_t g_longest_purging = 0;
bool g_measures = false;

bool waits_for_nobody(const void* lock) {
  return lock == &g_engine.purge_lock() || lock == &g_engine.drain_lock();
}

}  // namespace

// See ds/lock.h.
void tide::ds::lock_taken(const void* lock) {
  if (g_measures) g_held[g_depth++] = {lock, cpu_ns()};
}
void tide::ds::lock_left(const void* lock) {
  if (!g_measures) return;
  size_t i = g_depth;
  while (i-- != 0 && g_held[i].lock != lock) {
  }
  if (i >= g_depth) return;
  const uint64_t took = cpu_ns() - g_held[i].since;
  uint64_t& longest = waits_for_nobody(lock) ? g_longest_purging : g_longest;
  longest = took > longest ? took : longest;
  g_held[i] = g_held[--g_depth];
}

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "trim_locks --reserved 100G --live 10",
                         "How long a full trim of a large heap keeps a lock.");
  const size_t reserved = options.number("reserved", "100G", "bytes of blocks at first");
  const uint64_t live = options.number("live", "10", "blocks in a hundred that stay");
  const uint64_t seed = options.seed();
  options.finish();
  if (reserved < 1 << 20 || live > 100)
    bench::fail("--reserved at least 1M, --live at most 100", 2);

  bench::Rng rng(seed);
  bench::Table<void*> blocks(reserved / 10'000 + 1000);
  if (!g_engine.start(heap::Config::defaults())) bench::fail("the engine found no memory");
  heap::ThreadCache* const cache = g_engine.acquire_cache();
  for (size_t done = 0; done < reserved && blocks.size() < blocks.capacity();) {
    // A third of the bytes up to 64 KiB, the rest up to 1 MiB.
    const uint64_t random = rng.next();
    const size_t bytes =
        1 + (random >> 8) % (random % 16 == 0 ? size_t{1} << 20 : size_t{64} << 10);
    blocks.push(bench::must(g_engine.allocate_slow(cache, bytes)));
    done += bytes;
  }
  const size_t count = blocks.size();
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (rng.below(100) < live) {
      ++kept;
    } else {
      g_engine.release_slow(cache, blocks[i]);
    }
  }
  bench::Meter meter("trim_locks");
  meter.start();
  g_measures = true;
  const size_t gone = g_engine.purge(cache);
  g_measures = false;
  meter.stop();
  meter.add("longest_us", static_cast<double>(g_longest) / 1000);
  meter.add("purging_us", static_cast<double>(g_longest_purging) / 1000);
  meter.add("given_back_kib", static_cast<double>(gone) / 1024);
  meter.add("kept_blocks", static_cast<double>(kept));
  meter.report(count);
  return 0;
}
