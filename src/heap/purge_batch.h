// Ranges of pages on their way back to the system: neighbours go in one call, and no call is so
// long that a thread that maps memory meanwhile has to wait for it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "heap/purge_figures.h"
#include "sys/clock.h"
#include "sys/vm.h"

namespace tide::heap {

// Most bytes of one call: a few hundred microseconds, and two huge pages of x86-64 and arm64.
inline constexpr size_t kPurgeBytes = size_t{4} << 20;
// Most ranges of one call. They lie on the stack, of a thread of the program now and then.
inline constexpr uint32_t kPurgeRanges = 32;

// How pages are given back, and the figures of it.
template <sys::VmSource Vm>
struct Purger {
  Vm& vm;
  PurgeFigures& figures;
  bool lazily;  // when the system needs them; else at once, and then they read as zero

  // One call. True when the pages are gone.
  bool give_back(uintptr_t begin, size_t bytes) {
    const uint64_t start = sys::monotonic_ns();
    void* const pages = reinterpret_cast<void*>(begin);
    if (!(lazily ? vm.purge_lazily(pages, bytes) : vm.purge(pages, bytes))) return false;
    count_call(start, bytes);
    return true;
  }

  // By one call where the system and the thread can, which saves most of what small ranges cost:
  // the stop of the other CPUs above all. Returns how many of them are gone, the first ones.
  uint32_t give_back(const sys::PageRange* ranges, uint32_t count) {
    uint32_t gone = 0;
    if (count > 1 && !lazily) {
      const uint64_t start = sys::monotonic_ns();
      size_t bytes = 0;
      gone = vm.purge_many(ranges, count);
      for (uint32_t i = 0; i < gone; ++i) bytes += ranges[i].bytes;
      if (gone != 0) count_call(start, bytes);
    }
    while (gone < count && give_back(ranges[gone].begin, ranges[gone].bytes)) ++gone;
    return gone;
  }

 private:
  void count_call(uint64_t start, size_t bytes) {
    const uint64_t took = sys::monotonic_ns() - start;
    figures.calls.fetch_add(1, std::memory_order_relaxed);
    figures.bytes.fetch_add(bytes, std::memory_order_relaxed);
    figures.total_ns.fetch_add(took, std::memory_order_relaxed);
    if (took > figures.max_ns.load(std::memory_order_relaxed)) {
      figures.max_ns.store(took, std::memory_order_relaxed);
    }
  }
};

template <sys::VmSource Vm>
class PurgeBatch {
 public:
  explicit PurgeBatch(Purger<Vm>& purger) : purger_(purger) {}

  // Whole pages [begin, end), above all that were added before.
  void add(uintptr_t begin, uintptr_t end) {
    if (count_ == 0 || end_of(count_ - 1) != begin) {
      if (count_ == kPurgeRanges) flush();
      ranges_[count_++] = {begin, 0};
    }
    ranges_[count_ - 1].bytes += end - begin;
    bytes_ += end - begin;
    if (bytes_ <= kPurgeBytes) return;
    const sys::PageRange last = ranges_[--count_];
    flush();
    begin = last.begin;
    while (end - begin > kPurgeBytes) {
      // Up to a boundary: a huge page goes whole.
      const uintptr_t boundary = base::align_down(begin + kPurgeBytes, kPurgeBytes);
      const sys::PageRange part = {begin, boundary - begin};
      give_back(&part, 1);
      begin = boundary;
    }
    ranges_[count_++] = {begin, end - begin};
    bytes_ = end - begin;
  }

  void flush() {
    if (count_ != 0) give_back(ranges_, count_);
    count_ = 0;
    bytes_ = 0;
  }

  size_t gone_bytes() const { return gone_bytes_; }

  // After flush(): whether an added range is gone that ends at `end`. The system has refused at
  // most once: what came after that was not tried.
  bool is_gone(uintptr_t end) const { return end <= refused_; }

 private:
  uintptr_t end_of(uint32_t range) const { return ranges_[range].begin + ranges_[range].bytes; }

  void give_back(const sys::PageRange* ranges, uint32_t count) {
    if (refused_ != UINTPTR_MAX) return;
    const uint32_t gone = purger_.give_back(ranges, count);
    for (uint32_t i = 0; i < count && refused_ == UINTPTR_MAX; ++i) {
      if (i < gone) {
        gone_bytes_ += ranges[i].bytes;
      } else {
        refused_ = ranges[i].begin;
      }
    }
  }

  Purger<Vm>& purger_;
  uint32_t count_ = 0;
  size_t bytes_ = 0;  // of the ranges that wait
  uintptr_t refused_ = UINTPTR_MAX;
  size_t gone_bytes_ = 0;
  sys::PageRange ranges_[kPurgeRanges];
};

}  // namespace tide::heap
