#include "preload/sampling.h"

#include "base/exponential.h"
#include "base/mix.h"
#include "base/text.h"
#include "layout/heap_note.h"
#include "preload/next.h"
#include "probe/profile_file.h"
#include "probe/sample_pace.h"
#include "sys/clock.h"
#include "sys/frames.h"
#include "sys/process.h"
#include "sys/thread.h"
#include "sys/unwind_cache.h"
#include "sys/vm.h"

namespace tide::preload {

namespace {

constexpr uint64_t kMostRate = uint64_t{1} << 40;

constinit probe::SampleTable g_samples;
constinit NextFunctions g_below{};  // without us
// That is being sampled, and has not written its profile yet; 0: none.
int g_process = 0;

// A step of a sequence for each sample of any thread.
uint64_t g_random = 0;

// Thread-local data of a library that may be loaded late is scarce.
struct ThreadSamples {
  uintptr_t inside;  // the frame of the call that the thread is in; an exception may have ended it
  sys::StackBounds stack;
  int64_t until;  // bytes to the next sample
  uint64_t window_ns;
  float rate;  // that was asked for when it was drawn, nearly; 0: it was not
  uint16_t window_samples;
  uint8_t stretch;      // as a power of two: how much further apart they are
  bool has_read_stack;  // in the list of mappings

