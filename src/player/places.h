// The places of running threads: who ends leaves its place to who comes.
#pragma once

#include <atomic>
#include <cstdint>

#include "player/operations.h"

namespace tide::player {

// A thread does nothing but play. What it touches of its stack, with the C library's descriptor,
// stays resident when it ends: the C library keeps stacks for later threads.
inline constexpr size_t kStackBytes = size_t{256} << 10;
inline constexpr size_t kTouchedStackBytes = size_t{12} << 10;

class Places {
 public:
  Place& take(Session& session) {
    lock();
    Place* place = free_;
    if (place != nullptr) free_ = place->next;
    unlock();
    if (place != nullptr) return *place;
    const uint32_t index = session.head->places_used.fetch_add(1);
    // The first thread is the process's own.
    if (index != 0) {
      count_harness(session, kTouchedStackBytes);
      session.head->harness_vm_bytes.fetch_add(kStackBytes);
    }
    return *make_place(session, index);
  }
  void give_back(Place& place) {
    lock();
    place.next = free_;
    free_ = &place;
    unlock();
  }

 private:
  // Held for two instructions, when a thread begins or ends.
  void lock() {
    while (is_taken_.exchange(true, std::memory_order_acquire)) {
    }
  }
  void unlock() { is_taken_.store(false, std::memory_order_release); }

  std::atomic<bool> is_taken_;
  Place* free_;
};

}  // namespace tide::player
