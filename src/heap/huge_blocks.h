// Huge blocks: each has a mapping of its own, or a piece of one. Knows them by address, keeps some
// of what was freed for reuse (kept_mappings.h), grows them with mremap.
//
// The registry is a hash table with open addressing. Every store leaves it readable, so a forked
// child needs no repair but for the lock and the sums.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "base/racy.h"
#include "ds/lock.h"
#include "heap/config.h"
#include "heap/kept_mappings.h"
#include "heap/limits.h"
#include "heap/metadata.h"
#include "heap/purge_batch.h"
#include "heap/unwanted.h"
#include "sys/vm.h"

namespace tide::heap {

template <sys::VmSource Vm>
class HugeBlocks {
 public:
  struct Entry {
    uintptr_t address;  // 0: never used; kErased: was used
    size_t bytes;       // of the block and its mapping
    uint16_t owner;
  };

  constexpr HugeBlocks() = default;

  // Before anything else.
  void start(Limits& limits) { limits_ = &limits; }

  // `bytes` > 0, `alignment` a power of two. Null: no memory, or the hard limit forbids it.
  void* allocate(Vm& vm, Metadata<Vm>& metadata, const Config& config, size_t bytes,
                 size_t alignment, uint16_t owner, bool& zeroed) {
    const size_t page = vm.page_size();
    const size_t rounded = base::align_up(bytes, page);
    if (rounded < bytes) return nullptr;
    const ds::LockGuard guard(lock_);
    if (!reserve_entry(vm, metadata)) return nullptr;
    zeroed = false;
    Piece found{};
    if (alignment <= page) {
      found = kept_.take(rounded, false);
      if (found.bytes == 0) found = lengthen_kept(vm, rounded);
    }
    if (found.bytes == 0) {
      zeroed = true;
      drop_beyond(vm, config, rounded);
      while (!limits_->admit(rounded)) {
        if (!drop_kept(vm)) return nullptr;
      }
      if (!map(vm, rounded, alignment > page ? alignment : 0, found)) {
        limits_->dismiss(rounded);
        return nullptr;
      }
    }
    insert({found.address, found.bytes, owner});
    return reinterpret_cast<void*>(found.address);
  }

  // The same of what is kept only, so that no page is new. If it `grows`, with room behind it where
  // there is some.
  void* allocate_kept(Vm& vm, Metadata<Vm>& metadata, size_t bytes, uint16_t owner, bool grows) {
    const ds::LockGuard guard(lock_);
    if (kept_.bytes() < bytes || !reserve_entry(vm, metadata)) return nullptr;
    const Piece found = kept_.take(base::align_up(bytes, vm.page_size()), grows);
    if (found.bytes == 0) return nullptr;
    insert({found.address, found.bytes, owner});
    return reinterpret_cast<void*>(found.address);
  }

  // False when no huge block starts at `p`.
  bool release(Vm& vm, const Config& config, const void* p) {
    Piece freed{};
    bool is_looked_at = false;  // at its pages, without the lock
    {
      const ds::LockGuard guard(lock_);
      Entry* entry = find(base::address_of(p));
      if (entry == nullptr) return false;
      freed = {entry->address, entry->bytes, false};
      erase(*entry);
      freed_[freed_next_++ % kRemembered] = freed;
      is_looked_at = is_due_for_a_look(config, freed.bytes);
      const size_t most = most_kept(config, live_bytes_);
      if (!is_looked_at && keep(freed.address, freed.bytes, most)) return true;
    }
    if (is_looked_at) {
      void* const pages = reinterpret_cast<void*>(freed.address);
      if (vm.is_sparse(pages, freed.bytes)) vm.purge(pages, freed.bytes);
      const ds::LockGuard guard(lock_);
      const size_t most = most_kept(config, live_bytes_);
      if (keep(freed.address, freed.bytes, most)) return true;
    }
    unmap_or_keep(vm, freed);
    return true;
  }

  // The same of a block whose pages may not be touched: it can't be kept. The lock is held until it
  // has gone, or another block might begin there while it is still in the registry. Where the
  // system refuses it stays live.
  void release_closed(Vm& vm, void* p) {
    const ds::LockGuard guard(lock_);
    Entry* const entry = find(base::address_of(p));
    if (!vm.unmap(p, entry->bytes)) return;
    limits_->dismiss(entry->bytes);
    erase(*entry);
  }

