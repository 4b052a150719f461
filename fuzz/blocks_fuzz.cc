// A list of operations on the real engine against a simple model: every block keeps its bytes, has
// the alignment asked for, overlaps no other, and is exactly as long as the engine says.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>

#include "api/allocate.h"

namespace {

constexpr size_t kMostBlocks = 4096;
constexpr size_t kMostLiveBytes = size_t{256} << 20;

void require(bool condition) {
  if (!condition) abort();
}

// Numbers out of the input; zeros when it has ended.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool is_empty() const { return size_ == 0; }

  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

  // Small sizes mostly, but every magnitude up to 64 MiB is a few bits away.
  size_t block_size() {
    const unsigned bits = byte() % 27;
    const size_t low = byte() | size_t{byte()} << 8 | size_t{byte()} << 16;
    return (size_t{1} << bits) + (low & ((size_t{1} << bits) - 1)) - 1;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

class Blocks {
 public:
  ~Blocks() {
    while (!blocks_.empty()) release(blocks_.begin());
  }

  void allocate(Input& input) {
    const size_t size = input.block_size();
    if (is_full(size)) return;
    add(tide::api::allocate(size), size);
  }

  void allocate_zeroed(Input& input) {
    const size_t size = input.block_size();
    if (is_full(size)) return;
    auto* const block = static_cast<uint8_t*>(tide::api::allocate_zeroed(size));
    if (block == nullptr) return;
    for (size_t i = 0; i < size; i += i < 4096 || i + 4096 > size ? 1 : 509) require(block[i] == 0);
    add(block, size);
  }

  void allocate_aligned(Input& input) {
    const size_t alignment = size_t{1} << (input.byte() % 24);
    const size_t size = input.block_size();
    if (is_full(size)) return;
    void* const block = tide::api::allocate_aligned(alignment, size);
    require(reinterpret_cast<uintptr_t>(block) % alignment == 0);
    add(block, size);
  }

  void reallocate(Input& input) {
    const auto chosen = choose(input);
    const size_t size = input.block_size() + 1;
    if (chosen == blocks_.end() || is_full(size)) return;
    const Block old = chosen->second;
    auto* const block =
        static_cast<uint8_t*>(tide::api::reallocate(reinterpret_cast<void*>(chosen->first), size));
    if (block == nullptr) return;
    live_bytes_ -= old.size;
    blocks_.erase(chosen);
    check_pattern(block, old.size < size ? old.size : size, old.pattern, old.size);
    add(block, size);
  }

  void release_one(Input& input) {
    const auto chosen = choose(input);
    if (chosen != blocks_.end()) release(chosen);
  }

  void purge() { tide::api::purge(); }
  void verify() { tide::api::engine().verify(); }

 private:
  struct Block {
    size_t size;
    uint8_t pattern;
  };
  using Map = std::map<uintptr_t, Block>;

  bool is_full(size_t more) const {
    return blocks_.size() >= kMostBlocks || live_bytes_ + more > kMostLiveBytes;
  }

  // Only the ends: writing all of a large block would make the fuzzer slow.
  template <class Visit>
  static void at_ends(size_t size, Visit visit) {
    for (size_t i = 0; i < size && i < 64; ++i) visit(i);
    for (size_t i = size > 64 ? size - 64 : 0; i < size; ++i) visit(i);
  }

  static void check_pattern(const uint8_t* block, size_t kept, uint8_t pattern, size_t written) {
    at_ends(written, [&](size_t i) { require(i >= kept || block[i] == pattern); });
  }

  void add(void* p, size_t size) {
    if (p == nullptr) return;
    const auto address = reinterpret_cast<uintptr_t>(p);
    require(address % 16 == 0);
    const size_t usable = tide::api::usable_size(p);
    require(usable >= size);
    const auto next = blocks_.lower_bound(address);
    require(next == blocks_.end() || address + usable <= next->first);
    if (next != blocks_.begin()) {
      const auto& [before_address, before] = *std::prev(next);
      require(before_address + before.size <= address);
    }
    const uint8_t pattern = ++last_pattern_;
    at_ends(usable, [&](size_t i) { static_cast<uint8_t*>(p)[i] = pattern; });
    blocks_.emplace(address, Block{usable, pattern});
    live_bytes_ += usable;
  }

  void release(Map::iterator chosen) {
    auto* const block = reinterpret_cast<uint8_t*>(chosen->first);
    require(tide::api::usable_size(block) == chosen->second.size);
    check_pattern(block, chosen->second.size, chosen->second.pattern, chosen->second.size);
    live_bytes_ -= chosen->second.size;
    blocks_.erase(chosen);
    tide::api::release(block);
    require(blocks_.size() <= kMostBlocks);
  }

  Map::iterator choose(Input& input) {
    if (blocks_.empty()) return blocks_.end();
    auto chosen = blocks_.begin();
    std::advance(chosen, (input.byte() | input.byte() << 8) % blocks_.size());
    return chosen;
  }

  Map blocks_;
  size_t live_bytes_ = 0;
  uint8_t last_pattern_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Blocks blocks;
  while (!input.is_empty()) {
    switch (input.byte() % 16) {
      case 0:
        blocks.allocate_zeroed(input);
        break;
      case 1:
        blocks.allocate_aligned(input);
        break;
      case 2:
      case 3:
        blocks.reallocate(input);
        break;
      case 4:
        blocks.purge();
        break;
      case 5:
        blocks.verify();
        break;
      case 6:
      case 7:
      case 8:
      case 9:
      case 10:
        blocks.release_one(input);
        break;
      default:
        blocks.allocate(input);
        break;
    }
  }
  return 0;
}
