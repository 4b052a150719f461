#include "inspect/reference_graph.h"

#include <algorithm>
#include <iterator>
#include <mutex>

#include "host/error.h"
#include "inspect/block_references.h"
#include "inspect/parallel.h"

// Compiled for newer machines as well (src/CMakeLists.txt says for which); the version that fits is
// taken as the program starts.
#ifdef TIDE_NEWER_MACHINES
#define TIDE_FOR_NEWER_MACHINES \
  __attribute__((target_clones(TIDE_NEWER_MACHINES, "default"), flatten))
#else
#define TIDE_FOR_NEWER_MACHINES
#endif

namespace tide::inspect {

// Takes references in the order of the blocks that hold them, and keeps what they point to.
class ReferenceGraph::Chunk {
 public:
  // For blocks [begin, end); `targets` is room that is used again.
  Chunk(host::LargeVector<uint32_t>& ends, std::vector<uint32_t>& targets, uint32_t begin,
        uint32_t end)
      : ends_(ends), targets_(targets), next_(begin), end_(end) {}

  void add(uint32_t from, uint32_t to) {
    close_up_to(from);
    if (count_ == targets_.size()) grow();
    targets_[count_++] = to;
  }

  // Moves them into the last of `rooms`, or a new one.
  const uint32_t* finish(std::vector<Room>& rooms) {
    close_up_to(end_);
    if (rooms.empty() || rooms.back().capacity() - rooms.back().size() < count_) {
      rooms.emplace_back().reserve(std::max<size_t>(kRoom, count_));
    }
    Room& room = rooms.back();
    const size_t begin = room.size();
    room.insert(room.end(), targets_.begin(), targets_.begin() + count_);
    return room.data() + begin;
  }
  uint32_t count() const { return count_; }

 private:
  void close_up_to(uint32_t from) {
    for (; next_ < from; ++next_) ends_[next_] = count_;
  }
  void grow() {
    if (count_ == UINT32_MAX) {
      throw host::Error("65,536 blocks hold more than 4,294,967,295 references: too many");
    }
    targets_.resize(std::clamp<size_t>(2 * targets_.size(), kChunkBlocks, UINT32_MAX));
  }

  host::LargeVector<uint32_t>& ends_;
  std::vector<uint32_t>& targets_;
  uint32_t count_ = 0;
  uint32_t next_;
  const uint32_t end_;
};

// All of it in one function, in a version with the instruction that counts ones, too.
TIDE_FOR_NEWER_MACHINES void ReferenceGraph::read_chunk(BlockReferences& references, uint32_t begin,
                                                        uint32_t end, Chunk& chunk) {
  references.for_each(begin, end, [&](uint32_t from, uint32_t to) { chunk.add(from, to); });
}

ReferenceGraph::ReferenceGraph(const walk::Target& target, const BlockIndex& index)
    : ends_(index.count()), chunks_((uint64_t{index.count()} + kChunkBlocks - 1) / kChunkBlocks) {
  std::mutex mutex;
  share_out(static_cast<uint32_t>(chunks_.size()), [&](Pieces& pieces) {
    BlockReferences references(target, index);
    std::vector<uint32_t> targets;
    std::vector<Room> rooms;
    uint64_t count = 0;
    for (uint32_t c; pieces.next(c);) {
      const uint32_t begin = c * kChunkBlocks;
      const uint32_t end = begin + std::min(kChunkBlocks, index.count() - begin);
      Chunk chunk(ends_, targets, begin, end);
      read_chunk(references, begin, end, chunk);
      chunks_[c] = chunk.finish(rooms);
      count += chunk.count();
    }
    const std::lock_guard lock(mutex);
    references_ += count;
    std::move(rooms.begin(), rooms.end(), std::back_inserter(rooms_));
    missing_bytes_ += references.missing_bytes();
  });
}

ReferenceGraph::ReferenceGraph(const std::vector<std::vector<uint32_t>>& out) : ends_(out.size()) {
  std::vector<uint32_t> targets;
  for (uint32_t begin = 0; begin < out.size(); begin += kChunkBlocks) {
    const auto end = static_cast<uint32_t>(std::min<size_t>(begin + kChunkBlocks, out.size()));
    Chunk chunk(ends_, targets, begin, end);
    for (uint32_t from = begin; from < end; ++from) {
      for (const uint32_t to : out[from]) chunk.add(from, to);
    }
    chunks_.push_back(chunk.finish(rooms_));
    references_ += chunk.count();
  }
}

}  // namespace tide::inspect
