// The heap of glibc's malloc, 2.31 to 2.40 on x86-64, in a process or a core.
//
// It is found by its shape alone: no symbols, no debug information, no file is needed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "walk/glibc_arenas.h"
#include "walk/glibc_chunks.h"
#include "walk/glibc_lists.h"
#include "walk/glibc_mapped.h"
#include "walk/glibc_memory.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::walk {

class GlibcHeap : public Heap {
 public:
  // `arenas` are not empty.
  GlibcHeap(std::unique_ptr<glibc::Memory> memory, glibc::Arenas arenas);

  std::string allocator() const override { return "glibc's malloc"; }
  Unknown for_each_block(const Visit& visit) const override;
  HeapSummary summary() const override;
  Range sizes_like(uint64_t bytes) const override;
  std::optional<Place> find(uint64_t address) const override;
  bool finds_quickly() const override { return false; }
  std::vector<Range> ranges() const override;
  std::vector<Range> records() const override;
  std::vector<HeapThread> threads() const override { return lists_.threads(); }
  Unknown for_each_span(const VisitSpan& visit) const override;
  std::vector<Problem> check(size_t most) const override;

 private:
  // Chunks from which a search may begin, one per so many bytes.
  struct Landmarks {
    bool is_known = false;
    std::vector<uint64_t> chunks;  // ascending
  };

  // What is known to be missing before any chunk is looked at.
  Unknown missing() const;
  glibc::ChunkWalk walk(const glibc::Region& region, uint64_t start = 0) const;
  // visit(chunk) for all of a region, until it returns false; false then.
  template <class VisitChunk>
  bool for_each_chunk(const glibc::Region& region, Unknown& unknown, VisitChunk visit) const;
  const glibc::MappedChunk* mapped_at(uint64_t address) const;
  uint64_t landmark_before(const glibc::Region& region, uint64_t address) const;
  Place place_of(const glibc::Region& region, const glibc::Chunk& chunk) const;
  void check_region(const glibc::Region& region, std::vector<uint64_t>& free_chunks,
                    std::vector<Problem>& problems) const;
  void check_totals(const std::vector<uint64_t>& free_chunks, std::vector<Problem>& problems) const;

  std::unique_ptr<glibc::Memory> memory_;
  glibc::Arenas arenas_;
  glibc::FreeLists lists_;
  std::vector<glibc::MappedChunk> mapped_;
  mutable std::vector<Landmarks> landmarks_;  // of each region
};

// Null: the program has no such heap, or never used it.
std::unique_ptr<Heap> find_glibc_heap(const Target& target);

}  // namespace tide::walk
