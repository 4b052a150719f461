#include "inspect/containers.h"

#include <algorithm>
#include <optional>

namespace tide::inspect {
namespace {

constexpr size_t kWord = 8;
// Of a long array this many entries are followed.
constexpr size_t kMostFollowed = 64;

}  // namespace

bool Containers::has(uint64_t address, uint64_t value) const {
  const std::optional<uint64_t> word = target_.load<uint64_t>(address);
  return word.has_value() && *word == value;
}

bool Containers::is_pointer(uint64_t word) const {
  if (word % kWord != 0) return false;
  const Pointee pointee = pointees_.of(word);
  return pointee != Pointee::kNothing;
}

Container Containers::recognise(const walk::Block& block, std::span<const uint64_t> words) const {
  if (words.size() >= 4 && block.bytes > 32) {
    // Colour, parent, left, right; the colour has 4 bytes, those behind it may be anything.
    if (static_cast<uint32_t>(words[0]) <= 1 &&
        is_tree_node(block.address, words[1], words[2], words[3], 8, 16)) {
      return Container::kTreeNode;
    }
    // libc++: left, right, parent, colour.
    if (static_cast<uint8_t>(words[3]) <= 1 &&
        is_tree_node(block.address, words[2], words[0], words[1], 16, 0)) {
      return Container::kTreeNode;
    }
  }
  if (is_list_node(block, words)) return Container::kListNode;
  if (is_deque_map(words)) return Container::kDequeMap;
  if (is_hash_buckets(block, words)) return Container::kHashBuckets;
  if (is_chain_node(block, words)) return Container::kChainNode;
  return Container::kNone;
}

// The parent points back (from one of its sides; the tree's head as its own parent), and so do the
// children.
bool Containers::is_tree_node(uint64_t address, uint64_t parent, uint64_t left, uint64_t right,
                              uint64_t node_parent_at, uint64_t node_left_at) const {
  if (!is_pointer(parent) || parent == address || left == address || right == address) return false;
  if (left == right && left != 0) return false;
  for (const uint64_t child : {left, right}) {
    if (child == 0) continue;
    if (!is_pointer(child) || child == parent || !has(child + node_parent_at, address))
      return false;
  }
  return has(parent + node_left_at, address) || has(parent + node_left_at + kWord, address) ||
         has(parent + node_parent_at, address);
}

// Next, previous, value; the neighbours point back. A list's head that points to itself is none.
bool Containers::is_list_node(const walk::Block& block, std::span<const uint64_t> words) const {
  if (words.size() < 3) return false;
  const uint64_t next = words[0];
  const uint64_t previous = words[1];
  if (next == block.address || previous == block.address) return false;
  return is_pointer(next) && is_pointer(previous) && has(next + kWord, block.address) &&
         has(previous, block.address);
}

// Next, value; the next one has the same size and is followed by one of that size or by none.
// Nothing points back, so the last one does not show.
bool Containers::is_chain_node(const walk::Block& block, std::span<const uint64_t> words) const {
  if (words.size() < 2 || pointees_.of(words[0]) != Pointee::kHeap) return false;
  uint64_t at = words[0];
  constexpr int kSteps = 2;
  for (int step = 0; step < kSteps; ++step) {
    const std::optional<walk::Block> next = pointees_.live_block_at(at);
    if (!next.has_value() || next->bytes != block.bytes || next->address == block.address) {
      return false;
    }
    const std::optional<uint64_t> word = target_.load<uint64_t>(at);
    if (!word.has_value()) return false;
    if (*word == 0) return true;
    if (*word == at) return false;
    at = *word;
  }
  return true;
}

// An array of as many words as there are buckets, each 0 or what comes before the bucket's first
// node: a node, or once the table itself, in which this array's address is two words before.
bool Containers::is_hash_buckets(const walk::Block& block, std::span<const uint64_t> words) const {
  constexpr size_t kFewestNodes = 4;
  size_t followed = 0;
  size_t empty = 0;
  uint64_t node_bytes = 0;
  size_t strangers = 0;
  for (const uint64_t word : words) {
    if (word == 0) {
      ++empty;
      continue;
    }
    if (!is_pointer(word)) break;  // what an older block left behind the last bucket
    if (has(word - 2 * kWord, block.address)) {
      const std::optional<uint64_t> count = target_.load<uint64_t>(word - kWord);
      return count.has_value() && *count != 0 && *count <= block.bytes / kWord;
    }
    if (followed >= kMostFollowed || strangers != 0) continue;
    ++followed;
    const std::optional<walk::Block> node = pointees_.live_block_at(word);
    const std::optional<uint64_t> next = target_.load<uint64_t>(word);
    if (!node.has_value() || !next.has_value() || *next == word ||
        (node_bytes != 0 && node->bytes != node_bytes)) {
      ++strangers;
      continue;
    }
    node_bytes = node->bytes;
    const std::optional<walk::Block> first = pointees_.live_block_at(*next);
    if (!first.has_value() || first->bytes != node_bytes) ++strangers;
  }
  return strangers == 0 && followed >= kFewestNodes && empty * 8 >= words.size();
}

// Pointers to blocks of 512 bytes or more, all of one size, in the middle of the array.
bool Containers::is_deque_map(std::span<const uint64_t> words) const {
  constexpr size_t kSmallestMap = 8;
  constexpr uint64_t kChunk = 512;
  if (words.size() < kSmallestMap) return false;
  const auto first =
      std::find_if(words.begin(), words.end(), [](uint64_t word) { return word != 0; });
  if (first == words.begin() || first == words.end()) return false;
  const auto end = std::find(first, words.end(), uint64_t{0});
  if (end == words.end() || std::any_of(end, words.end(), [](uint64_t w) { return w != 0; })) {
    return false;
  }
  uint64_t chunk_bytes = 0;
  size_t followed = 0;
  for (auto word = first; word != end && followed < kMostFollowed; ++word, ++followed) {
    const std::optional<walk::Block> chunk = pointees_.live_block_at(*word);
    if (!chunk.has_value() || chunk->bytes < kChunk ||
        (chunk_bytes != 0 && chunk->bytes != chunk_bytes)) {
      return false;
    }
    chunk_bytes = chunk->bytes;
  }
  return true;
}

}  // namespace tide::inspect
