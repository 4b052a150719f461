#include "walk/glibc_heap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace tide::walk {

using glibc::Chunk;
using glibc::ChunkKind;
using glibc::kChunkHead;
using glibc::kChunkOverhead;
using glibc::kMappedOverhead;
using glibc::MappedChunk;
using glibc::Region;

namespace {

constexpr size_t kBatch = 4096;
constexpr uint64_t kLandmarkBytes = 1 << 20;

// Counts of chunks by their size: an array for such as are many.
class Rows {
 public:
  SizeRow& of(uint64_t usable) {
    const uint64_t slot = usable / 8;
    return slot < small_.size() ? small_[slot] : large_[usable];
  }
  std::vector<SizeRow> take() {
    std::vector<SizeRow> rows;
    for (size_t slot = 0; slot < small_.size(); ++slot) add(small_[slot], slot * 8, rows);
    for (auto& [usable, row] : large_) add(row, usable, rows);
    return rows;
  }

 private:
  static void add(SizeRow row, uint64_t usable, std::vector<SizeRow>& rows) {
    if (row.live_blocks + row.cached_blocks + row.free_blocks == 0) return;
    row.bytes = usable;
    row.live_bytes = row.live_blocks * usable;
    rows.push_back(row);
  }

  std::vector<SizeRow> small_ = std::vector<SizeRow>(8192);
  std::map<uint64_t, SizeRow> large_;
};

}  // namespace

std::unique_ptr<Heap> find_glibc_heap(const Target& target) {
  auto memory = std::make_unique<glibc::Memory>(target);
  glibc::Arenas arenas = glibc::find_arenas(*memory);
  if (arenas.all.empty()) return nullptr;
  return std::make_unique<GlibcHeap>(std::move(memory), std::move(arenas));
}

GlibcHeap::GlibcHeap(std::unique_ptr<glibc::Memory> memory, glibc::Arenas arenas)
    : memory_(std::move(memory)),
      arenas_(std::move(arenas)),
      lists_(*memory_, arenas_),
      mapped_(glibc::find_mapped_chunks(*memory_, arenas_)),
      landmarks_(arenas_.regions.size()) {}

glibc::ChunkWalk GlibcHeap::walk(const Region& region, uint64_t start) const {
  return {*memory_, arenas_, region, {&lists_.cached(), &lists_.records(), &lists_}, start};
}

template <class VisitChunk>
bool GlibcHeap::for_each_chunk(const Region& region, Unknown& unknown, VisitChunk visit) const {
  Landmarks& landmarks = landmarks_[static_cast<size_t>(&region - arenas_.regions.data())];
  std::vector<uint64_t> passed;
  uint64_t next_landmark = 0;
  glibc::ChunkWalk chunks = walk(region);
  for (auto batch = chunks.next(); !batch.empty(); batch = chunks.next()) {
    for (const Chunk& chunk : batch) {
      if (chunk.kind == ChunkKind::kLost) {
        ++unknown.parts;
        unknown.bytes += chunk.bytes;
      } else if (chunk.address >= next_landmark && chunk.kind <= ChunkKind::kDoubtful) {
        passed.push_back(chunk.address);
        next_landmark = chunk.address + kLandmarkBytes;
      }
      if (!visit(chunk)) return false;
    }
  }
  if (unknown.reason.empty() && !chunks.problems().empty()) {
    unknown.reason = chunks.problems().front().text;
  }
  landmarks.chunks = std::move(passed);
  landmarks.is_known = true;
  return true;
}

Unknown GlibcHeap::missing() const {
  Unknown unknown = arenas_.missing();
  if (!arenas_.is_cut) return unknown;
  unknown.parts += 1 + lists_.doubtful().count;
  unknown.bytes += lists_.doubtful().bytes;
  unknown.reason = fmt::format(
      "what the main arena says of itself is missing: {} chunks may be in fast bins or live and "
      "are left out, mappings of its own are not found",
      lists_.doubtful().count);
  return unknown;
}

Unknown GlibcHeap::for_each_block(const Visit& visit) const {
  Unknown unknown = missing();
  std::vector<Block> blocks;
  blocks.reserve(kBatch);
  const auto add = [&](const Block& block) {
    blocks.push_back(block);
    if (blocks.size() < kBatch) return true;
    const bool goes_on = visit(blocks);
    blocks.clear();
    return goes_on;
  };
  for (const Region& region : arenas_.regions) {
    const bool goes_on = for_each_chunk(region, unknown, [&](const Chunk& chunk) {
      if (chunk.kind != ChunkKind::kLive) return true;
      return add({chunk.address + kChunkHead, chunk.bytes - kChunkOverhead, region.arena});
    });
    if (!goes_on) return unknown;
  }
  for (const MappedChunk& chunk : mapped_) {
    if (!add({chunk.address + kChunkHead, chunk.bytes - kMappedOverhead, 0})) return unknown;
  }
  if (!blocks.empty()) visit(blocks);
  return unknown;
}

