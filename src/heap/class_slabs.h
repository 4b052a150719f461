// The slabs of one size class of one heap, in lists by fullness. No lock of its own: the lock of
// the class (process heap) or of the first-class heap protects it.
//
// Hands blocks out from the fullest slab that has any and takes them back into their slab's bitmap.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "base/racy.h"
#include "heap/zone.h"
#include "layout/size_classes.h"

namespace tide::heap {

template <sys::VmSource Vm>
class ClassSlabs {
 public:
  constexpr ClassSlabs() = default;

  // Forgets all slabs; also what all bytes zero are.
  void reset() {
    for (uint32_t& head : heads_) head = 0;
    base::racy_store(slab_count_, 0u);
    base::racy_store(capacity_, uint64_t{0});
    base::racy_store(used_, uint64_t{0});
  }

  // Fills `out` with `count` blocks of class `c` from its end downwards, fewer only when there is
  // no memory or the hard limit is reached.
  uint32_t take(Vm& vm, Zone<Vm>& zone, uint32_t c, uint16_t owner, layout::BlockSlot* out,
                uint32_t count) {
    uint32_t taken = 0;
    while ((taken += take_listed(zone, out, count - taken)) < count) {
      if (adopt_pooled(vm, zone, c, owner, 0) == layout::kNoSlab) break;
    }
    return taken;
  }

  // The same, from the slabs that are here: the block that should be used first is the last, as on
  // a stack.
  uint32_t take_listed(Zone<Vm>& zone, layout::BlockSlot* out, uint32_t count) {
    uint32_t taken = 0;
    while (taken < count) {
      const uint32_t index = fullest_below(layout::kFullBin);
      if (index == layout::kNoSlab) break;
      const uint32_t got = take_from(zone, index, out, count - taken);
      if (TIDE_UNLIKELY(got == 0)) return taken + take_resident(zone, out, count - taken);
      taken += got;
    }
    return taken;
  }

  // Adds a slab of the zone's pool and returns its number. kNoSlab: no memory.
  uint32_t adopt_pooled(Vm& vm, Zone<Vm>& zone, uint32_t c, uint16_t owner, uint8_t home) {
    const uint32_t index = zone.acquire(vm, layout::kClassInfo[c].bytes + 2 * vm.page_size());
    if (index != layout::kNoSlab) adopt(zone, index, c, owner, home);
    return index;
  }

  // Adds a slab of `other` that is used up and by now more than half free, or, with `any`, one that
  // has any room. False: there is none.
  bool adopt_from(Zone<Vm>& zone, ClassSlabs& other, uint8_t home, bool any) {
    const uint32_t index = any ? other.any_that_gives(zone) : other.fullest_below(layout::kHalfBin);
    if (index == layout::kNoSlab) return false;
    layout::Slab& slab = zone.slab(index);
    if (!any && slab.carved != slab.blocks) return false;
    other.remove(zone, index);
    base::racy_store(slab.home, home);
    zone.set_class(index, slab.size_class);
    add(zone, index);
    return true;
  }

  // Takes back a block that is not live (its state byte says so).
  void give(Zone<Vm>& zone, void* block) { give(zone, &block, 1); }

  // The same with the first of `blocks` and those behind it, up to one of another home. Returns how
  // many.
  uint32_t give(Zone<Vm>& zone, const layout::BlockSlot* blocks, uint32_t count) {
    return zone.shift() == layout::kSmallGranuleShift
               ? give<layout::kSmallGranuleShift>(zone, blocks, count)
               : give<layout::kMidGranuleShift>(zone, blocks, count);
  }

  // Hands every slab back to the zone, live blocks and all: what a destroyed heap does.
  void drop_all(Zone<Vm>& zone) {
    for (uint32_t bin = 0; bin < layout::kFillBins; ++bin) {
      while (head(bin) != layout::kNoSlab) {
        const uint32_t index = head(bin);
        uint8_t* const states = &zone.state(size_t{index} * layout::kGranulesPerSlab);
        for (uint32_t i = 0; i < layout::kGranulesPerSlab; ++i) {
          base::racy_store(states[i], static_cast<uint8_t>(layout::kNotLive));
        }
        release(zone, index);
      }
    }
  }

  // Hands a slab without any block in use back to the zone.
  void drop_empty(Zone<Vm>& zone, uint32_t index) { release(zone, index); }

  // The same with all of them.
  void drop_empty(Zone<Vm>& zone) {
    uint32_t index = head(0);
    while (index != layout::kNoSlab) {
      const uint32_t next = zone.slab(index).next;
      if (zone.slab(index).used == 0) release(zone, index);
      index = next;
    }
  }

