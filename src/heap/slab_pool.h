// A list of slabs that belong to no size class, linked through their records: the youngest is used
// first, the oldest go back to the system first. The zone's lock protects it.
#pragma once

#include <cstdint>

#include "base/racy.h"
#include "layout/slab.h"

namespace tide::heap {

class SlabPool {
 public:
  // All bytes zero; reset() comes before anything else.
  constexpr SlabPool() = default;

  void reset() {
    youngest_ = oldest_ = layout::kNoSlab;
    base::racy_store(count_, 0u);
  }

  bool is_empty() const { return count() == 0; }
  uint32_t count() const { return base::racy_load(count_); }
  // kNoSlab: it is empty.
  uint32_t youngest() const { return youngest_; }
  uint32_t oldest() const { return oldest_; }

  void push(layout::Slab* slabs, uint32_t index) {
    slabs[index].previous = layout::kNoSlab;
    slabs[index].next = youngest_;
    (youngest_ == layout::kNoSlab ? oldest_ : slabs[youngest_].previous) = index;
    youngest_ = index;
    base::racy_store(count_, count_ + 1);
  }

  // It is used after all others.
  void push_oldest(layout::Slab* slabs, uint32_t index) {
    slabs[index].next = layout::kNoSlab;
    slabs[index].previous = oldest_;
    (oldest_ == layout::kNoSlab ? youngest_ : slabs[oldest_].next) = index;
    oldest_ = index;
    base::racy_store(count_, count_ + 1);
  }

  // Not empty.
  uint32_t pop(layout::Slab* slabs) {
    const uint32_t index = youngest_;
    youngest_ = slabs[index].next;
    (youngest_ == layout::kNoSlab ? oldest_ : slabs[youngest_].previous) = layout::kNoSlab;
    base::racy_store(count_, count_ - 1);
    return index;
  }

  // Takes a slab out that is in it.
  void remove(layout::Slab* slabs, uint32_t index) {
    const uint32_t older = slabs[index].next;
    const uint32_t younger = slabs[index].previous;
    (older == layout::kNoSlab ? oldest_ : slabs[older].previous) = younger;
    (younger == layout::kNoSlab ? youngest_ : slabs[younger].next) = older;
    base::racy_store(count_, count_ - 1);
  }

  // Takes the oldest slabs out, at most `most` > 0. Returns the first of a chain by `next`.
  uint32_t detach_oldest(layout::Slab* slabs, uint32_t most) {
    uint32_t first = youngest_;
    if (most >= count_) {
      reset();
      return first;
    }
    first = oldest_;
    for (uint32_t i = 1; i < most; ++i) first = slabs[first].previous;
    oldest_ = slabs[first].previous;
    slabs[oldest_].next = layout::kNoSlab;
    base::racy_store(count_, count_ - most);
    return first;
  }

  // Sorts a chain by number and returns its first: merges of ever longer pieces, bit i of the
  // number of slabs seen says whether pieces[i] is in use.
  static uint32_t sorted(layout::Slab* slabs, uint32_t chain) {
    uint32_t pieces[32];
    for (uint32_t& piece : pieces) piece = layout::kNoSlab;
    while (chain != layout::kNoSlab) {
      uint32_t piece = chain;
      chain = slabs[chain].next;
      slabs[piece].next = layout::kNoSlab;
      uint32_t i = 0;
      for (; pieces[i] != layout::kNoSlab; ++i) {
        piece = merged(slabs, pieces[i], piece);
        pieces[i] = layout::kNoSlab;
      }
      pieces[i] = piece;
    }
    uint32_t result = layout::kNoSlab;
    for (const uint32_t piece : pieces) result = merged(slabs, piece, result);
    return result;
  }

 private:
  friend struct EngineMap;

  static uint32_t merged(layout::Slab* slabs, uint32_t a, uint32_t b) {
    uint32_t first = layout::kNoSlab;
    for (uint32_t* end = &first;; end = &slabs[*end].next) {
      // kNoSlab is above all numbers.
      uint32_t& lower = a < b ? a : b;
      *end = lower;
      if (lower == layout::kNoSlab) return first;
      lower = slabs[lower].next;
    }
  }

  uint32_t youngest_ = 0;
  uint32_t oldest_ = 0;
  uint32_t count_ = 0;
};

}  // namespace tide::heap
