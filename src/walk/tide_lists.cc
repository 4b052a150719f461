#include "walk/tide_lists.h"

#include <fmt/format.h>

#include <algorithm>

#include "walk/root_check.h"

namespace tide::walk {

using List = Listed::List;

void TideLists::add_spans(const CacheRecord& cache, const LargePlace& large,
                          std::vector<Listed>& all) const {
  const layout::CachesAt& where = root_.root.caches;
  const layout::LargeAt& at = root_.root.large;
  std::vector<uint32_t> lists(where.span_list_count);
  target_.read({{cache.address + where.span_lists, lists.data(), lists.size() * sizeof(uint32_t)}});
  // A list that was caught in the middle of a change may have one more; a damaged one has no end.
  const int32_t owner = target_.thread_here(cache.owner);
  uint64_t left = uint64_t{cache.spans} + lists.size();
  for (uint32_t next : lists) {
    for (; next != 0 && next <= large.pages && left != 0; --left) {
      const uint64_t page = next - 1;
      all.push_back({large.base + page * at.page_bytes, 0, owner, List::kSpanCache});
      next = load_from<uint32_t>(target_, large.entries + page * at.entry_bytes + at.entry_next);
    }
  }
}

void TideLists::add_cache(const CacheRecord& cache, const LargePlace& large,
                          std::vector<Listed>& all) const {
  const layout::CachesAt& where = root_.root.caches;
  const int32_t owner = target_.thread_here(cache.owner);
  for (const CacheStack& stack : cache.stacks) {
    std::vector<uint64_t> blocks(stack.blocks);
    target_.read({{stack.first, blocks.data(), blocks.size() * sizeof(uint64_t)}});
    for (const uint64_t block : blocks) {
      if (block != 0) all.push_back({block, stack.size_class, owner, List::kCache});
    }
  }
  add_spans(cache, large, all);
  // Only hardened processes have ever touched these pages.
  if (root_.root.hardening.level == nullptr ||
      load_from<uint32_t>(target_, reinterpret_cast<uint64_t>(root_.root.hardening.level)) < 2) {
    return;
  }
  std::vector<uint64_t> waiting(where.place_count);
  target_.read({{cache.address + where.places, waiting.data(), waiting.size() * sizeof(uint64_t)}});
  const auto first = load_from<uint32_t>(target_, cache.address + where.queue_first);
  const auto queued = load_from<uint32_t>(target_, cache.address + where.queue_count);
  for (uint32_t i = 0; i < std::min(queued, where.queue_slots); ++i) {
    const uint64_t slot = (uint64_t{first} + i) % where.queue_slots;
    waiting.push_back(
        load_from<uint64_t>(target_, cache.address + where.queue + slot * sizeof(uint64_t)));
  }
  for (const uint64_t block : waiting) {
    if (block != 0) all.push_back({block, 0, owner, List::kWaiting});
  }
}

void TideLists::add_depots(std::vector<Listed>& all) const {
  const layout::BatchesAt& at = root_.root.batches;
  const auto homes_in_use = load_from<uint32_t>(target_, root_.at(root_.root.homes));
  for (size_t c = 0; c < root_.classes.size(); ++c) {
    const layout::ClassRow& row = root_.classes[c];
    if (row.block_bytes == 0) continue;
    const uint32_t depots = row.homes == 1 ? row.depots : std::min(row.depots, homes_in_use);
    for (uint32_t depot = 0; depot < depots; ++depot) {
      const auto full = load_from<uint32_t>(target_, root_.at(row.depot + depot * row.depot_step));
      for (uint32_t slot = 0; slot < at.slots; ++slot) {
        if (((full >> slot) & 1) == 0) continue;
        const uint64_t batch = root_.at(row.batches + depot * row.batches_step + slot * at.step);
        const uint32_t count =
            std::min(load_from<uint32_t>(target_, batch + at.count), at.step / 8);
        std::vector<uint64_t> blocks(count);
        if (count == 0) continue;
        target_.read({{batch + at.blocks, blocks.data(), count * sizeof(uint64_t)}});
        for (const uint64_t block : blocks) {
          all.push_back({block, static_cast<uint32_t>(c), 0, List::kDepot});
        }
      }
    }
  }
}

std::vector<uint64_t> TideLists::read_quarantine() const {
  const layout::HardeningAt& at = root_.root.hardening;
  std::vector<uint64_t> blocks;
  if (at.level == nullptr || at.quarantine == nullptr ||
      load_from<uint32_t>(target_, reinterpret_cast<uint64_t>(at.level)) < 2) {
    return blocks;
  }
  const auto quarantine = reinterpret_cast<uint64_t>(at.quarantine);
  const auto add = [&](uint64_t entry) {
    const auto address = load_from<uint64_t>(target_, entry + at.entry_address);
    if (address != 0) blocks.push_back(address);
  };
  for (uint32_t i = 0; i < at.place_count; ++i) {
    add(quarantine + at.places + uint64_t{i} * at.entry_bytes);
  }
  const auto first = load_from<uint32_t>(target_, quarantine + at.queue_first);
  const auto count = load_from<uint32_t>(target_, quarantine + at.queue_count);
  for (uint32_t i = 0; i < std::min(count, at.queue_slots); ++i) {
    const uint64_t slot = (uint64_t{first} + i) % at.queue_slots;
    add(quarantine + at.queue + slot * at.entry_bytes);
  }
  std::sort(blocks.begin(), blocks.end());
  return blocks;
}

std::vector<Listed> TideLists::read_all(const LargePlace& large) const {
  std::vector<Listed> all;
  for (const CacheRecord& cache : read_caches(target_, root_)) add_cache(cache, large, all);
  add_depots(all);
  for (const uint64_t block : read_quarantine()) all.push_back({block, 0, 0, List::kQuarantine});
  std::sort(all.begin(), all.end(),
            [](const Listed& a, const Listed& b) { return a.address < b.address; });
  return all;
}

std::string list_text(const Listed& listed) {
  switch (listed.list) {
    case List::kCache:
      return fmt::format("in the cache of thread {}", listed.thread);
    case List::kSpanCache:
      return fmt::format("in the cache of thread {}", listed.thread);
    case List::kDepot:
      return "in a depot, at hand for all threads";
    case List::kWaiting:
      return fmt::format("held back by thread {}", listed.thread);
    case List::kQuarantine:
      return "in the quarantine";
  }
  return {};
}

}  // namespace tide::walk
