// Byte-weighted samples of what malloc hands out, without an instruction on its fast path.
//
// The fast paths of malloc and free leave no trace of themselves: a block that is freed and taken
// again is where it was. So samples are not drawn from the calls but from the places that calls
// pass by, the slots of a thread's stacks. A slot is marked with the chance that its block's bytes
// have at the wanted rate; marks are drawn when a stack is filled or emptied by the batch, whatever
// the program does in between. To malloc out of a marked slot is a sample. Each allocation passes
// one slot, so each has exactly that chance, also the second and the hundredth of a block.
//
//   slots:  |  0  | b | 0 | b | b |   |   |      0: a marked slot, its block is held aside
//                       ^ fence     ^ top     ^ limit, if the slot above is marked
//
// The nearest marked slot at or below top has a 0 in it, as the bottom has, so that malloc takes
// the slow path there; in front of the nearest one above top the front's limit ends, so that the
// free that is to fill it comes by and sets the 0. Slow paths open a stack before they touch it, so
// that it is as it is without marks, and close it afterwards.
//
// Blocks much smaller than the rate get marks more often than they are due, and only a part of what
// comes by is a sample: otherwise a short cycle would hardly ever meet a mark.
//
// Where every call is to be counted there are no marks, but the tables by which malloc finds its
// stack are closed (SampleMarks::counts_calls).
//
// A cycle that stays at a marked slot would make samples without end. From kFreeHits on, each
// doubling of the hits halves the chance that the stack keeps its marks, and doubles what its
// samples count for. That keeps every estimate right on average.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/compiler.h"
#include "base/exponential.h"
#include "base/mix.h"
#include "base/racy.h"
#include "layout/sample_marks.h"
#include "layout/thread_cache.h"

namespace tide::heap {

using layout::SampleMarks;
using layout::StackMarks;
using layout::ThreadCache;

// At least one slot in so many is marked.
inline constexpr int64_t kMostSlotsPerMark = 512;
inline constexpr uint32_t kFreeHits = 64;
// Where every call is counted, so many bytes at most go by until it is looked whether that has
// ended: a thread may never come to a sample.
inline constexpr int64_t kBytesPerLook = int64_t{64} << 10;

inline uint64_t next_random(SampleMarks& marks) {
  marks.random += base::kGoldenGamma;
  return base::mix(marks.random);
}

// What a block of the class counts for when marks are drawn.
inline int64_t mark_bytes(int64_t gap_bytes, uint32_t c) {
  const auto bytes = static_cast<int64_t>(layout::kClassInfo[c].bytes);
  const int64_t least = gap_bytes / kMostSlotsPerMark;
  return bytes < least ? least : bytes;
}

// The chance with which an allocation of the class was made a sample.
inline double sample_chance(uint32_t c, int64_t gap_bytes, uint32_t halvings) {
  const auto bytes = static_cast<double>(layout::kClassInfo[c].bytes);
  const auto counted = static_cast<double>(mark_bytes(gap_bytes, c));
  const double marked = base::chance_within(counted / static_cast<double>(gap_bytes));
  return marked * bytes / counted / static_cast<double>(uint64_t{1} << halvings);
}

// The marked slots of [from, to], by their numbers from the first short slot on.
class MarkRange {
 public:
  static constexpr size_t kNone = SIZE_MAX;

  MarkRange(SampleMarks& marks, size_t from, size_t to) : bits_(marks.bits), from_(from), to_(to) {}