  // A slab with room of which blocks came or went since its free pages were given back; it counts
  // as looked at from now on. kNoSlab: there is none.
  uint32_t take_note_of_free(Zone<Vm>& zone) {
    for (uint32_t bin = 0; bin < layout::kFullBin; ++bin) {
      for (uint32_t index = head(bin); index != layout::kNoSlab; index = zone.slab(index).next) {
        if (layout::take_news(zone.slab(index))) return index;
      }
    }
    return layout::kNoSlab;
  }

  uint64_t used_blocks() const { return base::racy_load(used_); }
  uint64_t capacity() const { return base::racy_load(capacity_); }  // blocks
  uint32_t slab_count() const { return base::racy_load(slab_count_); }
  uint32_t head(uint32_t bin) const { return heads_[bin] - 1; }

  // For purging: the blocks of a run leave the slab for a moment, see heap/engine_purge.h.
  void account_taken(Zone<Vm>& zone, uint32_t index, uint32_t blocks) {
    layout::Slab& slab = zone.slab(index);
    base::racy_store(slab.used, slab.used + blocks);
    base::racy_store(used_, used_ + blocks);
    refile(zone, index);
  }

  // Counts the blocks before `end` as handed out at least once. Of mid blocks the state byte says
  // whether they read as zero; small ones are quicker written than looked at.
  static void mark_carved(Zone<Vm>& zone, uint32_t index, uint32_t end) {
    layout::Slab& slab = zone.slab(index);
    if (!layout::is_small_class(slab.size_class)) {
      const uint8_t state = slab.used_before ? layout::kNotLive : layout::kFreeZero;
      for (uint32_t i = slab.carved; i < end; ++i) {
        base::racy_store(
            zone.state(size_t{index} * layout::kGranulesPerSlab + size_t{i} * slab.granules),
            state);
      }
    }
    base::racy_store(slab.carved, end);
  }

  // In a forked child, after reset(): lists and counts are made anew from the slabs' own bitmaps.
  void adopt_again(Zone<Vm>& zone, uint32_t index) {
    layout::Slab& slab = zone.slab(index);
    zone.set_class(index, slab.size_class);
    ds::Bitmap4096 free = zone.free_of(index);
    free.rebuild_summary();
    slab.used = slab.carved - slab.first - free.count();
    add(zone, index);
  }

 private:
  friend struct EngineMap;

  // So many slabs of a class begin at different offsets (layout::first_block).
  static constexpr uint32_t kStaggeredSlabs = 2;

  static uint32_t capacity_of(const layout::Slab& slab) {
    return uint32_t{slab.blocks} - slab.first;
  }

  static uint8_t bin_of(const layout::Slab& slab) {
    const uint32_t used = 32 * slab.used;
    const uint32_t all = capacity_of(slab);
    uint8_t bin = layout::kFullBin;
    while (used < layout::kBinBegin[bin] * all) --bin;
    return bin;
  }

  // A slab of the fullest list before `bin` that has any.
  uint32_t fullest_below(uint32_t bin) const {
    while (bin-- != 0) {
      if (heads_[bin] != 0) return head(bin);
    }
    return layout::kNoSlab;
  }

  void adopt(Zone<Vm>& zone, uint32_t index, uint32_t c, uint16_t owner, uint8_t home) {
    layout::Slab& slab = zone.slab(index);
    slab.granules = layout::kClassInfo[c].granules;
    base::racy_store(slab.blocks, layout::kClassInfo[c].blocks_per_slab);
    // Of a slab that was used before every page can be given back only when all are blocks' pages.
    // Where there are some, the blocks that are in use meet in no one set any more.
    const bool is_staggered =
        !slab.used_before && (!layout::is_small_class(c) || slab_count_ < kStaggeredSlabs);
    base::racy_store(slab.first,
                     static_cast<uint16_t>(is_staggered ? layout::first_block(index, c) : 0));
    base::racy_store(slab.carved, uint32_t{slab.first});
    base::racy_store(slab.fill_at_sweep, uint8_t{UINT8_MAX});
    base::racy_store(slab.owner, owner);
    base::racy_store(slab.home, home);
    zone.note_returned(slab);
    zone.set_class(index, c);
    add(zone, index);
  }

  // A slab with all that it holds comes to these lists and counts, or leaves them.
  void add(Zone<Vm>& zone, uint32_t index) {
    const layout::Slab& slab = zone.slab(index);
    base::racy_store(slab_count_, slab_count_ + 1);
    base::racy_store(capacity_, capacity_ + capacity_of(slab));
    base::racy_store(used_, used_ + slab.used);
    link(zone, index, bin_of(slab));
  }
  void remove(Zone<Vm>& zone, uint32_t index) {
    const layout::Slab& slab = zone.slab(index);
    unlink(zone, index);
    base::racy_store(slab_count_, slab_count_ - 1);
    base::racy_store(capacity_, capacity_ - capacity_of(slab));
    base::racy_store(used_, used_ - slab.used);
  }

