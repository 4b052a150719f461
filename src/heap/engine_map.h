// Fills in layout::HeapRoot for an engine, from the engine's own types: it is a friend of every
// class that has a figure. A constant expression, so that the library's root needs no code; who
// has it brings the tables of classes and stacks, too.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "heap/engine.h"
#include "layout/heap_header.h"
#include "layout/heap_root.h"

// Of classes that have a base or hide members it is conditionally supported, and here it is.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace tide::heap {

static_assert(sizeof(std::atomic<uint64_t>) == 8 && sizeof(Depot::Word) == 4,
              "a reader takes atomics for plain words");

struct EngineMap {
  using ClassRows = std::array<layout::ClassRow, layout::kClassCount>;
  using StackRows = std::array<layout::StackRow, layout::kCacheStacks>;

  template <class Vm>
  static constexpr layout::HeapRoot root(const Engine<Vm>& engine, const ClassRows& classes,
                                         const StackRows& stacks) {
    layout::HeapRoot root{};
    root.magic = layout::kHeapRootMagic;
    root.version = layout::kHeapRootVersion;
    root.bytes = sizeof root;
    root.word_bytes = sizeof(void*);
    root.engine_bytes = sizeof(Engine<Vm>);
    root.class_count = layout::kClassCount;
    root.stack_count = layout::kCacheStacks;
    root.engine = &engine;
    root.classes = classes.data();
    root.stacks = stacks.data();
    root.started = offsetof(Engine<Vm>, started_);
    root.homes = offsetof(Engine<Vm>, process_.homes_);
    root.records = offsetof(Engine<Vm>, metadata_.mapped_);
    root.counters = {offsetof(ClassSlabs<Vm>, used_), offsetof(ClassSlabs<Vm>, capacity_),
                     offsetof(ClassSlabs<Vm>, slab_count_)};
    root.batches = {Depot::kSlots, Depot::kColumns * sizeof(Depot::Batch),
                    offsetof(Depot::Batch, count), offsetof(Depot::Batch, blocks)};
    root.caches = caches<Vm>();
    root.zones[0] = zone<Vm>(offsetof(Engine<Vm>, space_.small), layout::kSmallGranuleShift);
    root.zones[1] = zone<Vm>(offsetof(Engine<Vm>, space_.mid), layout::kMidGranuleShift);
    root.slabs = slabs();
    root.large = large<Vm>();
    root.huge = huge<Vm>();
    root.heaps = {offsetof(Engine<Vm>, heaps_.live_), offsetof(Engine<Vm>, heaps_.count_),
                  offsetof(Engine<Vm>, heaps_.by_id_)};
    root.windows = {offsetof(Engine<Vm>, space_.plan.base),
                    offsetof(Engine<Vm>, space_.plan.window_bytes)};
    root.purges = {offsetof(Engine<Vm>, purge_figures_.calls),
                   offsetof(Engine<Vm>, purge_figures_.bytes),
                   offsetof(Engine<Vm>, purge_figures_.retaken_bytes),
                   offsetof(Engine<Vm>, purge_figures_.max_ns),
                   offsetof(Engine<Vm>, purge_figures_.total_ns),
                   offsetof(Engine<Vm>, purge_figures_.background_turns)};
    root.limits = {offsetof(Engine<Vm>, space_.limits.footprint_),
                   offsetof(Engine<Vm>, space_.limits.soft_),
                   offsetof(Engine<Vm>, space_.limits.hard_)};
    root.held = {offsetof(Engine<Vm>, held_.count),
                 offsetof(Engine<Vm>, held_.runs),
                 HeldRuns::kMost,
                 sizeof(HeldRun),
                 offsetof(HeldRun, first),
                 offsetof(HeldRun, end)};
    root.size_tables = {offsetof(ThreadCache, small_stack),
                        offsetof(ThreadCache, mid_stack) + sizeof(ThreadCache::mid_stack) -
                            offsetof(ThreadCache, small_stack),
                        layout::kClosedStack,
                        {}};
    root.states = {layout::kDetects,
                   {layout::kNotLive, layout::kFreeZero, layout::kRetired},
                   layout::kLiveSpecial,
                   {}};
    return root;
  }

  template <class Vm>
  static layout::ZoneHeader header(const Zone<Vm>& zone) {
    return {zone.base_, reinterpret_cast<uintptr_t>(zone.states_),
            reinterpret_cast<uintptr_t>(zone.slabs_), reinterpret_cast<uintptr_t>(zone.bitmaps_)};
  }

  template <class Vm>
  static constexpr ClassRows class_rows() {
    ClassRows rows{};
    for (uint32_t c = 1; c < layout::kClassCount; ++c) rows[c] = class_row<Vm>(c);
    return rows;
  }

