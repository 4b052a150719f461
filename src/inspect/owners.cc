#include "inspect/owners.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace tide::inspect {
namespace {

constexpr size_t kStep = 1 << 20;
constexpr uint64_t kPage = 4096;

bool is_scanned(const walk::Segment& segment) { return segment.is_readable && segment.is_writable; }

}  // namespace

uint64_t Owners::bytes_to_scan(const walk::Target& target) {
  uint64_t bytes = 0;
  for (const walk::Segment& segment : target.segments()) {
    if (is_scanned(segment)) bytes += std::min(segment.size(), segment.present);
  }
  return bytes;
}

void Owners::scan(const walk::Target& target) {
  if (wanted_.empty()) return;
  filter_.assign(kFilterBits / 64, 0);
  for (const auto& [address, wanted] : wanted_) {
    const size_t bit = filter_bit(address);
    filter_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  walk::Buffer buffer;
  std::vector<uint64_t> words;
  for (const walk::Segment& segment : target.segments()) {
    if (!is_scanned(segment)) continue;
    const uint64_t end = segment.start + std::min(segment.size(), segment.present);
    uint64_t at = segment.start;
    while (at < end) {
      // The last words of a step are looked at again with those behind them.
      const std::span<const std::byte> bytes =
          target.view(at, std::min<uint64_t>(kStep, end - at), buffer);
      const size_t count = bytes.size() / sizeof(uint64_t);
      if (count == 0) {
        at = (at | (kPage - 1)) + 1;
        continue;
      }
      words.resize(count);
      std::memcpy(words.data(), bytes.data(), count * sizeof(uint64_t));
      scan_words(target, words.data(), count);
      const size_t again = count > kWords ? kWords - 1 : 0;
      const uint64_t next = at + (count - again) * sizeof(uint64_t);
      if (at + count * sizeof(uint64_t) >= end) break;
      at = next;
    }
  }
}

void Owners::scan_words(const walk::Target& target, const uint64_t* words, size_t count) {
  for (size_t i = 0; i + 2 < count; ++i) {
    const uint64_t word = words[i];
    if (word % 8 != 0 || word == 0) continue;
    const size_t bit = filter_bit(word);
    if ((filter_[bit / 64] >> (bit % 64) & 1) == 0) continue;
    const auto wanted = wanted_.find(word);
    if (wanted == wanted_.end() || wanted->second.owner != Owner::kNone) continue;
    uint64_t pattern[kWords] = {};
    std::copy_n(words + i, std::min(kWords, count - i), pattern);
    wanted->second.owner = owner_by(target, pattern, wanted->second.bytes);
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
  if (words[1] >= address && words[1] <= words[2] && words[2] > address &&
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
  const auto wanted = wanted_.find(address);
  return wanted == wanted_.end() ? Owner::kNone : wanted->second.owner;
}

}  // namespace tide::inspect
