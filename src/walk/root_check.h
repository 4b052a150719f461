// Whether a root that was read from a process can be worked with. A process may hold anything, and
// who reads it may have more rights than it: no number of its leads outside of our own arrays.
#pragma once

#include <cstdint>
#include <vector>

#include "layout/heap_root.h"

namespace tide::walk {

inline constexpr uint32_t kMostClasses = 1024;
inline constexpr uint32_t kMostStacks = 4096;
inline constexpr uint32_t kMostHeaps = 1 << 16;
inline constexpr uint32_t kMostCaches = 1 << 20;
inline constexpr uint32_t kMostKept = 1 << 12;
inline constexpr uint64_t kMostHugeEntries = 1 << 22;
inline constexpr uint64_t kMostSlabs = 1 << 24;
inline constexpr uint64_t kMostSpanPages = uint64_t{1} << 32;

// These throw host::Error. The first is about what has to be known before the tables are read.
void require_known_version(uint64_t magic, uint32_t version, uint32_t bytes);
void require_sane_root(const layout::HeapRoot& root);
void require_sane_tables(const std::vector<layout::ClassRow>& classes,
                         const std::vector<layout::StackRow>& stacks);
// `count` is at most `most`.
void require_at_most(uint64_t count, uint64_t most);

}  // namespace tide::walk
