// Pairs of threads: one allocates and fills messages, the other reads and frees them, so every
// free is remote and always in the same direction.
//
// One operation is one message (a malloc here, a free there).
#include "harness.h"
#include "threads.h"

namespace bench = tide::bench;

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "producer_consumer --pairs 1 --seconds 2",
                         "Every block is freed by another thread than the one that allocated it.");
  const auto pairs =
      static_cast<uint32_t>(options.number("pairs", "1", "producer and consumer pairs"));
  const size_t min_bytes = options.number("min", "16", "smallest message");
  const size_t max_bytes = options.number("max", "1K", "largest message");
  const auto depth =
      static_cast<uint32_t>(options.number("depth", "4096", "messages under way, a power of two"));
  const double seconds = options.real("seconds", "1", "length of the measured phase");
  const uint64_t seed = options.seed();
  options.finish();
  if (pairs == 0) bench::fail("--pairs must be at least 1", 2);
  if (depth == 0 || (depth & (depth - 1)) != 0) bench::fail("--depth must be a power of two", 2);

  const bench::SizeTable sizes(min_bytes, max_bytes, true, seed);
  std::vector<std::unique_ptr<bench::Mailbox>> queues;
  for (uint32_t i = 0; i < pairs; ++i) queues.push_back(std::make_unique<bench::Mailbox>(depth));
  std::vector<std::atomic<bool>> producer_done(pairs);

  bench::Meter meter("producer_consumer");
  const uint64_t messages = bench::run_threads(
      meter, 2 * pairs, seconds, [](uint32_t) {},
      [&](uint32_t i, std::atomic<bool>& stop) -> uint64_t {
        bench::Mailbox& queue = *queues[i / 2];
        if (i % 2 == 0) {
          bench::Rng rng(seed + i);
          uint64_t sent = 0;
          while (!stop.load(std::memory_order_relaxed)) {
            const size_t bytes = sizes.pick(rng.next() >> 52);
            void* const block = bench::must(std::malloc(bytes));
            bench::touch_block(block, bytes, bench::Touch::kEnds);
            while (!queue.try_send(block)) sched_yield();
            ++sent;
          }
          producer_done[i / 2].store(true,
                                     std::memory_order_release);  // pairs with the consumer's load
          return sent;
        }
        while (true) {
          const bool is_last_round = producer_done[i / 2].load(std::memory_order_acquire);
          while (void* block = queue.try_receive()) {
            // Reading the message is what a consumer does before it frees it.
            if (*static_cast<volatile char*>(block) == 0)
              bench::fail("a message lost its contents");
            std::free(block);
          }
          if (is_last_round) return 0;
          sched_yield();
        }
      },
      [](uint32_t) {});
  meter.report(messages);
  return 0;
}
