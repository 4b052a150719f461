// Definition of Engine::supply. Included where it is called.
//
// What is free in one zone is of no use to another. To give it back and to touch as much elsewhere
// costs some 500 us for a MiB; the kernel moves the pages, not what is in them, in 15 us. So a zone
// that has nothing dirty left and grows gets pages of those that have more than they need.
//
// Only one that goes on growing: pages that come are in use as a whole, however little of them is
// wanted, and are missed where they were.
//
// Only whole steps are moved, between slabs of no class and free spans, by who holds the lock of
// who gives memory back. Both are in no list meanwhile.
#pragma once

#include "heap/engine.h"
#include "heap/large_zone_moves.h"
#include "heap/zone_moves.h"

namespace tide::heap {

// Dirty slabs beyond those that are kept for the zone's own use.
template <sys::VmSource Vm>
uint32_t Engine<Vm>::spare_slabs(const Zone<Vm>& zone) const {
  const uint32_t dirty = zone.dirty_slabs();
  const auto kept = static_cast<uint32_t>(kKeptPoolBytes / zone.slab_bytes()) + zone.slabs_ahead();
  return dirty > kept ? dirty - kept : 0;
}

template <sys::VmSource Vm>
size_t Engine<Vm>::spare_span_bytes() const {
  const size_t dirty = large_.dirty_bytes();
  const size_t kept = kKeptSpanBytes + large_.live_bytes() / 2;
  return dirty > kept ? dirty - kept : 0;
}

// Where there is most to spare, of the others; kNoZone: nowhere is a step.
template <sys::VmSource Vm>
uint32_t Engine<Vm>::richest_but(uint32_t zone) const {
  const size_t spare[] = {0, spare_slabs(space_.small) * space_.small.slab_bytes(),
                          spare_slabs(space_.mid) * space_.mid.slab_bytes(), spare_span_bytes()};
  uint32_t best = kNoZone;
  size_t most = kMoveBytes - 1;
  for (uint32_t i = kSmallZone; i <= kLargeZone; ++i) {
    if (i == zone || spare[i] <= most) continue;
    best = i;
    most = spare[i];
  }
  return best;
}

template <sys::VmSource Vm>
bool Engine<Vm>::move_pages(uintptr_t from, uintptr_t to, bool& is_lost) {
  const sys::MoveResult result =
      space_.vm.move_pages(reinterpret_cast<void*>(from), reinterpret_cast<void*>(to), kMoveBytes);
  if (result != sys::MoveResult::kMoved) moves_.count_failure();
  is_lost = result == sys::MoveResult::kLost;
  return result == sys::MoveResult::kMoved;
}

// Moves the pages of a step of zone `from`, which it is the turn of, to `to`.
template <sys::VmSource Vm>
bool Engine<Vm>::move_from(uint32_t from, uintptr_t to, bool& is_lost) {
  if (from == kLargeZone) {
    const uint32_t page = large_.take_steps(space_.vm, layout::SpanState::kDirty, kMoveBytes);
    if (page == layout::kNoPage) return false;
    const bool done = move_pages(large_.address_of_page(page), to, is_lost);
    const uint32_t end = page + large_.pages_for(kMoveBytes);
    large_.put_steps(page, done ? page : end, end, layout::SpanState::kDirty, false);
    return done;
  }
  Zone<Vm>& zone = slab_zone(from);
  const uint32_t first = zone.take_dirty_step();
  if (first == layout::kNoSlab) return false;
  if (!move_pages(zone.slab_address(first), to, is_lost)) {
    zone.put_step(first, false);
    return false;
  }
  Purger<Vm> purger = this->purger();
  zone.put_emptied_step(purger, first);
  return true;
}

// When growth is paid for: a zone that was the reason some times in a row gets pages from now on.
template <sys::VmSource Vm>
void Engine<Vm>::note_growing_zone() {
  constexpr uint32_t kLeastRun = 3;
  const size_t now[] = {0, space_.small.clean_taken(), space_.mid.clean_taken(),
                        large_.clean_taken()};
  uint32_t zone = kSmallZone;
  for (uint32_t i = kMidZone; i <= kLargeZone; ++i) {
    if (now[i] - taken_by_[i] > now[zone] - taken_by_[zone]) zone = i;
  }
  for (uint32_t i = kSmallZone; i <= kLargeZone; ++i) taken_by_[i] = now[i];
  growth_run_ = zone == growing_zone_ ? growth_run_ + 1 : 1;
  growing_zone_ = zone;
  base::racy_store(supplied_zone_, growth_run_ >= kLeastRun ? zone : kNoZone);
}

// Where nothing could be moved it is not tried again before the next payment.
template <sys::VmSource Vm>
void Engine<Vm>::supply(uint32_t to, size_t wanted) {
  if (!purge_lock_.try_lock()) return;
  if (!move_steps(to, wanted)) base::racy_store(supplied_zone_, kNoZone);
  purge_lock_.unlock();
}

template <sys::VmSource Vm>
bool Engine<Vm>::move_steps(uint32_t to, size_t wanted) {
  if (!base::racy_load(config_.purge) || config_.hardened || keeps_huge_pages() ||
      space_.limits.is_tight() || !moves_.are_possible()) {
    return false;
  }
  const uint32_t from = richest_but(to);
  if (from == kNoZone) return false;
  bool is_lost = false;
  if (to == kLargeZone) {
    wanted = base::align_up(wanted, kMoveBytes);
    const uint32_t page = large_.take_steps(space_.vm, layout::SpanState::kClean, wanted);
    if (page == layout::kNoPage) return false;
    large_.bring_back(space_.vm);
    const uint32_t end = page + large_.pages_for(wanted);
    uint32_t done = page;
    while (done != end && moves_.enter(to, size_t{done} << layout::kSpanPageShift)) {
      large_.start_step(done);
      if (!move_from(from, large_.address_of_page(done), is_lost)) break;
      large_.finish_step(done);
      done += large_.pages_for(kMoveBytes);
    }
    large_.put_steps(page, done, end, layout::SpanState::kDirty, is_lost);
    return done != page;
  }
  Zone<Vm>& zone = slab_zone(to);
  const uint32_t first = zone.take_clean_step(space_.vm);
  if (first == layout::kNoSlab) return false;
  zone.bring_back(space_.vm);
  const bool done = moves_.enter(to, size_t{first} << zone.slab_shift()) &&
                    move_from(from, zone.slab_address(first), is_lost);
  if (is_lost) {
    zone.lose_step(first);
  } else {
    zone.put_step(first, !done);
  }
  return done;
}

}  // namespace tide::heap
