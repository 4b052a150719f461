// C++ containers as programs use them: maps of strings and vectors that are filled, looked up,
// changed and dropped, by threads that share nothing. operator new and sized delete do the work.
//
// One operation is one key that is inserted, changed or erased.
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "harness.h"
#include "threads.h"

namespace bench = tide::bench;

namespace {

struct Record {
  std::string name;
  std::vector<uint32_t> numbers;
  std::unique_ptr<Record> older;
};

class Store {
 public:
  explicit Store(uint64_t seed) : rng_(seed) {}

  void step(uint32_t keys) {
    const uint64_t random = rng_.next();
    const auto key = static_cast<uint32_t>(random % keys);
    switch (random >> 60) {
      case 0:
        tree_.erase(name_of(key));
        table_.erase(key);
        break;
      case 1: {
        std::string text = "value ";
        for (uint64_t i = 0; i < (random >> 32 & 7); ++i) text += name_of(key);
        table_[key].push_back(std::move(text));
        break;
      }
      default: {
        Record& record = tree_[name_of(key)];
        if (record.numbers.size() > 64) {
          auto older = std::make_unique<Record>(std::move(record));
          older->older.reset();
          record = Record{name_of(key), {}, std::move(older)};
        }
        record.numbers.push_back(key);
      }
    }
  }

 private:
  static std::string name_of(uint32_t key) {
    std::string name = "record-number-" + std::to_string(key);
    if (key % 8 == 0) name += "/with a longer path than the others, which is copied about";
    return name;
  }

  bench::Rng rng_;
  std::map<std::string, Record> tree_;
  std::unordered_map<uint32_t, std::vector<std::string>> table_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "containers --threads 2 --steps 1M",
                         "Maps, strings and vectors of the C++ library under change.");
  const auto threads = static_cast<uint32_t>(options.number("threads", "2", "threads"));
  const uint64_t steps = options.number("steps", "500K", "operations of each thread");
  const auto keys = static_cast<uint32_t>(options.number("keys", "20K", "different keys"));
  const uint64_t seed = options.seed();
  options.finish();
  if (threads == 0 || keys == 0) bench::fail("counts must be at least 1", 2);

  bench::Meter meter("containers");
  const uint64_t operations = bench::run_threads(
      meter, threads, 0, [](uint32_t) {},
      [&](uint32_t i, std::atomic<bool>&) {
        Store store(seed + i);
        for (uint64_t step = 0; step < steps; ++step) store.step(keys);
        return steps;
      },
      [](uint32_t) {});
  meter.report(operations);
  return 0;
}