  size_t usable_bytes(const void* p) {
    const ds::LockGuard guard(lock_);
    const Entry* entry = find(base::address_of(p));
    return entry == nullptr ? 0 : entry->bytes;
  }

  // Copies the entry of the block that starts at `p`, or of the one that `p` lies in. False: none.
  bool lookup(const void* p, bool inside, Entry& copy) {
    const ds::LockGuard guard(lock_);
    const Entry* entry = inside ? find_around(base::address_of(p)) : find(base::address_of(p));
    if (entry == nullptr) return false;
    copy = *entry;
    return true;
  }

  // Whether `p` lies in a mapping that is kept for reuse.
  bool keeps(const void* p) {
    const ds::LockGuard guard(lock_);
    return kept_.holds(base::address_of(p));
  }

  // The bytes of a huge block that was at `p` and was freed not long ago, else 0. For messages.
  size_t freed_bytes(const void* p) {
    const ds::LockGuard guard(lock_);
    for (uint32_t back = 1; back <= kRemembered; ++back) {
      const Piece& freed = freed_[(freed_next_ - back) % kRemembered];
      if (freed.address == base::address_of(p)) return freed.bytes;
    }
    return 0;
  }

  // Makes the block at `p` hold `bytes` without a call to the system: takes kept pages behind it,
  // or leaves its own there to be kept: no more than usual, a block that shrinks may live for long.
  // False: not possible, nothing has changed.
  bool resize_in_place(Vm& vm, const Config& config, const void* p, size_t bytes) {
    const size_t rounded = base::align_up(bytes, vm.page_size());
    const ds::LockGuard guard(lock_);
    Entry* const entry = find(base::address_of(p));
    if (entry == nullptr || rounded < bytes) return false;
    const size_t before = entry->bytes;
    if (rounded == before) return true;
    if (rounded > before) {
      if (!kept_.take_at(entry->address + before, rounded - before)) return false;
      set_bytes(*entry, rounded);
      return true;
    }
    if (before - rounded < kLeastPieceBytes) return false;
    set_bytes(*entry, rounded);
    if (keep(entry->address + rounded, before - rounded, config.huge_cache_bytes)) return true;
    set_bytes(*entry, before);
    return false;
  }

  // Makes the block at `p` hold `bytes`, moving its pages if it must. Null: not possible, nothing
  // has changed.
  void* resize(Vm& vm, Metadata<Vm>& metadata, void* p, size_t bytes) {
    const size_t rounded = base::align_up(bytes, vm.page_size());
    if (rounded < bytes) return nullptr;
    const ds::LockGuard guard(lock_);
    if (!reserve_entry(vm, metadata)) return nullptr;
    Entry* entry = find(base::address_of(p));
    if (entry == nullptr) return nullptr;
    if (entry->bytes == rounded) return p;
    const size_t before = entry->bytes;
    const size_t more = rounded > before ? rounded - before : 0;
    if (!limits_->admit(more)) return nullptr;
    Entry moved = *entry;
    // Unknown while it moves: the address may belong to another mapping the moment the kernel is
    // done, and whoever got it must not find our entry there.
    erase(*entry);
    void* const result = vm.remap(p, moved.bytes, rounded);
    if (result != nullptr) {
      moved.address = base::address_of(result);
      moved.bytes = rounded;
      if (rounded < before) limits_->dismiss(before - rounded);
      pay_for_growth(vm, more);
    } else {
      limits_->dismiss(more);
    }
    insert(moved);
    return result;
  }

