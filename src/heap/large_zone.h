// The large zone: blocks above kMidMaxBytes as spans of 4 KiB pages.
//
// Free neighbours of one kind (dirty or clean) are merged at once; a request takes a dirty span
// that fits, a long one also a dirty span with its free neighbours; then a clean one, then new
// addresses. One lock; no system call but the mapping of more
// address space is made under it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "base/check.h"
#include "base/racy.h"
#include "ds/lock.h"
#include "heap/dump_steps.h"
#include "heap/limits.h"
#include "heap/low_water.h"
#include "heap/page_moves.h"
#include "heap/purge_batch.h"
#include "heap/span_lists.h"
#include "heap/window.h"
#include "layout/constants.h"
#include "layout/span.h"
#include "layout/thread_cache.h"

namespace tide::heap {

template <sys::VmSource Vm>
class LargeZone {
 public:
  using Entry = layout::SpanEntry;
  using State = layout::SpanState;

  constexpr LargeZone() = default;

  void place(Vm& vm, Limits& limits, uintptr_t zone, uintptr_t entries, size_t window_bytes) {
    limits_ = &limits;
    zone_.place(vm, zone, window_bytes);
    entries_window_.place(vm, entries, (window_bytes >> layout::kSpanPageShift) * sizeof(Entry));
    base_ = zone;
    entries_ = reinterpret_cast<Entry*>(entries);
    for (SpanLists& lists : lists_) lists.start(entries_);
  }

  static uint32_t pages_for(size_t bytes) {
    return static_cast<uint32_t>((bytes + layout::kSpanPageBytes - 1) >> layout::kSpanPageShift);
  }

  // `bytes` > 0; `alignment` a power of two, 0 or 1 for none. `zeroed` is set when the block is
  // known to read as zero. Null: no memory.
  void* allocate(Vm& vm, size_t bytes, size_t alignment, uint16_t owner, bool& zeroed) {
    if (alignment < layout::kSpanPageBytes) alignment = layout::kSpanPageBytes;
    const uint32_t pages = pages_for(bytes);
    const ds::LockGuard guard(lock_);
    State kind;
    uint32_t page = take_free(vm, pages, alignment, kind);
    if (page == layout::kNoPage) {
      if (!grow(vm, pages + slack_for(alignment))) return nullptr;
      page = take_free(vm, pages, alignment, kind);
      if (page == layout::kNoPage) return nullptr;
    }
    return make_live(page, pages, alignment, kind, owner, zeroed);
  }

  // The same of a dirty span only, so that no page is new.
  void* allocate_dirty(size_t bytes, uint16_t owner) {
    const uint32_t pages = pages_for(bytes);
    const ds::LockGuard guard(lock_);
    if (dirty().pages() < pages) return nullptr;
    const uint32_t page = dirty().find(pages);
    if (page == layout::kNoPage) return nullptr;
    take_off(page);
    bool zeroed;
    return make_live(page, pages, layout::kSpanPageBytes, State::kDirty, owner, zeroed);
  }
  // The bytes of the live block that starts at `p`; 0 when none does.
  size_t usable_bytes(const void* p) const {
    const Entry* entry = live_entry(p);
    return entry == nullptr ? 0 : block_bytes(*entry);
  }
  // The same of a live block's entry.
  static size_t block_bytes(const Entry& entry) {
    return bytes_of(base::racy_load(entry.pages) - base::racy_load(entry.spare));
  }
  // With the pages that the block does not use.
  size_t whole_bytes(const void* p) const { return bytes_of(entry_of(p).pages); }
  // The live block at `p` ends where `bytes` do, as if its span were no longer: in hardened mode
  // its seal is there. Of spans that threads keep.
  void fit(const void* p, size_t bytes) {
    Entry& entry = entry_of(p);
    base::racy_store(entry.spare, static_cast<uint8_t>(entry.pages - pages_for(bytes)));
  }

  // Whether `p` lies in a span of ours; false in a hole, where others may have mapped something.
  bool holds(const void* p) const {
    if (!contains(p)) return false;
    uintptr_t address = 0;
    const State state = base::racy_load(head_before(p, address)->state);
    return state != State::kUnmapped && state != State::kUnusable;
  }

  bool contains(const void* p) const {
    return base::address_of(p) - base_ < (size_t{page_count()} << layout::kSpanPageShift);
  }

  uint16_t owner_of(const void* p) const { return entry_of(p).owner; }

