#include "walk/tide_caches.h"

#include "walk/root_check.h"

namespace tide::walk {
namespace {

// Reads one after the other; the columns are room that is used again.
class CacheReader {
 public:
  CacheReader(const MemorySource& memory, const TideRoot& root)
      : memory_(memory),
        root_(root),
        tops_(root.stacks.size()),
        limits_(root.stacks.size()),
        gone_(root.stacks.size()) {}

  CacheRecord read(uint64_t address) {
    const layout::CachesAt& at = root_.root.caches;
    CacheRecord cache;
    cache.address = address;
    ReadBatch batch;
    batch.add_bytes(address + at.tops, tops_.data(), tops_.size() * sizeof tops_[0]);
    batch.add_bytes(address + at.limits, limits_.data(), limits_.size() * sizeof limits_[0]);
    batch.add_bytes(address + at.gone, gone_.data(), gone_.size() * sizeof gone_[0]);
    batch.add(address + at.owner, cache.owner);
    batch.add(address + at.state, cache.state);
    batch.add(address + at.home, cache.home);
    batch.add(address + at.spans, cache.spans);
    batch.add(address + at.span_pages, cache.span_pages);
    batch.add(address + at.in_flight, cache.calls);
    batch.run(memory_);
    for (size_t i = 0; i < tops_.size(); ++i) add_stack(i, cache);
    return cache;
  }

 private:
  // The lowest slot is a null; above it the lowest blocks may be gone.
  void add_stack(size_t i, CacheRecord& cache) const {
    const layout::StackRow& row = root_.stacks[i];
    if (row.size_class == 0) return;
    const bool is_foreign = row.home != layout::StackRow::kEveryHome && row.home != cache.home;
    const bool is_long = limits_[i] >= cache.address + root_.root.caches.long_slots;
    const uint64_t bottom = cache.address + (is_foreign ? row.foreign_place
                                             : is_long  ? row.long_place
                                                        : row.short_place);
    const uint64_t slots = (tops_[i] - bottom) / root_.root.word_bytes;
    if (slots > row.most_blocks || gone_[i] >= slots) return;
    const uint64_t first = bottom + (1 + uint64_t{gone_[i]}) * root_.root.word_bytes;
    cache.stacks.push_back({row.size_class, first, slots - gone_[i]});
  }

  const MemorySource& memory_;
  const TideRoot& root_;
  std::vector<uint64_t> tops_;
  std::vector<uint64_t> limits_;
  std::vector<uint16_t> gone_;
};

}  // namespace

std::vector<CacheRecord> read_caches(const MemorySource& memory, const TideRoot& root) {
  std::vector<uint64_t> addresses;
  for (auto cache = load_from<uint64_t>(memory, root.at(root.root.caches.first)); cache != 0;
       cache = load_from<uint64_t>(memory, cache + root.root.caches.next)) {
    addresses.push_back(cache);
    require_at_most(addresses.size(), kMostCaches);
  }
  std::vector<CacheRecord> caches;
  CacheReader reader(memory, root);
  for (const uint64_t address : addresses) caches.push_back(reader.read(address));
  return caches;
}

}  // namespace tide::walk
