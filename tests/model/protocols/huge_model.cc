// src/heap/huge_blocks.h as it is, on a kernel that gives freed addresses out again at once: the
// race of a realloc whose mremap frees the old address while another thread maps it (jemalloc,
// 2011). No address is in the registry that belongs to somebody else, and every block is found.
#include "heap/huge_blocks.h"

#include "tests/model/checker/run_models.h"

uint64_t tide::sys::monotonic_ns() { return 0; }

namespace {

constexpr size_t kPage = 4096;
constexpr uintptr_t kFirst = uintptr_t{1} << 32;
constexpr uint32_t kPages = 8;

// Every call is one step; mappings are owned by pages.
struct Kernel {
  bool used[kPages] = {};
  alignas(64) char metadata[64 << 10] = {};
  void (*check)(uintptr_t address, size_t bytes) = nullptr;

  static uintptr_t address_of(size_t page) { return kFirst + page * kPage; }
  static size_t page_of(uintptr_t address) { return (address - kFirst) / kPage; }

  uintptr_t take(size_t pages) {
    for (size_t first = 0; first + pages <= kPages; ++first) {
      size_t n = 0;
      while (n < pages && !used[first + n]) ++n;
      if (n < pages) continue;
      for (n = 0; n < pages; ++n) used[first + n] = true;
      check(address_of(first), pages * kPage);
      return address_of(first);
    }
    checker::require(false, "the model has too few pages");
    return 0;
  }
  void give(uintptr_t address, size_t bytes) {
    for (size_t n = 0; n < bytes / kPage; ++n) {
      checker::require(used[page_of(address) + n], "unmaps what is not mapped");
      used[page_of(address) + n] = false;
    }
  }

  size_t page_size() { return kPage; }
  unsigned address_bits() { return 47; }
  uint64_t random_seed() { return 0; }
  tide::sys::MapResult map_at(uintptr_t, size_t) { return tide::sys::MapResult::kNoMemory; }
  void* map(size_t bytes) {
    if (bytes > kPages * kPage) return metadata;
    checker::step("mmap");
    return reinterpret_cast<void*>(take(bytes / kPage));
  }
  uintptr_t find_free(size_t) { return 0; }
  bool unmap(void* p, size_t bytes) {
    checker::step("munmap");
    give(reinterpret_cast<uintptr_t>(p), bytes);
    checker::step("munmap has returned");
    return true;
  }
  uint32_t purge_many(const tide::sys::PageRange*, uint32_t) { return 0; }
  bool purge(void*, size_t) {
    checker::step("madvise");
    return true;
  }
  bool purge_lazily(void*, size_t) { return true; }
  void populate(void*, size_t) {}
  void populate_huge(void*, size_t) {}
  bool is_sparse(void*, size_t) { return false; }
  void* remap(void* p, size_t before, size_t after) {
    checker::step("mremap");
    const uintptr_t moved = take(after / kPage);
    give(reinterpret_cast<uintptr_t>(p), before);
    checker::step("mremap has returned");
    return reinterpret_cast<void*>(moved);
  }
  void deny(void*, size_t) {}
  bool set_dumped(void*, size_t, bool) { return true; }
  void* detach_pages(void*, size_t) { return nullptr; }
  tide::sys::MoveResult move_pages(void*, void*, size_t) {
    return tide::sys::MoveResult::kUnchanged;
  }
};

using Blocks = tide::heap::HugeBlocks<Kernel>;

}  // namespace

namespace tide::heap {

// What a reader without the lock finds: who looks from outside, or a forked child.
struct EngineMap {
  template <class Vm>
  static bool knows(const HugeBlocks<Vm>& blocks, uintptr_t address, size_t bytes) {
    for (size_t i = 0; i < blocks.capacity(); ++i) {
      const auto& entry = blocks.table_->entries[i];
      if (entry.address <= HugeBlocks<Vm>::kErased) continue;
      if (entry.address < address + bytes && address < entry.address + entry.bytes) return true;
    }
    for (const auto& kept : blocks.kept_.pieces_) {
      if (kept.address == 0) continue;
      if (kept.address < address + bytes && address < kept.address + kept.bytes) return true;
    }
    return false;
  }
};

}  // namespace tide::heap