  int64_t gap() const { return static_cast<int64_t>(rate) << stretch; }
};
constinit thread_local ThreadSamples t_samples{};

// To read it from the list of mappings is dear, and seldom needed.
sys::StackBounds bounds_of_stack(ThreadSamples& thread) {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here < thread.stack.low || here >= thread.stack.high) {
    sys::StackBounds bounds =
        sys::near_stack_bounds(here, sys::is_main_thread(sys::thread_number()));
    if (bounds.high == 0 && !thread.has_read_stack) {
      bounds = sys::stack_bounds(here);
      thread.has_read_stack = true;
    }
    if (bounds.high != 0) thread.stack = bounds;
  }
  return thread.stack;
}

void begin(ThreadSamples& thread, float rate) {
  if (thread.window_ns == 0) {
    thread.window_ns = sys::monotonic_ns();
  }
  thread.rate = rate;
  thread.stretch = 0;
}

void draw(ThreadSamples& thread) {
  const uint64_t random = __atomic_add_fetch(&g_random, base::kGoldenGamma, __ATOMIC_RELAXED);
  thread.until = base::exponential_bytes(base::mix(random), thread.gap());
}

void keep_pace(ThreadSamples& thread) {
  const probe::Pace pace = probe::pace_after(thread.window_ns, thread.window_samples);
  if (pace == probe::Pace::kApart && int64_t{1} << thread.stretch < probe::kMostStretch) {
    ++thread.stretch;
  } else if (pace == probe::Pace::kCloser && thread.stretch != 0) {
    --thread.stretch;
  }
}

// Sampling may go on and off, and its rate change, from outside at any time.
TIDE_NOINLINE void look(ThreadSamples& thread, void* block, size_t bytes) {
  const auto rate = static_cast<float>(g_samples.gap_bytes());
  if (thread.rate != rate) {
    begin(thread, rate);
    draw(thread);
    thread.until -= static_cast<int64_t>(bytes);
    if (thread.until > 0) return;
  }
  uintptr_t frames[probe::SampleTable::kMostFrames];
  const size_t count =
      sys::capture_known_stack(bounds_of_stack(thread), frames, probe::SampleTable::kMostFrames);
  const double chance =
      base::chance_within(static_cast<double>(bytes) / static_cast<double>(thread.gap()));
  g_samples.add({block, bytes, chance, frames, count, sys::thread_number()});
  keep_pace(thread);
  draw(thread);
}

// A call that gives a block of `bytes`. What it calls inside, of the same allocator, counts as it.
template <class Serve>
TIDE_INLINE void* giving(size_t bytes, Serve serve) {
  ThreadSamples& thread = t_samples;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (TIDE_UNLIKELY(thread.inside != 0 && here < thread.inside) || !g_samples.is_on()) {
    return serve();
  }
  thread.inside = here;
  void* const block = serve();
  if (bytes == 0) bytes = 1;
  if (bytes > PTRDIFF_MAX / 2) bytes = PTRDIFF_MAX / 2;
  if (TIDE_UNLIKELY((thread.until -= static_cast<int64_t>(bytes)) <= 0) && block != nullptr) {
    look(thread, block, bytes);
  }
  thread.inside = 0;
  return block;
}

TIDE_INLINE void takes(void* p) { g_samples.remove(p); }

void* sampled_malloc(size_t bytes) {
  return giving(bytes, [=] { return g_below.malloc(bytes); });
}
void* sampled_calloc(size_t count, size_t bytes) {
  return giving(count * bytes, [=] { return g_below.calloc(count, bytes); });
}
// A block that cannot be resized stays, and is no sample any more.
void* sampled_realloc(void* p, size_t bytes) {
  takes(p);
  return giving(bytes, [=] { return g_below.realloc(p, bytes); });
}
void* sampled_reallocarray(void* p, size_t count, size_t bytes) {
  takes(p);
  return giving(count * bytes, [=] { return g_below.reallocarray(p, count, bytes); });
}
void* sampled_aligned_alloc(size_t alignment, size_t bytes) {
  return giving(bytes, [=] { return g_below.aligned_alloc(alignment, bytes); });
}
void* sampled_memalign(size_t alignment, size_t bytes) {
  return giving(bytes, [=] { return g_below.memalign(alignment, bytes); });
}
int sampled_posix_memalign(void** result, size_t alignment, size_t bytes) {
  int error = 0;
  giving(bytes, [&]() -> void* {
    error = g_below.posix_memalign(result, alignment, bytes);
    return error == 0 ? *result : nullptr;
  });
  return error;
}
void* sampled_valloc(size_t bytes) {
  return giving(bytes, [=] { return g_below.valloc(bytes); });
}
void* sampled_pvalloc(size_t bytes) {
  return giving(bytes, [=] { return g_below.pvalloc(bytes); });
}

// The forms of operator new and delete, by the member of NextFunctions that serves them.
template <auto kMember>
void* sampled_new(size_t bytes) {
  return giving(bytes, [=] { return (g_below.*kMember)(bytes); });
}
template <auto kMember>
void* sampled_new_nothrow(size_t bytes, const void* tag) {
  return giving(bytes, [=] { return (g_below.*kMember)(bytes, tag); });
}
template <auto kMember>
void* sampled_new_aligned(size_t bytes, size_t alignment) {
  return giving(bytes, [=] { return (g_below.*kMember)(bytes, alignment); });
}
template <auto kMember>
void* sampled_new_aligned_nothrow(size_t bytes, size_t alignment, const void* tag) {
  return giving(bytes, [=] { return (g_below.*kMember)(bytes, alignment, tag); });
}
template <auto kMember, class... More>
void sampled_free(void* p, More... more) {
  takes(p);
  (g_below.*kMember)(p, more...);
}

NextFunctions in_front_of(NextFunctions next) {
  using F = NextFunctions;
  next.malloc = sampled_malloc;
  next.calloc = sampled_calloc;
  next.realloc = sampled_realloc;
  next.reallocarray = sampled_reallocarray;
  next.aligned_alloc = sampled_aligned_alloc;
  next.memalign = sampled_memalign;
  next.posix_memalign = sampled_posix_memalign;
  next.valloc = sampled_valloc;
  next.pvalloc = sampled_pvalloc;
  next.free = sampled_free<&F::free>;
  next.free_sized = sampled_free<&F::free_sized, size_t>;
  next.free_aligned_sized = sampled_free<&F::free_aligned_sized, size_t, size_t>;
  next.new_block = sampled_new<&F::new_block>;
  next.new_array = sampled_new<&F::new_array>;
  next.new_nothrow = sampled_new_nothrow<&F::new_nothrow>;
  next.new_array_nothrow = sampled_new_nothrow<&F::new_array_nothrow>;
  next.new_aligned = sampled_new_aligned<&F::new_aligned>;
  next.new_array_aligned = sampled_new_aligned<&F::new_array_aligned>;
  next.new_aligned_nothrow = sampled_new_aligned_nothrow<&F::new_aligned_nothrow>;
  next.new_array_aligned_nothrow = sampled_new_aligned_nothrow<&F::new_array_aligned_nothrow>;
  next.delete_block = sampled_free<&F::delete_block>;
  next.delete_array = sampled_free<&F::delete_array>;
  next.delete_nothrow = sampled_free<&F::delete_nothrow, const void*>;
  next.delete_array_nothrow = sampled_free<&F::delete_array_nothrow, const void*>;
  next.delete_sized = sampled_free<&F::delete_sized, size_t>;
  next.delete_array_sized = sampled_free<&F::delete_array_sized, size_t>;
  next.delete_aligned = sampled_free<&F::delete_aligned, size_t>;
  next.delete_array_aligned = sampled_free<&F::delete_array_aligned, size_t>;
  next.delete_aligned_nothrow = sampled_free<&F::delete_aligned_nothrow, size_t, const void*>;
  next.delete_array_aligned_nothrow =
      sampled_free<&F::delete_array_aligned_nothrow, size_t, const void*>;
  next.delete_sized_aligned = sampled_free<&F::delete_sized_aligned, size_t, size_t>;
  next.delete_array_sized_aligned = sampled_free<&F::delete_array_sized_aligned, size_t, size_t>;
  return next;
}

}  // namespace

