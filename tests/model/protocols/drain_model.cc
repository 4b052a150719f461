// A thread at its cache, malloc and free as they are (src/heap/fast_path.h, cache_use.h), while
// another one takes blocks out of it (cache_drain.h): each block is in one place, and what the
// handshake protects is touched by one of them at a time.
#include "heap/cache_drain.h"
#include "heap/cache_use.h"
#include "heap/fast_path.h"
#include "tests/model/checker/run_models.h"

namespace {

using tide::heap::kBlocks;
using tide::layout::kGateOpen;
using tide::layout::kSlots;
using tide::layout::kSmallGranuleShift;

enum class Place : uint8_t { kElsewhere, kCache, kProgram };

Place g_places[kBlocks];

struct FakeVm {
  static void leaves_cache(uintptr_t block) {
    checker::require(g_places[block] == Place::kCache, "a block is drained that is in use");
    g_places[block] = Place::kElsewhere;
  }
};

// `acts` of the thread: m malloc, f free of the block that it had first, s another slow path.
struct DrainModel : checker::Model {
  DrainModel(const char* list, uint32_t times, uint32_t filled, bool owns)
      : acts(list), drains(times) {
    for (Place& place : g_places) place = Place::kElsewhere;
    new (&cache.top[0]) checker::Racy<tide::layout::Slot*>(cache.slots + filled);
    new (&cache.limit[0]) checker::Racy<tide::layout::Slot*>(cache.slots + kSlots);
    new (&cache.head[0]) checker::Racy<uintptr_t>(uintptr_t{filled} << kSmallGranuleShift);
    for (uint32_t i = 1; i <= filled; ++i) {
      new (&cache.slots[i]) tide::layout::Slot(uintptr_t{i} << kSmallGranuleShift);
      g_places[i] = Place::kCache;
    }
    if (owns) {
      g_places[kSlots + 1] = Place::kProgram;
      mine[mine_count++] = reinterpret_cast<void*>(uintptr_t{kSlots + 1} << kSmallGranuleShift);
    }
  }

  void thread(uint32_t t) override {
    if (t != 0) return drain();
    cache.top[0].name("top");
    cache.head[0].name("head");
    cache.busy.name("busy");
    cache.gate.name("gate");
    cache.slots[0].name("slots[0]");
    cache.slots[1].name("slots[1]");
    cache.slots[2].name("slots[2]");
    cache.slots[3].name("slots[3]");
    for (const char* act = acts; *act != 0; ++act) {
      if (*act == 'm') {
        own(allocate());
      } else if (*act == 'f') {
        release();
      } else {
        const tide::heap::CacheUse use(&cache);
        use_lists();
      }
    }
  }

  void drain() {
    for (uint32_t i = 0; i < drains; ++i) {
      tide::heap::CacheDrain<FakeVm> drain(space, heap, cache);
      drain.run(tide::heap::Idle::kAll, [&](auto&) { use_lists(); });
    }
  }

  void* allocate() {
    void* const block = tide::heap::allocate_in_zone<kSmallGranuleShift>(space.small, cache, 0);
    if (block != nullptr) return block;
    // Engine::allocate_slow() and allocate_of_class().
    const tide::heap::CacheUse use(&cache);
    use_lists();
    tide::layout::Slot* const top = cache.top[0];
    const uintptr_t left = *top;
    if (left == 0) return nullptr;
    tide::layout::set_top(cache, 0, top - 1);
    return reinterpret_cast<void*>(left);
  }

  void own(void* p) {
    if (p == nullptr) return;
    const uintptr_t block = reinterpret_cast<uintptr_t>(p) >> kSmallGranuleShift;
    checker::require(block < kBlocks, "malloc returns what is no block");
    checker::require(g_places[block] == Place::kCache, "malloc returns a block that is not here");
    g_places[block] = Place::kProgram;
    if (mine_count < kBlocks) mine[mine_count++] = p;
  }