  static constexpr StackRows stack_rows() {
    using layout::ThreadCache;
    StackRows rows{};
    for (uint32_t stack = 1; stack < layout::kCacheStacks; ++stack) {
      const uint32_t c = layout::class_of_stack(stack);
      if (c == 0) continue;
      layout::StackRow& row = rows[stack];
      row.size_class = static_cast<uint8_t>(c);
      row.home = layout::StackRow::kEveryHome;
      row.most_blocks = layout::kClassInfo[c].cache_slots;
      row.short_place = offsetof(ThreadCache, short_slots) + word(layout::short_place(c));
      row.long_place = offsetof(ThreadCache, slots) + word(layout::long_place(c));
      if (stack < layout::kFirstHomeStack) continue;
      row.home = static_cast<uint8_t>(layout::home_of_stack(stack));
      row.foreign_place = offsetof(ThreadCache, foreign_slots) + word(layout::foreign_place(stack));
    }
    return rows;
  }

 private:
  template <class Vm>
  static constexpr layout::ClassRow class_row(uint32_t c) {
    using Process = ProcessHeap<Vm>;
    constexpr uint32_t kProcess = offsetof(Engine<Vm>, process_);
    constexpr uint32_t kWord = sizeof(Depot::Word);
    constexpr uint32_t kSlabs = sizeof(ClassSlabs<Vm>);
    constexpr uint32_t kBatch = sizeof(Depot::Batch);
    layout::ClassRow row{};
    row.block_bytes = layout::kClassInfo[c].bytes;
    row.heap_counters = offsetof(PrivateHeap<Vm>, slabs) + c * kSlabs;
    if (layout::is_small_class(c)) {
      row.homes = layout::kHomes;
      row.depots = layout::kHomes;
      row.counters = kProcess + offsetof(Process, small_slabs_) + c * kSlabs;
      row.counters_step = (layout::kSmallClasses + 1) * kSlabs;
      row.depot = kProcess + offsetof(Process, small_depots_) +
                  offsetof(typename Process::HomeWords, words) + c * kWord;
      row.depot_step = sizeof(typename Process::HomeWords);
      row.batches = kProcess + offsetof(Process, small_batches_) + c * kBatch;
      row.batches_step = sizeof(Depot::Batches);
    } else {
      const uint32_t index = Process::mid_index(c);
      row.homes = 1;
      row.depots = Config::kMostMidDepots;
      row.counters = kProcess + offsetof(Process, mid_slabs_) + index * kSlabs;
      row.depot = kProcess + offsetof(Process, mid_depots_) +
                  offsetof(typename Process::MidWords, words) + index * kWord;
      row.depot_step = sizeof(typename Process::MidWords);
      row.batches = kProcess + offsetof(Process, mid_batches_) + index * kBatch;
      row.batches_step = sizeof(Depot::Batches);
    }
    return row;
  }

  static constexpr uint32_t word(size_t index) {
    return static_cast<uint32_t>(index * sizeof(uintptr_t));
  }

  template <class Vm>
  static constexpr layout::CachesAt caches() {
    using layout::ThreadCache;
    layout::CachesAt at{};
    at.first = offsetof(Engine<Vm>, caches_.all_);
    at.count = offsetof(Engine<Vm>, caches_.count_);
    at.bytes = sizeof(ThreadCache);
    at.next = offsetof(ThreadCache, next);
    at.tops = offsetof(ThreadCache, top);
    at.limits = offsetof(ThreadCache, limit);
    at.gone = offsetof(ThreadCache, gone);
    at.long_slots = offsetof(ThreadCache, slots);
    at.owner = offsetof(ThreadCache, owner);
    at.state = offsetof(ThreadCache, state);
    at.home = offsetof(ThreadCache, home);
    at.spans = offsetof(ThreadCache, spans.count);
    at.span_pages = offsetof(ThreadCache, spans.pages);
    at.span_lists = offsetof(ThreadCache, spans.first);
    at.span_list_count = layout::kSpanLengths;
    at.in_flight = offsetof(ThreadCache, in_flight);
    at.places = offsetof(ThreadCache, waiting.places);
    at.place_count = layout::WaitingBlocks::kPlaces;
    at.queue = offsetof(ThreadCache, waiting.queue);
    at.queue_slots = layout::WaitingBlocks::kQueue;
    at.queue_first = offsetof(ThreadCache, waiting.first);
    at.queue_count = offsetof(ThreadCache, waiting.count);
    return at;
  }

