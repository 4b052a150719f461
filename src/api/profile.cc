#include "api/profile.h"

#include <cerrno>

#include "api/allocate.h"
#include "api/options.h"
#include "api/profile_pages.h"
#include "base/exponential.h"
#include "heap/sample_points.h"
#include "probe/profile_file.h"
#include "probe/sample_pace.h"
#include "sys/clock.h"
#include "sys/frames.h"
#include "sys/process.h"
#include "sys/report.h"
#include "sys/stack.h"
#include "sys/thread.h"
#include "sys/unwind_cache.h"

namespace tide::api {

constinit probe::SampleTable g_samples;

namespace {

using heap::SamplePoints;
using layout::SampleMarks;

bool starts(heap::ThreadCache& cache) {
  if (!g_engine.start_sampling(cache, g_samples.gap_bytes(), g_samples.counts_calls()))
    return false;
  cache.marks->stack_low = cache.marks->stack_high = 0;
  cache.marks->has_read_stack = false;
  cache.marks->window_ns = sys::monotonic_ns();
  return true;
}

void keep_rate(heap::ThreadCache& cache) {
  SampleMarks& marks = *cache.marks;
  const int64_t wanted = g_samples.gap_bytes();
  const probe::Pace pace = probe::pace_after(marks.window_ns, marks.window_samples);
  if (pace == probe::Pace::kApart && marks.gap_bytes < wanted * probe::kMostStretch) {
    SamplePoints(cache).set_gap(marks.gap_bytes * 2);
  } else if (pace == probe::Pace::kCloser && marks.gap_bytes > wanted) {
    SamplePoints(cache).set_gap(marks.gap_bytes / 2);
  }
}

// To read it from the list of mappings is as dear as a hundred samples: seldom needed, and done
// once.
sys::StackBounds bounds_of_stack(const heap::ThreadCache& cache) {
  SampleMarks& marks = *cache.marks;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here < marks.stack_low || here >= marks.stack_high) {
    sys::StackBounds bounds = sys::near_stack_bounds(here, sys::is_main_thread(cache.owner));
    if (bounds.high == 0 && !marks.has_read_stack) {
      bounds = sys::stack_bounds(here);
      marks.has_read_stack = true;
    }
    if (bounds.high != 0) {
      marks.stack_low = bounds.low;
      marks.stack_high = bounds.high;
    }
  }
  return {marks.stack_low, marks.stack_high};
}

TIDE_NOINLINE void take_sample(heap::ThreadCache& cache, void* block, size_t bytes, double chance,
                               double same, uintptr_t outside) {
  if (TIDE_UNLIKELY(!sys::may_unwind())) return;
  SampleMarks& marks = *cache.marks;
  marks.is_busy = true;  // what follows may call malloc
  uintptr_t frames[probe::SampleTable::kMostFrames];
  const size_t count = sys::capture_known_stack(bounds_of_stack(cache), frames,
                                                probe::SampleTable::kMostFrames, outside);
  g_samples.add({block, bytes, chance, frames, count, cache.owner, same});
  g_engine.mark_sampled(block);
  if (cache.marks == nullptr) return;
  marks.is_busy = false;
  keep_rate(cache);
}

TIDE_INLINE bool is_large(size_t bytes, size_t alignment) {
  if (bytes > layout::kMidMaxBytes || alignment > layout::kMidMaxBytes) return true;
  if (alignment != 0) bytes = layout::bytes_aligned(alignment, bytes);
  return bytes > layout::kClassedMaxBytes && layout::class_of(bytes) == 0;
}

// Most calls: a block of a stack, which drew no sample.
bool is_plainly_none(const heap::ThreadCache* cache, size_t bytes, size_t alignment) {
  return cache != nullptr && cache->marks != nullptr && !cache->marks->drawn.is_sample &&
         !cache->marks->counts_calls && alignment == 0 && !is_large(bytes, 0) &&
         g_samples.is_on() && !g_samples.counts_calls();
}

TIDE_NOINLINE void consider(heap::ThreadCache* cache, void* block, size_t bytes, size_t alignment,
                            uintptr_t outside) {
  if (cache == nullptr || block == nullptr || g_harden != 0) return;
  if (!g_samples.is_on()) return g_engine.stop_sampling(*cache);
  if (cache->marks != nullptr && cache->marks->counts_calls != g_samples.counts_calls()) {
    g_engine.stop_sampling(*cache);
  }
  if (cache->marks == nullptr && !starts(*cache)) return;
  SampleMarks& marks = *cache->marks;
  const layout::SampleDrawn drawn = marks.drawn;
  marks.drawn.is_sample = false;
  if (marks.is_busy) return;
  if (bytes == 0) bytes = 1;
  double chance = 0;
  double same = 0;
  if (drawn.is_sample) {
    chance = heap::sample_chance(drawn.size_class, drawn.gap_bytes, drawn.halvings);
    same = drawn.earlier / heap::sample_chance(drawn.size_class, drawn.gap_bytes, 0);
  } else if (marks.counts_calls || is_large(bytes, alignment)) {
    const int64_t gap = marks.gap_bytes;
    const auto counted = static_cast<int64_t>(bytes < PTRDIFF_MAX / 2 ? bytes : PTRDIFF_MAX / 2);
    marks.until_large -= counted;
    if (marks.until_large > 0) return;
    if (marks.counts_calls) g_samples.look_at_end();
    SamplePoints points(*cache);
    points.set_until_large(marks.until_large + marks.beyond_look);
    if (marks.until_large > 0) return;
    points.set_until_large(base::exponential_bytes(heap::next_random(marks), gap));
    chance = base::chance_within(static_cast<double>(counted) / static_cast<double>(gap));
  }
  if (chance == 0) return;
  take_sample(*cache, block, bytes, chance, same, outside);
}

// The fast path, but by the class and not by the front's tables.
void* allocate_from_class(heap::ThreadCache& cache, uint32_t c) {
  if (c == 0) return nullptr;
  const size_t stack = layout::own_stack(cache, c);
  auto& space = g_engine.space();
  return layout::is_small_class(c)
             ? heap::allocate_in_zone<layout::kSmallGranuleShift>(space.small, cache, stack)
             : heap::allocate_in_zone<layout::kMidGranuleShift>(space.mid, cache, stack);
}

}  // namespace

