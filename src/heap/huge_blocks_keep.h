// Definitions of HugeBlocks' functions for freed mappings: which are kept, how long, and what
// becomes of them. Included by huge_blocks.h.
#pragma once

#include "heap/huge_blocks.h"

namespace tide::heap {

// The longest kept piece, made as long as `bytes` by the kernel: only what is new of it has page
// faults to come. {0, 0, false}: none has half of it, or it can't be.
template <sys::VmSource Vm>
typename HugeBlocks<Vm>::Piece HugeBlocks<Vm>::lengthen_kept(Vm& vm, size_t bytes) {
  Piece* const longest = kept_.longest();
  if (longest == nullptr || longest->bytes < bytes / 2) return {0, 0, false};
  const size_t more = bytes - longest->bytes;
  if (!limits_->has_room(more) || !limits_->admit(more)) return {0, 0, false};
  // Unknown while it moves, as in resize(). A child that is forked meanwhile loses it.
  const Piece piece = kept_.take_whole(*longest);
  void* const result = vm.remap(reinterpret_cast<void*>(piece.address), piece.bytes, bytes);
  if (result != nullptr) return {base::address_of(result), bytes, false};
  limits_->dismiss(more);
  kept_.put(piece.address, piece.bytes);  // its slot is free
  return {0, 0, false};
}

// Before `bytes` are mapped that no kept piece was good for: what is kept beyond the bound goes.
template <sys::VmSource Vm>
void HugeBlocks<Vm>::drop_beyond(Vm& vm, const Config& config, size_t bytes) {
  while (kept_.bytes() > most_kept(config, live_bytes_ + bytes) && drop_kept(vm)) {
  }
}

// A block that grows by the kernel takes fresh pages, never kept ones: as many of these go, or
// programs whose blocks all grow would pile them up. Not by less than a few MiB: each is a call.
template <sys::VmSource Vm>
void HugeBlocks<Vm>::pay_for_growth(Vm& vm, size_t bytes) {
  constexpr size_t kLeastPaid = size_t{4} << 20;
  grown_bytes_ += bytes;
  while (grown_bytes_ >= kLeastPaid) {
    Piece* const slot = kept_.begin_to_go(grown_bytes_);
    if (slot == nullptr) {
      grown_bytes_ = 0;
      return;
    }
    const Piece victim = *slot;
    kept_.has_gone(*slot);
    grown_bytes_ -= victim.bytes;
    unmap_or_want_not(vm, reinterpret_cast<void*>(victim.address), victim.bytes, victim.bytes);
  }
}

// Of blocks that are freed, with `live` bytes in use: as much as the option says. Up to four times
// as much where that makes no more together than has been in use at a time, and what nobody needs
// goes by itself.
template <sys::VmSource Vm>
size_t HugeBlocks<Vm>::most_kept(const Config& config, size_t live) const {
  const size_t usual = config.huge_cache_bytes;
  if (!base::racy_load(config.purge)) return usual;
  const size_t below_peak = peak_bytes_ > live ? peak_bytes_ - live : 0;
  const size_t most = usual <= SIZE_MAX / kMostOverUsual ? kMostOverUsual * usual : SIZE_MAX;
  return below_peak <= usual ? usual : below_peak < most ? below_peak : most;
}

// Blocks of which a program uses a little here and there, each time elsewhere, would make all that
// is kept resident in the end: now and then one of much is looked at.
template <sys::VmSource Vm>
bool HugeBlocks<Vm>::is_due_for_a_look(const Config& config, size_t bytes) {
  const size_t usual = config.huge_cache_bytes;
  if (usual == 0 || kept_.bytes() + bytes <= usual) return false;
  return ++frees_of_much_ % kFreesPerLook == 0;
}

template <sys::VmSource Vm>
bool HugeBlocks<Vm>::keep(uintptr_t address, size_t bytes, size_t most) {
  return !limits_->is_tight() && bytes <= most && kept_.bytes() <= most - bytes &&
         kept_.put(address, bytes);
}

// What the kernel refuses to unmap serves again, if there is a place for it.
template <sys::VmSource Vm>
void HugeBlocks<Vm>::unmap_or_keep(Vm& vm, const Piece& freed) {
  void* const mapping = reinterpret_cast<void*>(freed.address);
  if (vm.unmap(mapping, freed.bytes)) return limits_->dismiss(freed.bytes);
  const ds::LockGuard guard(lock_);
  if (!kept_.put(freed.address, freed.bytes)) {
    unwanted_.keep(vm, *limits_, mapping, freed.bytes, freed.bytes);
  }
}

}  // namespace tide::heap