  // The bytes freed; 0 when no live block starts at `p`. `moved`: its pages have become part of
  // another block, and where they were reads as zero.
  size_t release(const void* p, uint16_t& owner, bool moved = false) {
    const ds::LockGuard guard(lock_);
    Entry* entry = live_entry(p);
    if (entry == nullptr) return 0;
    const uint32_t pages = entry->pages;
    owner = entry->owner;
    base::racy_store(live_pages_, live_pages_ - pages);
    base::racy_store(live_blocks_, live_blocks_ - 1);
    insert_free(page_of(entry), moved ? State::kClean : State::kDirty);
    return bytes_of(pages);
  }

  // The live block at `p` was unmapped, all of its span.
  void forget_unmapped(const void* p);

  // --- spans in thread caches: see heap/span_cache.h ---------------------------------------------

  // The pages of the live block that starts at `p` and may be cached; 0: none does.
  uint32_t pages_of_live(const void* p) const {
    const Entry* entry = live_entry(p);
    return entry == nullptr || entry->owner != 0 ? 0 : base::racy_load(entry->pages);
  }
  // The live block at `p` is free from now on, in the calling thread's hands.
  Entry& enter_cache(const void* p) {
    Entry& entry = entry_of(p);
    base::racy_store(entry.state, State::kCached);
    return entry;
  }
  void* leave_cache(uint32_t page) {
    base::racy_store(entries_[page].state, State::kLive);
    return reinterpret_cast<void*>(address_of_page(page));
  }
  struct Gone {
    uint32_t spans;
    uint32_t pages;
  };
  // The list of cached spans that begins at page `first` - 1.
  Gone release_cached(uint32_t first) {
    Gone gone{0, 0};
    const ds::LockGuard guard(lock_);
    while (first != 0) {
      const uint32_t page = first - 1;
      first = entries_[page].next;
      ++gone.spans;
      gone.pages += entries_[page].pages;
      insert_free(page, State::kDirty);
    }
    base::racy_store(live_pages_, live_pages_ - gone.pages);
    base::racy_store(live_blocks_, live_blocks_ - gone.spans);
    return gone;
  }

  // Frees every block of `owner`.
  void release_all_of(uint16_t owner);

  // Makes the live block at `p` hold `bytes` where it is. False: it can't, nothing has changed.
  bool resize(void* p, size_t bytes) {
    const uint32_t pages = pages_for(bytes);
    const ds::LockGuard guard(lock_);
    Entry* entry = live_entry(p);
    if (entry == nullptr) return false;
    const uint32_t page = page_of(entry);
    const uint32_t before = entry->pages;
    if (pages > before) {
      if (!extend(page, pages)) return false;
    } else {
      base::racy_store(entry->spare, uint8_t{0});
      if (pages < before) {
        cut(page, pages, State::kBusy);
        insert_free(page + pages, State::kDirty);
      }
    }
    base::racy_store(live_pages_, live_pages_ + pages - before);
    return true;
  }

  // Gives the memory of dirty free spans of at least `least_bytes` back, about `most_bytes` at
  // most; the lock is not held meanwhile. Returns bytes.
  size_t purge(Purger<Vm>& purger, size_t most_bytes = SIZE_MAX,
               size_t least_bytes = layout::kSpanPageBytes);

  // Whether a dirty span is long enough.
  bool has_dirty(size_t bytes);

  // --- steps of kMoveBytes whose pages change zones, see large_zone_moves.h; one caller at a time
  // --

  // The first page of an aligned span of some steps, free and of that kind, that leaves its list;
  // clean ones may be new. kNoPage: there is none.
  uint32_t take_steps(Vm& vm, State kind, size_t bytes);
  // The next step of a clean span from take_steps(), at `page`: its pages are about to be replaced,
  // and then they have been.
  void start_step(uint32_t page);
  void finish_step(uint32_t page) { base::racy_store(entries_[page].state, State::kReturning); }
  // Pages [page, end) back to the lists: those before `done` are of `kind` from now on, the others
  // of the other one; but of the step at `done` perhaps nothing of ours is mapped any more.
  void put_steps(uint32_t page, uint32_t done, uint32_t end, State kind, bool is_next_lost);

  // After allocate() and resize(), and before what is in the pages matters: cores have them.
  void bring_back(Vm& vm) {
    if (TIDE_UNLIKELY(steps_.has_wanted())) bring_steps_back(vm, lock_, steps_, base_, zone_.end());
  }
  DumpSteps& dump_steps() { return steps_; }
  // If it is `least_bytes` more than the last time, leaves what is free and given back out of
  // cores. One caller at a time, that of purge().
  void leave_out_free(Vm& vm, size_t least_bytes);

