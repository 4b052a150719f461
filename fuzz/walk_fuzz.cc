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
#include "host/error.h"
#include "inspect/block_index.h"
#include "layout/heap_root.h"
#include "walk/live_target.h"
#include "walk/tide_heap.h"

extern "C" tide::layout::HeapRoot tide_heap_root;

namespace {

using fuzz::Input;
using namespace tide;

struct Patch {
  uint64_t address;
  std::byte value;
};

class PatchedTarget : public walk::Target {
 public:
  explicit PatchedTarget(const walk::LiveTarget& under) : under_(under) {}

  void add(uint64_t address, uint8_t value) {
    patches_.push_back({address, static_cast<std::byte>(value)});
  }

  std::string name() const override { return "a damaged heap"; }
  bool is_core() const override { return true; }
  const std::vector<walk::Segment>& segments() const override { return under_.segments(); }
  const std::vector<walk::Thread>& threads() const override { return under_.threads(); }
  std::string program() const override { return {}; }

  std::span<const std::byte> view(uint64_t address, size_t bytes,
                                  walk::Buffer& buffer) const override {
    const auto there = under_.view(address, bytes, buffer);
    if (there.empty()) return there;
    for (const Patch& patch : patches_) {
      if (patch.address - address < there.size()) buffer[patch.address - address] = patch.value;
    }
    return there;
  }

 private:
  const walk::LiveTarget& under_;
  std::vector<Patch> patches_;
};

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
  Input input(data, size);
  PatchedTarget target(world.target());
  while (!input.is_empty()) {
    const walk::Range& region = world.region(input.byte());
    const uint64_t offset =
        input.byte() | uint64_t{input.byte()} << 8 | uint64_t{input.byte()} << 16;
    const uint64_t address = region.start + offset % (region.end - region.start);
    for (unsigned bytes = input.byte() % 8 + 1, i = 0; i < bytes; ++i) {
      target.add(address + i, input.byte());
    }
  }
  try {
    ask_everything(target, world);
  } catch (const host::Error&) {
    // One line for the user.
  }
  return 0;
}
