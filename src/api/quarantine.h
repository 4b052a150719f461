// Freed large blocks that may not be touched (hardened mode, from level 2 on). Those whose pages
// are gone cost addresses only. (Small ones wait in their threads' caches: heap/waiting.h.)
//
// They leave in an order that a program can't foresee: a newcomer takes a random place, whoever was
// there moves into a queue.
//
// Any thread may call. Constant initialised. A fork in here, which can be between any two stores,
// loses a block in the child, and doubles none: each leaves one place before it is in the next.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/random_step.h"
#include "ds/lock.h"
#include "layout/heap_root.h"

namespace tide::api {

class Quarantine {
 public:
  struct Entry {
    void* block;  // null: none
    size_t bytes;
    bool kept = false;  // its memory was not given back
    bool gone = false;  // of one that leaves: it could not be opened
  };

  constexpr Quarantine() = default;

  // Keeps `in`. close(in): it is in here; open(entry): one is about to leave, and may be made to be
  // `gone`. Returns who has left for it, if any; when that one can't be opened nobody comes in, and
  // it is `in` itself. `secret`: what makes the order one that can't be foreseen.
  template <class Open, class Close>
  Entry exchange(const Entry& in, uint64_t secret, Open open, Close close) {
    const ds::LockGuard guard(lock_);
    if (count_ == kQueue && !open(queue_[first_])) return in;
    random_ = base::random_step(random_, secret | 1);
    Entry& place = places_[(random_ >> 32) % kPlaces];
    const Entry moved = place;
    put(place, in);
    count_in(in);
    const Entry leaving = moved.block != nullptr && count_ == kQueue ? pop() : Entry{};
    if (moved.block != nullptr) push(moved);
    close(in);
    return leaving;
  }

  // Takes one out before its time. `open` as above. False: none is left, or it can't be opened.
  template <class Open>
  bool take(Entry& out, Open open) {
    const ds::LockGuard guard(lock_);
    for (Entry& place : places_) {
      if (count_ != 0) break;
      if (place.block == nullptr) continue;
      const Entry moved = place;
      put(place, {});
      push(moved);
    }
    if (count_ == 0 || !open(queue_[first_])) return false;
    out = pop();
    return true;
  }

  // Whether there are more bytes in here, or more blocks or bytes with memory.
  bool exceeds(size_t most_bytes, uint32_t most_kept, size_t most_kept_bytes) {
    const ds::LockGuard guard(lock_);
    return load_.bytes > most_bytes || load_.kept > most_kept || load_.kept_bytes > most_kept_bytes;
  }

  // visit(entry) for all that are here.
  template <class Visit>
  void for_each(Visit visit) {
    const ds::LockGuard guard(lock_);
    for (const Entry& entry : places_) {
      if (entry.block != nullptr) visit(entry);
    }
    for (uint32_t i = 0; i < count_; ++i) visit(queue_[(first_ + i) % kQueue]);
  }

  // Whether the block that begins at `p`, or with `inside` any that `p` lies in, is here.
  bool find(const void* p, bool inside, Entry& found) {
    const ds::LockGuard guard(lock_);
    const auto address = reinterpret_cast<uintptr_t>(p);
    const auto is_it = [&](const Entry& entry) {
      const uintptr_t offset = address - reinterpret_cast<uintptr_t>(entry.block);
      if (entry.block == nullptr || offset >= (inside ? entry.bytes : 1)) return false;
      found = entry;
      return true;
    };
    for (const Entry& entry : places_) {
      if (is_it(entry)) return true;
    }
    for (uint32_t i = 0; i < count_; ++i) {
      if (is_it(queue_[(first_ + i) % kQueue])) return true;
    }
    return false;
  }

  // For readers from outside: where things are in here.
  static constexpr void add_to(layout::HardeningAt& at);

  void repair_in_child() {
    if (!lock_.release_in_child()) return;
    const ds::LockGuard guard(lock_);
    load_ = {};
    for (const Entry& entry : places_) {
      if (entry.block != nullptr) count_in(entry);
    }
    for (uint32_t i = 0; i < count_; ++i) count_in(queue_[(first_ + i) % kQueue]);
  }

 private:
  static constexpr uint32_t kPlaces = 16;
  static constexpr uint32_t kQueue = 112;

  struct Load {
    size_t bytes;
    uint32_t kept;  // blocks that keep their memory
    size_t kept_bytes;
  };
  static constexpr Load load_of(const Entry& entry) {
    return {entry.bytes, entry.kept ? 1u : 0u, entry.kept ? entry.bytes : 0};
  }

  void count_in(const Entry& entry) TIDE_REQUIRES(lock_) {
    const Load load = load_of(entry);
    load_ = {load_.bytes + load.bytes, load_.kept + load.kept, load_.kept_bytes + load.kept_bytes};
  }
  void count_out(const Entry& entry) TIDE_REQUIRES(lock_) {
    const Load load = load_of(entry);
    load_ = {load_.bytes - load.bytes, load_.kept - load.kept, load_.kept_bytes - load.kept_bytes};
  }

  // Stores before it are before those behind it, for the thread's own processor.
  static void in_order() { std::atomic_signal_fence(std::memory_order_acq_rel); }

  // A forked child finds the one, nothing, or the other there.
  static void put(Entry& place, const Entry& entry) {
    place.block = nullptr;
    in_order();
    place.bytes = entry.bytes;
    place.kept = entry.kept;
    place.gone = entry.gone;
    in_order();
    place.block = entry.block;
    in_order();
  }

  void push(const Entry& entry) TIDE_REQUIRES(lock_) {
    put(queue_[(first_ + count_) % kQueue], entry);
    ++count_;
    in_order();
  }

  // First it becomes shorter at its other end: what lies behind that has left long ago.
  Entry pop() TIDE_REQUIRES(lock_) {
    const Entry entry = queue_[first_];
    --count_;
    in_order();
    first_ = (first_ + 1) % kQueue;
    in_order();
    count_out(entry);
    return entry;
  }

  ds::Lock<ds::Rank::kQuarantine> lock_;
  uint64_t random_ TIDE_GUARDED_BY(lock_) = 0;
  Load load_ TIDE_GUARDED_BY(lock_) = {};
  uint32_t first_ TIDE_GUARDED_BY(lock_) = 0;
  uint32_t count_ TIDE_GUARDED_BY(lock_) = 0;
  Entry places_[kPlaces] TIDE_GUARDED_BY(lock_) = {};
  Entry queue_[kQueue] TIDE_GUARDED_BY(lock_) = {};
};

// Of a class with hidden members it is conditionally supported, and here it is.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
constexpr void Quarantine::add_to(layout::HardeningAt& at) {
  at.places = offsetof(Quarantine, places_);
  at.place_count = kPlaces;
  at.queue = offsetof(Quarantine, queue_);
  at.queue_slots = kQueue;
  at.queue_first = offsetof(Quarantine, first_);
  at.queue_count = offsetof(Quarantine, count_);
  at.entry_bytes = sizeof(Entry);
  at.entry_address = offsetof(Entry, block);
}
#pragma GCC diagnostic pop

}  // namespace tide::api
