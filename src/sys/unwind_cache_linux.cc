// A frame's place follows from its return address: the caller's frame begins a fixed distance
// above, or, in a function with a frame pointer, where that says. What the unwinder finds is turned
// into such rules; a walk that meets a return address without a rule, or leaves the stack, is done
// by the unwinder again. A rule that was learned wrongly leads to words that are no return
// addresses with a rule, and so to the same.
#include "sys/unwind_cache.h"

#include <unwind.h>

#include <atomic>
#include <cstring>
#include <iterator>

#include "base/compiler.h"
#include "base/mix.h"
#include "base/racy.h"
#include "sys/errno_keeper.h"
#include "sys/stack.h"

namespace tide::sys {

#if defined(__x86_64__) && !defined(__ILP32__)

namespace {

constexpr int kFramePointer = 6;  // rbp, as debug information counts
constexpr size_t kWord = sizeof(uintptr_t);
constexpr size_t kMostLearned = 96;
constexpr unsigned kSetBits = 12;
// From then on the unwinder is asked without learning from it.
constexpr uint16_t kMostFailures = 64;
constexpr size_t kInSet = 4;  // a cache line of them

// Where the caller's frame is. One word, so that nobody reads half of it.
struct alignas(8) Rule {
  uint16_t words;        // from one frame's place to the next; 0: the frame pointer says it
  uint16_t saved_words;  // below the next place: the caller's frame pointer; 0: it is the same
  uint16_t is_last;
  uint16_t failures;  // how often none was found; then this is none
};

struct Entry {
  uintptr_t address;  // 0: none
  Rule rule;
};

struct alignas(kInSet * sizeof(Entry)) Set {
  Entry entries[kInSet];
};

Set g_sets[size_t{1} << kSetBits];
std::atomic<bool> g_is_learning{false};
std::atomic<uint32_t> g_forgotten{0};  // how often

Set& set_of(uintptr_t address) { return g_sets[address * base::kGoldenGamma >> (64 - kSetBits)]; }

TIDE_INLINE bool find(uintptr_t address, Rule& rule) {
  for (const Entry& entry : set_of(address).entries) {
    if (base::published_load(entry.address) != address) continue;
    rule = base::published_load(entry.rule);
    return base::racy_load(entry.address) == address;
  }
  return false;
}

// The address's own entry, else an empty one, else any.
Entry& entry_for(uintptr_t address) {
  static size_t turn = 0;
  Set& set = set_of(address);
  Entry* found = &set.entries[turn++ % kInSet];
  for (Entry& entry : set.entries) {
    const uintptr_t there = base::racy_load(entry.address);
    if (there == address) return entry;
    if (there == 0) found = &entry;
  }
  return *found;
}

// By one thread at a time. Whoever reads the new rule sees afterwards that the old address has
// gone.
void keep(uintptr_t address, Rule rule) {
  Entry& entry = entry_for(address);
  base::racy_store(entry.address, uintptr_t{0});
  base::published_store(entry.rule, rule);
  base::published_store(entry.address, address);
}

struct Place {
  uintptr_t address;         // what is called from there returns to it
  uintptr_t stack;           // the stack pointer then
  uintptr_t frame;           // the frame pointer
  uintptr_t frame_saved_at;  // where what it calls has put that, if it has
};

struct Places {
  Place places[kMostLearned];
  size_t count;
  bool is_whole;
};

// The same value may stand in a frame more than once. GCC's unwinder begins its context with the
// places where registers have been saved; what is found there is looked at twice.
uintptr_t place_of_frame_pointer(const _Unwind_Context* context) {
  uintptr_t places[kFramePointer + 1];
  memcpy(places, context, sizeof places);
  return places[kFramePointer];
}

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
                                 _Unwind_GetGR(context, kFramePointer),
                                 place_of_frame_pointer(context)};
  return _URC_NO_REASON;
}

// Of a frame and its caller. False: none that holds.
bool make_rule(const Place& here, const Place& caller, StackBounds bounds, Rule& rule) {
  if (caller.stack <= here.stack || caller.stack > bounds.high || here.stack % kWord != 0) {
    return false;
  }
  const size_t words = (caller.stack - here.stack) / kWord;
  if (words > UINT16_MAX) return false;
  const bool keeps_frame = here.frame + 2 * kWord == caller.stack &&
                           *reinterpret_cast<const uintptr_t*>(here.frame) == caller.frame;
  if (keeps_frame) {
    rule = {0, 2, 0, 0};
    return true;
  }
  rule = {static_cast<uint16_t>(words), 0, 0, 0};
  const uintptr_t saved_at = caller.frame_saved_at;
  if (saved_at >= here.stack && saved_at + 2 * kWord <= caller.stack && saved_at % kWord == 0 &&
      *reinterpret_cast<const uintptr_t*>(saved_at) == caller.frame) {
    rule.saved_words = static_cast<uint16_t>((caller.stack - saved_at) / kWord);
    return true;
  }
  if (caller.frame == here.frame) return true;
  for (size_t saved = 2; saved <= words; ++saved) {
    if (*reinterpret_cast<const uintptr_t*>(caller.stack - saved * kWord) != caller.frame) continue;
    rule.saved_words = static_cast<uint16_t>(saved);
    return true;
  }
  return false;
}

