// Work in pieces, on all CPUs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace tide::inspect {

// Hands out [0, count), one after another.
class Pieces {
 public:
  explicit Pieces(uint32_t count) : count_(count) {}

  // False: there are no more.
  bool next(uint32_t& piece) {
    if (next_ >= count_) return false;
    piece = next_++;
    return piece < count_;
  }
  void stop() { next_ = count_; }

 private:
  const uint32_t count_;
  std::atomic<uint32_t> next_{0};
};

// Calls work(pieces) on some threads at once, ours among them, and waits for all. Each takes pieces
// until there are no more. Throws what one of them threw; the others stop then.
void share_out(uint32_t count, const std::function<void(Pieces&)>& work);

}  // namespace tide::inspect
