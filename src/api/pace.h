// How often something is done that takes a while, by whichever thread comes by: at most once in a
// time, and never for more than a small part of the time, however slow it is.
#pragma once

#include <atomic>
#include <cstdint>

namespace tide::api {

class Pace {
 public:
  constexpr explicit Pace(uint64_t least_ns) : least_ns_(least_ns) {}

  // True: it is due, and the caller, no one else, does it now and says end(). Sees what was done
  // the last time.
  bool begin(uint64_t now) {
    uint64_t next = next_.load(std::memory_order_relaxed);
    return now >= next && next_.compare_exchange_strong(next, UINT64_MAX, std::memory_order_acquire,
                                                        std::memory_order_relaxed);
  }
  void end(uint64_t begun, uint64_t now) {
    const uint64_t rest = (now - begun) * kRests;
    next_.store(now + (rest > least_ns_ ? rest : least_ns_), std::memory_order_release);
  }
  // In a forked child: who had begun is not here.
  void forget() { next_.store(0, std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kRests = 200;

  uint64_t least_ns_;
  std::atomic<uint64_t> next_{0};
};

}  // namespace tide::api
