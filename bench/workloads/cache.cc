// A cache with a budget in bytes: looked up with skewed keys, filled on a miss, the oldest entries
// evicted until the new one fits.
//
// One operation is one look-up. Own figures: live_kib and live_rss_kib at the end, cache full.
#include "harness.h"

namespace bench = tide::bench;

namespace {

struct Entry {
  Entry* next_in_bucket;
  Entry* newer;
  uint64_t key;
  size_t bytes;
  char* value;
};

class Cache {
 public:
  Cache(size_t budget, uint32_t buckets) : budget_(budget), buckets_(buckets, nullptr) {}

  Entry* find(uint64_t key) const {
    Entry* entry = buckets_[bucket_of(key)];
    while (entry != nullptr && entry->key != key) entry = entry->next_in_bucket;
    return entry;
  }

  void insert(uint64_t key, size_t bytes) {
    while (used_ + bytes > budget_ && oldest_ != nullptr) evict();
    auto* const entry = static_cast<Entry*>(bench::must(std::malloc(sizeof(Entry))));
    Entry*& bucket = buckets_[bucket_of(key)];
    *entry =
        Entry{bucket, nullptr, key, bytes, static_cast<char*>(bench::must(std::malloc(bytes)))};
    std::memset(entry->value, static_cast<int>(key), bytes);
    bucket = entry;
    (newest_ != nullptr ? newest_->newer : oldest_) = entry;
    newest_ = entry;
    used_ += bytes;
  }

  void evict() {
    Entry* const victim = oldest_;
    Entry** link = &buckets_[bucket_of(victim->key)];
    while (*link != victim) link = &(*link)->next_in_bucket;
    *link = victim->next_in_bucket;
    oldest_ = victim->newer;
    if (oldest_ == nullptr) newest_ = nullptr;
    used_ -= victim->bytes;
    std::free(victim->value);
    std::free(victim);
  }

  bool is_empty() const { return oldest_ == nullptr; }
  size_t used() const { return used_; }

 private:
  size_t bucket_of(uint64_t key) const {
    return (key * 0x9e3779b97f4a7c15ull >> 32) % buckets_.size();
  }

  size_t budget_;
  size_t used_ = 0;
  Entry* oldest_ = nullptr;
  Entry* newest_ = nullptr;
  std::vector<Entry*> buckets_;
};

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "cache --budget 128M --operations 1500000",
                         "A cache that is filled and evicts its oldest entries.");
  const size_t budget = options.number("budget", "128M", "bytes of values that the cache may hold");
  const uint64_t operations = options.number("operations", "1500000", "look-ups");
  const auto keys = static_cast<uint32_t>(options.number("keys", "1M", "different keys"));
  const size_t max_bytes = options.number("max", "16K", "largest value");
  const uint64_t seed = options.seed();
  options.finish();
  if (keys == 0 || budget < max_bytes) bench::fail("--keys at least 1, --budget at least --max", 2);

  const bench::SizeTable sizes(64, max_bytes, true, seed);
  bench::Rng rng(seed);
  Cache cache(budget, 1u << 17);
  uint64_t hits = 0;
  bench::Meter meter("cache");
  meter.start();
  for (uint64_t i = 0; i < operations; ++i) {
    const double skewed = rng.unit();
    const auto key = static_cast<uint64_t>(skewed * skewed * keys);  // low keys come more often
    if (const Entry* const entry = cache.find(key)) {
      hits += entry->value[0] == static_cast<char>(key) ? 1 : 0;
    } else {
      cache.insert(key, sizes.pick(rng.next() >> 52));
    }
  }
  meter.stop();
  meter.add("hits", static_cast<double>(hits));
  meter.add("live_kib", static_cast<double>(cache.used()) / 1024);
  meter.add("live_rss_kib", static_cast<double>(bench::rss_kib()));
  while (!cache.is_empty()) cache.evict();
  meter.report(operations);
  return 0;
}