  // Makes a mapping of `old_bytes` that is ours, and counted, a block of `bytes` >= `old_bytes`.
  // Null: no memory, or the hard limit forbids it; nothing has changed.
  void* adopt(Vm& vm, Metadata<Vm>& metadata, void* mapping, size_t old_bytes, size_t bytes,
              uint16_t owner) {
    const size_t rounded = base::align_up(bytes, vm.page_size());
    if (rounded < bytes) return nullptr;
    const ds::LockGuard guard(lock_);
    if (!reserve_entry(vm, metadata) || !limits_->admit(rounded - old_bytes)) return nullptr;
    void* const result = vm.remap(mapping, old_bytes, rounded);
    if (result != nullptr) {
      insert({base::address_of(result), rounded, owner});
      pay_for_growth(vm, rounded);
    } else {
      limits_->dismiss(rounded - old_bytes);
    }
    return result;
  }

  // Gives kept mappings back to the system, up to `limit` bytes may stay. Returns bytes.
  size_t purge(Purger<Vm>& purger, size_t limit) {
    size_t total = retry_unwanted(purger.vm);
    for (;;) {
      Piece* slot = nullptr;
      {
        const ds::LockGuard guard(lock_);
        const size_t kept = kept_.bytes();
        if (kept > limit) {
          const size_t excess = base::align_up(kept - limit, purger.vm.page_size());
          slot = kept_.begin_to_go(excess < kLeastPieceBytes ? kLeastPieceBytes : excess);
        }
        if (slot == nullptr) return total;
      }
      const Piece victim = *slot;  // nobody else's as long as it is going
      // First the pages, a bit at a time: munmap would keep others from mapping all the while. A
      // child that is forked meanwhile finds the mapping in its slot; forked later it loses
      // addresses, which somebody else may have by then, and no memory.
      Purger<Vm> at_once{purger.vm, purger.figures, false};
      PurgeBatch<Vm> batch(at_once);
      batch.add(victim.address, victim.address + victim.bytes);
      batch.flush();
      {
        const ds::LockGuard guard(lock_);
        kept_.has_gone(*slot);
      }
      if (!purger.vm.unmap(reinterpret_cast<void*>(victim.address), victim.bytes)) {
        unmap_or_keep(purger.vm, victim);
        return total;
      }
      total += victim.bytes;
      limits_->dismiss(victim.bytes);
    }
  }

  // A mapping with pages that is no block's, and was not counted: goes, now or later.
  void discard(Vm& vm, void* mapping, size_t bytes) {
    limits_->admit_always(bytes);
    const ds::LockGuard guard(lock_);
    unmap_or_want_not(vm, mapping, bytes, bytes);
  }

  // visit(entry) for every block; the lock is held. False from visit stops.
  template <class Visit>
  bool for_each(Visit visit) {
    const ds::LockGuard guard(lock_);
    for (size_t i = 0; i < capacity(); ++i) {
      const Entry& entry = table_->entries[i];
      if (entry.address > kErased && !visit(entry)) return false;
    }
    return true;
  }

  // Removes all blocks of `owner`.
  void release_all_of(Vm& vm, const Config& config, uint16_t owner) {
    for (;;) {
      uintptr_t victim = 0;
      for_each([&](const Entry& entry) {
        if (entry.owner == owner) victim = entry.address;
        return victim == 0;
      });
      if (victim == 0) return;
      release(vm, config, reinterpret_cast<void*>(victim));
    }
  }

  // In a forked child: what a vanished thread was giving back is kept as before, and the sums are
  // made anew.
  void repair_in_child() TIDE_NO_THREAD_SAFETY_ANALYSIS {
    kept_.repair_in_child();
    live_bytes_ = live_blocks_ = 0;
    for (size_t i = 0; i < capacity(); ++i) {
      const Entry& entry = table_->entries[i];
      if (entry.address <= kErased) continue;
      live_bytes_ += entry.bytes;
      ++live_blocks_;
    }
  }

  size_t live_bytes() const { return base::racy_load(live_bytes_); }
  size_t live_blocks() const { return base::racy_load(live_blocks_); }
  // The most that were live at a time; a forked child inherits them.
  size_t peak_bytes() const { return base::racy_load(peak_bytes_); }
  size_t peak_blocks() const { return base::racy_load(peak_blocks_); }
  // Of kept_bytes(); for the one that gives memory back.
  LowWater& low_water() { return kept_.low_water(); }
  size_t kept_bytes() const { return kept_.bytes(); }
  // Mappings that the kernel has not let go yet.
  size_t unwanted_bytes() const { return unwanted_.bytes(); }
  ds::Lock<ds::Rank::kHuge>& lock() TIDE_RETURNS_LOCK(lock_) { return lock_; }

