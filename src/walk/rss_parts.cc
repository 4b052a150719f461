#include "walk/rss_parts.h"

#include <algorithm>
#include <numeric>

namespace tide::walk {
namespace {

using host::Mapping;

Part part_of(MappingKind place) {
  switch (place) {
    case MappingKind::kProgram:
      return Part::kProgram;
    case MappingKind::kFile:
      return Part::kFiles;
    case MappingKind::kStack:
      return Part::kStacks;
    case MappingKind::kShared:
      return Part::kShared;
    case MappingKind::kBreak:
      return Part::kBreak;
    case MappingKind::kArena:
      return Part::kArenas;
    case MappingKind::kAnonymous:
      break;
  }
  return Part::kAnonymous;
}

// What is resident in each mapping, until somebody is found whose it is.
class Residents {
 public:
  explicit Residents(const ProcessPicture& picture) : picture_(picture) {
    for (const Mapping& mapping : picture.mappings) left_.push_back(mapping.rss);
  }

  // What is resident in these ranges, which is then explained.
  uint64_t take(const std::vector<Range>& ranges) {
    uint64_t total = 0;
    for (const Range& range : ranges) {
      for (size_t i = 0; i < left_.size(); ++i) {
        const Mapping& mapping = picture_.mappings[i];
        const uint64_t start = std::max(range.start, mapping.start);
        const uint64_t end = std::min(range.end, mapping.end);
        if (start >= end || left_[i] == 0) continue;
        const uint64_t bytes = std::min(left_[i], resident(mapping, start, end));
        left_[i] -= bytes;
        total += bytes;
      }
    }
    return total;
  }

  uint64_t left(size_t i) const { return left_[i]; }

 private:
  uint64_t resident(const Mapping& mapping, uint64_t start, uint64_t end) const {
    if (start == mapping.start && end == mapping.end) return mapping.rss;
    if (picture_.resident) {
      if (const auto known = picture_.resident(start, end)) return *known;
    }
    // As if it were spread evenly.
    const double share = static_cast<double>(end - start) / static_cast<double>(mapping.size());
    return static_cast<uint64_t>(share * static_cast<double>(mapping.rss));
  }

  const ProcessPicture& picture_;
  std::vector<uint64_t> left_;
};

// Blocks first: what is resident beyond them is free memory.
void split_zones(const HeapFigures& figures, uint64_t resident, RssParts& parts) {
  const tide_stats& totals = figures.totals;
  uint64_t left = resident;
  const auto assign = [&](Part part, uint64_t wanted) {
    const uint64_t bytes = std::min(wanted, left);
    parts.bytes[static_cast<size_t>(part)] += bytes;
    left -= bytes;
  };
  const uint64_t in_zones = totals.live_bytes - std::min(totals.live_bytes, totals.huge_live_bytes);
  assign(Part::kLive, in_zones);
  assign(Part::kCached, totals.cached_bytes);
  assign(Part::kFree, left);
  const uint64_t counted = in_zones + totals.cached_bytes + totals.free_dirty_bytes -
                           std::min(totals.free_dirty_bytes, totals.huge_cached_bytes);
  parts.untouched_bytes = counted > resident ? counted - resident : 0;
}

void add_tide(const TidePicture& heap, Residents& residents, RssParts& parts) {
  split_zones(heap.figures, residents.take(heap.ranges.zones), parts);
  parts.bytes[static_cast<size_t>(Part::kLive)] += residents.take(heap.ranges.huge);
  parts.kept_bytes = residents.take(heap.ranges.kept);
  parts.bytes[static_cast<size_t>(Part::kFree)] += parts.kept_bytes;
  parts.bytes[static_cast<size_t>(Part::kRecords)] += residents.take(heap.ranges.records);
  for (size_t i = 0; i < heap.figures.classes.size(); ++i) {
    const tide_class_stats& entry = heap.figures.classes[i];
    const uint64_t free_bytes = heap.figures.dirty_in_class[i];
    if (free_bytes == 0) continue;
    parts.free_in_classes.push_back(
        {entry.block_bytes, free_bytes, entry.slabs, entry.live_blocks});
  }
  std::stable_sort(
      parts.free_in_classes.begin(), parts.free_in_classes.end(),
      [](const FreeInClass& a, const FreeInClass& b) { return a.free_bytes > b.free_bytes; });
}

}  // namespace

std::string_view part_key(Part part) {
  static constexpr std::array<std::string_view, kPartCount> kKeys = {
      "live",      "cached", "free",    "records", "break",  "arenas",
      "anonymous", "stacks", "program", "files",   "shared", "not_explained"};
  return kKeys[static_cast<size_t>(part)];
}

RssParts find_parts(const ProcessPicture& picture) {
  RssParts parts;
  parts.allocator = recognise_allocator(picture);
  Residents residents(picture);
  if (picture.tide.has_value()) add_tide(*picture.tide, residents, parts);
  const std::vector<MappingKind> places = find_places(picture, parts.allocator);
  for (size_t i = 0; i < places.size(); ++i) {
    const Mapping& mapping = picture.mappings[i];
    parts.bytes[static_cast<size_t>(part_of(places[i]))] += residents.left(i);
    parts.stacks += places[i] == MappingKind::kStack;
    parts.arenas += places[i] == MappingKind::kArena;
    parts.huge_page_bytes += mapping.huge_pages;
    parts.hugetlb_bytes += mapping.hugetlb;
    parts.swap_bytes += mapping.swap;
  }
  // The kernel counts the RSS in batches per CPU: it may lag behind the mappings' sum.
  const uint64_t sum = std::accumulate(parts.bytes.begin(), parts.bytes.end(), uint64_t{0});
  parts.rss_bytes = std::max(picture.rss_bytes, sum);
  parts.bytes[static_cast<size_t>(Part::kUnexplained)] = parts.rss_bytes - sum;
  return parts;
}

}  // namespace tide::walk