  // Fewer than there are only when the hard limit forbids more.
  uint32_t take_from(Zone<Vm>& zone, uint32_t index, layout::BlockSlot* out, uint32_t count) {
    layout::BlockSlot* const end = out + count;
    out = end;
    layout::Slab& slab = zone.slab(index);
    const uintptr_t address = zone.slab_address(index);
    const unsigned shift = zone.shift();
    const bool has_purged = (slab.purged[0] | slab.purged[1]) != 0;
    size_t admitted = 0;
    if (has_purged) count = admit_purged(zone, slab, count, admitted);
    uint32_t taken = zone.free_of(index).take_lowest(count, [&out, address, shift](uint32_t bit) {
      *--out = reinterpret_cast<void*>(address + (uintptr_t{bit} << shift));
    });
    const uint32_t carved = slab.carved;
    const uint32_t left = slab.blocks - carved;
    uint32_t more = count - taken < left ? count - taken : left;
    if (more != 0 && !zone.limits().admit(zone.carving_bytes(slab, carved + more))) {
      more = zone.limits().admit(zone.carving_bytes(slab, carved + 1)) ? 1 : 0;
    }
    if (more != 0) {
      const size_t block_bytes = size_t{slab.granules} << shift;
      uintptr_t block = address + carved * block_bytes;
      for (uint32_t i = 0; i < more; ++i, block += block_bytes) {
        *--out = reinterpret_cast<void*>(block);
      }
      mark_carved(zone, index, carved + more);
      taken += more;
    }
    if (has_purged) {
      forget_purged(zone, slab, address, out, taken);
      zone.limits().dismiss(admitted);
    }
    base::racy_store(slab.used, slab.used + taken);
    base::racy_store(slab.touched, true);
    base::racy_store(used_, used_ + taken);
    refile(zone, index);
    return taken;
  }

  // Before blocks are taken that may lie in what was given back: how many of `count` the hard limit
  // allows. `admitted` is counted until it is known which they are.
  static uint32_t admit_purged(Zone<Vm>& zone, const layout::Slab& slab, uint32_t count,
                               size_t& admitted) {
    if (zone.limits().hard() == 0) return count;
    const size_t block_bytes = (size_t{slab.granules} << zone.shift()) + 2 * zone.page_bytes();
    for (; count != 0; count /= 2) {
      admitted = count * block_bytes;
      if (zone.limits().admit(admitted)) return count;
    }
    admitted = 0;
    return 0;
  }

  // Of all slabs those free blocks whose pages count already: what is left at the hard limit.
  uint32_t take_resident(Zone<Vm>& zone, layout::BlockSlot* out, uint32_t count) {
    uint32_t taken = 0;
    while (taken < count) {
      const uint32_t index = any_that_gives(zone);
      if (index == layout::kNoSlab) break;
      const uint32_t got = take_from(zone, index, out, count - taken);
      if (got == 0) break;
      taken += got;
    }
    return taken;
  }

  // The fullest slab of which a block can be had under the hard limit.
  uint32_t any_that_gives(Zone<Vm>& zone) const {
    for (uint32_t bin = layout::kFullBin; bin-- != 0;) {
      for (uint32_t index = head(bin); index != layout::kNoSlab; index = zone.slab(index).next) {
        const layout::Slab& slab = zone.slab(index);
        const bool has_purged = (slab.purged[0] | slab.purged[1]) != 0;
        const size_t more =
            has_purged ? (size_t{slab.granules} << zone.shift()) + 2 * zone.page_bytes() : 0;
        if (slab.free_summary != 0 && zone.limits().has_room(more)) return index;
        if (slab.carved < slab.blocks &&
            zone.limits().has_room(more + zone.carving_bytes(slab, slab.carved + 1))) {
          return index;
        }
      }
    }
    return layout::kNoSlab;
  }

  // The pages of blocks that are handed out count as resident again.
  static void forget_purged(Zone<Vm>& zone, layout::Slab& slab, uintptr_t address,
                            const layout::BlockSlot* blocks, uint32_t count) {
    const size_t block_bytes = size_t{slab.granules} << zone.shift();
    const size_t page = zone.page_bytes();
    const size_t unit = zone.purge_unit_bytes();
    for (uint32_t i = 0; i < count; ++i) {
      const size_t offset = reinterpret_cast<uintptr_t>(blocks[i]) - address;
      const size_t end = base::align_up(offset + block_bytes, page);
      zone.forget_purged(slab, base::align_down(offset, page) / unit,
                         (end < zone.slab_bytes() ? end : zone.slab_bytes()) / unit);
    }
  }

