// What a fuzz target has allocated, as a simple model: no two blocks overlap, each keeps its bytes,
// is aligned and as long as the allocator says, and belongs to the heap that it was asked of.
#pragma once

#include <iterator>
#include <map>

#include "api/allocate.h"
#include "api/control.h"
#include "fuzz/input.h"

namespace fuzz {

class LiveBlocks {
 public:
  static constexpr size_t kMostBlocks = 4096;
  static constexpr size_t kMostBytes = size_t{256} << 20;

  ~LiveBlocks() {
    while (!blocks_.empty()) free_at(blocks_.begin());
  }

  bool is_full(size_t more) const {
    return blocks_.size() >= kMostBlocks || more > kMostBytes || bytes_ + more > kMostBytes;
  }

  // `p` has come from an allocation of at least `size` bytes; null is fine.
  void add(void* p, size_t size, size_t alignment = 16, tide_heap_t* heap = nullptr) {
    if (p == nullptr) return;
    const auto address = reinterpret_cast<uintptr_t>(p);
    require(address % 16 == 0 && address % alignment == 0);
    const size_t usable = tide::api::usable_size(p);
    require(usable >= size && tide::api::heap_of(p) == heap);
    const auto next = blocks_.lower_bound(address);
    require(next == blocks_.end() || address + usable <= next->first);
    if (next != blocks_.begin()) {
      const auto& [before_address, before] = *std::prev(next);
      require(before_address + before.bytes <= address);
    }
    const uint8_t pattern = ++last_pattern_;
    at_ends(usable, [&](size_t i) { static_cast<uint8_t*>(p)[i] = pattern; });
    blocks_.emplace(address, Block{usable, pattern, heap});
    bytes_ += usable;
  }

  static void require_zero(const void* p, size_t size) {
    const auto* const bytes = static_cast<const uint8_t*>(p);
    for (size_t i = 0; i < size; i += i < 4096 || i + 4096 > size ? 1 : 509) {
      require(bytes[i] == 0);
    }
  }

  // Of a block that the input chooses, or of null when there is none.
  void* choose(Input& input) const {
    if (blocks_.empty()) return nullptr;
    auto chosen = blocks_.begin();
    std::advance(chosen, (input.byte() | input.byte() << 8) % blocks_.size());
    return reinterpret_cast<void*>(chosen->first);
  }
  tide_heap_t* heap_of(void* p) const { return at(p).heap; }

  // `resize` is a realloc of `p`; null leaves it as it was.
  template <class Resize>
  void reallocate(void* p, size_t size, Resize resize) {
    const Block old = at(p);
    void* const moved = resize();
    if (moved == nullptr) return check(p, old);
    const size_t kept = old.bytes < size ? old.bytes : size;
    const auto* const bytes = static_cast<const uint8_t*>(moved);
    at_ends(old.bytes, [&](size_t i) { require(i >= kept || bytes[i] == old.pattern); });
    forget(p);
    add(moved, size, 16, old.heap);
  }

  // `p` is about to be freed: it is as it was left.
  void remove(void* p) {
    check(p, at(p));
    forget(p);
  }
  void free(void* p) { free_at(blocks_.find(reinterpret_cast<uintptr_t>(p))); }

  // All blocks of a heap that ends.
  void remove_all_of(tide_heap_t* heap) {
    for (auto block = blocks_.begin(); block != blocks_.end();) {
      if (block->second.heap != heap) {
        ++block;
        continue;
      }
      check(reinterpret_cast<void*>(block->first), block->second);
      bytes_ -= block->second.bytes;
      block = blocks_.erase(block);
    }
  }

  size_t count() const { return blocks_.size(); }

 private:
  struct Block {
    size_t bytes;
    uint8_t pattern;
    tide_heap_t* heap;
  };
  using Map = std::map<uintptr_t, Block>;

  const Block& at(void* p) const {
    const auto found = blocks_.find(reinterpret_cast<uintptr_t>(p));
    require(found != blocks_.end());
    return found->second;
  }

  // Only the ends: writing all of a large block would make the fuzzer slow.
  template <class Visit>
  static void at_ends(size_t size, Visit visit) {
    for (size_t i = 0; i < size && i < 64; ++i) visit(i);
    for (size_t i = size > 64 ? size - 64 : 0; i < size; ++i) visit(i);
  }

  static void check(const void* p, const Block& block) {
    require(tide::api::usable_size(p) == block.bytes);
    const auto* const bytes = static_cast<const uint8_t*>(p);
    at_ends(block.bytes, [&](size_t i) { require(bytes[i] == block.pattern); });
  }

  void forget(void* p) {
    bytes_ -= at(p).bytes;
    blocks_.erase(reinterpret_cast<uintptr_t>(p));
  }

  void free_at(Map::iterator chosen) {
    void* const p = reinterpret_cast<void*>(chosen->first);
    remove(p);
    tide::api::release(p);
  }

  Map blocks_;
  size_t bytes_ = 0;
  uint8_t last_pattern_ = 0;
};

}  // namespace fuzz
