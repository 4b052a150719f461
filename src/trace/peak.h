// What was live at the peak, by size and by call stack, without a copy for each new peak: what
// changed since is kept, and undone when somebody asks or when it has become much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trace/histogram.h"

namespace tide::trace {

class Peak {
 public:
  void came(uint64_t time_ns, uint64_t size, uint32_t stack) {
    live_bytes_ += size;
    ++live_blocks_;
    note(size, stack, 1);
    if (live_bytes_ > bytes_) set(time_ns);
  }
  void gone(uint64_t size, uint32_t stack) {
    live_bytes_ -= size;
    --live_blocks_;
    note(size, stack, ~uint64_t{0});
  }

  uint64_t live_bytes() const { return live_bytes_; }
  uint64_t live_blocks() const { return live_blocks_; }
  const Histogram& live_sizes() const { return sizes_; }
  const std::vector<Histogram::Bin>& live_stacks() const { return stacks_; }

  // The peak.
  uint64_t bytes() const { return bytes_; }
  uint64_t blocks() const { return blocks_; }
  uint64_t time_ns() const { return time_ns_; }
  Histogram peak_sizes() const;
  std::vector<Histogram::Bin> peak_stacks() const;

 private:
  static constexpr size_t kMostChanges = 4096;
  struct Change {
    uint64_t size;
    uint32_t stack;
    bool came;
  };

  void note(uint64_t size, uint32_t stack, uint64_t count) {
    const uint64_t bytes = count * size;
    sizes_.change(Histogram::bin_of(size), count, bytes);
    if (stack != 0) {
      if (stack >= stacks_.size()) stacks_.resize(size_t{stack} + 1);
      stacks_[stack].count += count;
      stacks_[stack].sum += bytes;
    }
    if (is_saved_) return;
    changes_.push_back({size, stack, count == 1});
    if (changes_.size() > kMostChanges && changes_.size() > stacks_.size()) save();
  }
  void set(uint64_t time_ns) {
    bytes_ = live_bytes_;
    blocks_ = live_blocks_;
    time_ns_ = time_ns;
    is_saved_ = false;
    changes_.clear();
  }
  void save();

  Histogram sizes_;
  std::vector<Histogram::Bin> stacks_;  // by number
  uint64_t live_bytes_ = 0;
  uint64_t live_blocks_ = 0;
  uint64_t bytes_ = 0;
  uint64_t blocks_ = 0;
  uint64_t time_ns_ = 0;
  std::vector<Change> changes_;  // since the peak, unless it is saved
  bool is_saved_ = true;
  Histogram saved_sizes_;
  std::vector<Histogram::Bin> saved_stacks_;
};

}  // namespace tide::trace