  size_t lowest() const {
    for (size_t at = from_; at <= to_; at = (at | 63) + 1) {
      const uint64_t word = bits_[at / 64] >> (at % 64);
      if (word == 0) continue;
      const size_t found = at + static_cast<size_t>(std::countr_zero(word));
      return found <= to_ ? found : kNone;
    }
    return kNone;
  }
  size_t highest() const {
    for (size_t at = to_ + 1; at-- > from_; at &= ~size_t{63}) {
      const uint64_t word = bits_[at / 64] << (63 - at % 64);
      if (word == 0) continue;
      const size_t found = at - static_cast<size_t>(std::countl_zero(word));
      return found >= from_ && found <= at ? found : kNone;
    }
    return kNone;
  }
  void clear() {
    keep([] { return uint64_t{0}; });
  }
  // Of each word of marks those that are in the next mask.
  template <class NextMask>
  void keep(NextMask next_mask) {
    for (size_t at = from_; at <= to_; at = (at | 63) + 1) {
      const uint64_t from_at = UINT64_MAX << (at % 64);
      const uint64_t up_to = (at | 63) <= to_ ? UINT64_MAX : UINT64_MAX >> (63 - to_ % 64);
      bits_[at / 64] &= next_mask() | ~(from_at & up_to);
    }
  }
  void set(size_t at) { bits_[at / 64] |= uint64_t{1} << (at % 64); }
  bool test(size_t at) const { return (bits_[at / 64] >> (at % 64) & 1) != 0; }

 private:
  uint64_t* bits_;
  size_t from_;
  size_t to_;
};

// visit(class) for each one that has its bit.
template <size_t kWords, class Visit>
TIDE_INLINE void for_each_of(const uint64_t (&classes)[kWords], Visit visit) {
  for (size_t word = 0; word < kWords; ++word) {
    for (uint64_t left = classes[word]; left != 0; left &= left - 1) {
      visit(static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left))));
    }
  }
}

class SamplePoints {
 public:
  // A cache that has marks.
  explicit SamplePoints(ThreadCache& cache) : cache_(cache), marks_(*cache.marks) {}

  // Makes the stack of class `c` what it is without marks. Most are that.
  TIDE_INLINE void open(uint32_t c) {
    const StackMarks& stack = marks_.stacks[c];
    if (TIDE_UNLIKELY(stack.limit != nullptr || stack.fence != nullptr)) open_closed(c);
  }

  // Draws the marks of a stack whose blocks or limit have changed by more than a block, and sets
  // the nearest ones.
  void close(uint32_t c) {
    open(c);
    if (marks_.counts_calls) return;
    const uint32_t number = layout::own_stack(cache_, c);
    uintptr_t* const limit = cache_.limit[number];
    StackMarks& stack = marks_.stacks[c];
    if (stack.is_stale || stack.drawn != limit) draw(c, limit);
    if (TIDE_LIKELY(stack.is_bare)) return;
    uintptr_t* const bottom = bottom_of(c, limit);
    uintptr_t* const top = cache_.top[number];
    const size_t below = MarkRange(marks_, index(bottom + 1), index(top)).highest();
    if (top != bottom && below != MarkRange::kNone) {
      // A fork between these finds the block in its slot, or held.
      marks_.closed[c / 64] |= uint64_t{1} << c % 64;
      stack.held = *slot(below);
      std::atomic_signal_fence(std::memory_order_release);
      stack.fence = slot(below);
      std::atomic_signal_fence(std::memory_order_release);
      base::racy_store(*slot(below), uintptr_t{0});
      layout::renew_head(cache_, number);
    }
    if (top == limit) return;
    const size_t above = MarkRange(marks_, index(top + 1), index(limit)).lowest();
    if (above != MarkRange::kNone) {
      marks_.closed[c / 64] |= uint64_t{1} << c % 64;
      stack.limit = limit;
      std::atomic_signal_fence(std::memory_order_release);
      base::racy_store(cache_.limit[number], slot(above) - 1);
    }
  }

  // draw_sample() and close() in one, as it nearly always goes: the stack has no marks, nor does it
  // get any. False: they are to follow.
  TIDE_INLINE bool stays_bare(uint32_t c) {
    StackMarks& stack = marks_.stacks[c];
    const uint32_t number = layout::own_stack(cache_, c);
    uintptr_t* const limit = cache_.limit[number];
    if (TIDE_UNLIKELY(cache_.top[number] == limit || marks_.counts_calls)) return false;
    if (!stack.is_stale && stack.drawn == limit) return stack.is_bare;
    const int64_t bytes = (limit - bottom_of(c, limit)) * mark_bytes(marks_.gap_bytes, c);
    if (marks_.until_mark <= bytes) return false;
    marks_.until_mark -= bytes;
    note_drawn(c, limit);
    return true;
  }

