// A list of operations on the real engine against a simple model: malloc and its family, several
// heaps, limits, and memory that goes back in between.
#include "fuzz/live_blocks.h"

namespace {

using fuzz::Input;
using fuzz::LiveBlocks;
using fuzz::require;
namespace api = tide::api;

constexpr size_t kHeaps = 4;

class Operations {
 public:
  ~Operations() {
    api::limits_set(0, 0);
    for (tide_heap_t*& heap : heaps_) destroy(heap);
  }

  void run(Input& input) {
    switch (input.byte() % 24) {
      case 0:
        return allocate_zeroed(input);
      case 1:
        return allocate_aligned(input);
      case 2:
      case 3:
        return reallocate(input);
      case 4:
        api::purge();
        return;
      case 5:
        return api::engine().verify();
      case 6:
        api::purge_to(input.block_size());
        return;
      case 7:
        return toggle_heap(input);
      case 8:
      case 9:
        return allocate_in_heap(input);
      case 10:
        return limit(input);
      case 11:
        return limit_heap(input);
      case 12:
      case 13:
      case 14:
      case 15:
      case 16:
        if (void* const p = blocks_.choose(input)) blocks_.free(p);
        return;
      default:
        return allocate(input);
    }
  }

 private:
  void allocate(Input& input) {
    const size_t size = input.block_size();
    if (!blocks_.is_full(size)) blocks_.add(api::allocate(size), size);
  }

  void allocate_zeroed(Input& input) {
    const size_t size = input.block_size();
    if (blocks_.is_full(size)) return;
    void* const p = api::allocate_zeroed(size);
    if (p != nullptr) LiveBlocks::require_zero(p, size);
    blocks_.add(p, size);
  }

  void allocate_aligned(Input& input) {
    const size_t alignment = size_t{1} << (input.byte() % 24);
    const size_t size = input.block_size();
    if (!blocks_.is_full(size))
      blocks_.add(api::allocate_aligned(alignment, size), size, alignment);
  }

  void reallocate(Input& input) {
    void* const p = blocks_.choose(input);
    const size_t size = input.block_size() + 1;
    if (p == nullptr || blocks_.is_full(size)) return;
    blocks_.reallocate(p, size, [&] { return api::reallocate(p, size); });
  }

  tide_heap_t*& heap(Input& input) { return heaps_[input.byte() % kHeaps]; }

  void toggle_heap(Input& input) {
    tide_heap_t*& chosen = heap(input);
    if (chosen != nullptr) return destroy(chosen);
    chosen = api::heap_create(input.byte() % 2 == 0 ? 0 : input.block_size() + 1);
  }
  void destroy(tide_heap_t*& chosen) {
    if (chosen == nullptr) return;
    blocks_.remove_all_of(chosen);
    api::heap_destroy(chosen);
    chosen = nullptr;
  }

  void allocate_in_heap(Input& input) {
    tide_heap_t* const chosen = heap(input);
    const size_t size = input.block_size();
    const size_t alignment = size_t{1} << (input.byte() % 16);
    if (chosen == nullptr || blocks_.is_full(size)) return;
    blocks_.add(api::heap_allocate(chosen, alignment, size), size, alignment, chosen);
    const tide_heap_stats stats = api::heap_stats(chosen);
    require(stats.limit_bytes != 0 || stats.live_blocks <= blocks_.count());
  }

  // May be below what is live.
  static void limit(Input& input) {
    const size_t soft = input.byte() % 2 == 0 ? 0 : input.block_size();
    const size_t hard = input.byte() % 2 == 0 ? 0 : soft + input.block_size() + 1;
    require(api::limits_set(soft, hard) == 0);
  }

  void limit_heap(Input& input) {
    tide_heap_t* const chosen = heap(input);
    if (chosen == nullptr) return;
    const size_t bytes = input.byte() % 3 == 0 ? 0 : input.block_size();
    if (input.byte() % 2 == 0) return api::heap_set_soft_limit(chosen, bytes);
    api::heap_set_limit(chosen, bytes);
  }

  LiveBlocks blocks_;
  tide_heap_t* heaps_[kHeaps] = {};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Operations operations;
  while (!input.is_empty()) operations.run(input);
  tide::api::engine().verify();
  return 0;
}
