#include "inspect/pointees.h"

#include <algorithm>

namespace tide::inspect {
namespace {

Pointee kind_of(const walk::Segment& segment, const std::vector<walk::Thread>& threads) {
  if (segment.is_file()) return Pointee::kModule;
  if (segment.file.starts_with("[stack")) return Pointee::kStack;
  const bool has_stack_in_it =
      segment.is_writable && std::any_of(threads.begin(), threads.end(), [&](const auto& thread) {
        return thread.stack_pointer != 0 && segment.contains(thread.stack_pointer);
      });
  return has_stack_in_it ? Pointee::kStack : Pointee::kOther;
}

}  // namespace

Pointees::Pointees(const walk::Target& target, Heaps heaps) : heaps_(heaps) {
  std::vector<walk::Range> ranges;
  for (const auto& heap : heaps) {
    const std::vector<walk::Range> own = heap->ranges();
    ranges.insert(ranges.end(), own.begin(), own.end());
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const walk::Range& a, const walk::Range& b) { return a.start < b.start; });
  auto range = ranges.begin();
  const auto add = [this](uint64_t start, uint64_t end, Pointee pointee) {
    if (start >= end) return;
    if (!areas_.empty() && areas_.back().end == start && areas_.back().pointee == pointee) {
      areas_.back().end = end;
    } else {
      areas_.push_back({start, end, pointee});
    }
  };
  // Each segment, cut up by the heap's ranges.
  for (const walk::Segment& segment : target.segments()) {
    const Pointee pointee = kind_of(segment, target.threads());
    uint64_t at = segment.start;
    while (range != ranges.end() && range->end <= at) ++range;
    for (auto in = range; in != ranges.end() && in->start < segment.end; ++in) {
      add(at, std::max(in->start, at), pointee);
      const uint64_t start = std::max(in->start, at);
      at = std::max(at, std::min(in->end, segment.end));
      add(start, at, Pointee::kHeap);
    }
    add(at, segment.end, pointee);
  }
  if (areas_.empty()) areas_.push_back({0, 0, Pointee::kNothing});
  lowest_ = areas_.front().start;
  extent_ = areas_.back().end - lowest_;
  const bool is_quick = std::all_of(heaps.begin(), heaps.end(),
                                    [](const auto& heap) { return heap->finds_quickly(); });
  if (!is_quick) index_ = std::make_unique<BlockIndex>(heaps);
}

Pointee Pointees::look_up(uint64_t word) const {
  auto after = std::upper_bound(areas_.begin(), areas_.end(), word,
                                [](uint64_t w, const Area& area) { return w < area.start; });
  if (after == areas_.begin()) return Pointee::kNothing;
  --after;
  if (word >= after->end) return Pointee::kNothing;
  last_ = static_cast<size_t>(after - areas_.begin());
  return after->pointee;
}

std::optional<walk::Block> Pointees::live_block(uint64_t word) const {
  if (of(word) != Pointee::kHeap) return std::nullopt;
  if (index_ != nullptr) {
    const uint32_t block = index_->find(word);
    if (block == BlockIndex::kNone) return std::nullopt;
    return walk::Block{index_->address_of(block), index_->bytes_of(block), 0};
  }
  for (const auto& heap : heaps_) {
    const std::optional<walk::Place> place = heap->find(word);
    if (!place.has_value()) continue;
    if (place->state != walk::BlockState::kLive || word - place->address >= place->bytes) {
      return std::nullopt;
    }
    return walk::Block{place->address, place->bytes, place->owner};
  }
  return std::nullopt;
}

std::optional<walk::Block> Pointees::live_block_at(uint64_t word) const {
  if (word % 8 != 0) return std::nullopt;
  const std::optional<walk::Block> block = live_block(word);
  return block.has_value() && block->address == word ? block : std::nullopt;
}

}  // namespace tide::inspect
