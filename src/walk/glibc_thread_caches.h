// The thread caches of glibc's malloc: each is itself a chunk of an arena, and a variable of its
// thread leads to it.
#pragma once

#include <cstdint>
#include <vector>

#include "walk/glibc_arenas.h"
#include "walk/glibc_layout.h"
#include "walk/glibc_memory.h"

namespace tide::walk::glibc {

struct FoundCache {
  uint64_t address = 0;  // the block's
  int thread = 0;        // 0: not known
  ThreadCache content{};
};

// By the threads' own variables; where those cannot be had by a look at all chunks of that size, so
// that such as hold nothing are missed.
std::vector<FoundCache> find_thread_caches(const Memory& memory, const Arenas& arenas);

// Whether links are mangled, as far as any list tells.
void find_variant(const Memory& memory, const std::vector<FoundCache>& caches, Arenas& arenas);

}  // namespace tide::walk::glibc
