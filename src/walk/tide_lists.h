// The lists in which Tide keeps blocks that are free but not back in their slab: thread caches,
// depots, and what waits in hardened mode.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "walk/heap.h"
#include "walk/target.h"
#include "walk/tide_caches.h"
#include "walk/tide_root.h"
#include "walk/tide_tables.h"

namespace tide::walk {

// A block in a list.
struct Listed {
  uint64_t address;
  uint32_t size_class;  // 0: unknown, it waits, or it is a span
  int32_t thread;       // whose cache; 0: a depot or the quarantine
  enum class List : uint8_t { kCache, kSpanCache, kDepot, kWaiting, kQuarantine } list;
};

class TideLists {
 public:
  TideLists(const Target& target, const TideRoot& root) : target_(target), root_(root) {}

  // All of them, by address. Throws host::Error when a list can't be read.
  std::vector<Listed> read_all(const LargePlace& large) const;

  // Freed blocks whose span or mapping still counts as live, by address (hardened mode).
  std::vector<uint64_t> read_quarantine() const;

 private:
  void add_cache(const CacheRecord& cache, const LargePlace& large, std::vector<Listed>& all) const;
  void add_spans(const CacheRecord& cache, const LargePlace& large, std::vector<Listed>& all) const;
  void add_depots(std::vector<Listed>& all) const;

  const Target& target_;
  const TideRoot& root_;
};

// "in the cache of thread 4711".
std::string list_text(const Listed& listed);

}  // namespace tide::walk
