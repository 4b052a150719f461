#include "walk/glibc_mapped.h"

#include <algorithm>
#include <optional>

#include "walk/glibc_chain.h"

namespace tide::walk::glibc {
namespace {

// What lies between regions, heaps' records not included.
std::vector<Range> find_gaps(const Memory& memory, const Arenas& arenas) {
  std::vector<Range> gaps;
  auto region = arenas.regions.begin();
  for (const Range& area : memory.areas()) {
    uint64_t at = area.start;
    while (region != arenas.regions.end() && region->range.start < area.end) {
      const uint64_t start = region->records != 0 ? region->records : region->range.start;
      if (start > at) gaps.push_back({at, start});
      at = std::max(at, align_up(region->range.end, kPageBytes));
      ++region;
    }
    if (at < area.end) gaps.push_back({at, area.end});
  }
  return gaps;
}

// A head of `bytes` in all, `lead` of them before it.
bool is_mapped_head(const Head& head, uint64_t lead, uint64_t most) {
  const uint64_t bytes = head.bytes();
  return (head.word & kFlags) == kIsMapped && head.before_bytes == lead && bytes >= kLeastChunk &&
         bytes <= most && (bytes + lead) % kPageBytes == 0;
}

// The block was asked for with an alignment: its head is right before it, and what stands at the
// mapping's start is what was there before it was aligned, or before realloc made it shorter. A
// mapping that realloc has moved has lost its alignment, but for that within a page: with
// `may_have_moved` the block may be on any page.
std::optional<MappedChunk> find_aligned(const Memory& memory, uint64_t start, uint64_t bytes,
                                        uint64_t end, bool may_have_moved) {
  const auto chunk_at = [&](uint64_t at) -> std::optional<MappedChunk> {
    const auto head = memory.load<Head>(at);
    if (!head.has_value() || !is_mapped_head(*head, at - start, end - at)) return std::nullopt;
    return MappedChunk{at, head->bytes(), start};
  };
  const uint64_t block = start + kChunkHead;
  uint64_t last = 0;
  for (uint64_t alignment = 2 * kAlignment; alignment < bytes; alignment *= 2) {
    uint64_t at = align_up(block, alignment) - kChunkHead;
    if (at != start && at - start < kLeastChunk) at += alignment;
    if (at == start || at == last || at + kChunkHead > end) continue;
    last = at;
    if (const auto chunk = chunk_at(at)) return chunk;
  }
  if (!may_have_moved) return std::nullopt;
  const uint64_t behind = start + std::min(bytes, end - start);
  for (uint64_t at = start + kPageBytes - kChunkHead; at < behind; at += kPageBytes) {
    if (const auto chunk = chunk_at(at)) return chunk;
  }
  return std::nullopt;
}

std::optional<MappedChunk> chunk_at(const Memory& memory, const Head& head, uint64_t at,
                                    uint64_t end, bool may_have_moved) {
  if (!is_mapped_head(head, 0, UINT64_MAX / 2)) return std::nullopt;
  const auto aligned = find_aligned(memory, at, head.bytes(), end, may_have_moved);
  if (aligned.has_value()) return aligned;
  if (head.bytes() > end - at) return std::nullopt;
  return MappedChunk{at, head.bytes(), at};
}

// With `all_pages` such as do not follow right behind each other, and such as were moved, too.
void search(const Memory& memory, const Range& gap, bool all_pages,
            std::vector<MappedChunk>& chunks) {
  Stride stride(memory.target());
  for (uint64_t at = align_up(gap.start, kPageBytes); at < gap.end;) {
    Head head;
    std::optional<MappedChunk> found;
    const std::byte* const bytes = stride.at(at);
    if (bytes != nullptr) {
      std::memcpy(&head, bytes, sizeof head);
      found = chunk_at(memory, head, at, gap.end, all_pages);
    }
    if (found.has_value()) {
      chunks.push_back(*found);
    } else if (!all_pages) {
      return;
    }
    if (bytes == nullptr) {
      at = memory.next_there(at);
    } else {
      at = found.has_value() ? found->end() : at + kPageBytes;
    }
  }
}

bool are_all(const std::vector<MappedChunk>& chunks, const Parameters& parameters) {
  uint64_t bytes = 0;
  for (const MappedChunk& chunk : chunks) bytes += chunk.end() - chunk.start;
  return chunks.size() == mapped_count(parameters) && bytes == parameters.mapped_bytes;
}

}  // namespace

std::vector<MappedChunk> find_mapped_chunks(const Memory& memory, const Arenas& arenas) {
  const std::vector<Range> gaps = find_gaps(memory, arenas);
  for (const bool all_pages : {false, true}) {
    std::vector<MappedChunk> chunks;
    for (const Range& gap : gaps) search(memory, gap, all_pages, chunks);
    const bool is_done = arenas.parameters.has_value() && are_all(chunks, *arenas.parameters);
    if (is_done || all_pages) return chunks;
  }
  return {};
}

}  // namespace tide::walk::glibc
