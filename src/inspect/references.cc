#include "inspect/references.h"

#include <algorithm>
#include <mutex>

#include "inspect/block_set.h"
#include "inspect/parallel.h"
#include "inspect/word_reader.h"

namespace tide::inspect {
namespace {

constexpr uint32_t kPieceBlocks = 1 << 16;

// The first `most` of `all` by address, twice that many at most on the way.
void keep_first(std::vector<Reference>& all, size_t most) {
  const auto before = [](const Reference& a, const Reference& b) {
    return a.block != b.block ? a.block < b.block : a.offset < b.offset;
  };
  std::sort(all.begin(), all.end(), before);
  if (all.size() > most) all.resize(most);
}

}  // namespace

References references_to(const walk::Target& target, const BlockIndex& index, walk::Range range,
                         size_t most) {
  References found;
  std::mutex mutex;
  const uint64_t span = range.end - range.start;
  const auto pieces_count =
      static_cast<uint32_t>((uint64_t{index.count()} + kPieceBlocks - 1) / kPieceBlocks);
  share_out(pieces_count, [&](Pieces& pieces) {
    WordReader reader(target);
    std::vector<Reference> piece;
    for (uint32_t p; pieces.next(p);) {
      const uint32_t begin = p * kPieceBlocks;
      const uint32_t end = begin + std::min(kPieceBlocks, index.count() - begin);
      piece.clear();
      uint64_t count = 0;
      index.for_each(begin, end, [&](uint32_t block, uint64_t start, uint64_t bytes) {
        reader.read(start, start + bytes, [&](uint64_t address, Words words) {
          for (size_t i = 0; i < words.size(); ++i) {
            if (words[i] - range.start >= span) continue;
            ++count;
            if (piece.size() == most) continue;
            const uint64_t offset = address + i * sizeof(uint64_t) - start;
            piece.push_back({block, offset, words[i] - range.start});
          }
        });
      });
      if (count == 0) continue;
      const std::lock_guard lock(mutex);
      found.count += count;
      found.first.insert(found.first.end(), piece.begin(), piece.end());
      keep_first(found.first, most);
    }
    const std::lock_guard lock(mutex);
    found.missing_bytes += reader.missing_bytes();
  });
  return found;
}

References references_from(const walk::Target& target, const BlockIndex& index, walk::Range range,
                           size_t most) {
  References found;
  WordReader reader(target);
  BlockIndex::Finder finder(index);
  const uint64_t span = index.highest() - index.lowest();
  reader.read(range.start, range.end, [&](uint64_t address, Words words) {
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] - index.lowest() > span) continue;
      const BlockIndex::Finder::Spot spot = finder.spot_of(words[i]);
      if (spot == nullptr) continue;
      const uint32_t block = finder.at(spot, words[i]);
      if (block == BlockIndex::kNone) continue;
      ++found.count;
      if (found.first.size() == most) continue;
      found.first.push_back({block, address + i * sizeof(uint64_t) - range.start,
                             words[i] - index.address_of(block)});
    }
  });
  found.missing_bytes = reader.missing_bytes();
  return found;
}

std::vector<uint32_t> anchored_blocks(const Roots& roots, const BlockIndex& index) {
  std::vector<uint32_t> blocks;
  BlockSet seen(index.count());
  BlockIndex::Finder finder(index);
  roots.for_each(index.lowest(), index.highest(), [&](const Anchor& anchor) {
    const BlockIndex::Finder::Spot spot = finder.spot_of(anchor.word);
    if (spot == nullptr) return;
    const uint32_t block = finder.at(spot, anchor.word);
    if (block != BlockIndex::kNone && seen.add(block)) blocks.push_back(block);
  });
  return blocks;
}

}  // namespace tide::inspect
