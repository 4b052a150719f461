// A heap's figures from outside, by its layout::HeapRoot: the same as tide_stats_get gives inside
// the process (Engine::collect_stats; a change there is a change here).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "layout/heap_root.h"
#include "tide/tide.h"
#include "walk/heap.h"
#include "walk/memory_source.h"
#include "walk/tide_root.h"

namespace tide::walk {

struct HeapFigures {
  tide_stats totals{};
  std::vector<tide_class_stats> classes;  // as tide_class_stats_get, smallest first
  std::vector<uint64_t> dirty_in_class;   // bytes of free blocks in slabs that may be resident
  std::vector<tide_thread_stats> threads;
};

// Where the heap's memory is.
struct HeapRanges {
  std::vector<Range> zones;    // such as hold blocks
  std::vector<Range> huge;     // live blocks with a mapping of their own
  std::vector<Range> kept;     // freed ones
  std::vector<Range> records;  // tables, caches, the engine itself; other records are not known
};

class HeapReader {
 public:
  // Throws host::Error when there is no root that we understand.
  HeapReader(const MemorySource& memory, uint64_t root_address);

  HeapFigures figures() const;
  HeapRanges ranges() const;
  const std::string& library_version() const { return described_.version; }
  // Of its samples (layout::ProfileTable); 0: the library is older than they are.
  uint64_t profile_address() const;
  // Whether the heap has ever given out a block.
  bool is_started() const { return load<uint8_t>(at(root_.started)) != 0; }

 private:
  struct Counters;
  struct ClassNow;

  uint64_t at(uint32_t offset) const { return described_.at(offset); }
  template <class T>
  T load(uint64_t address) const {
    return load_from<T>(memory_, address);
  }

  std::vector<ClassNow> read_classes() const;
  void read_depots(std::vector<ClassNow>& classes) const;
  void read_heaps(std::vector<ClassNow>& classes) const;
  // Adds what caches hold to the classes. Returns cached spans and their bytes.
  std::pair<uint64_t, uint64_t> add_caches(std::vector<ClassNow>& classes,
                                           HeapFigures& figures) const;
  void read_zone(const layout::ZoneAt& zone, std::vector<uint64_t>& dirty,
                 tide_stats& totals) const;
  uint64_t add_dirty(const layout::ZoneAt& zone, uint64_t records, uint32_t slabs,
                     std::vector<uint64_t>& dirty) const;
  void read_big(std::pair<uint64_t, uint64_t> cached_spans, tide_stats& totals) const;
  void read_purges(tide_stats& totals) const;

  const MemorySource& memory_;
  const TideRoot described_;
  const layout::HeapRoot& root_ = described_.root;
  const std::vector<layout::ClassRow>& classes_ = described_.classes;
};

}  // namespace tide::walk
