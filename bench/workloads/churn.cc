// Slots of blocks that are replaced at random, by every thread for itself; a share of the frees
// can be handed to the next thread.
//
// One operation is one call of malloc or free. The presets of bench/compare (small1, small2,
// small2r, mid2, large2, huge2) are argument lists of this program.
#include "harness.h"
#include "threads.h"

namespace bench = tide::bench;

namespace {

struct Plan {
  uint32_t slots;
  uint32_t remote_of_1024;
  bench::Touch touch;
  const bench::SizeTable* sizes;
};

struct Worker {
  std::vector<void*> slots;
  bench::Mailbox inbox;  // filled by the thread before this one
  bench::Rng rng{0};
};

void replace(const Plan& plan, Worker& self, bench::Mailbox& next_inbox) {
  const uint64_t random = self.rng.next();
  const uint32_t at = static_cast<uint32_t>(((random & 0xffffffff) * plan.slots) >> 32);
  const size_t bytes = plan.sizes->pick(random >> 52);
  void*& slot = self.slots[at];
  const bool is_remote = ((random >> 40) & 1023) < plan.remote_of_1024;
  // A full mailbox means that the other thread lags: free here rather than wait for it.
  if (!is_remote || !next_inbox.try_send(slot)) std::free(slot);
  slot = bench::must(std::malloc(bytes));
  bench::touch_block(slot, bytes, plan.touch);
}

void drain(bench::Mailbox& inbox) {
  while (void* block = inbox.try_receive()) std::free(block);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv,
                         "churn --threads 2 --slots 2048 --min 8K --max 34K --seconds 2",
                         "Each thread replaces blocks of random size in its own slots.");
  const auto threads = static_cast<uint32_t>(options.number("threads", "2", "threads"));
  Plan plan{};
  plan.slots = static_cast<uint32_t>(options.number("slots", "1000", "live blocks of each thread"));
  const size_t min_bytes = options.number("min", "16", "smallest block");
  const size_t max_bytes = options.number("max", "512", "largest block");
  const std::string spread =
      options.text("spread", "log", "log: doublings equally likely; flat: bytes");
  const size_t held = options.number(
      "held", "0", "bytes of other blocks that are live meanwhile, never touched again");
  const double remote = options.real("remote", "0", "percent of frees done by the next thread");
  const double seconds = options.real("seconds", "1", "length of the measured phase");
  plan.touch = options.touch("ends");
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || plan.slots == 0) bench::fail("--threads and --slots must be at least 1", 2);
  if (spread != "log" && spread != "flat")
    bench::fail("--spread: '" + spread + "' is neither log nor flat", 2);
  if (remote > 0 && threads < 2) bench::fail("--remote needs at least two threads", 2);

  const bench::SizeTable sizes(min_bytes, max_bytes, spread == "log", seed);
  plan.sizes = &sizes;
  plan.remote_of_1024 = static_cast<uint32_t>(remote * 10.24);
  std::vector<Worker> workers(threads);

  bench::Meter meter("churn");
  const uint64_t operations = bench::run_threads(
      meter, threads, seconds,
      [&](uint32_t i) {
        Worker& self = workers[i];
        self.rng = bench::Rng(seed + i);
        // They end with the process.
        for (size_t total = 0; i == 0 && total < held;) {
          const size_t bytes = sizes.pick(self.rng.next() >> 52);
          bench::touch_block(bench::must(std::malloc(bytes)), bytes, plan.touch);
          total += bytes;
        }
        self.slots.resize(plan.slots);
        for (void*& slot : self.slots) {
          const size_t bytes = sizes.pick(self.rng.next() >> 52);
          slot = bench::must(std::malloc(bytes));
          bench::touch_block(slot, bytes, plan.touch);
        }
      },
      [&](uint32_t i, std::atomic<bool>& stop) {
        Worker& self = workers[i];
        bench::Mailbox& next_inbox = workers[(i + 1) % threads].inbox;
        uint64_t replaced = 0;
        // Small steps when a step is expensive, so that all threads see the flag soon.
        const uint32_t step = max_bytes > (1u << 16) ? 4 : 64;
        while (!stop.load(std::memory_order_relaxed)) {
          for (uint32_t k = 0; k < step; ++k) replace(plan, self, next_inbox);
          if (plan.remote_of_1024 != 0) drain(self.inbox);
          replaced += step;
        }
        return 2 * replaced;
      },
      [&](uint32_t i) {
        drain(workers[i].inbox);
        for (void* slot : workers[i].slots) std::free(slot);
      });
  meter.report(operations);
  return 0;
}
