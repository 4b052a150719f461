// Memory for the engine's own records: thread caches, heaps, tables. Cut from mappings of its own,
// never returned to the system; its users keep their own lists of what may be used again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "base/racy.h"
#include "ds/lock.h"
#include "heap/limits.h"
#include "sys/vm.h"

namespace tide::heap {

template <sys::VmSource Vm>
class Metadata {
 public:
  constexpr Metadata() = default;

  // From now on records lie between guard pages.
  void guard() { guarded_ = true; }

  // Zeroed, aligned to a cache line or more, at most a page; null when there is no memory, or the
  // hard limit forbids it. Of a record as long as a chunk no more than `most_counted` counts there.
  void* allocate(Vm& vm, Limits& limits, size_t bytes, size_t alignment = 64,
                 size_t most_counted = SIZE_MAX) {
    const size_t rounded = base::align_up(bytes, 64);
    const ds::LockGuard guard(lock_);
    const size_t passed =
        base::align_up(base::address_of(next_), alignment) - base::address_of(next_);
    if (rounded + passed <= left_) {
      next_ += passed;
      left_ -= passed;
    } else {
      const size_t chunk =
          base::align_up(rounded > kChunkBytes ? rounded : kChunkBytes, vm.page_size());
      const size_t counted = chunk < most_counted ? chunk : most_counted;
      if (!limits.admit(counted)) return nullptr;
      const size_t guard_bytes = guarded_ ? vm.page_size() : 0;
      void* const memory = vm.map(chunk + 2 * guard_bytes);
      if (memory == nullptr) {
        limits.dismiss(counted);
        return nullptr;
      }
      next_ = static_cast<char*>(memory) + guard_bytes;
      base::racy_store(guard_bytes_, guard_bytes_ + 2 * guard_bytes);
      if (guard_bytes != 0) {
        vm.deny(memory, guard_bytes);
        vm.deny(next_ + chunk, guard_bytes);
      }
      left_ = chunk;
      base::racy_store(mapped_, mapped_ + chunk);
      base::racy_store(counted_, counted_ + counted);
    }
    void* const result = next_;
    next_ += rounded;
    left_ -= rounded;
    return result;
  }

  // Of the guard pages around them, which are never resident.
  size_t guard_bytes() const { return base::racy_load(guard_bytes_); }
  size_t mapped_bytes() const { return base::racy_load(mapped_); }
  // Of these, what counts in the footprint.
  size_t counted_bytes() const { return base::racy_load(counted_); }
  ds::Lock<ds::Rank::kMetadata>& lock() { return lock_; }

 private:
  friend struct EngineMap;

  static constexpr size_t kChunkBytes = size_t{256} << 10;

  ds::Lock<ds::Rank::kMetadata> lock_;
  char* next_ TIDE_GUARDED_BY(lock_) = nullptr;
  size_t left_ TIDE_GUARDED_BY(lock_) = 0;
  size_t mapped_ = 0;
  size_t counted_ = 0;
  size_t guard_bytes_ = 0;
  bool guarded_ = false;
};

}  // namespace tide::heap