void note_failure(uintptr_t address) {
  Rule rule{};
  if (!find(address, rule)) rule = {};
  const auto failures = static_cast<uint16_t>(rule.failures + 1);
  keep(address, {0, 0, 0, failures < kMostFailures ? failures : kMostFailures});
}

void empty_sets() {
  for (Set& set : g_sets) {
    for (Entry& entry : set.entries) {
      if (base::racy_load(entry.address) != 0) base::racy_store(entry.address, uintptr_t{0});
    }
  }
}

TIDE_NOINLINE void learn(const Place& from, StackBounds bounds) {
  if (g_is_learning.exchange(true, std::memory_order_acquire)) return;
  const uint32_t forgotten = g_forgotten.load(std::memory_order_acquire);
  static Places found;  // too large for a small stack
  found.count = 0;
  found.is_whole = true;
  _Unwind_Backtrace(take_place, &found);
  size_t at = 0;
  while (at < found.count &&
         (found.places[at].address != from.address || found.places[at].stack != from.stack)) {
    ++at;
  }
  for (; at + 1 < found.count; ++at) {
    Rule rule;
    if (!make_rule(found.places[at], found.places[at + 1], bounds, rule)) {
      note_failure(found.places[at].address);
      break;
    }
    keep(found.places[at].address, rule);
  }
  if (at + 1 == found.count && found.is_whole) keep(found.places[at].address, {0, 0, 1, 0});
  // What has been unloaded meanwhile may be among them.
  if (g_forgotten.load(std::memory_order_acquire) != forgotten) empty_sets();
  g_is_learning.store(false, std::memory_order_release);
}

// How many return addresses there are from `at` on; 0: a rule is missing, and may be learned.
TIDE_READS_ANY_STACK size_t walk(Place at, StackBounds bounds, uintptr_t* frames, size_t most,
                                 bool& may_learn) {
  size_t count = 0;
  for (;;) {
    Rule rule;
    if (!find(at.address, rule)) return 0;
    if (rule.failures != 0) {
      may_learn = rule.failures < kMostFailures;
      return 0;
    }
    frames[count++] = at.address;
    if (rule.is_last || count == most) return count;
    const uintptr_t next = rule.words != 0 ? at.stack + rule.words * kWord : at.frame + 2 * kWord;
    if (next <= at.stack || next > bounds.high || next % kWord != 0) return 0;
    at.address = *reinterpret_cast<const uintptr_t*>(next - kWord);
    if (rule.saved_words != 0) {
      at.frame = *reinterpret_cast<const uintptr_t*>(next - rule.saved_words * kWord);
    }
    at.stack = next;
  }
}

}  // namespace

TIDE_NOINLINE TIDE_READS_ANY_STACK size_t capture_known_stack(StackBounds bounds, uintptr_t* frames,
                                                              size_t most) {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here < bounds.low || here >= bounds.high) return capture_stack(frames, most);
  const Place from{reinterpret_cast<uintptr_t>(__builtin_return_address(0)), here + 2 * kWord,
                   *reinterpret_cast<const uintptr_t*>(here), 0};
  constexpr size_t kInner = 16;  // calls inside of this library
  uintptr_t all[kInner + 64];
  const size_t wanted = most + kInner < std::size(all) ? most + kInner : std::size(all);
  bool may_learn = true;
  size_t count = walk(from, bounds, all, wanted, may_learn);
  if (count == 0 && may_learn) {
    const ErrnoKeeper keeper;
    learn(from, bounds);
    count = walk(from, bounds, all, wanted, may_learn);
  }
  if (count == 0) return capture_stack(frames, most);
  return copy_without_ours(all, count, frames, most);
}

// A thread that is learning sees that it has to do it once more.
void forget_known_stacks() {
  g_forgotten.fetch_add(1, std::memory_order_acq_rel);
  empty_sets();
}

#else

size_t capture_known_stack(StackBounds, uintptr_t* frames, size_t most) {
  return capture_stack(frames, most);
}

void forget_known_stacks() {}

#endif

}  // namespace tide::sys
