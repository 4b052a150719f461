// A frame's place follows from its return address: the caller's frame begins a fixed distance
// above, or where the frame pointer, or a word beside where that points, says. Such rules are taken
// from the tables that the unwinder reads. What they do not tell is learned from where the unwinder
// goes; a walk that meets a return address without a rule, or leaves the stack, is done by it.
#include "sys/unwind_cache.h"

#include <unwind.h>

#include <atomic>
#include <iterator>

#include "base/compiler.h"
#include "base/mix.h"
#include "base/racy.h"
#include "sys/call_frame.h"
#include "sys/errno_keeper.h"
#include "sys/stack.h"
#include "sys/unwind_tables.h"

namespace tide::sys {

#if defined(__x86_64__) && !defined(__ILP32__)

namespace {

constexpr int kFramePointer = 6;  // rbp, as debug information counts
constexpr size_t kMostLearned = 96;
constexpr size_t kFirstSets = 64;  // a page
constexpr size_t kMostSets = 4096;
// From then on the unwinder is asked without learning from it.
constexpr uint16_t kMostFailures = 64;
constexpr size_t kInSet = 4;  // a cache line of them
// So many stacks after the last one that something was learned from, the tables that were read for
// it go: learning comes in bursts, and a process that soon ends is spared the calls.
constexpr uint32_t kStacksUntilRelease = 16;
constexpr size_t kMostObjects = 8;

// Where the caller's frame is; see CallFrame. One word, so that nobody reads half of it.
struct alignas(8) Rule {
  uint16_t words;
  uint16_t saved_words;
  FrameKind kind;
  bool is_last;
  uint16_t failures;  // how often none was found; then this is none
};

struct Entry {
  uintptr_t address;  // 0: none
  Rule rule;
};

struct alignas(kInSet * sizeof(Entry)) Set {
  Entry entries[kInSet];
};

alignas(kFirstSets * sizeof(Set)) TIDE_LARGE Set g_sets[kMostSets];
// How many of them are in use: a power of two. What was in a set stays there when it grows, and
// half of that is found there still; the rest is learned again.
std::atomic<size_t> g_set_count{kFirstSets};
std::atomic<bool> g_is_learning{false};
std::atomic<uint32_t> g_forgotten{0};      // how often
std::atomic<uint32_t> g_until_release{0};  // 0: there is nothing to release
// Code of each object whose tables were read since then. By who is learning.
uintptr_t g_read_for[kMostObjects];
size_t g_read_count = 0;

Set& set_of(uintptr_t address) {
  const size_t hash = static_cast<size_t>(address * base::kGoldenGamma >> 32);
  return g_sets[hash & (g_set_count.load(std::memory_order_relaxed) - 1)];
}

TIDE_INLINE bool find(uintptr_t address, Rule& rule) {
  for (const Entry& entry : set_of(address).entries) {
    if (base::published_load(entry.address) != address) continue;
    rule = base::published_load(entry.rule);
    return base::racy_load(entry.address) == address;
  }
  return false;
}

// The address's own entry, else an empty one, of more sets if need be, else any.
Entry& entry_for(uintptr_t address) {
  static size_t turn = 0;
  for (;;) {
    Set& set = set_of(address);
    Entry* found = nullptr;
    for (Entry& entry : set.entries) {
      const uintptr_t there = base::racy_load(entry.address);
      if (there == address) return entry;
      if (there == 0) found = &entry;
    }
    if (found != nullptr) return *found;
    const size_t sets = g_set_count.load(std::memory_order_relaxed);
    if (sets == kMostSets) return set.entries[turn++ % kInSet];
    g_set_count.store(2 * sets, std::memory_order_relaxed);
  }
}

// By one thread at a time. Whoever reads the new rule sees afterwards that the old address has
// gone.
void keep(uintptr_t address, Rule rule) {
  Entry& entry = entry_for(address);
  base::racy_store(entry.address, uintptr_t{0});
  base::published_store(entry.rule, rule);
  base::published_store(entry.address, address);
}

struct Places {
  FramePlace places[kMostLearned];
  size_t count;
  bool is_whole;
};

_Unwind_Reason_Code take_place(_Unwind_Context* context, void* argument) {
  auto& found = *static_cast<Places*>(argument);
  if (found.count == kMostLearned) {
    found.is_whole = false;
    return _URC_END_OF_STACK;
  }
  int is_interrupted = 0;
  const uintptr_t address = _Unwind_GetIPInfo(context, &is_interrupted);
  // A signal's frame is followed by code that called nothing: there the rules end.
  if (address == 0 || is_interrupted != 0) {
    found.is_whole = address == 0;
    return _URC_END_OF_STACK;
  }
  found.places[found.count++] = {address, _Unwind_GetCFA(context),
                                 _Unwind_GetGR(context, kFramePointer)};
  return _URC_NO_REASON;
}

// False: the rule does not lead to where the unwinder went.
bool leads_to(Rule rule, FramePlace from, const FramePlace& caller, StackBounds bounds) {
  return follow(rule, from, bounds) && from.stack == caller.stack && from.frame == caller.frame;
}

// Of a frame and its caller. False: none that holds.
bool make_rule(const FramePlace& here, const FramePlace& caller, StackBounds bounds, Rule& rule) {
  const CallFrame frame = read_call_frame(here.address);
  rule = {frame.words, frame.saved_words, frame.kind, false, 0};
  return frame.kind != FrameKind::kUnknown && leads_to(rule, here, caller, bounds);
}

void note_failure(uintptr_t address) {
  Rule rule{};
  if (!find(address, rule)) rule = {};
  const auto failures = static_cast<uint16_t>(rule.failures + 1);
  keep(address,
       {0, 0, FrameKind::kUnknown, false, failures < kMostFailures ? failures : kMostFailures});
}

void empty_sets() {
  for (Set& set : g_sets) {
    for (Entry& entry : set.entries) {
      if (base::racy_load(entry.address) != 0) base::racy_store(entry.address, uintptr_t{0});
    }
  }
}

void note_read(uintptr_t address) {
  // A neighbour is of the same object, as a rule; to release one twice does no harm.
  constexpr uintptr_t kNear = uintptr_t{64} << 10;
  for (size_t i = 0; i < g_read_count; ++i) {
    if (address - g_read_for[i] + kNear < 2 * kNear) return;
  }
  if (g_read_count < kMostObjects) g_read_for[g_read_count++] = address;
}

TIDE_NOINLINE void release_tables() {
  if (g_is_learning.exchange(true, std::memory_order_acquire)) return;
  while (g_read_count != 0) release_unwind_tables(g_read_for[--g_read_count]);
  g_is_learning.store(false, std::memory_order_release);
}

// From the tables alone, as it nearly always goes. The unwinder's code, and that of the C library
// for it, then need not be resident. False: something that only the unwinder knows.
TIDE_READS_ANY_STACK bool learn_from_tables(FramePlace at, StackBounds bounds) {
  for (size_t learned = 0; learned < kMostLearned; ++learned) {
    Rule rule{};
    const bool is_new = !find(at.address, rule);
    if (is_new) {
      note_read(at.address);
      const CallFrame frame = read_call_frame(at.address);
      const bool is_last = frame.kind == FrameKind::kOutermost;
      rule = {frame.words, frame.saved_words, frame.kind, is_last, 0};
    } else if (rule.failures != 0) {
      return false;
    }
    const FramePlace here = at;
    if (!rule.is_last && (rule.kind == FrameKind::kUnknown || !follow(rule, at, bounds))) {
      return false;
    }
    if (is_new) keep(here.address, rule);
    if (rule.is_last) return true;
    at.address = *reinterpret_cast<const uintptr_t*>(at.stack - kStackWord);
    if (at.address == 0) return false;
  }
  return true;
}

void learn_from_unwinder(const FramePlace& from, StackBounds bounds) {
  static Places found;  // too large for a small stack
  found.count = 0;
  found.is_whole = true;
  _Unwind_Backtrace(take_place, &found);
  for (size_t i = 0; i < found.count; ++i) note_read(found.places[i].address);
  size_t at = 0;
  while (at < found.count &&
         (found.places[at].address != from.address || found.places[at].stack != from.stack)) {
    ++at;
  }
  for (; at + 1 < found.count; ++at) {
    Rule rule;
    if (find(found.places[at].address, rule) && rule.failures == 0 && !rule.is_last &&
        leads_to(rule, found.places[at], found.places[at + 1], bounds)) {
      continue;
    }
    if (!make_rule(found.places[at], found.places[at + 1], bounds, rule)) {
      note_failure(found.places[at].address);
      break;
    }
    keep(found.places[at].address, rule);
  }
  if (at + 1 == found.count && found.is_whole) {
    keep(found.places[at].address, {0, 0, FrameKind::kUnknown, true, 0});
  }
}

TIDE_NOINLINE void learn(const FramePlace& from, StackBounds bounds) {
  if (g_is_learning.exchange(true, std::memory_order_acquire)) return;
  const uint32_t forgotten = g_forgotten.load(std::memory_order_acquire);
  if (!learn_from_tables(from, bounds)) learn_from_unwinder(from, bounds);
  g_until_release.store(kStacksUntilRelease, std::memory_order_relaxed);
  // What has been unloaded meanwhile may be among them.
  if (g_forgotten.load(std::memory_order_acquire) != forgotten) empty_sets();
  g_is_learning.store(false, std::memory_order_release);
}

// How many return addresses there are from `at` on, without those below `outside`; 0: a rule is
// missing, and may be learned.
TIDE_READS_ANY_STACK size_t walk(FramePlace at, StackBounds bounds, uintptr_t outside,
                                 uintptr_t* frames, size_t most, bool& may_learn) {
  size_t count = 0;
  for (;;) {
    Rule rule;
    if (!find(at.address, rule)) return 0;
    if (rule.failures != 0) {
      may_learn = rule.failures < kMostFailures;
      return 0;
    }
    frames[count] = at.address;
    count += at.stack >= outside ? 1 : 0;
    if (rule.is_last || count == most) return count;
    if (!follow(rule, at, bounds)) return 0;
    at.address = *reinterpret_cast<const uintptr_t*>(at.stack - kStackWord);
  }
}

}  // namespace

TIDE_NOINLINE TIDE_READS_ANY_STACK size_t capture_known_stack(StackBounds bounds, uintptr_t* frames,
                                                              size_t most, uintptr_t outside) {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here < bounds.low || here >= bounds.high) return capture_stack(frames, most, outside);
  const FramePlace from = callers_place();
  constexpr size_t kInner = 16;  // calls inside of this library
  uintptr_t all[kInner + 64];
  const size_t wanted = most + kInner < std::size(all) ? most + kInner : std::size(all);
  bool may_learn = true;
  size_t count = walk(from, bounds, outside, all, wanted, may_learn);
  if (count == 0 && may_learn) {
    const ErrnoKeeper keeper;
    learn(from, bounds);
    count = walk(from, bounds, outside, all, wanted, may_learn);
  } else if (const uint32_t left = g_until_release.load(std::memory_order_relaxed); left != 0) {
    g_until_release.store(left - 1, std::memory_order_relaxed);
    if (left == 1) release_tables();
  }
  if (count == 0) return capture_stack(frames, most, outside);
  return copy_without_ours(all, count, frames, most);
}

// A thread that is learning sees that it has to do it once more.
void forget_known_stacks() {
  g_forgotten.fetch_add(1, std::memory_order_acq_rel);
  empty_sets();
}

#elif !defined(__aarch64__)  // see unwind_cache_arm64.cc

size_t capture_known_stack(StackBounds, uintptr_t* frames, size_t most, uintptr_t outside) {
  return capture_stack(frames, most, outside);
}

void forget_known_stacks() {}

#endif

}  // namespace tide::sys