  // Unmaps free spans, so that their share of the address-space limit can be used elsewhere.
  // Returns bytes.
  size_t unmap_free(Vm& vm);

  // Every live span goes to visit(page, entry). The caller holds lock().
  template <class Visit>
  bool for_each_live(Visit visit) TIDE_REQUIRES(lock_) {
    for (uint32_t page = 0; page < page_count(); page += entries_[page].pages) {
      if (state_of(page) == State::kLive && !visit(page, entries_[page])) return false;
    }
    return true;
  }

  // In a forked child, before anything else: what vanished threads had half done without a list.
  void settle_in_child(Vm& vm) {
    steps_.settle_in_child();
    entries_window_.settle_in_child(vm);
  }

  // In a forked child: lists and merges are made anew from the chain of heads (I-SPAN-1).
  // `keeps_hand` as for Zone::rebuild_pools().
  void rebuild(bool keeps_hand = false) TIDE_NO_THREAD_SAFETY_ANALYSIS;

  uintptr_t address_of_page(uint32_t page) const {
    return base_ + (uintptr_t{page} << layout::kSpanPageShift);
  }
  Entry& entry_of(const void* p) const { return entries_[page_index(p)]; }
  uint32_t page_of(const Entry* entry) const { return static_cast<uint32_t>(entry - entries_); }

  // The head of the span that `p` lies in; for messages about bad pointers, so it may be slow.
  const Entry* head_before(const void* p, uintptr_t& address) const {
    uint32_t page = page_index(p);
    while (page != 0 && state_of(page) == State::kInside) --page;
    address = address_of_page(page);
    return &entries_[page];
  }

  // Live or in a thread cache.
  uint64_t live_bytes() const { return base::racy_load(live_pages_) << layout::kSpanPageShift; }
  uint64_t live_blocks() const { return base::racy_load(live_blocks_); }
  uint64_t dirty_bytes() const { return lists_[0].pages() << layout::kSpanPageShift; }
  uint64_t clean_bytes() const { return lists_[1].pages() << layout::kSpanPageShift; }
  // Bytes of spans that were clean when they were taken, ever.
  size_t clean_taken() const { return base::racy_load(clean_taken_); }
  size_t mapped_bytes() const { return zone_.mapped() - base::racy_load(unmapped_bytes_); }
  size_t metadata_bytes() const { return entries_window_.mapped(); }
  // Of dirty_bytes(); for the one that gives memory back.
  LowWater& low_water() { return low_water_; }
  uint32_t page_count() const { return base::racy_load(page_count_); }
  Entry& entry(uint32_t page) { return entries_[page]; }
  ds::Lock<ds::Rank::kLarge>& lock() TIDE_RETURNS_LOCK(lock_) { return lock_; }

 private:
  friend struct EngineMap;

  static void settle(Entry& entry, bool keeps_hand);

  // Also under the lock: threads make live spans cached ones, and back, without it.
  State state_of(uint32_t page) const { return base::racy_load(entries_[page].state); }

  uint32_t page_index(const void* p) const {
    return static_cast<uint32_t>((base::address_of(p) - base_) >> layout::kSpanPageShift);
  }
  static size_t offset_of(uint32_t page) { return size_t{page} << layout::kSpanPageShift; }
  static size_t bytes_of(uint32_t pages) { return size_t{pages} << layout::kSpanPageShift; }
  // Before pages of a free span are used; what is dirty counts already.
  bool admit(uint32_t pages, State kind) {
    return kind != State::kClean || limits_->admit(bytes_of(pages));
  }
  Entry* live_entry(const void* p) const {
    if (!contains(p) || !base::is_aligned(base::address_of(p), layout::kSpanPageBytes)) {
      return nullptr;
    }
    Entry& entry = entry_of(p);
    return base::racy_load(entry.state) == State::kLive ? &entry : nullptr;
  }

  SpanLists& dirty() TIDE_REQUIRES(lock_) { return lists_[0]; }
  SpanLists& lists_of(State state) TIDE_REQUIRES(lock_) {
    return lists_[state == State::kClean ? 1 : state == State::kUnmapped ? 2 : 0];
  }

  // Pages to pass over at most for an aligned one.
  static uint32_t slack_for(size_t alignment) {
    return static_cast<uint32_t>(alignment >> layout::kSpanPageShift) - 1;
  }
  uint32_t pages_to_aligned(uint32_t page, size_t alignment) const {
    const uintptr_t address = address_of_page(page);
    return static_cast<uint32_t>((base::align_up(address, alignment) - address) >>
                                 layout::kSpanPageShift);
  }