  template <class Vm>
  static constexpr layout::ZoneAt zone(uint32_t at, unsigned granule_shift) {
    using Any = Zone<Vm>;
    layout::ZoneAt row{};
    row.slab_bytes = layout::kGranulesPerSlab << granule_shift;
    row.limit = at + offsetof(Any, limit_);
    row.records = at + offsetof(Any, slabs_);
    row.untouched = at + offsetof(Any, untouched_);
    row.dirty_slabs = at + offsetof(Any, dirty_.count_);
    row.mapped = at + offsetof(Any, zone_.mapped_);
    row.unmapped = at + offsetof(Any, unmapped_bytes_);
    row.tables[0] = at + offsetof(Any, classes_window_.mapped_);
    row.tables[1] = at + offsetof(Any, states_window_.mapped_);
    row.tables[2] = at + offsetof(Any, slabs_window_.mapped_);
    row.tables[3] = at + offsetof(Any, bitmaps_window_.mapped_);
    row.base = at + offsetof(Any, base_);
    row.states = at + offsetof(Any, states_);
    row.bitmaps = at + offsetof(Any, bitmaps_);
    return row;
  }

  static constexpr layout::SlabAt slabs() {
    using layout::Slab;
    layout::SlabAt at{};
    at.bytes = sizeof(Slab);
    at.head_bytes = offsetof(Slab, purged) + sizeof(Slab::purged);
    at.granules_per_slab = layout::kGranulesPerSlab;
    at.purge_units = layout::kPurgeUnits;
    at.size_class = offsetof(Slab, size_class);
    at.first = offsetof(Slab, first);
    at.carved = offsetof(Slab, carved);
    at.used = offsetof(Slab, used);
    at.purged = offsetof(Slab, purged);
    at.bitmap_bytes = sizeof(ds::Bitmap4096::Words);
    at.owner = offsetof(Slab, owner);
    at.home = offsetof(Slab, home);
    at.last_class = offsetof(Slab, last_class);
    at.blocks = offsetof(Slab, blocks);
    return at;
  }

  template <class Vm>
  static constexpr layout::LargeAt large() {
    layout::LargeAt at{};
    at.page_bytes = layout::kSpanPageBytes;
    at.live_pages = offsetof(Engine<Vm>, large_.live_pages_);
    at.live_blocks = offsetof(Engine<Vm>, large_.live_blocks_);
    at.dirty_pages = offsetof(Engine<Vm>, large_.lists_[0].pages_);
    at.mapped = offsetof(Engine<Vm>, large_.zone_.mapped_);
    at.unmapped = offsetof(Engine<Vm>, large_.unmapped_bytes_);
    at.table = offsetof(Engine<Vm>, large_.entries_window_.mapped_);
    at.base = offsetof(Engine<Vm>, large_.base_);
    at.entries = offsetof(Engine<Vm>, large_.entries_);
    at.page_count = offsetof(Engine<Vm>, large_.page_count_);
    at.entry_bytes = sizeof(layout::SpanEntry);
    at.entry_pages = offsetof(layout::SpanEntry, pages);
    at.entry_state = offsetof(layout::SpanEntry, state);
    at.entry_spare = offsetof(layout::SpanEntry, spare);
    at.entry_owner = offsetof(layout::SpanEntry, owner);
    at.entry_next = offsetof(layout::SpanEntry, next);
    at.live = static_cast<uint8_t>(layout::SpanState::kLive);
    at.cached = static_cast<uint8_t>(layout::SpanState::kCached);
    at.dirty = static_cast<uint8_t>(layout::SpanState::kDirty);
    at.clean = static_cast<uint8_t>(layout::SpanState::kClean);
    return at;
  }

  template <class Vm>
  static constexpr layout::HugeAt huge() {
    using Huge = HugeBlocks<Vm>;
    using Table = typename Huge::Table;
    using Entry = typename Huge::Entry;
    using Kept = KeptMappings::Piece;
    layout::HugeAt at{};
    at.live_bytes = offsetof(Engine<Vm>, huge_.live_bytes_);
    at.live_blocks = offsetof(Engine<Vm>, huge_.live_blocks_);
    at.kept_bytes = offsetof(Engine<Vm>, huge_.kept_.bytes_);
    at.table = offsetof(Engine<Vm>, huge_.table_);
    at.capacity = offsetof(Table, capacity);
    at.entries = offsetof(Table, entries);
    at.entry_bytes = sizeof(Entry);
    at.entry_address = offsetof(Entry, address);
    at.entry_size = offsetof(Entry, bytes);
    at.entry_owner = offsetof(Entry, owner);
    at.kept_slots = KeptMappings::kMostPieces;
    at.kept = offsetof(Engine<Vm>, huge_.kept_.pieces_);
    at.kept_step = sizeof(Kept);
    at.kept_address = offsetof(Kept, address);
    at.kept_size = offsetof(Kept, bytes);
    return at;
  }
};

}  // namespace tide::heap

#pragma GCC diagnostic pop