  // After a block of the class was taken out of an open stack: says whether it is a sample.
  void draw_sample(uint32_t c) {
    if (marks_.counts_calls) return;
    StackMarks& stack = marks_.stacks[c];
    const uint32_t number = layout::own_stack(cache_, c);
    uintptr_t* const taken = cache_.top[number] + 1;
    const bool has_mark = taken <= cache_.limit[number];
    if (!has_mark) {  // a stack without room
      stack.gap_bytes = marks_.gap_bytes;
      stack.halvings = 0;
      marks_.until_mark -= mark_bytes(marks_.gap_bytes, c);
      if (marks_.until_mark > 0) return;
      marks_.until_mark = next_gap();
    } else {
      if (stack.is_stale || stack.drawn != cache_.limit[number]) {
        draw(c, cache_.limit[number]);
      }
      if (stack.is_bare || !MarkRange(marks_, 0, 0).test(index(taken)) ||
          !survives(c, index(taken))) {
        return;
      }
    }
    const auto bytes = static_cast<uint64_t>(layout::kClassInfo[c].bytes);
    if (next_random(marks_) % static_cast<uint64_t>(mark_bytes(stack.gap_bytes, c)) >= bytes)
      return;
    float earlier = 0;
    if (has_mark) {
      earlier = stack.taken / static_cast<float>(stack.marks);
      stack.taken += static_cast<float>(uint64_t{1} << stack.halvings);
    }
    marks_.drawn = {true, static_cast<uint8_t>(c), stack.halvings, earlier, stack.gap_bytes};
  }

  // Blocks came or left by the batch.
  void renew(uint32_t c) { marks_.stacks[c].is_stale = true; }

  // With `counts_calls` no slot is marked: the cache's tables are closed, so that every call comes
  // by and is counted by whoever serves it.
  void start(int64_t gap_bytes, uint64_t seed, bool counts_calls = false) {
    marks_.random = seed;
    marks_.drawn = {};
    marks_.is_busy = false;
    marks_.window_ns = 0;
    marks_.window_samples = 0;
    marks_.counts_calls = counts_calls;
    set_gap(gap_bytes);
    for_each_of(marks_.with_drawn, [&](uint32_t c) { marks_.stacks[c].drawn = nullptr; });
    for (uint64_t& word : marks_.with_drawn) word = 0;
    if (counts_calls) return layout::close_tables(cache_);
    // Most stacks get no mark, which shows before anything is written. They are drawn again at
    // their first slow path, as if they had been filled there.
    const int64_t least = gap_bytes / kMostSlotsPerMark;
    int64_t until = marks_.until_mark;
    for_each_of(cache_.grown, [&](uint32_t c) {
      const uintptr_t* const limit = cache_.limit[layout::own_stack(cache_, c)];
      const auto block = static_cast<int64_t>(layout::kClassInfo[c].bytes);
      const int64_t bytes = (limit - bottom_of(c, limit)) * (block < least ? least : block);
      if (TIDE_LIKELY(until > bytes)) {
        until -= bytes;
        return;
      }
      marks_.until_mark = until;
      close(c);
      until = marks_.until_mark;
    });
    marks_.until_mark = until;
  }

  // For marks that are drawn from now on.
  void set_gap(int64_t gap_bytes) {
    marks_.gap_bytes = gap_bytes;
    marks_.until_mark = next_gap();
    set_until_large(next_gap());
  }

  // For what is counted call by call.
  void set_until_large(int64_t bytes) {
    const bool looks = marks_.counts_calls && bytes > kBytesPerLook;
    marks_.until_large = looks ? kBytesPerLook : bytes;
    marks_.beyond_look = bytes - marks_.until_large;
  }

  void open_all() {
    for_each_of(marks_.closed, [&](uint32_t c) { open(c); });
    for (uint64_t& word : marks_.closed) word = 0;
  }