  // Definitions: large_zone_take.h.
  void* make_live(uint32_t page, uint32_t pages, size_t alignment, State kind, uint16_t owner,
                  bool& zeroed) TIDE_REQUIRES(lock_);
  uint32_t find_in(const SpanLists& list, uint32_t pages, size_t alignment) const;
  uint32_t take_free(Vm& vm, uint32_t pages, size_t alignment, State& kind) TIDE_REQUIRES(lock_);

  // Free neighbours that together are long enough: see large_zone_join.h.
  struct Joined {
    uint32_t first;    // its head, or kNoPage
    uint32_t skipped;  // pages at its beginning that are not wanted
    uint32_t clean;    // pages of the wanted that are clean
  };
  // For shorter requests it is not worth the search: so many dirty spans, the longest first, and
  // one part of so many has to be dirty.
  static constexpr uint32_t kLeastJoinedPages = (size_t{1} << 20) >> layout::kSpanPageShift;
  static constexpr uint32_t kMostJoined = 16;
  static constexpr uint32_t kLeastDirtyShare = 4;
  static bool is_free(State state) { return state == State::kDirty || state == State::kClean; }
  uint32_t head_before_of_any(uint32_t page) const;
  Joined neighbours_of(uint32_t page, uint32_t pages) const;
  uint32_t take_joined(uint32_t pages) TIDE_REQUIRES(lock_);
  void absorb(uint32_t page, uint32_t pages) TIDE_REQUIRES(lock_);
  bool extend(uint32_t page, uint32_t pages) TIDE_REQUIRES(lock_);

  // A free span leaves its list, busy. Returns what it was.
  State take_off(uint32_t page) TIDE_REQUIRES(lock_) {
    const State kind = state_of(page);
    lists_of(kind).remove(page);
    entries_[page].state = State::kBusy;
    return kind;
  }

  void count_unmapped(size_t bytes) TIDE_REQUIRES(lock_) {
    base::racy_store(unmapped_bytes_, unmapped_bytes_ + bytes);
  }

  sys::MapResult map_again(Vm& vm, uint32_t page) TIDE_REQUIRES(lock_) {
    const size_t bytes = size_t{entries_[page].pages} << layout::kSpanPageShift;
    const auto result = vm.map_at(address_of_page(page), bytes);
    if (result == sys::MapResult::kOk) count_unmapped(0 - bytes);
    return result;
  }

  // Makes two spans of the one at `page`; the new one, at page + pages, gets `state`. The order of
  // the stores keeps I-SPAN-1.
  void cut(uint32_t page, uint32_t pages, State state) TIDE_REQUIRES(lock_) {
    Entry& rest = entries_[page + pages];
    rest.pages = entries_[page].pages - pages;
    rest.owner = 0;
    base::racy_store(rest.state, state);
    std::atomic_signal_fence(std::memory_order_release);
    base::racy_store(entries_[page].pages, pages);
  }

  // Cuts a busy span down to `pages`; the rest becomes free, of `kind`.
  void trim_tail(uint32_t page, uint32_t pages, State kind) TIDE_REQUIRES(lock_) {
    if (entries_[page].pages == pages) return;
    cut(page, pages, State::kBusy);
    insert_free(page + pages, kind);
  }

  // Frees the first `pages` of a busy span; returns the rest, which stays busy.
  uint32_t split_front(uint32_t page, uint32_t pages, State kind) TIDE_REQUIRES(lock_) {
    cut(page, pages, State::kBusy);
    insert_free(page, kind);
    return page + pages;
  }

  // Puts a busy span on the free lists, merged with free neighbours of its kind.
  void insert_free(uint32_t page, State state) TIDE_REQUIRES(lock_) {
    base::racy_store(entries_[page].state, state);
    const uint32_t after = page + entries_[page].pages;
    if (after < page_count() && state_of(after) == state) {
      lists_of(state).remove(after);
      base::racy_store(entries_[page].pages, entries_[page].pages + entries_[after].pages);
      std::atomic_signal_fence(std::memory_order_release);
      base::racy_store(entries_[after].state, State::kInside);
    }
    if (page != 0) {
      const uint32_t before = head_of_free_before(page, state);
      if (before != layout::kNoPage) {
        lists_of(state).remove(before);
        base::racy_store(entries_[before].pages, entries_[before].pages + entries_[page].pages);
        std::atomic_signal_fence(std::memory_order_release);
        base::racy_store(entries_[page].state, State::kInside);
        page = before;
      }
    }
    entries_[page + entries_[page].pages - 1].pages = entries_[page].pages;
    lists_of(state).insert(page);
  }

