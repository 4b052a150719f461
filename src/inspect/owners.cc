#include "inspect/owners.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

#include "inspect/memory_scan.h"

namespace tide::inspect {
void Owners::make_tables() {
  filter_.assign(kFilterBits / 64, 0);
  const auto log = static_cast<unsigned>(std::bit_width(2 * wanted_.size()));
  slot_shift_ = 64 - log;
  slots_.assign(size_t{1} << log, kNobody);
  uint64_t highest = 0;
  lowest_ = UINT64_MAX;
  for (uint32_t i = 0; i < wanted_.size(); ++i) {
    const uint64_t address = wanted_[i].address;
    lowest_ = std::min(lowest_, address);
    highest = std::max(highest, address);
    const size_t bit = filter_bit(address);
    filter_[bit / 64] |= uint64_t{1} << (bit % 64);
    size_t slot = hash_of(address) >> slot_shift_;
    while (slots_[slot] != kNobody) slot = (slot + 1) % slots_.size();
    slots_[slot] = i;
  }
  span_ = highest - lowest_;
}

uint32_t Owners::find(uint64_t address) const {
  if (slots_.empty()) return kNobody;
  size_t slot = hash_of(address) >> slot_shift_;
  while (slots_[slot] != kNobody && wanted_[slots_[slot]].address != address) {
    slot = (slot + 1) % slots_.size();
  }
  return slots_[slot];
}

void Owners::scan(const walk::Target& target) {
  if (wanted_.empty()) return;
  make_tables();
  std::mutex mutex;
  scan_memory(target, kWords, [&](uint64_t address, const Words& words) {
    std::vector<Finding> found;
    scan_words(target, address, words, found);
    const std::lock_guard lock(mutex);
    for (const Finding& finding : found) {
      Wanted& wanted = wanted_[finding.wanted];
      if (finding.at >= wanted.found_at) continue;
      wanted.found_at = finding.at;
      wanted.owner = finding.owner;
    }
  });
}

void Owners::scan_words(const walk::Target& target, uint64_t start, const Words& words,
                        std::vector<Finding>& found) const {
  for (size_t i = 0; i + 2 < words.size(); ++i) {
    const uint64_t word = words[i];
    if (word - lowest_ > span_ || word % 8 != 0) continue;
    const size_t bit = filter_bit(word);
    if ((filter_[bit / 64] >> (bit % 64) & 1) == 0) continue;
    const uint32_t wanted = find(word);
    if (wanted == kNobody) continue;
    uint64_t pattern[kWords] = {};
    for (size_t k = 0; k < std::min(kWords, words.size() - i); ++k) pattern[k] = words[i + k];
    const Owner owner = owner_by(target, pattern, wanted_[wanted].bytes);
    if (owner != Owner::kNone) found.push_back({wanted, owner, start + i * sizeof(uint64_t)});
  }
}

// words[0] is the address of a block of `bytes`.
Owner Owners::owner_by(const walk::Target& target, const uint64_t* words, uint64_t bytes) {
  const uint64_t address = words[0];
  // std::string: characters, length, capacity; a zero behind the last.
  constexpr uint64_t kInside = 15;  // as many characters need no block
  if (words[1] <= words[2] && words[2] > kInside && words[2] < bytes) {
    const std::optional<char> last = target.load<char>(address + words[1]);
    if (last.has_value() && *last == '\0') return Owner::kString;
  }
  // std::vector: begin, end, end of the room.
  constexpr uint64_t kSmall = 64;  // where rounding up may be more than half
  // Not a place in a std::deque: the element, its chunk, the chunk's end, the map's entry for it.
  const bool is_place = words[1] == address && target.load<uint64_t>(words[3]) == address;
  if (!is_place && words[1] >= address && words[1] <= words[2] && words[2] > address &&
      words[2] - address <= bytes && (bytes <= kSmall || (words[2] - address) * 2 >= bytes)) {
    return Owner::kVector;
  }
  // std::deque: map, its length, then of the first element: address, chunk, its end, its entry.
  const uint64_t length = words[1];
  if (length < 2 || length > bytes / sizeof(uint64_t)) return Owner::kNone;
  if (words[5] - address < bytes && words[5] % 8 == 0 && words[2] >= words[3] &&
      words[2] < words[4]) {
    return Owner::kDeque;
  }
  // std::unordered_map: buckets, their number, first node, number of nodes, most nodes a bucket.
  float load = 0;
  std::memcpy(&load, &words[4], sizeof load);
  if ((words[2] == 0) == (words[3] == 0) && words[2] % 8 == 0 && load >= 0.125F && load <= 64.0F) {
    return Owner::kHashTable;
  }
  return Owner::kNone;
}

Owner Owners::of(uint64_t address) const {
  const uint32_t wanted = find(address);
  return wanted == kNobody ? Owner::kNone : wanted_[wanted].owner;
}

}  // namespace tide::inspect
