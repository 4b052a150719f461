// Where things are in a heap of Tide: the parts of TideHeap that answer for addresses.
#include <fmt/format.h>

#include <algorithm>

#include "host/error.h"
#include "walk/heap_reader.h"
#include "walk/root_check.h"
#include "walk/sampled_stack.h"
#include "walk/tide_check.h"
#include "walk/tide_heap.h"

namespace tide::walk {

// What is in no list and not free in its slab is in some call's hands.
std::string TideHeap::where_listed(uint64_t block, BlockState& state) const {
  state = BlockState::kInFlight;
  try {
    const std::vector<Listed>& all = listed();
    const auto found = std::lower_bound(
        all.begin(), all.end(), block,
        [](const Listed& entry, uint64_t address) { return entry.address < address; });
    if (found == all.end() || found->address != block) return {};
    const bool waits =
        found->list == Listed::List::kWaiting || found->list == Listed::List::kQuarantine;
    state = waits ? BlockState::kWaiting : BlockState::kCached;
    return list_text(*found);
  } catch (const host::Error&) {
    state = BlockState::kCached;
    return "in a list that cannot be read";
  }
}

std::optional<Place> TideHeap::find_in_slab(const TideZone& zone, uint64_t address) const {
  Buffer buffer;
  const std::optional<Slab> slab = zone.slab_at(address, buffer);
  if (!slab.has_value()) return std::nullopt;
  Place place;
  place.span = {slab->address, slab->address + zone.slab_bytes()};
  place.owner = slab->owner;
  if (slab->size_class == 0) {
    place.address = slab->address;
    place.bytes = zone.slab_bytes();
    place.where = "a slab without a size class";
    if (slab->last_class != 0 && slab->last_class < root_.classes.size()) {
      place.where += fmt::format("; it had blocks of {} bytes before",
                                 root_.classes[slab->last_class].block_bytes);
    }
    return place;
  }
  const uint64_t bytes = root_.classes[slab->size_class].block_bytes;
  const auto block = static_cast<uint32_t>((address - slab->address) / bytes);
  place.address = slab->address + block * bytes;
  place.class_bytes = bytes;
  place.bytes = bytes;
  if (block >= slab->blocks || block < slab->first) {
    place.where = "a part of the slab that no block uses";
    return place;
  }
  if (block >= slab->carved) {
    place.where = "never handed out";
    return place;
  }
  const std::byte state = slab->states[block * zone.granules_of(slab->size_class)];
  if (zone.is_live(state)) {
    place.state = BlockState::kLive;
    place.bytes = usable(place.address, bytes, true);
  } else if (zone.is_free(*slab, block)) {
    place.state = BlockState::kFree;
  } else {
    place.where = where_listed(place.address, place.state);
  }
  return place;
}

std::optional<Place> TideHeap::find_large(uint64_t address) const {
  const layout::LargeAt& at = root_.root.large;
  std::optional<Place> found;
  for_each_large([&](const Large& span) {
    if (address >= span.address + span.bytes) return true;
    if (address < span.address) return false;
    Place place;
    place.address = span.address;
    place.bytes = span.bytes;
    place.span = {span.address, span.address + span.bytes};
    place.owner = span.owner;
    if (span.state == at.live && is_quarantined(span.address)) {
      place.state = BlockState::kWaiting;
      place.where = "in the quarantine";
    } else if (span.state == at.live) {
      place.state = BlockState::kLive;
      place.bytes = usable(span.address, span.bytes, false);
    } else if (span.state == at.cached) {
      place.where = where_listed(span.address, place.state);
      if (place.state == BlockState::kInFlight) place.state = BlockState::kCached;
    } else {
      place.where = span.state == at.dirty   ? "a free span"
                    : span.state == at.clean ? "a free span that was given back or never used"
                                             : "a span out of use";
    }
    found = place;
    return false;
  });
  return found;
}

std::optional<Place> TideHeap::find(uint64_t address) const {
  std::optional<Place> place = find_place(address);
  if (place.has_value() && place->state == BlockState::kLive && place->allocated.frames.empty()) {
    const auto table = reinterpret_cast<uint64_t>(root_.root.profile);
    if (table != 0) place->allocated = sampled_stack(target_, table, place->address);
  }
  return place;
}

std::optional<Place> TideHeap::find_place(uint64_t address) const {
  for (const TideZone& zone : zones_) {
    if (zone.addresses().contains(address)) return find_in_slab(zone, address);
  }
  if (large_.blocks().contains(address)) return find_large(address);
  if (!is_started_ || !has_engine_) return std::nullopt;
  for (const Large& block : huge_blocks()) {
    if (address < block.address || address >= block.address + block.bytes) continue;
    Place place;
    const bool waits = is_quarantined(block.address);
    place.state = waits ? BlockState::kWaiting : BlockState::kLive;
    place.address = block.address;
    place.bytes = waits ? block.bytes : usable(block.address, block.bytes, false);
    place.owner = block.owner;
    place.span = {block.address, block.address + block.bytes};
    place.where = waits ? "in the quarantine" : "a mapping of its own";
    return place;
  }
  for (const Guarded& guarded : guarded_blocks(true)) {
    if (guarded.place.span.contains(address)) return guarded.place;
  }
  return std::nullopt;
}

std::vector<Range> TideHeap::ranges() const {
  std::vector<Range> ranges;
  if (!is_started_) return ranges;
  for (const TideZone& zone : zones_) {
    const Range range = zone.addresses();
    if (range.start < range.end) ranges.push_back(range);
  }
  if (large_.pages != 0) ranges.push_back(large_.blocks());
  try {
    if (!has_engine_) throw host::Error("the library's own data are not in it");
    for (const Large& block : huge_blocks()) {
      ranges.push_back({block.address, block.address + block.bytes});
    }
    for (const Guarded& guarded : guarded_blocks(false)) ranges.push_back(guarded.place.span);
  } catch (const host::Error&) {
    // for_each_block() says that they are not there.
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
  return ranges;
}

std::vector<Range> TideHeap::records() const {
  if (!has_engine_) return {};
  if (!is_started_) return {{root_.at(0), root_.at(root_.root.engine_bytes)}};
  try {
    const HeapRanges known =
        HeapReader(target_, reinterpret_cast<uint64_t>(root_.root.self)).ranges();
    std::vector<Range> records = known.records;
    // Blocks that were freed and kept as mappings: nothing in them means anything.
    records.insert(records.end(), known.kept.begin(), known.kept.end());
    const auto guards = reinterpret_cast<uint64_t>(root_.root.guards);
    const layout::GuardsAt& at = root_.root.guard_pool;
    const uint64_t slots = guards == 0 ? 0 : target_.load<uint64_t>(guards + at.slots).value_or(0);
    if (slots != 0) records.push_back({slots, slots + uint64_t{at.most} * at.slot_bytes});
    return records;
  } catch (const host::Error&) {
    return {{root_.at(0), root_.at(root_.root.engine_bytes)}};
  }
}

std::vector<HeapThread> TideHeap::threads() const {
  std::vector<HeapThread> threads;
  if (!is_started_ || !has_engine_) return threads;
  const HeapFigures figures =
      HeapReader(target_, reinterpret_cast<uint64_t>(root_.root.self)).figures();
  for (const tide_thread_stats& thread : figures.threads) {
    threads.push_back({target_.thread_here(static_cast<int>(thread.thread_id)),
                       thread.state != TIDE_THREAD_OWNED, thread.cached_blocks,
                       thread.cached_bytes});
  }
  return threads;
}

Unknown TideHeap::for_each_span(const VisitSpan& visit) const {
  Unknown unknown;
  bool goes_on = true;
  for (const TideZone& zone : zones_) {
    TideZone::Bits bits;
    const Unknown here = zone.for_each_slab([&](const Slab& slab) {
      Span span;
      span.range = {slab.address, slab.address + zone.slab_bytes()};
      span.owner = slab.owner;
      span.is_free = slab.size_class == 0;
      span.returned_bytes = slab.returned_bytes;
      TideZone::Bits live{};
      if (!span.is_free) {
        span.block_bytes = root_.classes[slab.size_class].block_bytes;
        span.blocks = slab.blocks;
        span.live_blocks = zone.live_bits(slab.states, bits);
        const uint64_t granules = zone.granules_of(slab.size_class);
        for (uint32_t i = slab.first; i < slab.carved; ++i) {
          const uint64_t granule = i * granules;
          live[i / 64] |= ((bits[granule / 64] >> (granule % 64)) & 1) << (i % 64);
        }
        span.live = std::span<const uint64_t>(live).first((slab.blocks + 63) / 64);
        span.returned_bytes +=
            zone.slab_bytes() - uint64_t{slab.carved - slab.first} * span.block_bytes;
      }
      goes_on = visit(span);
      return goes_on;
    });
    unknown.add(here);
    if (!goes_on) return unknown;
  }
  const auto add = [&](const Large& large) {
    Span span;
    span.range = {large.address, large.address + large.bytes};
    span.owner = large.owner;
    const bool is_live = large.state == root_.root.large.live && !is_quarantined(large.address);
    span.is_free = !is_live;
    span.blocks = 1;
    span.live_blocks = is_live ? 1 : 0;
    if (large.state == root_.root.large.clean) span.returned_bytes = large.bytes;
    goes_on = visit(span);
    return goes_on;
  };
  const Unknown large = for_each_large(add);
  unknown.add(large);
  if (!goes_on || !is_started_) return unknown;
  if (!has_engine_) {
    lose_lists(unknown);
    return unknown;
  }
  for (const Large& block : huge_blocks()) {
    if (!add(block)) break;
  }
  return unknown;
}

}  // namespace tide::walk
