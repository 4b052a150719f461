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

// Not an error: a mapping comes out somewhere else than asked for, as kernels before 4.17 do that
// know no MAP_FIXED_NOREPLACE; one that may lie anywhere comes out below 4 GiB. Other calls: EPERM.
inline constexpr int kElsewhere = -1;

// Which calls fail: `count` from number `first` on (1 is the first one), of the kinds in `kinds`,
// and all from some places.
struct Plan {
  uint64_t first;
  uint64_t count;
  uint32_t kinds;  // a bit per Call
  int error;
  uint64_t sites[2];  // Site::key; 0: none
  int site_error;
};
inline constexpr Plan kNoFaults{0, 0, 0, 0, {0, 0}, 0};
inline constexpr uint32_t kAllKinds = (1u << kCalls) - 1;

inline constexpr uint32_t kKnownRuns = 8;

// One place in the code under test: where it calls the system, and where that function was called.
struct Site {
  uint64_t key;  // the same in every run of one program; 0: there is no such place
  Call call;
  uintptr_t address;
  uintptr_t caller;
  uint64_t calls;
  uint64_t faults;
  // The last runs in which it called, as arm() was told; those without `sites` if there were any.
  uint32_t run_count;
  uint64_t runs[kKnownRuns];
};

// Before anything else, while there is one thread.
void start_injector();

void arm(const Plan& plan, uint64_t run);
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
