// Definition of Engine::trade. Included where an Engine is instantiated.
//
// What is free in one zone or class is of no use to another, so a program whose sizes drift would
// hold its memory twice. Growth therefore pays: for each MiB by which the heap gets larger than it
// has been lately, as much of what lies idle is given back, as far as there is any: empty slabs,
// pages in the middle of sparse slabs, free spans. A program that does not grow pays nothing, nor
// one that takes again what was given back.
#pragma once

#include "heap/cache_behind.h"
#include "heap/engine_moves.h"
#include "heap/engine_purge.h"

namespace tide::heap {

template <sys::VmSource Vm>
TIDE_NOINLINE void Engine<Vm>::trade(ThreadCache& cache) {
  // Held across madvise, but nobody who allocates waits for it.
  if (!purge_lock_.try_lock()) return;
  const size_t before = zones_footprint();
  if (before <= traded_bytes_) return purge_lock_.unlock();  // somebody was quicker
  base::racy_store(has_grown_, true);
  if (base::racy_load(config_.purge) || over_soft_limit()) pay(cache, before - traded_bytes_);
  const size_t after = zones_footprint();
  if (after > traded_bytes_) base::racy_store(traded_bytes_, after);
  purge_lock_.unlock();
}

// A heap that has become smaller may not grow back for nothing for long.
template <sys::VmSource Vm>
void Engine<Vm>::lower_trade_mark(bool at_once) {
  const size_t now = zones_footprint();
  if (now >= traded_bytes_) return;
  const size_t above = traded_bytes_ - now;
  base::racy_store(traded_bytes_, at_once ? now : traded_bytes_ - above / kTradeDecay);
}

template <sys::VmSource Vm>
void Engine<Vm>::pay(ThreadCache& cache, size_t debt) {
  if (space_.limits.is_tight()) return_harder(cache, debt);
  note_growing_zone();
  // Blocks of sizes that the thread has left behind hold slabs, if slabs are sparse at all.
  const auto use = process_.use();
  if (use.free_bytes > use.used_bytes / kSparseShare + kKeptSpanBytes) {
    caches_.leave_behind(space_, process_, cache);
  }
  Purger<Vm> purger = this->purger();
  size_t total = 0;
  for (Zone<Vm>* zone : {&space_.small, &space_.mid}) {
    if (total >= debt) break;
    const uint32_t spare = spare_slabs(*zone);
    if (spare == 0) continue;
    const auto owed =
        static_cast<uint32_t>((debt - total + zone->slab_bytes() - 1) / zone->slab_bytes());
    size_t known_gone = 0;
    total += zone->purge_pool(purger, owed < spare ? owed : spare, &known_gone);
    total -= known_gone;
  }
  if (const size_t spare = total < debt ? spare_span_bytes() : 0) {
    total += large_.purge(purger, spare < debt - total ? spare : debt - total, least_span());
  }
  const size_t kept_huge = huge_.kept_bytes();
  const size_t most_huge = kKeptSpanBytes + huge_.live_bytes() / 2;
  if (total < debt && kept_huge > most_huge) {
    const size_t excess = kept_huge - most_huge;
    total += huge_.purge(purger, kept_huge - (excess < debt - total ? excess : debt - total));
  }
  if (total < debt) sweep(debt, total);
}

// Holes are filled again sooner or later, and then cost page faults: they are given back only as
// far as they are more than half of what is in use.
template <sys::VmSource Vm>
void Engine<Vm>::sweep(size_t debt, size_t& total) {
  const auto use = process_.use();
  const size_t returned = space_.small.returned() + space_.mid.returned();
  const size_t kept = use.used_bytes / 2 + kKeptSpanBytes + returned;
  if (use.free_bytes <= kept) return;
  const size_t excess = use.free_bytes - kept;
  const size_t wanted = excess < debt ? excess : debt;
  const size_t visits = debt / kTradeStep * kVisitsPerStep;
  for (size_t i = 0; i < visits && total < wanted; ++i) total += sweep_one();
}

// Gives back the free pages of the next slab that is at most half full and has had blocks freed
// since the last time.
template <sys::VmSource Vm>
size_t Engine<Vm>::sweep_one() {
  if (++sweep_cursor_ >= space_.small.slabs_seen() + space_.mid.slabs_seen()) sweep_cursor_ = 0;
  uint32_t index = sweep_cursor_;
  Zone<Vm>& zone = zone_of_number(index);
  layout::Slab& slab = zone.slab(index);
  if (base::published_load(slab.size_class) == 0 || base::published_load(slab.owner) != 0) return 0;
  const uint32_t used = base::racy_load(slab.used);
  const uint32_t fill = used * UINT8_MAX / base::racy_load(slab.blocks);
  if (fill > UINT8_MAX / 2 || fill >= base::racy_load(slab.fill_at_sweep)) return 0;
  if (keeps_huge_pages() && !SparseHugePages<Vm>(zone).has(index)) return 0;
  base::racy_store(slab.fill_at_sweep, static_cast<uint8_t>(fill));
  const size_t total = purge_slab(zone, index, 0, kLeastSwept);
  return total + flush_held();
}

}  // namespace tide::heap
