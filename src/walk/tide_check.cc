#include "walk/tide_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "host/error.h"
#include "walk/root_check.h"

namespace tide::walk {

void TideCheck::report(uint64_t address, std::string text) {
  if (!is_full()) problems_.push_back({address, std::move(text)});
}

void TideCheck::check_slab(const TideZone& zone, const Slab& slab) {
  const auto bits = zone.free_bits(slab);
  if (!bits.has_value()) {
    return report(slab.address, "the bitmap of the slab's free blocks cannot be read");
  }
  TideZone::Bits live{};
  const uint32_t live_count = zone.live_bits(slab.states, live);
  const uint64_t granules = zone.granules_of(slab.size_class);
  const uint64_t bytes = granules * zone.granule_bytes();
  uint32_t free_count = 0;
  for (uint32_t granule = 0; granule < zone.granules_per_slab() && !is_full(); ++granule) {
    const bool is_live = ((live[granule / 64] >> (granule % 64)) & 1) != 0;
    const bool is_free = (((*bits)[granule / 64] >> (granule % 64)) & 1) != 0;
    if (!is_live && !is_free) continue;
    const uint64_t block = granule / granules;
    const uint64_t address = slab.address + granule * zone.granule_bytes();
    const bool begins = granule % granules == 0 && block >= slab.first && block < slab.carved;
    if (!begins) {
      report(address,
             fmt::format("{} where no {}-byte block begins: its records were written over",
                         is_live ? "a live block is noted" : "a free block is noted", bytes));
    } else if (is_live && is_free) {
      report(address, fmt::format("the {}-byte block is noted as live and as free", bytes));
    }
    free_count += is_free;
  }
  const uint64_t counted = uint64_t{slab.first} + slab.used + free_count;
  // A call that was cut short leaves at most a batch on its way.
  constexpr uint32_t kBatch = 64;
  const uint64_t off = counted > slab.carved ? counted - slab.carved : slab.carved - counted;
  if (off > kBatch) {
    report(slab.address,
           fmt::format("the slab of {}-byte blocks counts {} used and {} free of {} handed out",
                       bytes, slab.used, free_count, slab.carved - slab.first));
  }
  if (live_count > slab.used + kBatch) {
    report(slab.address, fmt::format("the slab of {}-byte blocks has {} live ones and counts {}",
                                     bytes, live_count, slab.used));
  }
  used_ += slab.used;
  live_ += live_count;
}

void TideCheck::check_zone(const TideZone& zone) {
  const Unknown unknown = zone.for_each_slab([&](const Slab& slab) {
    if (slab.size_class != 0) check_slab(zone, slab);
    return !is_full();
  });
  if (unknown.parts != 0) {
    report(zone.addresses().start,
           fmt::format("{} slabs could not be looked at: {}", unknown.parts, unknown.reason));
  }
}

void TideCheck::check_listed(const Listed& block) {
  const std::string where = list_text(block);
  const auto place = heap_.find(block.address);
  if (!place.has_value()) {
    return report(block.address, fmt::format("{} is an address of no block", where));
  }
  if (place->address != block.address) {
    return report(block.address, fmt::format("{} is an address in the middle of the block at {:#x}",
                                             where, place->address));
  }
  if (place->state == BlockState::kLive) {
    return report(block.address, fmt::format("a live block is {}, too", where));
  }
  if (place->state == BlockState::kFree) {
    return report(block.address, fmt::format("a block that is free in its slab is {}, too", where));
  }
  if (block.size_class != 0 &&
      place->class_bytes != heap_.root().classes[block.size_class].block_bytes) {
    report(block.address,
           fmt::format("{} is a block of {} bytes among such of {}", where, place->class_bytes,
                       heap_.root().classes[block.size_class].block_bytes));
  }
}

void TideCheck::check_lists() {
  const std::vector<Listed>& all = heap_.listed();
  for (size_t i = 0; i < all.size() && !is_full(); ++i) {
    if (all[i].size_class != 0 || all[i].list == Listed::List::kWaiting) ++listed_;
    if (i != 0 && all[i].address == all[i - 1].address) {
      report(all[i].address,
             fmt::format("the block is {} and {}", list_text(all[i - 1]), list_text(all[i])));
      continue;
    }
    check_listed(all[i]);
  }
  // Each thread, and who gives memory back, may be about to bring a cache's stack to the slabs.
  uint64_t stack = 0;
  for (const layout::StackRow& row : heap_.root().stacks) {
    stack = std::max<uint64_t>(stack, row.most_blocks);
  }
  const uint64_t known = live_ + listed_ + heap_.held_blocks();
  const uint64_t threads = heap_.threads().size();
  if (used_ > known + stack * (threads + 1) && !is_full()) {
    report(heap_.root().at(0),
           fmt::format("{} blocks are neither live nor free nor in any list", used_ - known));
  }
}

void TideCheck::check_large() {
  uint64_t pages = 0;
  uint64_t most = 0;
  const layout::LargeAt& at = heap_.root().root.large;
  const Unknown unknown = heap_.for_each_large([&](const TideHeap::Large& span) {
    const uint64_t its_pages = (span.bytes + span.spare_bytes) / at.page_bytes;
    most = std::max(most, its_pages);
    if (span.state == at.live || span.state == at.cached) pages += its_pages;
    return true;
  });
  if (unknown.parts != 0) {
    return report(heap_.large_.base, fmt::format("{}: {} bytes behind it are not known",
                                                 unknown.reason, unknown.bytes));
  }
  const auto counted = load_from<uint64_t>(heap_.target_, heap_.root().at(at.live_pages));
  // A call that was cut short leaves at most a span on its way.
  if (std::max(counted, pages) - std::min(counted, pages) > most) {
    report(heap_.large_.base,
           fmt::format("large blocks have {} pages and the heap counts {}", pages, counted));
  }
}

std::vector<Problem> TideCheck::run(size_t most) {
  most_ = most;
  for (const TideZone& zone : heap_.zones_) check_zone(zone);
  try {
    check_large();
    check_lists();
    check_seals();
    check_freed();
  } catch (const host::Error& error) {
    report(heap_.root().at(0), error.what());
  }
  return std::move(problems_);
}

std::vector<Problem> TideHeap::check(size_t most) const { return TideCheck(*this).run(most); }

std::string TideHeap::not_checked() const {
  if (harden_ != 0) return {};
  return "the records lie apart from the blocks: what was written past a block's end, or into a "
         "freed block, shows in hardened mode only (TIDE_HARDEN=1 to 3)";
}

}  // namespace tide::walk
