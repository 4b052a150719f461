// A range of addresses that is mapped from its lower end upwards. The owner's lock protects it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

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
    kept_ = {};
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

  // A mapped piece of the window, as offsets from its base; no bytes: none.
  struct Piece {
    size_t begin;
    size_t bytes;
    size_t end() const { return begin + bytes; }
  };

  // Where cover() said that the place is taken: maps `bytes` from `begin` on or at ever larger
  // distances, as far as that may take it, so that whatever is in the way loses at most as many
  // addresses again. Or the piece, of whatever length, that keep() got.
  Piece take_beyond(Vm& vm, size_t begin, size_t bytes) {
    if (kept_.bytes != 0) return std::exchange(kept_, {});
    size_t distance = bytes;
    for (unsigned place = 0; place < kMostPlaces; ++place) {
      if (begin > capacity_ || bytes > capacity_ - begin) break;
      const sys::MapResult result = vm.map_at(base_ + begin, bytes);
      if (result == sys::MapResult::kOk) {
        base::racy_store(mapped_, mapped_ + bytes);
        return {begin, bytes};
      }
      if (result == sys::MapResult::kNoMemory) break;
      begin += distance;
      distance *= 2;
    }
    return {};
  }
  // The piece can't be used now; the next time.
  void keep(const Piece& piece) { kept_ = piece; }
  // The window ends with a piece from take_beyond(); what is below and not ours is left to whoever
  // has mapped it. Once records say so: a child that is forked before goes round the piece.
  void end_with(const Piece& piece) { base::racy_store(end_, piece.end()); }

  uintptr_t base() const { return base_; }
  // From the base, what others have mapped included; without the lock a moment's look.
  size_t end() const { return base::racy_load(end_); }
  size_t mapped() const { return base::racy_load(mapped_); }  // bytes that are ours

 private:
  friend struct EngineMap;

  static constexpr unsigned kMostPlaces = 16;

  void grow_to(size_t end) {
    base::racy_store(mapped_, mapped_ + (end - end_));
    base::racy_store(end_, end);
  }

  uintptr_t base_ = 0;
  size_t capacity_ = 0;
  size_t end_ = 0;
  size_t mapped_ = 0;
  size_t coming_ = 0;  // the end to be, while it is being mapped
  Piece kept_{};       // mapped, above end_
};

}  // namespace tide::heap
