// While profiles are made: at which slots of a thread cache's stacks malloc is to take the slow
// path, so that what it hands out can be a sample. See heap/sample_points.h.
//
// One per thread cache, used by who may use the cache. Not there while there are no profiles.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layout/size_classes.h"
#include "layout/thread_cache.h"

namespace tide::layout {

// The slots of the stacks that malloc takes from: the short and the long ones.
inline constexpr size_t kMarkedSlots = kClassCount * (kShortSlots + 1) + kCacheSlots;
inline constexpr size_t kMarkWords = (kMarkedSlots + 63) / 64;

// What a class's stack has; the class's own stack, others have no marks.
struct StackMarks {
  uintptr_t* fence;  // a marked slot in which 0 stands instead of `held`; null: none
  uintptr_t held;
  uintptr_t* limit;   // the stack's limit, while the front's ends below a marked slot; null: no
  uintptr_t* drawn;   // up to which slot marks were drawn
  int64_t gap_bytes;  // mean distance of samples that they were drawn for
  uint32_t hits;      // since they were drawn
  uint32_t marks;     // that were drawn
  float taken;        // what samples of them counted for, in those of before the first halving
  uint8_t halvings;   // of the chance that they are still there
  bool is_stale;      // to be drawn anew: blocks came or left by the batch
  bool is_bare;       // it has no marks, whatever the bits of its slots are
};

// What the last allocation was: a sample, and how likely that was.
struct SampleDrawn {
  bool is_sample;
  uint8_t size_class;
  uint8_t halvings;
  float earlier;  // StackMarks::taken of the same mark, before it
  int64_t gap_bytes;
};

struct SampleMarks {
  StackMarks stacks[kClassCount];
  uint64_t bits[kMarkWords];  // from the first short slot on
  // Whose stacks may have a fence or a limit of their own.
  uint64_t closed[(kClassCount + 63) / 64];
  uint64_t with_drawn[(kClassCount + 63) / 64];  // whose `drawn` is not null
  int64_t gap_bytes;                             // mean distance of samples from now on
  int64_t until_mark;                            // bytes of free blocks until the next marked slot
  int64_t until_large;  // bytes that are counted call by call until the next sample or look
  int64_t beyond_look;  // from that look to the next sample
  uint64_t random;
  uint64_t window_ns;  // when the thread last looked at its samples' rate
  uint32_t window_samples;
  uintptr_t stack_low;  // its thread's stack, as far as it is known
  uintptr_t stack_high;
  bool counts_calls;    // every call, so there are no marks
  bool has_read_stack;  // in the list of mappings
  bool is_busy;         // its thread is making a sample
  SampleDrawn drawn;
  SampleMarks* next;  // among those that no cache has
};

}  // namespace tide::layout
