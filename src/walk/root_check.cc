#include "walk/root_check.h"

#include <fmt/format.h>

#include "host/error.h"

namespace tide::walk {
namespace {

[[noreturn]] void fail_damaged() {
  throw host::Error("its heap's description of itself is damaged");
}

void require(bool is_sane) {
  if (!is_sane) fail_damaged();
}

// A field of `bytes` at `offset` lies within a record.
void require_inside(uint32_t offset, uint32_t bytes, uint32_t record_bytes) {
  require(bytes <= record_bytes && offset <= record_bytes - bytes);
}

void require_sane_guards(const layout::GuardsAt& guards) {
  require(guards.most <= 1 << 16 && guards.slot_bytes <= 1 << 16);
  require_inside(guards.block, 8, guards.slot_bytes);
  require_inside(guards.size, 8, guards.slot_bytes);
  require_inside(guards.state, 1, guards.slot_bytes);
}

void require_sane_hardening(const layout::HardeningAt& hardening) {
  require(hardening.place_count <= 1 << 12 && hardening.queue_slots <= 1 << 12);
  require(hardening.queue_slots != 0 && hardening.entry_bytes <= 1 << 12);
  require_inside(hardening.entry_address, 8, hardening.entry_bytes);
}

}  // namespace

void require_known_version(uint64_t magic, uint32_t version, uint32_t bytes) {
  if (magic != layout::kHeapRootMagic) {
    throw host::Error("what is called tide_heap_root in it is none of Tide's");
  }
  if (version != layout::kHeapRootVersion || bytes < sizeof(layout::HeapRoot)) {
    throw host::Error(
        fmt::format("its Tide describes itself in version {} and this command knows version {}; "
                    "use the command that came with that library",
                    version, layout::kHeapRootVersion));
  }
}

void require_sane_root(const layout::HeapRoot& root) {
  if (root.word_bytes != sizeof(uint64_t)) {
    throw host::Error("it is a process of another word size than this command");
  }
  constexpr uint32_t kMostRecordBytes = 4096;
  require_at_most(root.class_count, kMostClasses);
  require_at_most(root.stack_count, kMostStacks);
  require(root.batches.slots <= 32);
  const layout::SlabAt& slab = root.slabs;
  require(slab.granules_per_slab != 0 && slab.purge_units >= 64);
  require(slab.head_bytes <= kMostRecordBytes && slab.purge_units <= kMostRecordBytes);
  require_inside(slab.size_class, 1, slab.head_bytes);
  require_inside(slab.first, 2, slab.head_bytes);
  require_inside(slab.carved, 4, slab.head_bytes);
  require_inside(slab.used, 4, slab.head_bytes);
  require_inside(slab.purged, slab.purge_units / 8, slab.head_bytes);
  require(slab.bytes >= slab.head_bytes && slab.bytes <= kMostRecordBytes);
  require(slab.granules_per_slab <= 4096 && slab.granules_per_slab % 64 == 0);
  require_inside(slab.owner, 2, slab.bytes);
  require_inside(slab.home, 1, slab.bytes);
  require_inside(slab.last_class, 1, slab.bytes);
  require_inside(slab.blocks, 2, slab.bytes);
  for (const layout::ZoneAt& zone : root.zones) {
    require(zone.slab_bytes >= slab.granules_per_slab && zone.slab_bytes >= slab.purge_units);
  }
  const layout::LargeAt& large = root.large;
  require(large.page_bytes != 0 && large.entry_bytes >= 8 && large.entry_bytes <= 256);
  require_inside(large.entry_pages, 4, large.entry_bytes);
  require_inside(large.entry_state, 1, large.entry_bytes);
  require_inside(large.entry_spare, 1, large.entry_bytes);
  require_inside(large.entry_owner, 2, large.entry_bytes);
  require_inside(large.entry_next, 4, large.entry_bytes);
  require(root.huge.entry_bytes <= kMostRecordBytes);
  require_at_most(root.huge.kept_slots, kMostKept);
  require_inside(root.huge.entry_address, 8, root.huge.entry_bytes);
  require_inside(root.huge.entry_size, 8, root.huge.entry_bytes);
  require_inside(root.huge.entry_owner, 2, root.huge.entry_bytes);
  if (root.guards != nullptr) require_sane_guards(root.guard_pool);
  if (root.hardening.level != nullptr) require_sane_hardening(root.hardening);
  require(root.caches.place_count <= 1 << 12 && root.caches.queue_slots <= 1 << 12);
  require(root.caches.queue_slots != 0);
  require(root.size_tables.bytes <= 1 << 16);
  require(root.caches.span_list_count <= 1 << 12);
  require(root.held.most <= 1 << 12);
}

void require_sane_tables(const std::vector<layout::ClassRow>& classes,
                         const std::vector<layout::StackRow>& stacks) {
  constexpr uint32_t kMostHomes = 1024;
  for (const layout::ClassRow& row : classes)
    require(row.homes <= kMostHomes && row.depots <= kMostHomes);
  for (const layout::StackRow& row : stacks) {
    require(row.size_class == 0 || row.size_class < classes.size());
  }
}

void require_at_most(uint64_t count, uint64_t most) { require(count <= most); }

}  // namespace tide::walk
