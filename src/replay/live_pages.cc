#include "replay/live_pages.h"

#include <algorithm>
#include <vector>

namespace tide::replay {

LivePages count_live_pages(const format::ReplaySlot* slots, uint64_t count, uint64_t page_bytes) {
  struct Range {
    uint64_t first;
    uint64_t last;
  };
  LivePages live;
  std::vector<Range> ranges;
  for (uint64_t i = 0; i < count; ++i) {
    const auto address = reinterpret_cast<uint64_t>(slots[i].pointer());
    if (address == 0) continue;
    const uint64_t size = slots[i].size();
    live.bytes += size;
    ranges.push_back({address / page_bytes, (address + (size == 0 ? 0 : size - 1)) / page_bytes});
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  uint64_t next = 0;  // the first page that has not been counted
  for (const Range& range : ranges) {
    const uint64_t first = std::max(range.first, next);
    if (range.last < first) continue;
    live.pages += range.last - first + 1;
    next = range.last + 1;
  }
  return live;
}

}  // namespace tide::replay
