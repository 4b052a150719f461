// A server whose handler threads come and go and leave blocks behind for others to free.
//
// Every request makes short-lived blocks and replaces one entry of a table that all handlers
// share: the old entry was nearly always made by another handler, often one that is gone.
// One operation is one request.
#include <mutex>

#include "harness.h"
#include "threads.h"
#include "turns.h"

namespace bench = tide::bench;

namespace {

constexpr uint32_t kScratchBlocks = 24;  // blocks that live as long as one request
constexpr uint32_t kShards = 64;         // locks of the table: few waits with a handful of handlers

struct Entry {
  void* head;
  void* body;
};

struct Table {
  std::vector<Entry> entries;
  std::vector<std::mutex> locks{kShards};
};

struct Shared {
  Table table;
  const bench::SizeTable* scratch_sizes;
  const bench::SizeTable* body_sizes;
};

void handle_request(Shared& shared, bench::Rng& rng) {
  void* scratch[kScratchBlocks];
  for (void*& block : scratch) {
    const size_t bytes = shared.scratch_sizes->pick(rng.next() >> 52);
    block = bench::must(std::malloc(bytes));
    bench::touch_block(block, bytes, bench::Touch::kEnds);
  }
  const size_t body_bytes = shared.body_sizes->pick(rng.next() >> 52);
  Entry fresh{bench::must(std::malloc(96)), bench::must(std::malloc(body_bytes))};
  bench::touch_block(fresh.head, 96, bench::Touch::kAll);
  bench::touch_block(fresh.body, body_bytes, bench::Touch::kAll);

  const uint32_t at = rng.below(static_cast<uint32_t>(shared.table.entries.size()));
  {
    const std::lock_guard<std::mutex> guard(shared.table.locks[at % kShards]);
    std::swap(shared.table.entries[at], fresh);
  }
  std::free(fresh.head);
  std::free(fresh.body);
  for (void* block : scratch) std::free(block);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(
      argc, argv, "server --handlers 4 --requests 400000",
      "Handler threads that live for some requests and share a table of blocks.");
  const auto handlers =
      static_cast<uint32_t>(options.number("handlers", "4", "handlers at a time"));
  const uint64_t requests = options.number("requests", "400000", "requests in all");
  const uint64_t life = options.number("life", "2000", "requests of one handler before it exits");
  const auto entries =
      static_cast<uint32_t>(options.number("entries", "20000", "entries of the table"));
  const double seconds = options.real("seconds", "0", "work so long, whatever --requests says");
  const double turn =
      options.real("turns", "0",
                   "return of free memory on and off in turns of so many seconds; needs --seconds");
  const uint64_t seed = options.seed();
  options.finish();
  if (turn > 0 && seconds < 5 * turn) bench::fail("--turns needs --seconds of five turns", 2);
  if (handlers == 0 || life == 0 || entries == 0) bench::fail("counts must be at least 1", 2);

  const bench::SizeTable scratch_sizes(16, 2048, true, seed);
  const bench::SizeTable body_sizes(256, 16384, true, seed + 1);
  Shared shared{};
  shared.table.entries.resize(entries, Entry{nullptr, nullptr});
  shared.scratch_sizes = &scratch_sizes;
  shared.body_sizes = &body_sizes;

  std::atomic<uint64_t> next_handler{0};
  std::atomic<uint64_t> ended{0};
  std::atomic<bool> is_over{false};
  const uint64_t lives = seconds > 0 ? UINT64_MAX : (requests + life - 1) / life;
  bench::Meter meter("server");
  meter.start();
  std::vector<std::thread> keepers;
  for (uint32_t i = 0; i < handlers; ++i) {
    // A keeper starts the next handler when the one before has gone.
    keepers.emplace_back([&] {
      for (uint64_t mine; !is_over && (mine = next_handler++) < lives;) {
        std::thread handler([&, mine] {
          bench::Rng rng(seed + 100 + mine);
          for (uint64_t k = 0; k < life; ++k) handle_request(shared, rng);
        });
        handler.join();
        ++ended;
      }
    });
  }
  if (turn > 0) {
    bench::run_in_turns(meter, "purge", seconds, turn, seed, [&] { return ended * life; });
    is_over = true;
  } else if (seconds > 0) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    is_over = true;
  }
  for (std::thread& keeper : keepers) keeper.join();
  meter.stop();
  for (const Entry& entry : shared.table.entries) {
    std::free(entry.head);
    std::free(entry.body);
  }
  meter.report(ended * life);
  return 0;
}