 private:
  TIDE_NOINLINE void open_closed(uint32_t c) {
    StackMarks& stack = marks_.stacks[c];
    if (stack.limit != nullptr) {
      base::racy_store(cache_.limit[layout::own_stack(cache_, c)], stack.limit);
      stack.limit = nullptr;
    }
    if (stack.fence != nullptr) {
      base::racy_store(*stack.fence, stack.held);
      layout::renew_head(cache_, layout::own_stack(cache_, c));
      std::atomic_signal_fence(std::memory_order_release);
      stack.fence = nullptr;
    }
  }
  // Of the class's own stack.
  uintptr_t* bottom_of(uint32_t c, const uintptr_t* limit) {
    return limit < cache_.slots ? layout::short_bottom(cache_, c) : layout::long_bottom(cache_, c);
  }
  TIDE_NOINLINE int64_t next_gap() {
    return base::exponential_bytes(next_random(marks_), marks_.gap_bytes);
  }
  // The long places follow the short ones.
  uintptr_t first_slot() const { return reinterpret_cast<uintptr_t>(cache_.short_slots); }
  size_t index(const uintptr_t* at) const {
    return (reinterpret_cast<uintptr_t>(at) - first_slot()) / sizeof *at;
  }
  uintptr_t* slot(size_t number) const {
    return reinterpret_cast<uintptr_t*>(first_slot() + number * sizeof(uintptr_t));
  }

  // Without marks so far. Nothing else of a stack says anything before it has been here.
  TIDE_INLINE void note_drawn(uint32_t c, uintptr_t* limit) {
    StackMarks& stack = marks_.stacks[c];
    stack.is_stale = false;
    stack.drawn = limit;
    stack.is_bare = true;
    marks_.with_drawn[c / 64] |= uint64_t{1} << c % 64;
  }

  void draw(uint32_t c, uintptr_t* limit) {
    StackMarks& stack = marks_.stacks[c];
    const uintptr_t* const bottom = bottom_of(c, limit);
    note_drawn(c, limit);
    const int64_t step = mark_bytes(marks_.gap_bytes, c);
    int64_t left = limit - bottom;
    if (TIDE_LIKELY(marks_.until_mark > left * step)) {
      marks_.until_mark -= left * step;
      return;
    }
    stack.gap_bytes = marks_.gap_bytes;
    stack.hits = 0;
    stack.marks = 0;
    stack.taken = 0;
    stack.halvings = 0;
    MarkRange range(marks_, index(bottom + 1), index(limit));
    size_t at = index(bottom + 1);
    while (marks_.until_mark <= left * step) {
      const int64_t skipped = (marks_.until_mark - 1) / step;
      if (stack.is_bare) range.clear();
      stack.is_bare = false;
      at += static_cast<size_t>(skipped);
      range.set(at++);
      ++stack.marks;
      left -= skipped + 1;
      marks_.until_mark = next_gap();
    }
    marks_.until_mark -= left * step;
  }

  // Each mark by itself: were all of a stack to go or to stay at once, what is found would be so
  // much further off.
  bool survives(uint32_t c, size_t taken) {
    StackMarks& stack = marks_.stacks[c];
    if (++stack.hits < kFreeHits || !std::has_single_bit(stack.hits)) return true;
    ++stack.halvings;
    const uint32_t number = layout::own_stack(cache_, c);
    MarkRange range(marks_, index(layout::stack_bottom(cache_, number) + 1),
                    index(cache_.limit[number]));
    range.keep([&] { return next_random(marks_); });
    return range.test(taken);
  }

  ThreadCache& cache_;
  SampleMarks& marks_;
};

// The same for caches that may have none.
inline void open_stack(ThreadCache& cache, uint32_t c) {
  if (TIDE_UNLIKELY(cache.marks != nullptr)) SamplePoints(cache).open(c);
}
inline void close_stack(ThreadCache& cache, uint32_t c) {
  if (TIDE_UNLIKELY(cache.marks != nullptr)) SamplePoints(cache).close(c);
}
inline void renew_marks(ThreadCache& cache, uint32_t c) {
  if (TIDE_UNLIKELY(cache.marks != nullptr)) SamplePoints(cache).renew(c);
}

// Before blocks leave it by the batch; it is to be closed afterwards.
inline void open_to_renew(ThreadCache& cache, uint32_t c) {
  open_stack(cache, c);
  renew_marks(cache, c);
}

}  // namespace tide::heap