 private:
  friend struct EngineMap;

  using Piece = KeptMappings::Piece;

  struct Table {
    size_t capacity;  // a power of two
    size_t filled;    // entries that are not 0, erased ones included
    Entry* entries;
  };

  static constexpr uintptr_t kErased = 1;
  static constexpr size_t kFirstCapacity = 64;
  // Less is not worth a slot.
  static constexpr size_t kLeastPieceBytes = size_t{64} << 10;
  static constexpr uint32_t kRemembered = 64;
  static constexpr uint32_t kFreesPerLook = 32;
  static constexpr size_t kMostOverUsual = 4;

  static size_t hash(uintptr_t address) {
    return static_cast<size_t>(((address >> 12) * 0x9e3779b97f4a7c15) >> 20);
  }

  bool map(Vm& vm, size_t bytes, size_t alignment, Piece& result) TIDE_REQUIRES(lock_) {
    const size_t total = bytes + alignment;
    if (total < bytes) return false;
    void* memory = vm.map(total);
    if (memory == nullptr && (drop_kept(vm) || unwanted_.bytes() != 0)) {
      // What is kept may be just what is missing.
      while (drop_kept(vm)) {
      }
      unwanted_.retry(vm, *limits_);
      memory = vm.map(total);
    }
    if (memory == nullptr) return false;
    const uintptr_t start = base::address_of(memory);
    if (alignment == 0) {
      result = {start, bytes, false};
      return true;
    }
    const uintptr_t aligned = base::align_up(start, alignment);
    const size_t before = aligned - start;
    const size_t after = total - before - bytes;
    if (before != 0) unmap_or_want_not(vm, memory, before, 0);
    if (after != 0) unmap_or_want_not(vm, reinterpret_cast<void*>(aligned + bytes), after, 0);
    result = {aligned, bytes, false};
    return true;
  }

  // Never counted bytes, or all of them. The lock is held.
  void unmap_or_want_not(Vm& vm, void* mapping, size_t bytes, size_t counted) TIDE_REQUIRES(lock_) {
    if (vm.unmap(mapping, bytes)) {
      limits_->dismiss(counted);
    } else {
      unwanted_.keep(vm, *limits_, mapping, bytes, counted);
    }
  }

  // One kept mapping less; its pages go even if the mapping can't. False: there is none.
  bool drop_kept(Vm& vm) TIDE_REQUIRES(lock_) {
    Piece* const piece = kept_.any();
    if (piece == nullptr) return false;
    const Piece victim = kept_.take_whole(*piece);
    unmap_or_want_not(vm, reinterpret_cast<void*>(victim.address), victim.bytes, victim.bytes);
    return true;
  }

  // What is kept, and how much: huge_blocks_keep.h.
  Piece lengthen_kept(Vm& vm, size_t bytes) TIDE_REQUIRES(lock_);
  void drop_beyond(Vm& vm, const Config& config, size_t bytes) TIDE_REQUIRES(lock_);
  void pay_for_growth(Vm& vm, size_t bytes) TIDE_REQUIRES(lock_);
  size_t most_kept(const Config& config, size_t live) const;
  bool is_due_for_a_look(const Config& config, size_t bytes) TIDE_REQUIRES(lock_);
  bool keep(uintptr_t address, size_t bytes, size_t most) TIDE_REQUIRES(lock_);
  void unmap_or_keep(Vm& vm, const Piece& freed);

  size_t retry_unwanted(Vm& vm) {
    if (unwanted_.bytes() == 0) return 0;
    const ds::LockGuard guard(lock_);
    return unwanted_.retry(vm, *limits_);
  }

  size_t capacity() const TIDE_REQUIRES(lock_) { return table_ == nullptr ? 0 : table_->capacity; }

  Entry* find(uintptr_t address) const TIDE_REQUIRES(lock_) {
    if (table_ == nullptr || address <= kErased) return nullptr;
    for (size_t i = hash(address);; ++i) {
      Entry& entry = table_->entries[i & (table_->capacity - 1)];
      if (entry.address == address) return &entry;
      if (entry.address == 0) return nullptr;
    }
  }

