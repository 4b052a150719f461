// Where everything lies that a reader from outside of the process needs for the heap's figures and
// blocks: a live view, a debugger, a walker of cores. libtide.so exports one of it,
// `tide_heap_root`; in a program that libtide.a is linked into, the symbol of that name is it.
// Filled in by the compiler, so it costs nothing at run time.
//
// It and its tables are data that may be written, though nobody does: so they are in every core
// that has the library's variables, and a reader without any file finds them by `magic` and `self`.
//
// A reader needs this header and nothing else of the engine: figures are at offsets from `engine`,
// or from the record that their comment names, and have the width that their comment names. `word`
// is 4 or 8 bytes, see word_bytes. All of them are read as they are at a moment, without a lock.
//
// New fields go to the end of the root, and `bytes` says which are there: a reader that does not
// know them goes on. `version` counts up with everything else that a reader must not get wrong: a
// field that changes its place, its width or its meaning, here or in a structure below, or a rule
// by which fields are read together (as StackRow's). It does not for new values of offsets, sizes
// and constants that stand in the root, which is what they are there for. A reader refuses every
// version but its own.
#pragma once

#include <cstdint>

namespace tide::layout {

inline constexpr uint64_t kHeapRootMagic = 0x746f6f7265646974;  // "tideroot", low byte first
// 2: blocks that are gone from stacks; 3: limits have a place of their own; 4: kept mappings lie in
// slots; 5: a slab's bitmap lies apart from its record; 6: every block can be found; 7: lists of
// cached spans by length; 8: what a span has beyond its block; 9: more than
// one depot of a mid class.
inline constexpr uint32_t kHeapRootVersion = 9;

// A size class. It has slabs for each home, and depots; the i-th are at offset + i * step.
struct ClassRow {
  uint32_t block_bytes;  // 0: the class is not used
  uint32_t homes;        // 1, or as many as HeapRoot::homes counts
  uint32_t counters;     // see CountersAt
  uint32_t counters_step;
  uint32_t depots;  // as many as homes where those are several, and where not those in use and more
  uint32_t depot;   // uint32: bit i is set while slot i holds a batch
  uint32_t depot_step;
  uint32_t batches;  // see BatchesAt
  uint32_t batches_step;
  uint32_t heap_counters;  // in a first-class heap: its CountersAt
};

// Offsets in the counters of a class.
struct CountersAt {
  uint32_t used;      // uint64: blocks that are live or cached
  uint32_t capacity;  // uint64: blocks that the slabs can hold
  uint32_t slabs;     // uint32
};

// A depot's slots.
struct BatchesAt {
  uint32_t slots;
  uint32_t step;    // from a slot to the next
  uint32_t count;   // in a slot, uint32: blocks
  uint32_t blocks;  // in a slot: a word for each
};

// A stack of a thread cache. It lies at its foreign place when `home` is another than the cache's,
// else at its long place when its limit is at or behind CachesAt::long_slots, else at its short
// place. It holds (top - place) / word_bytes blocks, less those that are gone (CachesAt::gone).
struct StackRow {
  static constexpr uint8_t kEveryHome = 0xff;
  uint8_t size_class;  // 0: not used
  uint8_t home;
  uint16_t most_blocks;  // a count above it was read in the middle of a change
  uint32_t short_place;  // in the cache
  uint32_t long_place;
  uint32_t foreign_place;
};

// Thread caches: a list, the newest first.
struct CachesAt {
  uint32_t first;  // word: the first cache, in the engine
  uint32_t count;  // uint32, in the engine
  // In a cache.
  uint32_t bytes;
  uint32_t next;             // word
  uint32_t tops;             // word for each stack
  uint32_t limits;           // word for each stack
  uint32_t gone;             // uint16 for each stack: blocks that were taken out from outside
  uint32_t long_slots;       // where the long places begin
  uint32_t owner;            // int32: the thread's number
  uint32_t state;            // uint8: 1 owned, 2 parked
  uint32_t home;             // uint8
  uint32_t spans;            // uint32: cached spans
  uint32_t span_pages;       // uint32
  uint32_t span_lists;       // uint32 for each length: the first page of a cached span, and 1; or 0
  uint32_t span_list_count;  // a constant
  uint32_t in_flight;        // int32: calls that are between a block and its seal
  uint32_t places;           // words: freed blocks that wait, or 0
  uint32_t place_count;      // a constant
  uint32_t queue;            // words: others, from `queue_first` on, around the end
  uint32_t queue_slots;      // a constant
  uint32_t queue_first;      // uint32
  uint32_t queue_count;      // uint32
};

// The small or the mid zone.
struct ZoneAt {
  uint32_t slab_bytes;
  uint32_t limit;        // word: granules that are mapped
  uint32_t records;      // word: the first slab's record
  uint32_t untouched;    // uint32: slabs from this one on were never taken, nor their records
  uint32_t dirty_slabs;  // uint32: without a class, perhaps resident
  uint32_t mapped;       // word: bytes
  uint32_t unmapped;     // word: of these, bytes that were given up
  uint32_t tables[4];    // word: bytes of the zone's own tables
  uint32_t base;         // word: the first slab
  uint32_t states;       // word: the state map, a byte per granule
  uint32_t bitmaps;      // word: of slabs, a bit per granule: a free block begins there
};

// The bytes of the state map, all constants. A block is live when its byte is none of `not_live`.
struct StatesAt {
  uint8_t is_kept;      // 0: the library was built without a state map
  uint8_t not_live[3];  // unused or free, free and known to be zero, freed but held back
  uint8_t special;      // live, of a first-class heap or otherwise not for the fast path
  uint8_t reserved[3];
};

// A slab's record.
struct SlabAt {
  uint32_t bytes;
  uint32_t head_bytes;         // what is below lies before this
  uint32_t granules_per_slab;  // a constant
  uint32_t purge_units;        // a constant: bits of `purged`, each for as many bytes
  uint32_t size_class;         // uint8
  uint32_t first;              // uint16: blocks before it are not used
  uint32_t carved;             // uint32: blocks from it on were never handed out
  uint32_t used;               // uint32: blocks that are live or cached
  uint32_t purged;             // uint64s
  uint32_t bitmap_bytes;       // a constant
  uint32_t owner;              // uint16: 0, or the number of a first-class heap
  uint32_t home;               // uint8
  uint32_t last_class;         // uint8: the class before the slab had none
  uint32_t blocks;             // uint16: the end of the blocks that are used
};

struct LargeAt {
  uint32_t page_bytes;   // a constant
  uint32_t live_pages;   // uint64: live or cached
  uint32_t live_blocks;  // uint64
  uint32_t dirty_pages;  // uint64
  uint32_t mapped;       // word: bytes
  uint32_t unmapped;     // word
  uint32_t table;        // word: bytes
  uint32_t base;         // word: the first page
  uint32_t entries;      // word: of pages; those of a span's first page say what it is
  uint32_t page_count;   // uint32
  uint32_t entry_bytes;
  uint32_t entry_pages;  // in an entry, uint32: of the span
  uint32_t entry_state;  // in an entry, uint8
  uint32_t entry_spare;  // in an entry, uint8: pages at its end that a live block does not use
  uint32_t entry_owner;  // in an entry, uint16
  uint32_t entry_next;   // in an entry of a cached span, uint32: of the next in its list, likewise
  // Constants: states of a live span, of a cached one, of a dirty and of a clean free one. All
  // others are free, too, or no memory of ours.
  uint8_t live;
  uint8_t cached;
  uint8_t dirty;
  uint8_t clean;
};

struct HugeAt {
  uint32_t live_bytes;   // word
  uint32_t live_blocks;  // word
  uint32_t kept_bytes;   // word
  uint32_t table;        // word: null, or where this is:
  uint32_t capacity;     //   word
  uint32_t entries;      //   word: where entries are
  uint32_t entry_bytes;
  uint32_t entry_address;  // in an entry, word; below 2: none
  uint32_t entry_size;     // in an entry, word
  uint32_t entry_owner;    // in an entry, uint16
  uint32_t kept_slots;     // a constant
  uint32_t kept;           // that many places of mappings
  uint32_t kept_step;
  uint32_t kept_address;  // in one, word; 0: none
  uint32_t kept_size;     // in one, word
};

struct HeapsAt {
  uint32_t live;   // uint32
  uint32_t count;  // uint32: first-class heaps ever made; their numbers are 1 to this
  uint32_t by_id;  // word for each number: the heap's record
};

// The windows in which zones grow, one behind the other: one for their tables, then mid, large and
// small.
struct WindowsAt {
  uint32_t base;          // word
  uint32_t window_bytes;  // word
};

// All are uint64.
struct PurgesAt {
  uint32_t calls;
  uint32_t bytes;
  uint32_t retaken_bytes;
  uint32_t max_ns;
  uint32_t total_ns;
  uint32_t background_turns;
};

// All are words.
struct LimitsAt {
  uint32_t footprint;
  uint32_t soft;
  uint32_t hard;
};

// Blocks between guard pages, at HeapRoot::guards.
struct GuardsAt {
  uint32_t slots;       // word: the slots; null: there are none
  uint32_t used;        // uint32: slots that ever had a block
  uint32_t base;        // word: the pool's pages; slot i's is page 2 * i + 1
  uint32_t page_bytes;  // word
  uint32_t slot_bytes;
  uint32_t most;       // slots, a constant
  uint32_t block;      // in a slot, word
  uint32_t size;       // in a slot, word: what was asked for
  uint32_t state;      // in a slot, uint8
  uint32_t live;       // the state of a live block, a constant
  uint32_t freed;      // the state of a freed one
  uint32_t allocated;  // in a slot: who allocated it
  uint32_t released;   // in a slot: who freed it
  uint32_t thread;     // in one of these, int32
  uint32_t frame_count;
  uint32_t frames;  // words
};

// Hardened mode, at HeapRoot::hardening. Blocks end in a seal, a word; its upper 16 bits are
// `slack` << 3 | 4 if a guard page follows | 2 more. Usable are the bytes before seal and slack. A
// standing seal says nothing: there it is all but the seal.
struct HardeningAt {
  const void* level;           // uint32; 0: none of this
  const void* standing_seals;  // uint8: blocks of size classes have a standing seal
  const void* quarantine;
  uint32_t seal_bytes;
  uint32_t guard_level;  // from this level on large and huge blocks at page boundaries end in a
                         // page for a guard, behind the seal
  uint32_t places;       // in the quarantine: freed blocks that still have their span or mapping
  uint32_t place_count;
  uint32_t queue;  // others, from `queue_first` on, around the end
  uint32_t queue_slots;
  uint32_t queue_first;  // uint32
  uint32_t queue_count;  // uint32
  uint32_t entry_bytes;
  uint32_t entry_address;  // in an entry, word; 0: none
};

// Runs of free blocks whose pages are just going back to the system, counted as used meanwhile: in
// the engine, the same for both zones.
struct HeldAt {
  uint32_t count;  // uint32: runs
  uint32_t runs;
  uint32_t most;   // a constant
  uint32_t step;   // from a run to the next
  uint32_t first;  // in a run, uint16: its first block
  uint32_t end;    // in a run, uint16: the block behind its last
};

// The tables of a cache by which malloc finds its stack, `bytes` of them at `offset`. While all are
// `closed` the thread's malloc takes the slow path; it opens them itself. May be written from
// outside.
struct SizeTablesAt {
  uint32_t offset;
  uint32_t bytes;
  uint8_t closed;
  uint8_t reserved[3];
};

struct HeapRoot {
  uint64_t magic;
  uint32_t version;
  uint32_t bytes;
  uint32_t word_bytes;
  uint32_t engine_bytes;
  uint32_t class_count;
  uint32_t stack_count;
  const void* engine;
  const ClassRow* classes;
  const StackRow* stacks;
  const char* library_version;  // ends with a zero
  const HeapRoot* self;         // its own address, or it is a copy

  uint32_t started;  // uint8: nothing else means anything while it is 0
  uint32_t homes;    // uint32: homes in use
  uint32_t records;  // word: bytes of caches, heaps and other records
  CountersAt counters;
  BatchesAt batches;
  CachesAt caches;
  ZoneAt zones[2];
  SlabAt slabs;
  LargeAt large;
  HugeAt huge;
  HeapsAt heaps;
  WindowsAt windows;
  PurgesAt purges;
  LimitsAt limits;
  StatesAt states;
  const void* guards;
  GuardsAt guard_pool;
  HardeningAt hardening;
  const void* recording;  // a RecordingRoot (recording_root.h); null: this Tide has no recorder
  const void* profile;    // ProfileTable, see profile_table.h
  HeldAt held;
  const void* seal_secret;  // uint64, see seal.h; only in hardened mode
  SizeTablesAt size_tables;
};

}  // namespace tide::layout
