// Makes the memory calls of a program's allocator fail on request.
//
// The program that links injector.cc brings its own mmap, munmap, mprotect, madvise, mremap and
// mincore, which take the place of the C library's for it and for the libraries that it loads.
// Calls that come from the code under test - the engine linked in, or libtide.so - are numbered
// from arm() on, and some of them fail; all others pass. Each place that calls is remembered, in
// memory that forked children share, with how often it called and how often that failed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::faults {

enum class Call : uint8_t { kMmap, kMunmap, kMprotect, kMadvise, kMremap, kMincore };
inline constexpr const char* kCallNames[] = {"mmap",    "munmap", "mprotect",
                                             "madvise", "mremap", "mincore"};
inline constexpr uint32_t kCalls = 6;

// Which calls fail: `count` from number `first` on (1 is the first one), of the kinds in `kinds`.
struct Plan {
  uint64_t first;
  uint64_t count;
  uint32_t kinds;  // a bit per Call
  int error;
};
inline constexpr Plan kNoFaults{0, 0, 0, 0};
inline constexpr uint32_t kAllKinds = (1u << kCalls) - 1;

// One place in the code under test: where it calls the system, and where that function was called.
struct Site {
  Call call;
  uintptr_t address;
  uintptr_t caller;
  uint64_t calls;
  uint64_t faults;
};

// Before anything else, while there is one thread.
void start_injector();

void arm(const Plan& plan);
// All calls work again.
void disarm();

// Since arm().
uint64_t calls_made();
uint64_t faults_made();

// Bytes that the code under test has mapped now, in this process.
size_t mapped_bytes();

// What all processes have seen so far.
uint32_t site_count();
Site site(uint32_t index);
uint64_t total_faults();

}  // namespace tide::faults
