// One step of a model run. A list of operations drives a fresh engine and a reference side by side;
// every part of a list is a list too (steps that make no sense are skipped), so lists can be
// shrunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "layout/size_classes.h"

namespace tide::tests {

enum class Do : uint8_t {
  kAllocate,
  kZeroed,
  kAligned,
  kHeapAllocate,
  kRelease,
  kReallocate,
  kHeapCreate,
  kHeapDestroy,
  kPurge,
  kPark,     // the thread ends
  kAcquire,  // a thread begins
  kVerify,
  kFailCalls,  // the next calls to the system fail, `bytes` of them
};
inline constexpr const char* kDoNames[] = {
    "kAllocate",   "kZeroed",     "kAligned",     "kHeapAllocate", "kRelease",
    "kReallocate", "kHeapCreate", "kHeapDestroy", "kPurge",        "kPark",
    "kAcquire",    "kVerify",     "kFailCalls"};

struct Operation {
  Do what;
  uint8_t thread;     // whose cache
  uint16_t slot;      // which block
  uint8_t heap;       // which first-class heap
  uint8_t log_align;  // kAligned, kHeapAllocate
  size_t bytes;
};

using Operations = std::vector<Operation>;

inline constexpr unsigned kThreads = 4;
inline constexpr unsigned kSlots = 400;
inline constexpr unsigned kHeaps = 3;

// What a seed turns into.
inline Operations generate(uint64_t seed, size_t count, bool with_failures) {
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t limit) { return random() % limit; };
  // Seeds differ in what they stress.
  const unsigned slots = below(2) == 0 ? kSlots : 30;
  const unsigned flavour = static_cast<unsigned>(below(4));
  const auto some_size = [&]() -> size_t {
    const uint64_t kind = below(100);
    if (flavour == 1 || kind < 40) {
      const size_t bytes =
          layout::class_bytes(1 + static_cast<uint32_t>(below(layout::kLastClass)));
      return bytes - below(2) * below(bytes) / 8 + below(2);
    }
    if (kind < 70) return below(flavour == 2 ? 60'000 : 600);
    if (kind < 92) return below(size_t{1} << (1 + below(17)));
    if (kind < 99) return below(size_t{1} << (17 + below(5)));
    return below(size_t{12} << 20);
  };
  Operations list;
  list.reserve(count);
  while (list.size() < count) {
    Operation op{};
    const uint64_t kind = below(1000);
    op.thread = static_cast<uint8_t>(below(flavour == 3 ? 1 : kThreads));
    op.slot = static_cast<uint16_t>(below(slots));
    op.heap = static_cast<uint8_t>(below(kHeaps));
    op.bytes = some_size();
    op.what = kind < 250                     ? Do::kAllocate
              : kind < 310                   ? Do::kZeroed
              : kind < 360                   ? Do::kAligned
              : kind < 440                   ? Do::kHeapAllocate
              : kind < 800                   ? Do::kRelease
              : kind < 940                   ? Do::kReallocate
              : kind < 950                   ? Do::kHeapCreate
              : kind < 955                   ? Do::kHeapDestroy
              : kind < 965                   ? Do::kPurge
              : kind < 975                   ? Do::kPark
              : kind < 990                   ? Do::kAcquire
              : kind < 993 || !with_failures ? Do::kVerify
                                             : Do::kFailCalls;
    if (op.what == Do::kAligned || (op.what == Do::kHeapAllocate && below(2) == 0)) {
      op.log_align = static_cast<uint8_t>(below(below(10) == 0 ? 26 : 17));
    }
    if (op.what == Do::kFailCalls) op.bytes = 1 + below(6);
    list.push_back(op);
  }
  return list;
}

// As it may be pasted into a test.
inline void print_as_code(const Operations& list, FILE* out) {
  fprintf(out, "const Operations list = {\n");
  for (const Operation& op : list) {
    fprintf(out, "    {Do::%s, %u, %u, %u, %u, %zu},\n", kDoNames[static_cast<size_t>(op.what)],
            op.thread, op.slot, op.heap, op.log_align, op.bytes);
  }
  fprintf(out, "};\n");
}

}  // namespace tide::tests
