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
    const uint64_t took = sys::monotonic_ns() - start;
    figures.calls.fetch_add(1, std::memory_order_relaxed);
    figures.bytes.fetch_add(bytes, std::memory_order_relaxed);
    figures.total_ns.fetch_add(took, std::memory_order_relaxed);
    if (took > figures.max_ns.load(std::memory_order_relaxed)) {
      figures.max_ns.store(took, std::memory_order_relaxed);
    }
    return true;
  }
};

template <sys::VmSource Vm>
class PurgeBatch {
 public:
  explicit PurgeBatch(Purger<Vm>& purger) : purger_(purger) {}

  // Whole pages [begin, end), above all that were added before.
  void add(uintptr_t begin, uintptr_t end) {
    if (begin != end_) {
      flush();
      begin_ = begin;
    }
    end_ = end;
    while (end_ - begin_ > kPurgeBytes) {
      // Up to a boundary: a huge page goes whole.
      if (!give_back(base::align_down(begin_ + kPurgeBytes, kPurgeBytes))) return;
    }
  }

  void flush() {
    if (begin_ != end_) give_back(end_);
    begin_ = end_ = 0;
  }

  size_t gone_bytes() const { return gone_bytes_; }

  // After flush(): whether an added range is gone that ends at `end`. The system has refused at
  // most once: what came after that was not tried.
  bool is_gone(uintptr_t end) const { return end <= refused_; }

 private:
  bool give_back(uintptr_t end) {
    if (refused_ == UINTPTR_MAX) {
      if (purger_.give_back(begin_, end - begin_)) {
        gone_bytes_ += end - begin_;
        begin_ = end;
        return true;
      }
      refused_ = begin_;
    }
    begin_ = end_;
    return false;
  }

  Purger<Vm>& purger_;
  uintptr_t begin_ = 0;
  uintptr_t end_ = 0;
  uintptr_t refused_ = UINTPTR_MAX;
  size_t gone_bytes_ = 0;
};

}  // namespace tide::heap
