// The words of ranges of a target's memory, one range after another, in big views.
//
// Ranges that ascend and lie close together, as blocks do, come out of one view. One per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "walk/target.h"

namespace tide::inspect {

// Words as they lie in memory, at any alignment of ours.
class Words {
 public:
  Words(const std::byte* first, size_t count) : first_(first), count_(count) {}

  size_t size() const { return count_; }
  uint64_t operator[](size_t i) const {
    uint64_t word;
    std::memcpy(&word, first_ + i * sizeof word, sizeof word);
    return word;
  }

 private:
  const std::byte* first_;
  size_t count_;
};

class WordReader {
 public:
  explicit WordReader(const walk::Target& target) : target_(target) {}

  // visit(address, words) for all aligned words of [start, end), in pieces that ascend.
  template <class Visit>
  void read(uint64_t start, uint64_t end, Visit visit) {
    uint64_t at = (start + sizeof(uint64_t) - 1) & ~uint64_t{sizeof(uint64_t) - 1};
    if (at < start) return;
    while (at < end && end - at >= sizeof(uint64_t)) {
      const uint64_t in_view = at - view_start_;
      if (in_view >= view_bytes_) {
        at = look_at(at, end);
        continue;
      }
      const uint64_t bytes = view_bytes_ - in_view < end - at ? view_bytes_ - in_view : end - at;
      const Words words(view_ + in_view, bytes / sizeof(uint64_t));
      visit(at, words);
      at += words.size() * sizeof(uint64_t);
    }
  }

  // Of the ranges that were asked for: what is not there.
  uint64_t missing_bytes() const { return missing_bytes_; }

 private:
  // Makes the view begin at `at`, with at least a word. Returns `at`, or where to go on when
  // nothing is there, or only zeros.
  uint64_t look_at(uint64_t at, uint64_t end);

  const walk::Target& target_;
  walk::Buffer buffer_;
  const std::byte* view_ = nullptr;
  uint64_t view_start_ = 0;
  uint64_t view_bytes_ = 0;  // a multiple of a word's
  uint64_t missing_bytes_ = 0;
};

}  // namespace tide::inspect
