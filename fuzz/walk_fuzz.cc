// A walk through a heap that somebody has written over: the process's own, with the input's bytes
// laid over its root, its engine and its tables. Whatever they say, the walk ends, says at most
// that something is wrong, and touches nothing of its own.
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "api/allocate.h"
#include "api/c_family.h"
#include "fuzz/input.h"
#include "fuzz/patched_target.h"
#include "layout/heap_root.h"
#include "walk/live_target.h"
#include "walk/tide_heap.h"

extern "C" tide::layout::HeapRoot tide_heap_root;

namespace {

using fuzz::PatchedTarget;
using namespace tide;

// The heap that is written over: some blocks of every kind, some of them freed.
class World {
 public:
  World() {
    for (size_t i = 0; i < 2000; ++i) {
      const size_t size = i % 500 == 0 ? 40'000'000 : i % 50 == 0 ? 200'000 : i * 37 % 9000;
      blocks_.push_back(api::allocate(size));
    }
    for (size_t i = 0; i < blocks_.size(); i += 3) api::release(blocks_[i]);
    target_ = std::make_unique<walk::LiveTarget>(getpid(), false);
    const walk::TideHeap heap(*target_, root());
    regions_.push_back({root(), root() + sizeof tide_heap_root});
    regions_.push_back({root(), root() + sizeof tide_heap_root});  // most of what can go wrong
    for (const walk::Range& range : heap.records()) regions_.push_back(range);
    addresses_ = heap.ranges();
  }

  static uint64_t root() { return reinterpret_cast<uint64_t>(&tide_heap_root); }
  const walk::LiveTarget& target() const { return *target_; }
  const walk::Range& region(size_t number) const { return regions_[number % regions_.size()]; }
  const std::vector<walk::Range>& addresses() const { return addresses_; }

 private:
  std::vector<void*> blocks_;
  std::unique_ptr<walk::LiveTarget> target_;
  std::vector<walk::Range> regions_;
  std::vector<walk::Range> addresses_;
};

void ask_everything(const PatchedTarget& target, const World& world) {
  std::vector<std::unique_ptr<walk::Heap>> heaps;
  heaps.push_back(std::make_unique<walk::TideHeap>(target, World::root()));
  const walk::Heap& heap = *heaps[0];
  uint64_t blocks = 0;
  heap.for_each_block([&](std::span<const walk::Block> some) {
    blocks += some.size();
    return blocks < 1'000'000;
  });
  heap.summary();
  heap.threads();
  heap.records();
  heap.check(5);
  heap.for_each_span([](const walk::Span&) { return true; });
  for (const walk::Range& range : world.addresses()) heap.find(range.start + 4096);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  fuzz::ask_damaged(world, data, size,
                    [](const PatchedTarget& target) { ask_everything(target, world); });
  return 0;
}
