// Sampled profiles: which allocations are samples, and what starts and stops them.
//
// malloc and free know nothing of it on their fast paths. While profiles are made, the stacks of
// each thread's cache send what may be a sample to the slow path (heap/sample_points.h); this is
// what the slow path asks. A reader from outside may start and stop it too: by ProfileTable::is_on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "api/thread_front.h"
#include "base/compiler.h"
#include "probe/sample_table.h"
#include "sys/frames.h"

namespace tide::api {

extern constinit probe::SampleTable g_samples __attribute__((visibility("hidden")));

// After an allocation of `bytes` in the slow path, whose caller's stack pointer is `outside`.
TIDE_COLD void sample_allocation(heap::ThreadCache* cache, void* block, size_t bytes,
                                 size_t alignment, uintptr_t outside);
TIDE_INLINE void sample_if_due(heap::ThreadCache* cache, void* block, size_t bytes,
                               size_t alignment) {
  if (TIDE_LIKELY(!g_samples.is_on() && (cache == nullptr || cache->marks == nullptr))) return;
  sample_allocation(cache, block, bytes, alignment, sys::callers_stack());
}

// While every call is counted: most are of blocks at hand, and no samples. Null: this may be one,
// or takes the slow path anyway.
void* take_counted(size_t bytes);

// The block at `from` is at `to` now, and has `bytes`.
TIDE_COLD void sample_resized(const void* from, void* to, size_t usable, size_t bytes);

// `gap_bytes`: the mean distance of samples, 0: as the option says. ENOTSUP: not in hardened mode.
int profile_start(size_t gap_bytes);
void profile_stop();
void profile_reset();
size_t profile_gap();
// Writes what `tide profile FILE` reads. 0 or an error number.
int profile_write(int descriptor);

// As the options say: starts at the start, writes the file at the end.
void start_profile_by_options();
void write_profile_at_exit();

void repair_profile_in_child();

}  // namespace tide::api
