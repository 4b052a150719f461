// Counts by powers of two: bin 0 is the value 0, bin n the values from 2^(n-1) up to below 2^n.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tide::trace {

struct Histogram {
  static constexpr size_t kBins = 65;
  struct Bin {
    uint64_t count = 0;
    uint64_t sum = 0;
  };

  static size_t bin_of(uint64_t value) { return static_cast<size_t>(std::bit_width(value)); }
  static uint64_t from(size_t bin) { return bin == 0 ? 0 : uint64_t{1} << (bin - 1); }

  void add(uint64_t value) { change(bin_of(value), 1, value); }
  void remove(uint64_t value) { change(bin_of(value), ~uint64_t{0}, 0 - value); }
  // Modulo 2^64, so that it can be undone.
  void change(size_t bin, uint64_t count, uint64_t sum) {
    bins[bin].count += count;
    bins[bin].sum += sum;
  }
  void add(const Histogram& other) {
    for (size_t i = 0; i < kBins; ++i) change(i, other.bins[i].count, other.bins[i].sum);
  }

  std::array<Bin, kBins> bins{};
};

}  // namespace tide::trace