  void release() {
    if (mine_count == 0) return;
    void* const p = mine[0];
    --mine_count;
    for (uint32_t i = 0; i < mine_count; ++i) mine[i] = mine[i + 1];
    const uintptr_t block = reinterpret_cast<uintptr_t>(p) >> kSmallGranuleShift;
    // From the moment that it is on the stack.
    g_places[block] = Place::kCache;
    if (tide::heap::release_as(space.small.states(), cache, block, 0, p)) return;
    // Engine::release_slow(): full, the block goes to the heap.
    const tide::heap::CacheUse use(&cache);
    checker::require(cache.gone[0] == 0, "gaps take the room of blocks");
    g_places[block] = Place::kElsewhere;
  }

  // The spans, which slow paths use on both sides.
  void use_lists() { cache.spans.count = cache.spans.count + 1; }

  void finish() override {
    checker::require(cache.gate.load() == kGateOpen, "the gate stays shut");
    bool in_cache[kBlocks] = {};
    tide::layout::Slot* const top = cache.top[0];
    for (tide::layout::Slot* slot = cache.slots + 1 + cache.gone[0]; slot <= top; ++slot) {
      const uintptr_t block = *slot >> kSmallGranuleShift;
      checker::require(block != 0 && block < kBlocks, "a slot of the stack has no block");
      checker::require(!in_cache[block], "a block is twice in the stack");
      in_cache[block] = true;
    }
    const uintptr_t head = cache.head[0];
    checker::require(head == 0 || head == *top, "the head is not the topmost block");
    for (uint32_t block = 1; block < kBlocks; ++block) {
      checker::require(in_cache[block] == (g_places[block] == Place::kCache),
                       "a block is lost or in two places");
    }
  }

  const char* const acts;
  const uint32_t drains;
  tide::layout::ThreadCache cache{};
  tide::heap::Space<FakeVm> space;
  tide::heap::ProcessHeap<FakeVm> heap;
  void* mine[kBlocks + 1] = {};
  uint32_t mine_count = 0;
};

// With `filled` blocks in the cache, and perhaps one in the hands of the thread.
checker::Program program(const char* name, const char* acts, uint32_t filled, bool owns = false) {
  return {name, 2, [=] { return new DrainModel(acts, 1, filled, owns); }};
}

}  // namespace

int main(int argc, char** argv) {
  const checker::Suite suite{
      .programs = {program("drain: malloc", "m", 1), program("drain: malloc, free", "mf", 2),
                   program("drain: slow path", "s", 1),
                   program("drain: malloc, free another", "mf", 1, true),
                   program("drain: free", "f", 1, true),
                   program("drain: malloc, slow path", "ms", 2),
                   program("drain: free, malloc", "fm", 1, true),
                   program("drain: two slow paths", "ss", 1),
                   program("drain: slow path, nothing to take", "s", 0),
                   program("drain: slow path, free", "sf", kSlots, true),
                   program("drain: two mallocs", "mm", 2)},
      .mutations = {"no membarrier",
                    "drain: the gate stays open",
                    "drain: no barrier behind the gate",
                    "drain: busy is not looked at",
                    "drain: no barrier behind the fences",
                    "drain: no barrier between top and slot",
                    "drain: top is not looked at again",
                    "drain: the fence is not looked at again",
                    "drain: a block of the thread is overwritten",
                    "drain: nobody is woken",
                    "drain: gone is not told",
                    "use: not busy",
                    "use: does not wait",
                    "use: gaps stay",
                    "use: waits for the wrong word",
                    "drain: the head is not looked at",
                    "drain: any head is closed",
                    "drain: no barrier behind the heads",
                    "malloc: the head is read before top is stored",
                    "malloc: the next slot is read before top is stored",
                    "free: top is stored before the slot"},
      .unneeded = {},
  };
  return checker::run_suite(suite, argc, argv);
}