  // The free span of kind `state` that ends right before `page`, or kNoPage. The last page of a
  // free span repeats its length.
  uint32_t head_of_free_before(uint32_t page, State state) const {
    const Entry& last = entries_[page - 1];
    if (state_of(page - 1) == state) return last.pages == 1 ? page - 1 : layout::kNoPage;
    if (state_of(page - 1) != State::kInside || last.pages == 0 || last.pages > page) {
      return layout::kNoPage;
    }
    const uint32_t head = page - last.pages;
    return state_of(head) == state && entries_[head].pages == last.pages ? head : layout::kNoPage;
  }

  uint32_t claim_clean_steps(uint32_t least_steps, DumpSteps::Range& range, bool& is_end);

  bool grow(Vm& vm, uint32_t pages) TIDE_REQUIRES(lock_) {
    constexpr uint32_t kLeast = (size_t{1} << 20) >> layout::kSpanPageShift;
    // What is mapped ahead is in cores.
    constexpr uint32_t kMost = (size_t{8} << 20) >> layout::kSpanPageShift;
    uint32_t usual = page_count() / 16;
    usual = usual < kLeast ? kLeast : usual > kMost ? kMost : usual;
    const size_t end =
        DumpSteps::rounded_end(offset_of(page_count() + (pages > usual ? pages : usual)));
    const auto wanted = static_cast<uint32_t>(end >> layout::kSpanPageShift) - page_count();
    return grow_by(vm, wanted) || (wanted != pages && grow_by(vm, pages));
  }

  bool grow_by(Vm& vm, uint32_t pages) TIDE_REQUIRES(lock_) {
    const size_t system_page = vm.page_size() >> layout::kSpanPageShift;
    if (system_page > 1) pages = static_cast<uint32_t>(base::align_up(pages, system_page));
    const size_t bytes = bytes_of(pages);
    typename Window<Vm>::Piece piece{offset_of(page_count()), bytes};
    if (!cover_entries(vm, piece.end())) return false;
    const auto result = zone_.cover(vm, piece.end());
    if (result == sys::MapResult::kNoMemory) return false;
    if (result == sys::MapResult::kOk) {
      append(piece);
      return true;
    }
    piece = zone_.take_beyond(vm, piece.begin, bytes);
    if (piece.bytes == 0) return false;
    // Only now: entries count, and a place that is refused must leave none behind.
    if (!cover_entries(vm, piece.end())) {
      zone_.keep(piece);
      return false;
    }
    append(piece);
    zone_.end_with(piece);
    return piece.bytes >= bytes || grow_by(vm, pages);  // else it was kept from another time
  }

  bool cover_entries(Vm& vm, size_t end) TIDE_REQUIRES(lock_) {
    const size_t count = end >> layout::kSpanPageShift;
    return count < layout::kNoPage &&
           entries_window_.cover_records(vm, *limits_, count * sizeof(Entry));
  }

  // The zone ends with a clean span, `piece`; what is before it is somebody else's.
  void append(const typename Window<Vm>::Piece& piece) TIDE_REQUIRES(lock_) {
    const uint32_t first = page_count();
    const auto page = static_cast<uint32_t>(piece.begin >> layout::kSpanPageShift);
    if (page != first) entries_[first] = {page - first, 0, 0, State::kUnusable, 0, 0};
    entries_[page].pages = static_cast<uint32_t>(piece.bytes >> layout::kSpanPageShift);
    entries_[page].owner = 0;
    entries_[page].state = State::kClean;
    base::published_store(page_count_,
                          static_cast<uint32_t>(piece.end() >> layout::kSpanPageShift));
    insert_free(page, State::kClean);
  }

  Limits* limits_ = nullptr;
  uintptr_t base_ = 0;
  Entry* entries_ = nullptr;
  uint32_t page_count_ = 0;
  uint64_t live_pages_ = 0;
  uint64_t live_blocks_ = 0;
  ds::Lock<ds::Rank::kLarge> lock_;
  SpanLists lists_[3];  // dirty, clean, unmapped
  size_t unmapped_bytes_ = 0;
  size_t clean_taken_ = 0;
  LowWater low_water_;
  DumpSteps steps_;
  bool gave_back_lazily_ = false;  // then what is clean may not be zero
  Window<Vm> zone_;
  Window<Vm> entries_window_;
};

}  // namespace tide::heap

#include "heap/large_zone_join.h"
#include "heap/large_zone_take.h"
