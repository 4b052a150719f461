// Freed blocks that are not to be used again for a while (hardened mode, from level 2 on).
//
// What is put in has been cleared; what comes out has left in an order that a program can't
// foresee: a newcomer takes a random place, whoever was there moves into a queue. Small blocks: a
// few megabytes in all, in shards so that threads seldom meet. Large ones: their pages are gone and
// may not be touched, so they cost addresses only.
//
// Any thread may call. Constant initialised.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ds/lock.h"

namespace tide::api {

template <uint32_t kPlaces, uint32_t kQueue>
class QuarantineShard {
 public:
  struct Entry {
    void* block;
    size_t bytes;
  };
  static constexpr uint32_t kMostOut = 8;

  constexpr QuarantineShard() = default;

  // Keeps `in` and writes to `out` whoever has to leave for it, so that at most `most_bytes` are
  // kept. Returns how many of kMostOut these are.
  uint32_t exchange(Entry in, uint64_t random, size_t most_bytes, Entry* out) {
    const ds::LockGuard guard(lock_);
    return enter(in, random, most_bytes, out);
  }

  // The same for blocks that are closed in here: open(entry) before one leaves, close(entry) when
  // one has come. If who has to leave can't be opened nobody comes in, and `in` is sent back.
  template <class Open, class Close>
  uint32_t exchange_closed(Entry in, uint64_t random, Entry* out, Open open, Close close) {
    const ds::LockGuard guard(lock_);
    if (count_ == kQueue && !open(queue_[first_])) {
      out[0] = in;
      return 1;
    }
    const uint32_t leaving = enter(in, random, SIZE_MAX, out);
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
      queue_[(first_ + count_++) % kQueue] = place;
      place = {};
    }
    if (count_ == 0 || !open(queue_[first_])) return false;
    out = pop();
    return true;
  }

  size_t bytes() {
    const ds::LockGuard guard(lock_);
    return bytes_;
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

  void repair_in_child() { lock_.release_in_child(); }

 private:
  uint32_t enter(const Entry& in, uint64_t random, size_t most_bytes, Entry* out)
      TIDE_REQUIRES(lock_) {
    bytes_ += in.bytes;
    Entry& place = places_[random % kPlaces];
    const Entry moved = place;
    place = in;
    uint32_t leaving = 0;
    if (moved.block != nullptr) {
      if (count_ == kQueue) out[leaving++] = pop();
      queue_[(first_ + count_++) % kQueue] = moved;
    }
    while (bytes_ > most_bytes && count_ != 0 && leaving < kMostOut) out[leaving++] = pop();
    return leaving;
  }

  Entry pop() TIDE_REQUIRES(lock_) {
    const Entry entry = queue_[first_];
    first_ = (first_ + 1) % kQueue;
    --count_;
    bytes_ -= entry.bytes;
    return entry;
  }

  ds::Lock<ds::Rank::kQuarantine> lock_;
  size_t bytes_ TIDE_GUARDED_BY(lock_) = 0;
  uint32_t first_ TIDE_GUARDED_BY(lock_) = 0;
  uint32_t count_ TIDE_GUARDED_BY(lock_) = 0;
  Entry places_[kPlaces] TIDE_GUARDED_BY(lock_) = {};
  Entry queue_[kQueue] TIDE_GUARDED_BY(lock_) = {};
};

using SmallQuarantine = QuarantineShard<64, 192>;
using LargeQuarantine = QuarantineShard<16, 112>;

}  // namespace tide::api