// Chunks are multiples of 16, of which a head of 8 is not usable; blocks with a mapping of their
// own end with a page, and have a head of 16.
Range GlibcHeap::sizes_like(uint64_t bytes) const {
  constexpr uint64_t kLeast = 24;
  constexpr uint64_t kMappedFrom = 128 << 10;
  constexpr uint64_t kPage = 4096;
  if (bytes <= kLeast) return {0, kLeast + 1};
  const uint64_t step = bytes < kMappedFrom ? 16 : kPage;
  const uint64_t head = bytes < kMappedFrom ? 8 : 16;
  if (bytes > UINT64_MAX - 2 * kPage) return {bytes, bytes + 1};
  const uint64_t most = (bytes + head + step - 1) / step * step - head;
  return {most - step + 1, most + 1};
}

HeapSummary GlibcHeap::summary() const {
  HeapSummary summary;
  summary.unknown = missing();
  Rows rows;
  for (uint32_t number = 0; number < arenas_.all.size(); ++number) {
    summary.owners.push_back({number, 0, 0});
    if (arenas_.all[number].has_state) summary.metadata_bytes += sizeof(glibc::ArenaState);
  }
  for (const Region& region : arenas_.regions) {
    HeapSummary::Owner& owner = summary.owners[region.arena];
    summary.mapped_bytes += region.range.end - region.range.start;
    for_each_chunk(region, summary.unknown, [&](const Chunk& chunk) {
      const uint64_t usable = chunk.bytes - kChunkOverhead;
      switch (chunk.kind) {
        case ChunkKind::kLive:
          ++rows.of(usable).live_blocks;
          ++owner.live_blocks;
          owner.live_bytes += usable;
          summary.metadata_bytes += kChunkOverhead;
          break;
        case ChunkKind::kCached:
          ++rows.of(usable).cached_blocks;
          summary.cached_bytes += usable;
          summary.metadata_bytes += kChunkOverhead;
          break;
        case ChunkKind::kFree:
          ++rows.of(usable).free_blocks;
          summary.free_bytes += chunk.bytes;
          break;
        case ChunkKind::kTop:
          summary.free_bytes += chunk.bytes;
          break;
        case ChunkKind::kRecord:
        case ChunkKind::kFence:
          summary.metadata_bytes += chunk.bytes;
          break;
        case ChunkKind::kForeign:
          summary.mapped_bytes -= chunk.bytes;
          break;
        case ChunkKind::kDoubtful:
        case ChunkKind::kLost:
          break;
      }
      return true;
    });
  }
  for (const MappedChunk& chunk : mapped_) {
    const uint64_t usable = chunk.bytes - kMappedOverhead;
    ++rows.of(usable).live_blocks;
    ++summary.owners[0].live_blocks;
    summary.owners[0].live_bytes += usable;
    summary.mapped_bytes += chunk.end() - chunk.start;
    summary.metadata_bytes += chunk.end() - chunk.start - usable;
  }
  for (const HeapSummary::Owner& owner : summary.owners) {
    summary.live_blocks += owner.live_blocks;
    summary.live_bytes += owner.live_bytes;
  }
  summary.rows = rows.take();
  return summary;
}

std::vector<Range> GlibcHeap::ranges() const {
  std::vector<Range> ranges;
  for (const Region& region : arenas_.regions) ranges.push_back(region.range);
  for (const MappedChunk& chunk : mapped_) ranges.push_back({chunk.start, chunk.end()});
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  return ranges;
}

