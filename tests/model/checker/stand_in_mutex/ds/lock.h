// In place of src/ds/lock.h for models that are about what a lock protects: one step to take it.
// protocols/lock_model.cc is about the lock.
#pragma once

#include "tests/model/checker/words.h"

namespace tide::ds {

class Lock {
 public:
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  checker::Mutex mutex_;
};

class LockGuard {
 public:
  explicit LockGuard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace tide::ds