void start_sampling() {
  uint64_t rate = 0;
  if (sys::is_secure_execution() ||
      !base::parse_decimal(sys::environment_value(kSampleRateVariable), &rate) || rate == 0 ||
      rate > kMostRate) {
    return;
  }
  g_below = g_next;
  g_process = sys::process_id();
  g_random = sys::LinuxVm().random_seed();
  g_samples.start(rate);
  g_next = in_front_of(g_below);
}

bool is_sampling() { return g_below.malloc != nullptr; }

void repair_sampling_in_child() {
  if (g_below.malloc == nullptr) return;
  g_samples.repair_in_child();
  g_process = sys::process_id();
}

void end_sampling() {
  // A child of vfork has its parent's memory.
  if (g_process == 0 || g_process != sys::process_id()) return;
  if (__atomic_exchange_n(&g_process, 0, __ATOMIC_RELAXED) == 0) return;
  const std::string_view file = sys::environment_value(kSampleFileVariable);
  if (!file.empty()) probe::write_profile_to(g_samples, probe::residency_of_sample, file.data());
}

}  // namespace tide::preload

extern "C" {
// Nobody refers to it by name but the note (layout/heap_note.h).
extern tide::layout::ProfileRoot tide_noted_profile __attribute__((visibility("hidden")));
TIDE_KEPT constinit tide::layout::ProfileRoot tide_noted_profile = {
    tide::layout::kProfileFileMagic, &tide_noted_profile, tide::preload::g_samples.table()};
}

__asm__(
    ".pushsection .note.tide, \"a\", %note\n"
    ".balign 4\n"
    ".long 5, 12, 2\n"  // bytes of the owner and of the descriptor, kProfileNoteType
    ".asciz \"Tide\"\n"
    ".balign 4\n"
    "1: .quad tide_noted_profile - 1b\n"
    ".long 1\n"  // kNoteVersion
    ".popsection\n");
static_assert(tide::layout::kProfileNoteType == 2 && tide::layout::kNoteVersion == 1);
