// A range of addresses that is mapped from its lower end upwards. The owner's lock protects it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "base/racy.h"
#include "heap/limits.h"
#include "sys/vm.h"

namespace tide::heap {

template <sys::VmSource Vm>
class Window {
 public:
  constexpr Window() = default;

  // May be called again when the place was no good; what is mapped there goes. False: it can't,
  // and nothing has changed.
  bool place(Vm& vm, uintptr_t base, size_t capacity) {
    if (end_ != 0 && !vm.unmap(reinterpret_cast<void*>(base_), end_)) return false;
    base_ = base;
    capacity_ = capacity;
    end_ = mapped_ = coming_ = 0;
    return true;
  }

  // Maps on until at least `bytes` from the base are there. The size asked for is rounded up to
  // pages.
  sys::MapResult cover(Vm& vm, size_t bytes) {
    if (bytes <= end_) return sys::MapResult::kOk;
    const size_t wanted = base::align_up(bytes, vm.page_size());
    if (wanted > capacity_) return sys::MapResult::kNoMemory;
    coming_ = wanted;
    std::atomic_signal_fence(std::memory_order_release);
    const sys::MapResult result = vm.map_at(base_ + end_, wanted - end_);
    if (result == sys::MapResult::kOk) grow_to(wanted);
    coming_ = 0;
    return result;
  }

  // In a forked child: what a vanished thread was mapping is there. Taken can only mean by that
  // thread: of records none may be missing, or the window could never grow again.
  void settle_in_child(Vm& vm) {
    if (coming_ > end_ && vm.map_at(base_ + end_, coming_ - end_) != sys::MapResult::kNoMemory) {
      grow_to(coming_);
    }
    coming_ = 0;
  }

  // The same for records, which count for the footprint as soon as they are mapped.
  bool cover_records(Vm& vm, Limits& limits, size_t bytes) {
    const size_t missing = bytes <= end_ ? 0 : base::align_up(bytes, vm.page_size()) - end_;
    if (end_ == 0) {
      limits.admit_always(missing);  // without the first ones nothing works
    } else if (!limits.admit(missing)) {
      return false;
    }
    if (cover(vm, bytes) == sys::MapResult::kOk) return true;
    limits.dismiss(missing);
    return false;
  }

  // Leaves `bytes` at the growing end to whoever has mapped them.
  bool skip(size_t bytes) {
    if (capacity_ - end_ < bytes) return false;
    end_ += bytes;
    return true;
  }

  uintptr_t base() const { return base_; }
  size_t end() const { return end_; }  // from the base, what was skipped included
  size_t mapped() const { return base::racy_load(mapped_); }  // bytes that are ours

 private:
  friend struct EngineMap;

  void grow_to(size_t end) {
    base::racy_store(mapped_, mapped_ + (end - end_));
    end_ = end;
  }

  uintptr_t base_ = 0;
  size_t capacity_ = 0;
  size_t end_ = 0;
  size_t mapped_ = 0;
  size_t coming_ = 0;  // the end to be, while it is being mapped
};

}  // namespace tide::heap
