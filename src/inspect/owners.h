// Who points to a block: strings and containers have the address, the length and the capacity of
// their elements side by side. One scan of all writable memory, on all CPUs, finds those of many
// blocks at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inspect/word_reader.h"
#include "walk/heap.h"
#include "walk/target.h"

namespace tide::inspect {

enum class Owner : uint8_t { kNone, kString, kVector, kHashTable, kDeque };

class Owners {
 public:
  // A block to look for. Before scan().
  void add(uint64_t address, uint64_t bytes) {
    wanted_.push_back({address, bytes, UINT64_MAX, Owner::kNone});
  }
  size_t count() const { return wanted_.size(); }

  void scan(const walk::Target& target);

  // Of a block that was added: what points to it as to its elements; of several the one with the
  // lowest address.
  Owner of(uint64_t address) const;

 private:
  struct Wanted {
    uint64_t address;
    uint64_t bytes;
    uint64_t found_at;
    Owner owner;
  };
  struct Finding {
    uint32_t wanted;
    Owner owner;
    uint64_t at;
  };
  static constexpr size_t kFilterBits = size_t{1} << 23;
  static constexpr size_t kWords = 6;  // that the longest pattern has
  static constexpr uint32_t kNobody = UINT32_MAX;

  static uint64_t hash_of(uint64_t address) { return address * 0x9E3779B97F4A7C15U; }
  static size_t filter_bit(uint64_t address) { return hash_of(address) >> 41; }  // 23 bits
  void make_tables();
  uint32_t find(uint64_t address) const;
  void scan_words(const walk::Target& target, uint64_t start, const Words& words,
                  std::vector<Finding>& found) const;
  static Owner owner_by(const walk::Target& target, const uint64_t* words, uint64_t bytes);

  std::vector<Wanted> wanted_;
  std::vector<uint32_t> slots_;  // by hash: an index of wanted_, or kNobody
  unsigned slot_shift_ = 0;
  uint64_t lowest_ = 0;
  uint64_t span_ = 0;
  std::vector<uint64_t> filter_;
};

}  // namespace tide::inspect
