// The places of running threads: who ends leaves its place to who comes.
#pragma once

#include <atomic>
#include <cstdint>

#include "player/operations.h"

namespace tide::player {

class Places {
 public:
  Place& take(Session& session) {
    lock();
    Place* place = free_;
    if (place != nullptr) free_ = place->next;
    unlock();
    if (place != nullptr) return *place;
    return *make_place(session, session.head->places_used.fetch_add(1));
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
