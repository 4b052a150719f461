#include "walk/heap_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "layout/heap_header.h"
#include "walk/root_check.h"
#include "walk/tide_caches.h"
#include "walk/tide_tables.h"

namespace tide::walk {
namespace {

uint64_t less(uint64_t from, uint64_t taken) { return from > taken ? from - taken : 0; }

}  // namespace

// The counters of one home's slabs, or of a first-class heap's.
struct HeapReader::Counters {
  uint64_t used = 0;
  uint64_t capacity = 0;
  uint32_t slabs = 0;
};

struct HeapReader::ClassNow {
  std::vector<Counters> homes;
  std::vector<uint32_t> depots;  // which slots hold a batch
  uint64_t cached = 0;           // in caches and depots
  Counters heaps;                // all first-class heaps together
};

HeapReader::HeapReader(const MemorySource& memory, uint64_t root_address)
    : memory_(memory), described_(read_tide_root(memory, root_address)) {}

std::vector<HeapReader::ClassNow> HeapReader::read_classes() const {
  const auto homes_in_use = load<uint32_t>(at(root_.homes));
  std::vector<ClassNow> classes(classes_.size());
  ReadBatch batch;
  for (size_t c = 0; c < classes.size(); ++c) {
    const layout::ClassRow& row = classes_[c];
    if (row.block_bytes == 0) continue;
    const uint32_t homes = std::min(row.homes, row.homes == 1 ? 1 : homes_in_use);
    classes[c].homes.resize(homes);
    classes[c].depots.resize(row.homes == 1 ? row.depots : std::min(row.depots, homes));
    for (uint32_t home = 0; home < homes; ++home) {
      const uint64_t counters = at(row.counters + home * row.counters_step);
      Counters& here = classes[c].homes[home];
      batch.add(counters + root_.counters.used, here.used);
      batch.add(counters + root_.counters.capacity, here.capacity);
      batch.add(counters + root_.counters.slabs, here.slabs);
    }
    for (uint32_t i = 0; i < classes[c].depots.size(); ++i) {
      batch.add(at(row.depot + i * row.depot_step), classes[c].depots[i]);
    }
  }
  batch.run_sorted(memory_);
  return classes;
}

// Only slots that hold a batch are read: the others may never have been touched.
void HeapReader::read_depots(std::vector<ClassNow>& classes) const {
  std::vector<std::vector<uint32_t>> counts(classes.size());
  ReadBatch batch;
  for (size_t c = 0; c < classes.size(); ++c) {
    const layout::ClassRow& row = classes_[c];
    counts[c].resize(classes[c].depots.size() * root_.batches.slots);
    for (uint32_t depot = 0; depot < classes[c].depots.size(); ++depot) {
      for (uint32_t slot = 0; slot < root_.batches.slots; ++slot) {
        if (((classes[c].depots[depot] >> slot) & 1) == 0) continue;
        const uint64_t place =
            at(row.batches + depot * row.batches_step + slot * root_.batches.step);
        batch.add(place + root_.batches.count, counts[c][depot * root_.batches.slots + slot]);
      }
    }
  }
  batch.run_sorted(memory_);
  for (size_t c = 0; c < classes.size(); ++c) {
    for (const uint32_t count : counts[c]) classes[c].cached += count;
  }
}

void HeapReader::read_heaps(std::vector<ClassNow>& classes) const {
  const auto count = load<uint32_t>(at(root_.heaps.count));
  if (count == 0) return;
  require_at_most(count, kMostHeaps);
  std::vector<uint64_t> heaps(count);
  memory_.read({{at(root_.heaps.by_id) + 8, heaps.data(), count * sizeof(uint64_t)}});
  std::vector<Counters> own(classes.size());
  for (const uint64_t heap : heaps) {
    if (heap == 0) continue;
    ReadBatch batch;
    for (size_t c = 0; c < classes.size(); ++c) {
      if (classes_[c].block_bytes == 0) continue;
      const uint64_t counters = heap + classes_[c].heap_counters;
      batch.add(counters + root_.counters.used, own[c].used);
      batch.add(counters + root_.counters.capacity, own[c].capacity);
      batch.add(counters + root_.counters.slabs, own[c].slabs);
    }
    batch.run(memory_);
    for (size_t c = 0; c < classes.size(); ++c) {
      classes[c].heaps.used += own[c].used;
      classes[c].heaps.capacity += own[c].capacity;
      classes[c].heaps.slabs += own[c].slabs;
    }
  }
}

std::pair<uint64_t, uint64_t> HeapReader::add_caches(std::vector<ClassNow>& classes,
                                                     HeapFigures& figures) const {
  uint64_t spans = 0;
  uint64_t span_bytes = 0;
  for (const CacheRecord& cache : read_caches(memory_, described_)) {
    const uint64_t bytes_in_spans = uint64_t{cache.span_pages} * root_.large.page_bytes;
    tide_thread_stats thread{static_cast<uint64_t>(cache.owner), cache.state, 0, bytes_in_spans,
                             cache.spans};
    for (const CacheStack& stack : cache.stacks) {
      classes[stack.size_class].cached += stack.blocks;
      thread.cached_blocks += stack.blocks;
      thread.cached_bytes += stack.blocks * classes_[stack.size_class].block_bytes;
    }
    figures.threads.push_back(thread);
    spans += cache.spans;
    span_bytes += bytes_in_spans;
  }
  return {spans, span_bytes};
}

// Adds what free blocks in slabs may have resident, per class. Returns how much of the slabs
// without a class is known to be given back.
uint64_t HeapReader::add_dirty(const layout::ZoneAt& zone, uint64_t records, uint32_t slabs,
                               std::vector<uint64_t>& dirty) const {
  uint64_t returned = 0;
  const layout::SlabAt& where = root_.slabs;
  constexpr uint32_t kAtOnce = 8192;
  std::vector<std::byte> heads(size_t{std::min(slabs, kAtOnce)} * where.head_bytes);
  const uint64_t unit_bytes = zone.slab_bytes / where.purge_units;
  for (uint32_t begin = 0; begin < slabs; begin += kAtOnce) {
    const uint32_t count = std::min(kAtOnce, slabs - begin);
    ReadBatch batch;
    for (uint32_t i = 0; i < count; ++i) {
      batch.add_bytes(records + uint64_t{begin + i} * where.bytes,
                      &heads[size_t{i} * where.head_bytes], where.head_bytes);
    }
    batch.run(memory_);
    for (uint32_t i = 0; i < count; ++i) {
      const std::byte* const head = &heads[size_t{i} * where.head_bytes];
      const auto c = static_cast<uint8_t>(head[where.size_class]);
      if (c >= classes_.size()) continue;
      uint16_t first = 0;
      uint32_t carved = 0;
      uint32_t used = 0;
      std::memcpy(&first, head + where.first, sizeof first);
      std::memcpy(&carved, head + where.carved, sizeof carved);
      std::memcpy(&used, head + where.used, sizeof used);
      uint64_t units = 0;
      for (uint32_t word = 0; word < where.purge_units / 64; ++word) {
        uint64_t bits = 0;
        std::memcpy(&bits, head + where.purged + word * sizeof bits, sizeof bits);
        units += static_cast<uint64_t>(std::popcount(bits));
      }
      if (c == 0) {
        returned += units * unit_bytes;
        continue;
      }
      const uint64_t free_blocks = less(carved, uint64_t{first} + used);
      dirty[c] += less(free_blocks * classes_[c].block_bytes, units * unit_bytes);
    }
  }
  return returned;
}

void HeapReader::read_zone(const layout::ZoneAt& zone, std::vector<uint64_t>& dirty,
                           tide_stats& totals) const {
  uint64_t limit = 0;
  uint64_t records = 0;
  uint32_t untouched = 0;
  uint32_t dirty_slabs = 0;
  uint64_t mapped = 0;
  uint64_t unmapped = 0;
  uint64_t tables[4] = {};
  ReadBatch batch;
  batch.add(at(zone.limit), limit);
  batch.add(at(zone.records), records);
  batch.add(at(zone.untouched), untouched);
  batch.add(at(zone.dirty_slabs), dirty_slabs);
  batch.add(at(zone.mapped), mapped);
  batch.add(at(zone.unmapped), unmapped);
  for (uint32_t i = 0; i < 4; ++i) batch.add(at(zone.tables[i]), tables[i]);
  batch.run(memory_);
  const uint64_t slabs = std::min<uint64_t>(untouched, limit / root_.slabs.granules_per_slab);
  const uint64_t returned = add_dirty(zone, records, static_cast<uint32_t>(slabs), dirty);
  totals.free_dirty_bytes += less(uint64_t{dirty_slabs} * zone.slab_bytes, returned);
  const uint64_t own = tables[0] + tables[1] + tables[2] + tables[3];
  totals.metadata_bytes += own;
  totals.mapped_bytes += mapped - unmapped + own;
}

void HeapReader::read_big(std::pair<uint64_t, uint64_t> cached_spans, tide_stats& totals) const {
  uint64_t pages = 0;
  uint64_t blocks = 0;
  uint64_t dirty_pages = 0;
  uint64_t mapped = 0;
  uint64_t unmapped = 0;
  uint64_t table = 0;
  uint64_t records = 0;
  ReadBatch batch;
  batch.add(at(root_.large.live_pages), pages);
  batch.add(at(root_.large.live_blocks), blocks);
  batch.add(at(root_.large.dirty_pages), dirty_pages);
  batch.add(at(root_.large.mapped), mapped);
  batch.add(at(root_.large.unmapped), unmapped);
  batch.add(at(root_.large.table), table);
  batch.add(at(root_.huge.live_bytes), totals.huge_live_bytes);
  batch.add(at(root_.huge.live_blocks), totals.huge_live_blocks);
  batch.add(at(root_.huge.kept_bytes), totals.huge_cached_bytes);
  batch.add(at(root_.records), records);
  batch.run(memory_);
  const uint64_t span_bytes = pages * root_.large.page_bytes;
  totals.large_live_bytes = less(span_bytes, cached_spans.second);
  totals.large_live_blocks = less(blocks, cached_spans.first);
  totals.cached_bytes += span_bytes - totals.large_live_bytes;
  totals.live_bytes += totals.large_live_bytes + totals.huge_live_bytes;
  totals.live_blocks += totals.large_live_blocks + totals.huge_live_blocks;
  totals.free_dirty_bytes += dirty_pages * root_.large.page_bytes + totals.huge_cached_bytes;
  totals.metadata_bytes += table + records;
  totals.mapped_bytes +=
      mapped - unmapped + table + records + totals.huge_live_bytes + totals.huge_cached_bytes;
}

void HeapReader::read_purges(tide_stats& totals) const {
  uint32_t caches = 0;
  uint32_t heaps = 0;
  ReadBatch batch;
  batch.add(at(root_.caches.count), caches);
  batch.add(at(root_.heaps.live), heaps);
  batch.add(at(root_.purges.calls), totals.purge_calls);
  batch.add(at(root_.purges.bytes), totals.purged_bytes);
  batch.add(at(root_.purges.retaken_bytes), totals.retaken_bytes);
  batch.add(at(root_.purges.max_ns), totals.purge_max_ns);
  batch.add(at(root_.purges.total_ns), totals.purge_total_ns);
  batch.add(at(root_.purges.background_turns), totals.background_turns);
  batch.add(at(root_.limits.footprint), totals.footprint_bytes);
  batch.add(at(root_.limits.soft), totals.limit_soft_bytes);
  batch.add(at(root_.limits.hard), totals.limit_hard_bytes);
  batch.run(memory_);
  totals.limit_bytes =
      totals.limit_hard_bytes != 0 ? totals.limit_hard_bytes : totals.limit_soft_bytes;
  totals.thread_caches = caches;
  totals.heaps = heaps;
}

HeapFigures HeapReader::figures() const {
  HeapFigures figures;
  tide_stats& totals = figures.totals;
  totals.version = TIDE_STATS_VERSION;
  totals.size = sizeof totals;
  if (!is_started()) return figures;
  std::vector<ClassNow> classes = read_classes();
  read_depots(classes);
  const auto cached_spans = add_caches(classes, figures);
  read_heaps(classes);
  for (size_t c = 0; c < classes.size(); ++c) {
    if (classes_[c].block_bytes == 0) continue;
    Counters sum;
    for (const Counters& home : classes[c].homes) {
      sum.used += home.used;
      sum.capacity += home.capacity;
      sum.slabs += home.slabs;
    }
    const Counters& heaps = classes[c].heaps;
    tide_class_stats entry{};
    entry.block_bytes = classes_[c].block_bytes;
    entry.slabs = uint64_t{sum.slabs} + heaps.slabs;
    entry.cached_blocks = std::min(classes[c].cached, sum.used);
    entry.live_blocks = sum.used - entry.cached_blocks + heaps.used;
    entry.free_blocks = less(sum.capacity + heaps.capacity, sum.used + heaps.used);
    totals.live_blocks += entry.live_blocks;
    totals.live_bytes += entry.live_blocks * entry.block_bytes;
    totals.cached_bytes += entry.cached_blocks * entry.block_bytes;
    figures.classes.push_back(entry);
  }
  std::vector<uint64_t> dirty(classes_.size());
  for (const layout::ZoneAt& zone : root_.zones) read_zone(zone, dirty, totals);
  for (size_t c = 0; c < classes_.size(); ++c) {
    if (classes_[c].block_bytes == 0) continue;
    figures.dirty_in_class.push_back(dirty[c]);
    totals.free_dirty_bytes += dirty[c];
  }
  read_big(cached_spans, totals);
  totals.returned_bytes =
      less(totals.mapped_bytes, totals.live_bytes + totals.cached_bytes + totals.free_dirty_bytes +
                                    totals.metadata_bytes);
  read_purges(totals);
  return figures;
}

// Not the windows that zones and tables grow in: others may have mapped something there, as the
// kernel a program.
HeapRanges HeapReader::ranges() const {
  HeapRanges ranges;
  ranges.records.push_back({at(0), at(root_.engine_bytes)});
  if (!is_started()) return ranges;
  const auto header = load<uint64_t>(at(root_.windows.base));
  ranges.records.push_back({header, header + layout::kHeaderRoom});
  for (const layout::ZoneAt& zone : root_.zones) {
    const ZonePlace place = read_zone_place(memory_, described_, zone);
    ranges.zones.push_back(place.blocks());
    for (const Range& table : place.tables()) ranges.records.push_back(table);
  }
  const LargePlace large = read_large_place(memory_, described_);
  ranges.zones.push_back(large.blocks());
  ranges.records.push_back(large.table());
  for (const CacheRecord& cache : read_caches(memory_, described_)) {
    ranges.records.push_back({cache.address, cache.address + root_.caches.bytes});
  }
  const HugeTable table = read_huge_table(memory_, described_);
  for (const HugeBlock& block : table.blocks) {
    ranges.huge.push_back({block.address, block.address + block.bytes});
  }
  ranges.records.push_back(table.entries);
  const layout::HugeAt& huge = root_.huge;
  for (uint32_t i = 0; i < huge.kept_slots; ++i) {
    const uint64_t entry = at(huge.kept + i * huge.kept_step);
    const auto address = load<uint64_t>(entry + huge.kept_address);
    const auto bytes = load<uint64_t>(entry + huge.kept_size);
    if (address != 0) ranges.kept.push_back({address, address + bytes});
  }
  return ranges;
}

uint64_t HeapReader::profile_address() const {
  return root_.bytes < sizeof root_ ? 0 : reinterpret_cast<uint64_t>(root_.profile);
}

}  // namespace tide::walk
