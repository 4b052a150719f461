// Pages of large blocks that nobody may touch (hardened mode, from level 2 on): of a live block the
// last one, of a freed one all; and what its span has behind it, which belongs to nobody and lies
// before the next block.
//
// Any thread may call. Constant initialised.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "api/allocate.h"
#include "base/align.h"
#include "sys/protection.h"

namespace tide::api {

class ClosedPages {
 public:
  constexpr ClosedPages() = default;

  void start(size_t page_bytes) { page_bytes_ = page_bytes; }
  // Asked several times a call; the system's answer takes a search.
  size_t page_bytes() const { return page_bytes_; }

  // All of the block at `p` that has `usable` bytes. False: the system refuses.
  bool close_block(const void* p, size_t usable) const { return close_from(p, usable, 0); }
  bool open_block(const void* p, size_t usable) const { return open_from(p, usable, 0); }

  // Its last page. False: there are too many such pages, or the system refuses.
  bool close_guard(const void* p, size_t usable) {
    if (guards_.load(std::memory_order_relaxed) >= kMostGuards) return false;
    if (!close_from(p, usable, usable - page_bytes_)) return false;
    guards_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  bool open_guard(const void* p, size_t usable) {
    if (!open_from(p, usable, usable - page_bytes_)) return false;
    forget_guard();
    return true;
  }
  // It has become part of a closed block.
  void forget_guard() { guards_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  // Each is a mapping or two, of which a process may have some 65,000 (vm.max_map_count).
  static constexpr int32_t kMostGuards = 16'000;

  uintptr_t end_of(const void* p, size_t usable) const {
    const size_t whole = g_engine.whole_bytes(p, usable);
    return base::address_of(p) + (base::is_aligned(whole, page_bytes_) ? whole : usable);
  }
  bool close_from(const void* p, size_t usable, size_t first) const {
    const uintptr_t begin = base::address_of(p) + first;
    return sys::deny_access(begin, end_of(p, usable) - begin);
  }
  bool open_from(const void* p, size_t usable, size_t first) const {
    const uintptr_t begin = base::address_of(p) + first;
    return sys::allow_access(begin, end_of(p, usable) - begin);
  }

  size_t page_bytes_ = 4096;
  std::atomic<int32_t> guards_{0};
};

}  // namespace tide::api
