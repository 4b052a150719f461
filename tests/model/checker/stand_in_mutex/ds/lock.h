// In place of src/ds/lock.h for models that are about what a lock protects: one step to take it.
// protocols/lock_model.cc is about the lock.
#pragma once

#include "tests/model/checker/words.h"

#include "base/compiler.h"
#include "ds/lock_rank.h"

namespace tide::ds {

template <Rank kRank>
class Lock {
 public:
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  checker::Mutex mutex_;
};

template <Rank kRank>
class LockGuard {
 public:
  explicit LockGuard(Lock<kRank>& lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock<kRank>& lock_;
};

}  // namespace tide::ds