std::vector<Range> GlibcHeap::records() const {
  std::vector<Range> records;
  for (const glibc::Arena& arena : arenas_.all) {
    if (!arena.has_state) continue;
    records.push_back({arena.address, arena.address + sizeof(glibc::ArenaState)});
  }
  // A heap's record; in an arena's first one the arena follows it.
  for (const Region& region : arenas_.regions) {
    if (region.records == 0) continue;
    const uint64_t info = arenas_.variant.heap_info_bytes;
    records.push_back({region.records, region.records + info});
  }
  for (const glibc::FoundCache& cache : lists_.caches()) {
    records.push_back({cache.address, cache.address + sizeof(glibc::ThreadCache)});
  }
  std::sort(records.begin(), records.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  return records;
}

const MappedChunk* GlibcHeap::mapped_at(uint64_t address) const {
  auto after = std::upper_bound(mapped_.begin(), mapped_.end(), address,
                                [](uint64_t a, const MappedChunk& c) { return a < c.start; });
  if (after == mapped_.begin()) return nullptr;
  --after;
  return address < after->end() ? &*after : nullptr;
}

uint64_t GlibcHeap::landmark_before(const Region& region, uint64_t address) const {
  Landmarks& landmarks = landmarks_[static_cast<size_t>(&region - arenas_.regions.data())];
  if (!landmarks.is_known) {
    Unknown unknown;
    for_each_chunk(region, unknown, [](const Chunk&) { return true; });
  }
  const auto after = std::upper_bound(landmarks.chunks.begin(), landmarks.chunks.end(), address);
  return after == landmarks.chunks.begin() ? 0 : after[-1];
}

Place GlibcHeap::place_of(const Region& region, const Chunk& chunk) const {
  Place place;
  place.address = chunk.address + kChunkHead;
  place.bytes = chunk.bytes - kChunkOverhead;
  place.class_bytes = place.bytes;
  place.owner = region.arena;
  place.span = region.range;
  const auto arena = [&] { return fmt::format("arena {}", region.arena); };
  switch (chunk.kind) {
    case ChunkKind::kLive:
      place.state = BlockState::kLive;
      place.where = "in " + arena();
      break;
    case ChunkKind::kCached:
      place.state = BlockState::kCached;
      place.where = lists_.where(chunk.address);
      break;
    case ChunkKind::kFree:
      place.where = "in a bin of " + arena();
      break;
    case ChunkKind::kDoubtful:
      place.state = BlockState::kCached;
      place.where =
          "perhaps in a fast bin of " + arena() + ", whose record is missing; perhaps live";
      break;
    case ChunkKind::kTop:
      place.where = "top of " + arena();
      break;
    case ChunkKind::kRecord:
      place.where = "a tcache itself, in " + arena();
      break;
    case ChunkKind::kFence:
      place.where = "the end of a heap of " + arena();
      break;
    case ChunkKind::kLost:
      place.where = "damaged or missing part of " + arena();
      break;
    case ChunkKind::kForeign:
      break;
  }
  if (chunk.kind > ChunkKind::kDoubtful) place.class_bytes = 0;
  return place;
}

std::optional<Place> GlibcHeap::find(uint64_t address) const {
  if (const MappedChunk* const mapped = mapped_at(address)) {
    Place place;
    place.state = BlockState::kLive;
    place.address = mapped->address + kChunkHead;
    place.bytes = mapped->bytes - kMappedOverhead;
    place.span = {mapped->start, mapped->end()};
    place.where = "a mapping of its own";
    return place;
  }
  const Region* const region = arenas_.region_of(address);
  if (region == nullptr) return std::nullopt;
  glibc::ChunkWalk chunks = walk(*region, landmark_before(*region, address));
  for (auto batch = chunks.next(); !batch.empty(); batch = chunks.next()) {
    for (const Chunk& chunk : batch) {
      // A block reaches into the head of the chunk behind it.
      const uint64_t end = chunk.address + chunk.bytes + kChunkOverhead;
      if (address >= end) continue;
      if (address < chunk.address || chunk.kind == ChunkKind::kForeign) return std::nullopt;
      return place_of(*region, chunk);
    }
  }
  return std::nullopt;
}

Unknown GlibcHeap::for_each_span(const VisitSpan& visit) const {
  Unknown unknown = missing();
  for (const Region& region : arenas_.regions) {
    Span span;
    span.range = region.range;
    span.owner = region.arena;
    const uint64_t first = region.range.start / kFillPage;
    std::vector<PageFill> pages((region.range.end + kFillPage - 1) / kFillPage - first);
    for_each_chunk(region, unknown, [&](const Chunk& chunk) {
      if (chunk.kind <= ChunkKind::kFree) ++span.blocks;
      if (chunk.kind != ChunkKind::kLive) return true;
      ++span.live_blocks;
      const uint64_t start = chunk.address + kChunkHead;
      const uint64_t end =
          std::min(chunk.address + kChunkHead + chunk.bytes - kChunkOverhead, region.range.end);
      for (uint64_t page = start / kFillPage; page * kFillPage < end; ++page) {
        PageFill& fill = pages[page - first];
        fill.live_bytes += static_cast<uint32_t>(std::min(end, (page + 1) * kFillPage) -
                                                 std::max(start, page * kFillPage));
        ++fill.blocks;
        fill.last = start;
        fill.last_bytes = chunk.bytes - kChunkOverhead;
      }
      return true;
    });
    span.is_free = span.live_blocks == 0;
    span.pages = pages;
    if (!visit(span)) return unknown;
  }
  for (const MappedChunk& chunk : mapped_) {
    Span span;
    span.range = {chunk.start, chunk.end()};
    span.blocks = 1;
    span.live_blocks = 1;
    if (!visit(span)) return unknown;
  }
  return unknown;
}

}  // namespace tide::walk
