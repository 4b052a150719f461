// Address ranges that are joined and cut as they come and go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>

namespace tide::tests {

// A set of addresses as ranges [begin, end).
class Ranges {
 public:
  using Map = std::map<uintptr_t, uintptr_t>;

  void add(uintptr_t begin, uintptr_t end) {
    auto next = ranges_.upper_bound(begin);
    if (next != ranges_.begin() && std::prev(next)->second >= begin) {
      --next;
      begin = next->first;
    }
    while (next != ranges_.end() && next->first <= end) {
      if (next->second > end) end = next->second;
      next = ranges_.erase(next);
    }
    ranges_[begin] = end;
  }

  void remove(uintptr_t begin, uintptr_t end) {
    auto next = ranges_.upper_bound(begin);
    if (next != ranges_.begin() && std::prev(next)->second > begin) --next;
    while (next != ranges_.end() && next->first < end) {
      const auto [from, to] = *next;
      next = ranges_.erase(next);
      if (from < begin) ranges_[from] = begin;
      if (to > end) ranges_[end] = to;
    }
  }

  bool overlaps(uintptr_t begin, uintptr_t end) const {
    auto next = ranges_.upper_bound(begin);
    if (next != ranges_.begin() && std::prev(next)->second > begin) return true;
    return next != ranges_.end() && next->first < end;
  }

  bool covers(uintptr_t begin, uintptr_t end) const {
    auto next = ranges_.upper_bound(begin);
    return next != ranges_.begin() && std::prev(next)->second >= end;
  }

  // What of [begin, end) is in it.
  Ranges part(uintptr_t begin, uintptr_t end) const {
    Ranges result = *this;
    result.remove(0, begin);
    result.remove(end, UINTPTR_MAX);
    return result;
  }

  size_t bytes() const {
    size_t total = 0;
    for (const auto& [begin, end] : ranges_) total += end - begin;
    return total;
  }

  const Map& map() const { return ranges_; }

 private:
  Map ranges_;
};

}  // namespace tide::tests