// Nothing but a jump: there are no registers to save.
void sample_allocation(heap::ThreadCache* cache, void* block, size_t bytes, size_t alignment,
                       uintptr_t outside) {
  if (TIDE_UNLIKELY(!is_plainly_none(cache, bytes, alignment))) {
    consider(cache, block, bytes, alignment, outside);
  }
}

void* take_counted(size_t bytes) {
  heap::ThreadCache* const cache = cache_or_null();
  if (cache == nullptr || cache->marks == nullptr || g_sees_every_call) return nullptr;
  SampleMarks& marks = *cache->marks;
  const auto counted = static_cast<int64_t>(bytes == 0 ? 1 : bytes);
  if (!marks.counts_calls || bytes > layout::kMidMaxBytes || marks.until_large <= counted) {
    return nullptr;
  }
  void* const block = allocate_from_class(*cache, layout::class_of(bytes));
  if (TIDE_LIKELY(block != nullptr)) marks.until_large -= counted;
  return block;
}

void sample_resized(const void* from, void* to, size_t usable, size_t bytes) {
  // A place in a slab was passed once, when the block was taken.
  if (from == to && !is_large(usable, 0)) return;
  g_samples.remove(from);
  heap::ThreadCache* const cache = cache_or_null();
  if (is_large(bytes, 0)) sample_if_due(cache, to, bytes, 0);
}

int profile_start(size_t gap_bytes) {
  engine();
  if (g_harden != 0 || !layout::kDetects) return ENOTSUP;
  if (gap_bytes == 0) gap_bytes = options().number(OptionId::profile_rate);
  const OptionRow& row = kOptionRows[static_cast<size_t>(OptionId::profile_rate)];
  if (gap_bytes < row.minimum || gap_bytes > row.maximum) return EINVAL;
  g_samples.start(gap_bytes, options().is_on(OptionId::profile_calls));
  g_engine.call_all_threads();
  return 0;
}

void profile_stop() { g_samples.stop(); }

void profile_reset() { g_samples.reset(); }

size_t profile_gap() { return g_samples.is_on() ? static_cast<size_t>(g_samples.gap_bytes()) : 0; }

int profile_write(int descriptor) {
  return probe::write_profile(g_samples, pages_of_sample, descriptor) ? 0 : EIO;
}

void start_profile_by_options() {
  if (!options().is_on(OptionId::profile)) return;
  if (g_harden != 0) return sys::warn("option profile: no profiles in hardened mode");
  g_samples.start(options().number(OptionId::profile_rate),
                  options().is_on(OptionId::profile_calls));
  g_engine.call_all_threads();
}

void write_profile_at_exit() {
  const char* const pattern = options().text(OptionId::profile_file);
  if (pattern[0] == '\0' || g_samples.table()->start_ns == 0 || sys::is_secure_execution()) return;
  probe::write_profile_to(g_samples, pages_of_sample, pattern);
}

void repair_profile_in_child() {
  g_samples.repair_in_child();
  if (heap::ThreadCache* const cache = cache_or_null();
      cache != nullptr && cache->marks != nullptr) {
    cache->marks->is_busy = false;
  }
}

}  // namespace tide::api
