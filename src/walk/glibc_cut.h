// glibc's heap in a core that was cut off before the C library's data: without the main arena's own
// record, and without the ring that leads to the others.
//
// Chunks say by themselves how long they are and whether the one before is in a bin. Only what
// thread caches and fast bins hold does not show. A thread cache is a chunk, too, and marks what it
// holds with a number that nobody else has; of an arena's fast bins nothing is left but the links.
#pragma once

#include <cstdint>
#include <vector>

#include "walk/glibc_arenas.h"
#include "walk/glibc_chunk_set.h"
#include "walk/glibc_memory.h"
#include "walk/glibc_thread_caches.h"

namespace tide::walk::glibc {

// Number 0 is the main arena, of which there is nothing but its chunks. Empty: no chunks are there.
Arenas find_cut_arenas(const Memory& memory);

// Adds to `cached` the chunks that bear a thread cache's mark, whichever cache holds them. Where no
// cache is left that tells it, the mark is what most chunks with a link have beside it.
void add_marked_chunks(const Memory& memory, const Arenas& arenas,
                       const std::vector<FoundCache>& caches, ChunkSet& cached);

// Chunks of arenas whose fast bins are not known that may be in one: their first words are links of
// one, or are left from when they were.
struct Doubtful {
  ChunkSet chunks;
  uint64_t count = 0;
  uint64_t bytes = 0;
};
Doubtful find_doubtful_chunks(const Memory& memory, const Arenas& arenas, const ChunkSet& records,
                              const ChunkSet& cached);

}  // namespace tide::walk::glibc
