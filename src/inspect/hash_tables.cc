#include "inspect/hash_tables.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <vector>

#include "inspect/memory_scan.h"

namespace tide::inspect {
namespace {

// Buckets, their number, the first node, the number of nodes, the most nodes a bucket (a float).
constexpr size_t kRecordWords = 5;
constexpr size_t kFirstNode = 2;  // in the record; the list begins in front of its first node
constexpr size_t kMostTables = size_t{1} << 20;

struct Table {
  uint64_t buckets;
  uint64_t bucket_count;
  uint64_t before_first;  // the address of the record's word for the first node
  uint64_t first;
  uint64_t nodes;
};

bool can_be_load(uint64_t word) {
  // Floats from 0.125 to 64 ascend as their bits do.
  constexpr uint32_t kLeast = 0x3E000000;
  constexpr uint32_t kMost = 0x42800000;
  const auto bits = static_cast<uint32_t>(word);
  return bits - kLeast <= kMost - kLeast;
}

bool can_be_block(uint64_t word) { return word % 16 == 0 && word >= 4096; }

bool can_be_table(const Words& words, size_t at) {
  constexpr uint64_t kMostNodes = uint64_t{1} << 40;
  return can_be_load(words[at + 4]) && words[at + 1] - 2 < kMostNodes &&
         words[at + 3] - 1 < kMostNodes && can_be_block(words[at]) && can_be_block(words[at + 2]);
}

// Its array is a block with room for all buckets, and one of them leads to the record itself.
bool is_table(const walk::Target& target, const Pointees& pointees, const Table& table) {
  const std::optional<walk::Block> buckets = pointees.live_block_at(table.buckets);
  if (!buckets.has_value() || buckets->bytes / sizeof(uint64_t) < table.bucket_count) return false;
  if (!pointees.live_block_at(table.first).has_value()) return false;
  walk::Buffer buffer;
  const uint64_t end = table.buckets + table.bucket_count * sizeof(uint64_t);
  for (uint64_t at = table.buckets; at < end;) {
    const auto bytes = target.view(at, end - at, buffer);
    const Words words(bytes.data(), bytes.size() / sizeof(uint64_t));
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] == table.before_first) return true;
    }
    if (words.size() == 0) return false;
    at += words.size() * sizeof(uint64_t);
  }
  return false;
}

}  // namespace

void HashTables::find(const walk::Target& target, const Pointees& pointees, uint64_t most_steps) {
  std::vector<Table> tables;
  std::mutex mutex;
  scan_memory(target, kRecordWords, [&](uint64_t address, const Words& words) {
    for (size_t i = 0; i + kRecordWords <= words.size(); ++i) {
      if (!can_be_table(words, i)) continue;
      const std::lock_guard lock(mutex);
      if (tables.size() == kMostTables) {
        is_complete_ = false;
        return;
      }
      tables.push_back({words[i], words[i + 1], address + (i + kFirstNode) * sizeof(uint64_t),
                        words[i + kFirstNode], words[i + 3]});
    }
  });
  // Where views overlap a table is seen twice.
  std::sort(tables.begin(), tables.end(),
            [](const Table& a, const Table& b) { return a.before_first < b.before_first; });
  uint64_t seen = 0;
  for (const Table& table : tables) {
    if (table.before_first == seen || !is_table(target, pointees, table)) continue;
    seen = table.before_first;
    uint64_t node = table.first;
    for (uint64_t i = 0; i < table.nodes && node != 0; ++i) {
      if (most_steps-- == 0) {
        is_complete_ = false;
        return;
      }
      const auto block = blocks_.find(node);
      if (block != blocks_.end()) block->second = true;
      node = target.load<uint64_t>(node).value_or(0);
    }
  }
}

}  // namespace tide::inspect
