// What glibc's malloc has freed and keeps in lists: thread caches, fast bins, bins.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "walk/glibc_arenas.h"
#include "walk/glibc_chunk_set.h"
#include "walk/glibc_cut.h"
#include "walk/glibc_thread_caches.h"
#include "walk/heap.h"

namespace tide::walk::glibc {

class FreeLists {
 public:
  FreeLists(const Memory& memory, Arenas& arenas);

  const ChunkSet& cached() const { return cached_; }
  const ChunkSet& records() const { return records_; }
  const std::vector<FoundCache>& caches() const { return caches_; }
  // Of each cache, in the same order.
  const std::vector<HeapThread>& threads() const { return threads_; }

  // Of arenas whose record is missing: chunks that may be in a fast bin or not.
  const Doubtful& doubtful() const { return doubtful_; }

  // What the bins of all arenas hold: read when it is first asked for.
  const ChunkSet& in_bins() const;
  // How many of an arena, by its number.
  uint64_t bin_count(uint32_t arena) const;

  // Of bins only once they were read.
  const std::vector<Problem>& problems() const { return problems_; }

  // Which list a cached chunk is in: "in the tcache of thread 4711".
  std::string where(uint64_t chunk) const;

 private:
  void add_cache(const FoundCache& cache);
  // False: not all of them could be read.
  bool add_fast_bins(uint32_t number);
  void add_bins(uint32_t number) const;
  void note(uint64_t at, std::string text) const;

  const Memory& memory_;
  const Arenas& arenas_;
  std::vector<FoundCache> caches_;
  std::vector<HeapThread> threads_;
  ChunkSet cached_;
  ChunkSet records_;
  Doubtful doubtful_;
  mutable bool has_read_bins_ = false;
  mutable ChunkSet in_bins_;
  mutable std::vector<uint64_t> bin_counts_;
  mutable std::vector<Problem> problems_;
};

}  // namespace tide::walk::glibc