namespace {

enum class Act : uint8_t { kResize, kForeign, kAllocate, kAllocatePiece, kFree, kPurge };

struct HugeModel;
HugeModel* g_model;

struct HugeModel : checker::Model {
  HugeModel(Act first_act, Act second_act, bool keeps) : acts{first_act, second_act} {
    g_model = this;
    kernel.check = [](uintptr_t address, size_t bytes) {
      checker::require(!tide::heap::EngineMap::knows(g_model->blocks, address, bytes),
                       "an address is still known that the kernel gave to another");
    };
    config.huge_cache_bytes = keeps ? size_t{1} << 30 : 0;
    blocks.start(limits);
    mine[0] = allocate(1);
    mine[1] = allocate(1);
    if (!keeps) return;
    // Something for a purge to give back.
    void* const kept = allocate(2);
    release(kept);
  }

  void* allocate(size_t pages) {
    bool zeroed = false;
    void* const p = blocks.allocate(kernel, metadata, config, pages * kPage, 0, 0, zeroed);
    checker::require(blocks.usable_bytes(p) == pages * kPage, "a new block is not known");
    return p;
  }
  void release(void* p) {
    checker::require(blocks.release(kernel, config, p), "a live block is not known");
  }

  void thread(uint32_t t) override {
    switch (acts[t]) {
      case Act::kResize:
        mine[t] = blocks.resize(kernel, metadata, mine[t], 2 * kPage);
        return checker::require(blocks.usable_bytes(mine[t]) == 2 * kPage, "a block is lost");
      case Act::kForeign: {
        void* const theirs = kernel.map(kPage);
        checker::require(blocks.usable_bytes(theirs) == 0, "foreign memory is known");
        checker::require(!blocks.release(kernel, config, theirs), "foreign memory is freed");
        return;
      }
      case Act::kAllocate:
      case Act::kAllocatePiece: {
        const size_t pages = config.huge_cache_bytes != 0 && acts[t] == Act::kAllocate ? 2 : 1;
        void* const p = allocate(pages);
        checker::step("uses the block");
        checker::require(blocks.usable_bytes(p) == pages * kPage, "a block has another's size");
        checker::require(kernel.used[Kernel::page_of(reinterpret_cast<uintptr_t>(p))],
                         "a live block has no memory");
        return release(p);
      }
      case Act::kFree:
        release(mine[t]);
        mine[t] = nullptr;
        return;
      case Act::kPurge: {
        tide::heap::PurgeFigures figures{};
        tide::heap::Purger<Kernel> purger{kernel, figures, false};
        blocks.purge(purger, 0);
        return;
      }
    }
  }

  void finish() override {
    size_t live = 0;
    for (void* const p : mine) {
      if (p == nullptr) continue;
      ++live;
      checker::require(blocks.usable_bytes(p) != 0, "a live block is not known");
    }
    checker::require(blocks.live_blocks() == live, "the registry has something else");
  }

  const Act acts[2];
  Kernel kernel;
  tide::heap::Limits limits;
  tide::heap::Metadata<Kernel> metadata;
  tide::heap::Config config{};
  Blocks blocks;
  void* mine[2];
};

checker::Program program(const char* name, Act first, Act second, bool keeps = false) {
  return {name, 2, [=] { return new HugeModel(first, second, keeps); }};
}

}  // namespace

int main(int argc, char** argv) {
  const checker::Suite suite{
      .programs = {program("huge: resize, foreign mmap", Act::kResize, Act::kForeign),
                   program("huge: resize, allocate", Act::kResize, Act::kAllocate),
                   program("huge: two resizes", Act::kResize, Act::kResize),
                   program("huge: resize, free", Act::kResize, Act::kFree),
                   program("huge: free, allocate", Act::kFree, Act::kAllocate),
                   program("huge: purge, foreign mmap", Act::kPurge, Act::kForeign, true),
                   program("huge: purge, allocate", Act::kPurge, Act::kAllocate, true),
                   program("huge: purge, allocate a piece", Act::kPurge, Act::kAllocatePiece, true),
                   program("huge: two purges", Act::kPurge, Act::kPurge, true)},
      .mutations = {"huge: known while it moves", "huge: moved without the lock",
                    "huge: kept while it is unmapped", "huge: taken while it goes"},
      .unneeded = {{"huge_blocks.h: release in insert_into",
                    "for readers from outside; in the process the lock orders"},
                   {"kept_mappings.h: release in put",
                    "for readers from outside; in the process the lock orders"}},
  };
  return checker::run_suite(suite, argc, argv);
}
