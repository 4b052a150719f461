// Thread caches that nobody uses and whose memory went back to the system: only their addresses are
// known, here. A cache that is taken from the shelf is all zero, like one that is new.
//
// A ticket holds an address; there are at least as many as caches. The lock of the cache pool
// protects them.
#pragma once

#include <atomic>
#include <cstdint>

#include "heap/metadata.h"
#include "layout/thread_cache.h"

namespace tide::heap {

template <sys::VmSource Vm>
class CacheShelf {
 public:
  constexpr CacheShelf() = default;

  // Makes room for one cache more. False: no memory.
  bool make_room(Vm& vm, Limits& limits, Metadata<Vm>& metadata) {
    if (tickets_ == caches_) {
      auto* const more =
          static_cast<Ticket*>(metadata.allocate(vm, limits, kTicketsAtOnce * sizeof(Ticket)));
      if (more == nullptr) return false;
      for (uint32_t i = 0; i < kTicketsAtOnce; ++i) move(more + i, spare_);
      tickets_ += kTicketsAtOnce;
    }
    ++caches_;
    return true;
  }

  void put(layout::ThreadCache* cache) {
    Ticket* const ticket = take(spare_);
    ticket->cache = cache;
    move(ticket, used_);
  }

  // Null when there is none.
  layout::ThreadCache* take() {
    if (used_ == nullptr) return nullptr;
    Ticket* const ticket = take(used_);
    layout::ThreadCache* const cache = ticket->cache;
    move(ticket, spare_);
    return cache;
  }

 private:
  static constexpr uint32_t kTicketsAtOnce = 64;

  struct Ticket {
    layout::ThreadCache* cache;
    Ticket* next;
  };

  // A fork between two stores of these loses a ticket and its cache's addresses, no more.
  static Ticket* take(Ticket*& list) {
    Ticket* const ticket = list;
    list = ticket->next;
    return ticket;
  }
  static void move(Ticket* ticket, Ticket*& list) {
    ticket->next = list;
    std::atomic_signal_fence(std::memory_order_release);
    list = ticket;
  }

  Ticket* used_ = nullptr;
  Ticket* spare_ = nullptr;
  uint32_t tickets_ = 0;
  uint32_t caches_ = 0;
};

}  // namespace tide::heap