  Entry* find_around(uintptr_t address) const TIDE_REQUIRES(lock_) {
    for (size_t i = 0; i < capacity(); ++i) {
      Entry& entry = table_->entries[i];
      if (entry.address > kErased && address - entry.address < entry.bytes) return &entry;
    }
    return nullptr;
  }

  // There is room: reserve_entry() saw to it.
  static void insert_into(Table& table, const Entry& entry) {
    size_t i = hash(entry.address);
    while (table.entries[i & (table.capacity - 1)].address > kErased) ++i;
    Entry& place = table.entries[i & (table.capacity - 1)];
    if (place.address == 0) ++table.filled;
    place.bytes = entry.bytes;
    place.owner = entry.owner;
    base::published_store(place.address, entry.address);
  }

  void insert(const Entry& entry) TIDE_REQUIRES(lock_) {
    insert_into(*table_, entry);
    base::racy_store(live_bytes_, live_bytes_ + entry.bytes);
    base::racy_store(live_blocks_, live_blocks_ + 1);
    if (live_bytes_ > peak_bytes_) base::racy_store(peak_bytes_, live_bytes_);
    if (live_blocks_ > peak_blocks_) base::racy_store(peak_blocks_, live_blocks_);
  }

  void set_bytes(Entry& entry, size_t bytes) TIDE_REQUIRES(lock_) {
    base::racy_store(live_bytes_, live_bytes_ - entry.bytes + bytes);
    if (live_bytes_ > peak_bytes_) base::racy_store(peak_bytes_, live_bytes_);
    base::racy_store(entry.bytes, bytes);
  }

  void erase(Entry& entry) {
    base::racy_store(live_bytes_, live_bytes_ - entry.bytes);
    base::racy_store(live_blocks_, live_blocks_ - 1);
    base::racy_store(entry.address, kErased);
  }

  // Room for one more entry, at most three quarters full. The new table is whole before it is seen.
  bool reserve_entry(Vm& vm, Metadata<Vm>& metadata) TIDE_REQUIRES(lock_) {
    if (table_ != nullptr && table_->filled + 1 <= table_->capacity / 4 * 3) return true;
    size_t wanted = kFirstCapacity;
    while (wanted / 2 < live_blocks_ + 1) wanted *= 2;
    Table* table = spare_;
    if (table == nullptr || table->capacity < wanted) {
      table = static_cast<Table*>(
          metadata.allocate(vm, *limits_, sizeof(Table) + wanted * sizeof(Entry)));
      if (table == nullptr) return false;
      table->capacity = wanted;
      table->entries = reinterpret_cast<Entry*>(table + 1);
    } else {
      for (size_t i = 0; i < table->capacity; ++i) table->entries[i] = {};
      table->filled = 0;
    }
    for (size_t i = 0; i < capacity(); ++i) {
      if (table_->entries[i].address > kErased) insert_into(*table, table_->entries[i]);
    }
    spare_ = table_;
    std::atomic_signal_fence(std::memory_order_release);
    table_ = table;
    return true;
  }

  Limits* limits_ = nullptr;
  ds::Lock<ds::Rank::kHuge> lock_;
  Table* table_ TIDE_GUARDED_BY(lock_) = nullptr;
  Table* spare_ TIDE_GUARDED_BY(lock_) = nullptr;  // the one before, for the next time
  size_t live_bytes_ = 0;
  size_t live_blocks_ = 0;
  size_t peak_bytes_ = 0;
  size_t peak_blocks_ = 0;
  KeptMappings kept_;
  size_t grown_bytes_ TIDE_GUARDED_BY(lock_) = 0;  // not paid for yet
  uint32_t frees_of_much_ TIDE_GUARDED_BY(lock_) = 0;
  Unwanted<Vm> unwanted_;
  Piece freed_[kRemembered] TIDE_GUARDED_BY(lock_) = {};
  uint32_t freed_next_ TIDE_GUARDED_BY(lock_) = 0;
};

}  // namespace tide::heap

#include "heap/huge_blocks_keep.h"
