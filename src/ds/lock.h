// A mutex of one word on a futex, for the engine's slow paths.
//
// Knows who holds it, because a forked child must tell the locks that it holds itself from those
// that vanished threads held (see heap/engine_verify.h). Not recursive. Constant initialised.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/compiler.h"
#include "ds/lock_rank.h"
#include "sys/futex.h"
#include "sys/thread.h"

namespace tide::ds {

#ifdef TIDE_LOCK_METER
// Defined by who measures how long locks are held: bench/workloads/trim_locks.cc.
void lock_taken(const void* lock);
void lock_left(const void* lock);
#else
inline void lock_taken(const void*) {}
inline void lock_left(const void*) {}
#endif

template <Rank kRank>
class TIDE_CAPABILITY("mutex") Lock {
 public:
  constexpr Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void lock() TIDE_ACQUIRE() {
    check_rank(kRank);
    uint32_t expected = kFree;
    if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      lock_contended();
    }
    owner_.store(sys::thread_token(), std::memory_order_relaxed);
    rank_taken(kRank);
    lock_taken(this);
  }

  bool try_lock() TIDE_TRY_ACQUIRE(true) {
    uint32_t expected = kFree;
    if (!word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      return false;
    }
    owner_.store(sys::thread_token(), std::memory_order_relaxed);
    rank_taken(kRank);
    lock_taken(this);
    return true;
  }

  void unlock() TIDE_RELEASE() {
    lock_left(this);
    rank_left(kRank);
    owner_.store(0, std::memory_order_relaxed);
    if (word_.exchange(kFree, std::memory_order_release) == kContended) {
      sys::futex_wake_one(&word_);
    }
  }

  // Whether the calling thread holds it.
  bool is_mine() const { return owner_.load(std::memory_order_relaxed) == sys::thread_token(); }

  // In a forked child, before it has threads: frees the lock if a vanished thread held it or was
  // about to. True when what it protects may be half changed.
  bool release_in_child() TIDE_NO_THREAD_SAFETY_ANALYSIS {
    if (word_.load(std::memory_order_relaxed) == kFree) return false;
    if (is_mine()) return false;
    owner_.store(0, std::memory_order_relaxed);
    word_.store(kFree, std::memory_order_relaxed);
    return true;
  }

 private:
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kHeld = 1;
  static constexpr uint32_t kContended = 2;
  // Critical sections here are a few hundred nanoseconds: a short spin mostly saves the two system
  // calls; on a machine with few cores a long one would only burn the holder's time slice.
  static constexpr int kSpins = 64;

  TIDE_COLD void lock_contended() {
    for (int spin = 0; spin < kSpins; ++spin) {
      uint32_t expected = kFree;
      if (word_.load(std::memory_order_relaxed) == kFree &&
          word_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return;
      }
      sys::spin_pause();
    }
    // The holder may be a thread that a fork left behind in the parent.
    sys::finish_fork();
    while (word_.exchange(kContended, std::memory_order_acquire) != kFree) {
      sys::futex_wait(&word_, kContended);
    }
  }

  std::atomic<uint32_t> word_{kFree};
  std::atomic<uintptr_t> owner_{0};
};

template <class AnyLock>
class TIDE_SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(AnyLock& lock) TIDE_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() TIDE_RELEASE() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  AnyLock& lock_;
};

}  // namespace tide::ds
