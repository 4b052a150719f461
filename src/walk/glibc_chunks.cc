#include "walk/glibc_chunks.h"

#include <fmt/format.h>

#include <algorithm>

#include "walk/glibc_lists.h"

namespace tide::walk::glibc {

ChunkWalk::ChunkWalk(const Memory& memory, const Arenas& arenas, const Region& region,
                     const KnownChunks& known, uint64_t start)
    : memory_(memory),
      region_(region),
      known_(known),
      finder_(memory, region.range.end - region.range.start),
      stride_(memory.target()) {
  const Arena& arena = arenas.all[region.arena];
  bounds_.end = region.range.end;
  bounds_.top = region.range.contains(arena.state.top) ? arena.state.top : 0;
  bounds_.is_main = arena.is_main;
  bounds_.ends_with_top = !arena.has_state;
  has_doubtful_ = known.lists != nullptr && known.lists->doubtful().count != 0;
  batch_.reserve(kBatch + 8);
  begin(start != 0 ? start : region.range.start);
}

bool ChunkWalk::load(uint64_t at, Head& head) {
  const std::byte* const bytes = stride_.at(at);
  if (bytes == nullptr) return false;
  std::memcpy(&head, bytes, sizeof head);
  return true;
}

void ChunkWalk::begin(uint64_t at) {
  at_ = at;
  if (!load(at, head_)) {
    note(at, "the heap's memory from here on is not there");
    look_for_row(at, at, ChunkKind::kLost);
  } else if (is_fence(memory_, at, head_, bounds_)) {
    end_row(at);
  } else if (!region_.is_start_known && at == region_.range.start) {
    // Who moved the break first has what lies before the first chunk.
    look_for_row(at, at, ChunkKind::kForeign);
  } else if (!can_be_chunk(head_, at, bounds_)) {
    go_on_behind(at, &head_, 0, 0);
  }
}

std::span<const Chunk> ChunkWalk::next() {
  batch_.clear();
  while (at_ != 0 && batch_.size() < kBatch) {
    if (!step()) break;
  }
  return batch_;
}

ChunkKind ChunkWalk::kind_of(uint64_t at, bool is_in_use) {
  if (!is_in_use) return ChunkKind::kFree;
  if (at >> ChunkSet::kPageShift != cached_page_number_) {
    cached_page_number_ = at >> ChunkSet::kPageShift;
    cached_page_ = known_.cached->page_of(at);
  }
  if (ChunkSet::is_in(cached_page_, at)) return ChunkKind::kCached;
  if (head_.bytes() == kThreadCacheChunk && known_.records->contains(at)) return ChunkKind::kRecord;
  if (has_doubtful_ && known_.lists->doubtful().chunks.contains(at)) return ChunkKind::kDoubtful;
  return ChunkKind::kLive;
}

// One chunk. False: the row has ended, or is damaged; at_ says how it goes on.
bool ChunkWalk::step() {
  const uint64_t at = at_;
  const uint64_t bytes = head_.bytes();
  if (at == bounds_.top || (bounds_.ends_with_top && at + bytes == bounds_.end)) {
    add(at, bytes, ChunkKind::kTop);
    at_ = 0;
    if (region_.range.end - at > bytes) {
      add(at + bytes, region_.range.end - at - bytes, ChunkKind::kForeign);
    }
    return false;
  }
  const uint64_t next = at + bytes;
  Head head;
  if (next >= bounds_.end || !load(next, head)) {
    // Whether it is free stands in the next one.
    note(at, next >= bounds_.end ? "the chunk reaches the end of its heap, which only the top may"
                                 : "the heap's memory behind this chunk is not there");
    look_for_row(at, next < bounds_.end ? next : at + kAlignment, ChunkKind::kLost);
    return at_ != 0;
  }
  if (can_be_chunk(head, next, bounds_) && fits_behind(head, bytes)) {
    add(at, bytes, kind_of(at, head.is_before_in_use()));
    at_ = next;
    head_ = head;
    return true;
  }
  if (is_fence(memory_, next, head, bounds_) && fits_behind(head, bytes)) {
    const bool is_fence_too = head.bytes() == 0 && bytes == kLeastChunk;
    add(at, bytes, is_fence_too ? ChunkKind::kFence : kind_of(at, head.is_before_in_use()));
    end_row(next);
    return at_ != 0;
  }
  go_on_behind(next, &head, at, bytes);
  return at_ != 0;
}

void ChunkWalk::end_row(uint64_t fence) {
  const uint64_t behind = std::min(fence + 2 * kFenceChunk, region_.range.end);
  add(fence, behind - fence, ChunkKind::kFence);
  at_ = 0;
  if (behind == region_.range.end) return;
  if (bounds_.is_main) {
    // Somebody else moved the break.
    look_for_row(behind, behind, ChunkKind::kForeign);
  } else {
    note(behind, "the chunks end before their heap does");
    look_for_row(behind, behind, ChunkKind::kLost);
  }
}

// `next` is no chunk, although the one before it leads there.
void ChunkWalk::go_on_behind(uint64_t next, const Head* head, uint64_t last, uint64_t last_bytes) {
  if (last == 0) {
    note(next, fmt::format("the heap's first chunk is damaged: its size reads {:#x}", head->word));
    look_for_row(next, next + kAlignment, ChunkKind::kLost);
    return;
  }
  // A row that passes `next` by says that the size that led there is wrong.
  const auto inside = finder_.find(last + kLeastChunk, std::min(next, last + (1 << 20)), kAlignment,
                                   bounds_, in_bins());
  if (inside.has_value()) {
    note(last, fmt::format("the size of the chunk at {:#x} reads {:#x} and leads nowhere: most "
                           "likely the block before it was written past its end",
                           last, head_.word));
    go_on_at(last, *inside, ChunkKind::kLost);
    return;
  }
  const bool is_free = in_bins() != nullptr && in_bins()->contains(last);
  add(last, last_bytes, kind_of(last, !is_free));
  note(next, fmt::format("the head of the chunk at {:#x} is damaged (its size reads {:#x}): most "
                         "likely the block before it, at {:#x} of {} bytes, was {}",
                         next, head->word, last + kChunkHead, last_bytes - kChunkOverhead,
                         is_free ? "written to after it was freed" : "written past its end"));
  look_for_row(next, next + kAlignment, ChunkKind::kLost);
}

// Goes on where a row of chunks begins at or behind `from`; what is before, from `gap` on, is none.
void ChunkWalk::look_for_row(uint64_t gap, uint64_t from, ChunkKind kind) {
  const auto found =
      finder_.find(align_up(from, kAlignment), region_.range.end, kAlignment, bounds_, in_bins());
  go_on_at(gap, found.value_or(0), kind);
}

void ChunkWalk::go_on_at(uint64_t gap, uint64_t at, ChunkKind kind) {
  at_ = at != 0 && load(at, head_) ? at : 0;
  const uint64_t end = at_ != 0 ? at_ : region_.range.end;
  if (gap < end) add(gap, end - gap, kind);
}

const ChunkSet* ChunkWalk::in_bins() const {
  return known_.lists != nullptr ? &known_.lists->in_bins() : nullptr;
}

void ChunkWalk::note(uint64_t at, std::string text) {
  if (problems_.size() < kMostProblems) problems_.push_back({at, std::move(text)});
}

}  // namespace tide::walk::glibc
