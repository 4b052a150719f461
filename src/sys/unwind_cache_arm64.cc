// 64-bit ARM: code keeps a chain of frame pointers there, as its procedure call standard wants it
// and compilers do unless told otherwise; it ends with a null where a thread or the program began.
// A chain that ends elsewhere was broken by code without: then the unwinder goes by its tables.
#include "sys/unwind_cache.h"

#include <atomic>
#include <iterator>

#include "base/compiler.h"
#include "sys/return_address.h"
#include "sys/stack.h"

namespace tide::sys {

#if defined(__aarch64__)

namespace {

constexpr size_t kInner = 16;  // calls inside of this library
constexpr size_t kMostFrames = 64;
constexpr size_t kWord = sizeof(uintptr_t);

// Return addresses where the unwinder, too, found an end: of the program, of threads. A chain that
// went astray meets a null sooner or later, but hardly one of them with it.
std::atomic<uintptr_t> g_ends[8];

struct Chain {
  size_t count;
  bool is_long;   // as many as were wanted
  uintptr_t end;  // else the outermost return address; 0: not reached
};

bool is_known_end(uintptr_t address) {
  for (const std::atomic<uintptr_t>& end : g_ends) {
    if (end.load(std::memory_order_relaxed) == address) return true;
  }
  return false;
}

TIDE_NOINLINE bool learn_end(uintptr_t address) {
  uintptr_t frames[256];
  const size_t count = capture_stack(frames, std::size(frames));
  if (count == 0 || count == std::size(frames) || frames[count - 1] != address) return false;
  for (std::atomic<uintptr_t>& end : g_ends) {
    uintptr_t none = 0;
    if (end.compare_exchange_strong(none, address, std::memory_order_relaxed)) break;
  }
  return true;
}

// From the pair {caller's frame, return address} at `at` on; without addresses in functions whose
// frames are below `outside`.
TIDE_READS_ANY_STACK Chain follow_chain(uintptr_t at, StackBounds bounds, uintptr_t outside,
                                        uintptr_t* frames, size_t most) {
  Chain chain{0, false, 0};
  while (bounds.high - at >= 2 * kWord) {
    const auto* const pair = reinterpret_cast<const uintptr_t*>(at);
    const uintptr_t caller = pair[0];
    const uintptr_t address = plain_return_address(pair[1]);
    const bool is_end = caller == 0;
    if (address == 0) break;
    if (is_end) chain.end = address;
    if (is_end || caller >= outside) frames[chain.count++] = address;
    chain.is_long = chain.count == most;
    if (chain.is_long || caller <= at || caller >= bounds.high || caller % kWord != 0) break;
    at = caller;
  }
  return chain;
}

}  // namespace

TIDE_NOINLINE size_t capture_known_stack(StackBounds bounds, uintptr_t* frames, size_t most,
                                         uintptr_t outside) {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here < bounds.low || here >= bounds.high) return capture_stack(frames, most, outside);
  uintptr_t all[kInner + kMostFrames];
  const size_t wanted = most < kMostFrames ? most + kInner : std::size(all);
  const Chain chain = follow_chain(here, bounds, outside, all, wanted);
  const bool is_good =
      chain.is_long || (chain.end != 0 && (is_known_end(chain.end) || learn_end(chain.end)));
  if (!is_good) return capture_stack(frames, most, outside);
  return copy_without_ours(all, chain.count, frames, most);
}

void forget_known_stacks() {}

#endif

}  // namespace tide::sys
