// The footprint - bytes that may be resident because of the allocator - and the limits on it.
//
// Counted where memory turns from surely not resident into perhaps resident and back: the carving
// of a clean slab, a clean span, a mapping, a record; never on the fast path. Live blocks count
// whole, touched or not. Any thread may call; no locks.
//
// What is taken is admitted before it is touched, and dismissed after it has gone (I-LIMIT-1).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tide::heap {

class Limits {
 public:
  constexpr Limits() = default;

  // Counts `bytes` in, unless the hard limit forbids it.
  [[nodiscard]] bool admit(size_t bytes) {
    const size_t hard = hard_.load(std::memory_order_relaxed);
    if (hard == 0 || bytes == 0) {
      admit_always(bytes);
      return true;
    }
    size_t before = footprint();
    do {
      if (before > hard || bytes > hard - before) return false;
    } while (!footprint_.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
    return true;
  }

  // As admit(), but counts nothing.
  bool has_room(size_t bytes) const {
    const size_t limit = hard();
    const size_t now = footprint();
    return limit == 0 || (now <= limit && bytes <= limit - now);
  }

  // For memory that is there already, or that nothing works without.
  void admit_always(size_t bytes) {
    if (bytes != 0) footprint_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void dismiss(size_t bytes) {
    if (bytes != 0) footprint_.fetch_sub(bytes, std::memory_order_relaxed);
  }

  size_t footprint() const { return footprint_.load(std::memory_order_relaxed); }
  // In a forked child, for what vanished threads were about to count.
  void recount(size_t footprint) { footprint_.store(footprint, std::memory_order_relaxed); }

  // In bytes; 0: none.
  size_t soft() const { return soft_.load(std::memory_order_relaxed); }
  size_t hard() const { return hard_.load(std::memory_order_relaxed); }
  void set(size_t soft, size_t hard) {
    soft_.store(soft, std::memory_order_relaxed);
    hard_.store(hard, std::memory_order_relaxed);
  }

  // Whether the hard limit would refuse `bytes`, or be so near that a refusal may have been its.
  bool may_refuse(size_t bytes) const {
    const size_t limit = hard();
    if (limit == 0) return false;
    const size_t wanted = bytes + kNear < bytes ? bytes : bytes + kNear;
    const size_t now = footprint();
    return now > limit || wanted > limit - now;
  }

  // Bytes above `target`.
  size_t excess(size_t target) const {
    const size_t now = footprint();
    return now <= target ? 0 : now - target;
  }
  // Bytes above the soft limit.
  size_t soft_excess() const {
    const size_t limit = soft();
    return limit == 0 ? 0 : excess(limit);
  }

  // The system is short of memory, says who watches it.
  void set_pressure(bool pressure) { pressure_.store(pressure, std::memory_order_relaxed); }

  // Memory should rather go back than be kept.
  bool is_tight() const { return pressure_.load(std::memory_order_relaxed) || soft_excess() != 0; }

  // What a thread cache may keep that has had `bytes` so far. What one thread keeps another can't
  // have: sixteen together get an eighth of the hard limit at most.
  size_t cache_share(size_t bytes) const {
    if (is_tight()) bytes /= kTightShare;
    const size_t most = hard() / kCachesInHard;
    return hard() != 0 && bytes > most ? most : bytes;
  }

 private:
  friend struct EngineMap;

  static constexpr size_t kTightShare = 8;
  static constexpr size_t kCachesInHard = 128;
  // A block of few bytes may need a page, the slab's record and state bytes, a table.
  static constexpr size_t kNear = size_t{512} << 10;

  std::atomic<size_t> footprint_{0};
  std::atomic<size_t> soft_{0};
  std::atomic<size_t> hard_{0};
  std::atomic<bool> pressure_{false};
};

}  // namespace tide::heap
