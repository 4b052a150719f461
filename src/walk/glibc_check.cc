// Whether all of glibc's heap fits together.
#include <fmt/format.h>

#include <algorithm>

#include "walk/glibc_heap.h"

namespace tide::walk {

using glibc::Chunk;
using glibc::ChunkKind;
using glibc::Region;

void GlibcHeap::check_region(const Region& region, std::vector<uint64_t>& free_chunks,
                             std::vector<Problem>& problems) const {
  const glibc::Arena& arena = arenas_.all[region.arena];
  const glibc::ChunkSet& in_bins = lists_.in_bins();
  glibc::ChunkWalk chunks = walk(region);
  bool has_top = !arena.has_state || !region.range.contains(arena.state.top);
  for (auto batch = chunks.next(); !batch.empty(); batch = chunks.next()) {
    for (const Chunk& chunk : batch) {
      const auto note = [&](const char* what) {
        problems.push_back(
            {chunk.address, fmt::format("the chunk at {:#x} {}", chunk.address, what)});
      };
      const uint64_t word = memory_->word(chunk.address + 8).value_or(0);
      if (chunk.kind == ChunkKind::kTop) has_top = true;
      if (chunk.kind == ChunkKind::kFree) {
        ++free_chunks[region.arena];
        if (arena.has_state && !in_bins.contains(chunk.address)) note("is free and in no bin");
      }
      if (chunk.kind == ChunkKind::kCached && in_bins.contains(chunk.address)) {
        note("is in a bin, and in a thread cache or fast bin too");
      }
      const bool is_used = chunk.kind == ChunkKind::kLive || chunk.kind == ChunkKind::kCached;
      if (is_used && ((word & glibc::kNotMain) != 0) == arena.is_main) {
        note("says that it is of another arena");
      }
    }
  }
  if (!has_top) {
    problems.push_back(
        {arena.state.top, fmt::format("chunks of arena {} do not lead to its top", region.arena)});
  }
  problems.insert(problems.end(), chunks.problems().begin(), chunks.problems().end());
}

void GlibcHeap::check_totals(const std::vector<uint64_t>& free_chunks,
                             std::vector<Problem>& problems) const {
  for (uint32_t number = 0; number < arenas_.all.size(); ++number) {
    const uint64_t in_bins = lists_.bin_count(number);
    if (in_bins == free_chunks[number] || !arenas_.all[number].has_state) continue;
    problems.push_back(
        {arenas_.all[number].address, fmt::format("arena {} has {} free chunks, its bins hold {}",
                                                  number, free_chunks[number], in_bins)});
  }
  const Unknown unknown = missing();
  if (unknown.parts != 0) problems.push_back({0, unknown.reason});
  if (!arenas_.parameters.has_value()) return;
  const auto expected = glibc::mapped_count(*arenas_.parameters);
  if (expected.has_value() && *expected != mapped_.size()) {
    problems.push_back(
        {0, fmt::format("malloc counts {} blocks with a mapping of their own, {} were "
                        "found",
                        *expected, mapped_.size())});
  }
}

std::vector<Problem> GlibcHeap::check(size_t most) const {
  std::vector<Problem> problems = arenas_.problems;
  std::vector<uint64_t> free_chunks(arenas_.all.size());
  for (const Region& region : arenas_.regions) {
    if (problems.size() >= most) break;
    check_region(region, free_chunks, problems);
  }
  if (problems.size() < most) check_totals(free_chunks, problems);
  problems.insert(problems.end(), lists_.problems().begin(), lists_.problems().end());
  if (problems.size() > most) problems.resize(most);
  return problems;
}

}  // namespace tide::walk
