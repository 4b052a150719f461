// Who points to a block: strings and containers have the address, the length and the capacity of
// their elements side by side. One scan of all writable memory finds those of many blocks at once.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

enum class Owner : uint8_t { kNone, kString, kVector, kHashTable, kDeque };

class Owners {
 public:
  // A block to look for.
  void add(uint64_t address, uint64_t bytes) {
    wanted_.emplace(address, Wanted{bytes, Owner::kNone});
  }
  size_t count() const { return wanted_.size(); }

  // Bytes that scan() would read.
  static uint64_t bytes_to_scan(const walk::Target& target);

  void scan(const walk::Target& target);

  // Of a block that was added: what points to it as to its elements.
  Owner of(uint64_t address) const;

 private:
  struct Wanted {
    uint64_t bytes;
    Owner owner;
  };
  static constexpr size_t kFilterBits = size_t{1} << 23;
  static constexpr size_t kWords = 6;  // that the longest pattern has

  static size_t filter_bit(uint64_t address) {
    return (address * 0x9E3779B97F4A7C15U) >> 41;  // 23 bits
  }
  void scan_words(const walk::Target& target, const uint64_t* words, size_t count);
  static Owner owner_by(const walk::Target& target, const uint64_t* words, uint64_t bytes);

  std::unordered_map<uint64_t, Wanted> wanted_;
  std::vector<uint64_t> filter_;
};

}  // namespace tide::inspect