  void refile(Zone<Vm>& zone, uint32_t index) {
    layout::Slab& slab = zone.slab(index);
    if (slab.used >= slab.list_floor && slab.used < slab.list_ceiling) return;
    const uint8_t bin = bin_of(slab);
    if (bin == slab.bin) return;
    unlink(zone, index);
    link(zone, index, bin);
  }

  template <unsigned kShift>
  uint32_t give(Zone<Vm>& zone, const layout::BlockSlot* const blocks, uint32_t count) {
    const uintptr_t zone_address = zone.slab_address(0);
    layout::Slab* const slabs = &zone.slab(0);
    uint64_t* const words = zone.free_of(0).words;  // those of all slabs follow
    const uint8_t home = zone.slab(zone.index_of_address(blocks[0])).home;
    const layout::BlockSlot* const end = blocks + count;
    const layout::BlockSlot* block = blocks;
    const layout::BlockSlot* counted = blocks;
    do {
      const size_t word = (base::address_of(*block) - zone_address) >> (kShift + 6);
      const size_t index = word / ds::Bitmap4096::kWords;
      layout::Slab& slab = slabs[index];
      if (slab.home != home) break;
      // Neighbours share a word, which is then written once.
      const uintptr_t word_address = zone_address + (word * 64 << kShift);
      uintptr_t offset = base::address_of(*block) - word_address;
      const layout::BlockSlot* const first = block;
      uint64_t bits = 0;
      do {
        bits |= uint64_t{1} << (offset >> kShift);
        if (++block == end) break;
        offset = base::address_of(*block) - word_address;
      } while (offset < uintptr_t{64} << kShift);
      TIDE_ASSERT((words[word] & bits) == 0,
                  "I-SLAB-1: a block came back that its slab has already");
      words[word] |= bits;
      slab.free_summary |= uint64_t{1} << (word % ds::Bitmap4096::kWords);
      const uint32_t used = slab.used - static_cast<uint32_t>(block - first);
      base::racy_store(slab.used, used);
      base::racy_store(slab.touched, true);
      if (TIDE_UNLIKELY(used < slab.list_floor)) {
        base::racy_store(used_, used_ - static_cast<uint64_t>(block - counted));
        counted = block;
        sink(zone, static_cast<uint32_t>(index));
      }
    } while (block != end);
    base::racy_store(used_, used_ - static_cast<uint64_t>(block - counted));
    return static_cast<uint32_t>(block - blocks);
  }

  // A slab has fewer blocks in use than belong on its list.
  TIDE_NOINLINE void sink(Zone<Vm>& zone, uint32_t index) {
    refile(zone, index);
    if (zone.slab(index).used == 0 && slab_count_ > 1) release(zone, index);
  }

  void release(Zone<Vm>& zone, uint32_t index) {
    remove(zone, index);
    const layout::Slab& slab = zone.slab(index);
    zone.release(index, !slab.used_before && slab.carved == slab.first);
  }

  void link(Zone<Vm>& zone, uint32_t index, uint8_t bin) {
    layout::Slab& slab = zone.slab(index);
    slab.bin = bin;
    const uint32_t floor = (layout::kBinBegin[bin] * capacity_of(slab) + 31) / 32;
    slab.list_floor = static_cast<uint16_t>(floor == 0 ? 1 : floor);
    slab.list_ceiling =
        static_cast<uint16_t>((layout::kBinBegin[bin + 1] * capacity_of(slab) + 31) / 32);
    slab.previous = layout::kNoSlab;
    slab.next = head(bin);
    if (slab.next != layout::kNoSlab) zone.slab(slab.next).previous = index;
    heads_[bin] = index + 1;
  }

  void unlink(Zone<Vm>& zone, uint32_t index) {
    layout::Slab& slab = zone.slab(index);
    if (slab.previous == layout::kNoSlab) {
      heads_[slab.bin] = slab.next + 1;
    } else {
      zone.slab(slab.previous).next = slab.next;
    }
    if (slab.next != layout::kNoSlab) zone.slab(slab.next).previous = slab.previous;
  }

  uint32_t heads_[layout::kFillBins] = {};  // index + 1; 0: none
  uint32_t slab_count_ = 0;
  uint64_t capacity_ = 0;
  uint64_t used_ = 0;
};

}  // namespace tide::heap
