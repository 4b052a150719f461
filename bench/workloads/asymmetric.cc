// One thread allocates, others free: no block is ever freed by the thread that made it, and the
// freeing threads never allocate what they could use it for.
//
// Blocks travel in lists of some hundred, as a parser hands records to its workers. One operation
// is one block.
#include <condition_variable>
#include <deque>
#include <mutex>

#include "harness.h"
#include "threads.h"

namespace bench = tide::bench;

namespace {

using List = std::vector<void*>;

// Bounded, so that the allocating thread can't run away.
class Queue {
 public:
  explicit Queue(size_t limit) : limit_(limit) {}

  void send(List&& list) {
    std::unique_lock<std::mutex> guard(mutex_);
    changed_.wait(guard, [&] { return lists_.size() < limit_; });
    lists_.push_back(std::move(list));
    changed_.notify_all();
  }

  // An empty list: there will be no more.
  List receive() {
    std::unique_lock<std::mutex> guard(mutex_);
    changed_.wait(guard, [&] { return !lists_.empty() || is_closed_; });
    if (lists_.empty()) return {};
    List list = std::move(lists_.front());
    lists_.pop_front();
    changed_.notify_all();
    return list;
  }

  void close() {
    const std::lock_guard<std::mutex> guard(mutex_);
    is_closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<List> lists_;
  size_t limit_;
  bool is_closed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "asymmetric --freeing 2 --seconds 1",
                         "One thread allocates all blocks, others free them.");
  const auto freeing = static_cast<uint32_t>(options.number("freeing", "1", "freeing threads"));
  const auto blocks = static_cast<uint32_t>(options.number("blocks", "512", "blocks of a list"));
  const auto depth = static_cast<uint32_t>(options.number("depth", "16", "lists under way"));
  const size_t min_bytes = options.number("min", "16", "smallest block");
  const size_t max_bytes = options.number("max", "2K", "largest block");
  const double seconds = options.real("seconds", "1", "length of the measured phase");
  const uint64_t seed = options.seed();
  options.finish();
  if (freeing == 0 || blocks == 0 || depth == 0) bench::fail("counts must be at least 1", 2);

  const bench::SizeTable sizes(min_bytes, max_bytes, true, seed);
  Queue queue(depth);
  bench::Meter meter("asymmetric");
  const uint64_t operations = bench::run_threads(
      meter, freeing + 1, seconds, [](uint32_t) {},
      [&](uint32_t i, std::atomic<bool>& stop) -> uint64_t {
        if (i != 0) {
          for (List list = queue.receive(); !list.empty(); list = queue.receive()) {
            for (void* block : list) std::free(block);
          }
          return 0;
        }
        bench::Rng rng(seed);
        uint64_t made = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          List list(blocks);
          for (void*& block : list) {
            const size_t bytes = sizes.pick(rng.next() >> 52);
            block = bench::must(std::malloc(bytes));
            bench::touch_block(block, bytes, bench::Touch::kEnds);
          }
          made += list.size();
          queue.send(std::move(list));
        }
        queue.close();
        return made;
      },
      [](uint32_t) {});
  meter.report(operations);
  return 0;
}
