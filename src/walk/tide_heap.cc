#include "walk/tide_heap.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "base/align.h"
#include "host/error.h"
#include "walk/heap_reader.h"
#include "walk/root_check.h"

namespace tide::walk {
namespace {

using base::address_of;

constexpr size_t kBlocksABatch = 4096;

// Collects blocks and hands them on by the batch.
class Batch {
 public:
  explicit Batch(const Heap::Visit& visit) : visit_(visit), blocks_(kBlocksABatch) {}

  bool add(const Block& block) {
    blocks_[count_++] = block;
    return count_ < kBlocksABatch || flush();
  }
  bool flush() {
    goes_on_ = goes_on_ && (count_ == 0 || visit_({blocks_.data(), count_}));
    count_ = 0;
    return goes_on_;
  }

 private:
  const Heap::Visit& visit_;
  std::vector<Block> blocks_;
  size_t count_ = 0;
  bool goes_on_ = true;
};

}  // namespace

TideHeap::TideHeap(const Target& target, uint64_t root_address)
    : target_(target), root_(read_tide_root(target, root_address)) {
  const uint64_t started = root_.at(root_.root.started);
  // Of a copy of the library that never gave anything out a core has not even that.
  is_started_ = !target.is_untouched(started) && load_from<uint8_t>(target, started) != 0;
  if (!is_started_) return;
  if (root_.root.states.is_kept == 0) {
    throw host::Error(
        "its Tide was built without the state map (TIDE_DETECTION=OFF): blocks "
        "cannot be told apart");
  }
  for (const layout::ZoneAt& zone : root_.root.zones) zones_.emplace_back(target, root_, zone);
  large_ = read_large_place(target, root_);
  const layout::HardeningAt& hardening = root_.root.hardening;
  if (hardening.level != nullptr) {
    harden_ = load_from<uint32_t>(target, address_of(hardening.level));
    has_standing_seals_ =
        harden_ != 0 && load_from<uint8_t>(target, address_of(hardening.standing_seals)) != 0;
  }
  const auto guard_page =
      target.load<uint64_t>(address_of(root_.root.guards) + root_.root.guard_pool.page_bytes);
  if (guard_page.value_or(0) != 0) system_page_ = *guard_page;
  quarantine_ = TideLists(target, root_).read_quarantine();
}

TideHeap::TideHeap(const Target& target, const layout::HeapHeader& header)
    : target_(target),
      root_(root_of_header(header)),
      is_started_(true),
      has_engine_(false),
      harden_(header.harden),
      has_standing_seals_(header.standing_seals != 0) {
  for (size_t i = 0; i < 2; ++i) {
    zones_.emplace_back(target, root_, root_.root.zones[i], header.zones[i]);
  }
  large_.base = header.large_base;
  large_.entries = header.large_entries;
  large_.page_bytes = root_.root.large.page_bytes;
  large_.pages = std::min(target.mapped_bytes(large_.base) / large_.page_bytes, kMostSpanPages);
}

void TideHeap::lose_lists(Unknown& unknown) {
  ++unknown.parts;
  if (unknown.reason.empty()) unknown.reason = "the library's own data are not in it";
}

bool TideHeap::is_quarantined(uint64_t address) const {
  return std::binary_search(quarantine_.begin(), quarantine_.end(), address);
}

uint64_t TideHeap::room(uint64_t address, uint64_t bytes, bool is_of_class) const {
  if (harden_ == 0) return bytes;
  const layout::HardeningAt& at = root_.root.hardening;
  const bool has_guard = harden_ >= at.guard_level && !is_of_class && address % system_page_ == 0;
  const uint64_t taken = at.seal_bytes + (has_guard ? system_page_ : 0);
  return taken <= bytes ? bytes - taken : bytes;
}

uint64_t TideHeap::usable(uint64_t address, uint64_t bytes, bool is_of_class) const {
  const uint64_t before_seal = room(address, bytes, is_of_class);
  if (before_seal == bytes || (has_standing_seals_ && is_of_class)) return before_seal;
  const auto seal = target_.load<uint64_t>(address + before_seal);
  const uint64_t slack = seal.value_or(0) >> 51;
  return slack <= before_seal ? before_seal - slack : before_seal;
}

Unknown TideHeap::for_each_large(const std::function<bool(const Large&)>& visit) const {
  const layout::LargeAt& at = root_.root.large;
  Unknown unknown;
  Buffer buffer;
  std::span<const std::byte> entries;
  uint64_t first = 0;  // of `entries`
  for (uint64_t page = 0; page < large_.pages;) {
    if ((page - first + 1) * at.entry_bytes > entries.size()) {
      const uint64_t ahead = std::min<uint64_t>(large_.pages - page, 1 << 16);
      entries =
          target_.view(large_.entries + page * at.entry_bytes, ahead * at.entry_bytes, buffer);
      first = page;
    }
    const uint64_t offset = (page - first) * at.entry_bytes;
    uint32_t pages = 0;
    uint8_t spare = 0;
    Large span{};
    if (entries.size() >= offset + at.entry_bytes) {
      const std::byte* const entry = entries.data() + offset;
      uint16_t owner;
      std::memcpy(&pages, entry + at.entry_pages, sizeof pages);
      std::memcpy(&span.state, entry + at.entry_state, sizeof span.state);
      std::memcpy(&owner, entry + at.entry_owner, sizeof owner);
      std::memcpy(&spare, entry + at.entry_spare, sizeof spare);
      span.owner = owner;
    }
    if (pages == 0 || pages > large_.pages - page) {
      // Spans are found by their lengths, one after the other: from here on none is.
      ++unknown.parts;
      unknown.bytes += (large_.pages - page) * at.page_bytes;
      unknown.reason = entries.size() < offset + at.entry_bytes ? "the table of spans is not there"
                                                                : "the table of spans is damaged";
      break;
    }
    span.address = large_.base + page * at.page_bytes;
    const uint32_t unused = span.state == at.live && spare < pages ? spare : 0;
    span.spare_bytes = uint64_t{unused} * at.page_bytes;
    span.bytes = uint64_t{pages} * at.page_bytes - span.spare_bytes;
    if (!visit(span)) break;
    page += pages;
  }
  return unknown;
}

std::vector<TideHeap::Large> TideHeap::huge_blocks() const {
  std::vector<Large> blocks;
  for (const HugeBlock& block : read_huge_table(target_, root_).blocks) {
    blocks.push_back({block.address, block.bytes, block.owner, root_.root.large.live});
  }
  return blocks;
}

CallStack TideHeap::read_stack(uint64_t at) const {
  const layout::GuardsAt& where = root_.root.guard_pool;
  CallStack stack;
  stack.thread = target_.thread_here(target_.load<int32_t>(at + where.thread).value_or(0));
  const uint32_t count = std::min(target_.load<uint32_t>(at + where.frame_count).value_or(0), 64u);
  for (uint32_t i = 0; i < count; ++i) {
    const auto frame = target_.load<uint64_t>(at + where.frames + i * sizeof(uint64_t));
    if (frame.has_value()) stack.frames.push_back(*frame);
  }
  return stack;
}

std::vector<TideHeap::Guarded> TideHeap::guarded_blocks(bool with_stacks) const {
  const layout::GuardsAt& at = root_.root.guard_pool;
  const uint64_t pool = address_of(root_.root.guards);
  std::vector<Guarded> found;
  if (pool == 0) return found;
  const auto slots = load_from<uint64_t>(target_, pool + at.slots);
  if (slots == 0) return found;
  const uint32_t used = std::min(load_from<uint32_t>(target_, pool + at.used), at.most);
  const auto base = load_from<uint64_t>(target_, pool + at.base);
  for (uint32_t i = 0; i < used; ++i) {
    const uint64_t slot = slots + uint64_t{i} * at.slot_bytes;
    Guarded guarded{};
    guarded.page_bytes = system_page_;
    guarded.page = base + (2 * uint64_t{i} + 1) * system_page_;
    Place& place = guarded.place;
    place.address = load_from<uint64_t>(target_, slot + at.block);
    place.bytes = load_from<uint64_t>(target_, slot + at.size);
    const auto state = load_from<uint8_t>(target_, slot + at.state);
    if (place.address == 0 || (state != at.live && state != at.freed)) continue;
    place.state = state == at.live ? BlockState::kLive : BlockState::kFree;
    place.span = {guarded.page, guarded.page + system_page_};
    place.where = "between guard pages";
    if (with_stacks) {
      place.allocated = read_stack(slot + at.allocated);
      if (state == at.freed) place.freed = read_stack(slot + at.released);
    }
    found.push_back(std::move(guarded));
  }
  return found;
}

Unknown TideHeap::for_each_block(const Visit& visit) const {
  Unknown unknown;
  Batch batch(visit);
  bool goes_on = true;
  for (const TideZone& zone : zones_) {
    TideZone::Bits bits;
    const Unknown here = zone.for_each_slab([&](const Slab& slab) {
      if (slab.size_class == 0 || zone.live_bits(slab.states, bits) == 0) return true;
      const uint64_t bytes = root_.classes[slab.size_class].block_bytes;
      for (size_t w = 0; w < bits.size(); ++w) {
        for (uint64_t word = bits[w]; word != 0; word &= word - 1) {
          const uint64_t granule = w * 64 + static_cast<uint64_t>(std::countr_zero(word));
          const uint64_t address = slab.address + granule * zone.granule_bytes();
          const uint64_t room = harden_ == 0 ? bytes : usable(address, bytes, true);
          goes_on = batch.add({address, room, slab.owner});
          if (!goes_on) return false;
        }
      }
      return true;
    });
    unknown.add(here);
    if (!goes_on) return unknown;
  }
  const auto add_large = [&](const Large& large) {
    if (large.state != root_.root.large.live || is_quarantined(large.address)) return true;
    goes_on = batch.add({large.address, usable(large.address, large.bytes, false), large.owner});
    return goes_on;
  };
  unknown.add(for_each_large(add_large));
  if (!goes_on || !is_started_) return unknown;
  try {
    if (!has_engine_) {
      lose_lists(unknown);
      batch.flush();
      return unknown;
    }
    for (const Large& block : huge_blocks()) {
      if (!add_large(block)) return unknown;
    }
    for (const Guarded& guarded : guarded_blocks(false)) {
      const Place& place = guarded.place;
      if (place.state != BlockState::kLive) continue;
      if (!batch.add({place.address, place.bytes, 0})) return unknown;
    }
  } catch (const host::Error&) {
    lose_lists(unknown);
  }
  batch.flush();
  return unknown;
}

HeapSummary TideHeap::summary() const {
  HeapSummary summary;
  std::vector<SizeRow> classes(root_.classes.size());
  std::map<uint64_t, SizeRow> large;
  std::map<uint32_t, HeapSummary::Owner> owners;
  owners[0] = {0, 0, 0};
  const auto count_for = [&](uint32_t owner, uint64_t blocks, uint64_t bytes) {
    HeapSummary::Owner& entry =
        owners.try_emplace(owner, HeapSummary::Owner{owner, 0, 0}).first->second;
    entry.live_blocks += blocks;
    entry.live_bytes += bytes;
    summary.live_blocks += blocks;
    summary.live_bytes += bytes;
  };
  uint64_t used = 0;
  uint64_t live_in_slabs = 0;
  for (const TideZone& zone : zones_) {
    TideZone::Bits bits;
    summary.unknown.add(zone.for_each_slab([&](const Slab& slab) {
      if (slab.size_class == 0) return true;
      SizeRow& row = classes[slab.size_class];
      const uint64_t bytes = root_.classes[slab.size_class].block_bytes;
      const uint64_t live = zone.live_bits(slab.states, bits);
      uint64_t live_bytes = live * bytes;
      if (harden_ != 0) {
        live_bytes = 0;
        for (size_t w = 0; w < bits.size(); ++w) {
          for (uint64_t word = bits[w]; word != 0; word &= word - 1) {
            const uint64_t granule = w * 64 + static_cast<uint64_t>(std::countr_zero(word));
            live_bytes += usable(slab.address + granule * zone.granule_bytes(), bytes, true);
          }
        }
      }
      row.bytes = bytes;
      row.live_blocks += live;
      row.live_bytes += live_bytes;
      row.free_blocks += slab.blocks >= slab.first + live ? slab.blocks - slab.first - live : 0;
      used += slab.used;
      live_in_slabs += live;
      count_for(slab.owner, live, live_bytes);
      return true;
    }));
  }
  const auto add_large = [&](const Large& span) {
    if (span.state != root_.root.large.live || is_quarantined(span.address)) return true;
    const uint64_t bytes = usable(span.address, span.bytes, false);
    SizeRow& row = large[bytes];
    row.bytes = bytes;
    ++row.live_blocks;
    row.live_bytes += bytes;
    count_for(span.owner, 1, bytes);
    return true;
  };
  summary.unknown.add(for_each_large(add_large));
  if (!is_started_) return summary;
  try {
    if (!has_engine_) throw host::Error("the library's own data are not in it");
    for (const Large& block : huge_blocks()) add_large(block);
    for (const Guarded& guarded : guarded_blocks(false)) {
      if (guarded.place.state != BlockState::kLive) continue;
      SizeRow& row = large[guarded.place.bytes];
      row.bytes = guarded.place.bytes;
      ++row.live_blocks;
      row.live_bytes += row.bytes;
      count_for(0, 1, row.bytes);
    }
    uint64_t listed_in_classes = 0;
    for (const Listed& block : listed()) {
      if (block.size_class != 0) ++classes[block.size_class].cached_blocks;
      const bool waits = block.list == Listed::List::kWaiting;
      if (block.size_class != 0 || waits) ++listed_in_classes;
    }
    const uint64_t known = live_in_slabs + listed_in_classes + held_blocks();
    summary.in_flight_blocks = used > known ? used - known : 0;
    const tide_stats totals = HeapReader(target_, address_of(root_.root.self)).figures().totals;
    summary.cached_bytes = totals.cached_bytes;
    summary.free_bytes = totals.free_dirty_bytes;
    summary.returned_bytes = totals.returned_bytes;
    summary.metadata_bytes = totals.metadata_bytes;
    summary.mapped_bytes = totals.mapped_bytes;
  } catch (const host::Error&) {
    lose_lists(summary.unknown);
  }
  for (SizeRow& row : classes) {
    row.free_blocks -= std::min(row.free_blocks, row.cached_blocks);
    if (row.bytes != 0) summary.rows.push_back(row);
  }
  for (const auto& [bytes, row] : large) summary.rows.push_back(row);
  std::stable_sort(summary.rows.begin(), summary.rows.end(),
                   [](const SizeRow& a, const SizeRow& b) { return a.bytes < b.bytes; });
  for (const auto& [number, owner] : owners) summary.owners.push_back(owner);
  return summary;
}

// In hardened mode a block's usable size is what was asked for, so the sizes of a class's requests
// are taken as they are without seals.
Range TideHeap::sizes_like(uint64_t bytes) const {
  uint64_t below = 0;
  for (const layout::ClassRow& row : root_.classes) {
    if (row.block_bytes >= bytes && row.block_bytes != 0) {
      return {below + 1, uint64_t{row.block_bytes} + 1};
    }
    below = std::max<uint64_t>(below, row.block_bytes);
  }
  const uint64_t page = root_.root.large.page_bytes;
  const uint64_t rounded = bytes > UINT64_MAX - page ? bytes : (bytes + page - 1) / page * page;
  return {std::max(below, rounded - page) + 1, rounded + 1};
}

uint64_t TideHeap::held_blocks() const {
  const layout::HeldAt& at = root_.root.held;
  const uint32_t count = std::min(load_from<uint32_t>(target_, root_.at(at.count)), at.most);
  uint64_t blocks = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t run = root_.at(at.runs) + uint64_t{i} * at.step;
    const auto first = load_from<uint16_t>(target_, run + at.first);
    const auto end = load_from<uint16_t>(target_, run + at.end);
    if (end > first) blocks += end - first;
  }
  return blocks;
}

const std::vector<Listed>& TideHeap::listed() const {
  if (!listed_.has_value()) listed_ = TideLists(target_, root_).read_all(large_);
  return *listed_;
}

}  // namespace tide::walk
