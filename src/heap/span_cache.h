// The spans that a thread cache keeps: freed blocks of the large zone, at hand for the same thread
// without a lock.
//
// A span's own entry says kCached; the list in the thread cache only says where to look. So a
// second free of the block is found at once, and no span can be handed out twice.
#pragma once

#include <cstddef>
#include <cstdint>

#include "heap/large_zone.h"
#include "layout/thread_cache.h"

namespace tide::heap {

template <sys::VmSource Vm>
class SpanCache {
 public:
  using List = layout::CachedSpans;

  // Spans of more bytes are not kept.
  static constexpr size_t kMostSpanBytes = size_t{4} << 20;

  SpanCache(LargeZone<Vm>& zone, List& list) : zone_(zone), list_(list) {}

  // A block of at least `bytes` that is at most an eighth longer, or null. What is in it is
  // unknown.
  void* take(size_t bytes) {
    const auto pages = LargeZone<Vm>::pages_for(bytes);
    uint32_t best = List::kMost;
    uint32_t best_slack = pages / 8 + 1;
    for (uint32_t i = list_.count; i-- != 0;) {
      const uint32_t slack = list_.spans[i].pages - pages;  // wraps when too short
      if (slack >= best_slack) continue;
      best = i;
      best_slack = slack;
      if (slack == 0) break;
    }
    if (best == List::kMost) return nullptr;
    base::racy_store(list_.uses, list_.uses + 1);
    const uint32_t page = list_.spans[best].page;
    take_out(best, 1);
    return zone_.leave_cache(page);
  }

  // Keeps the live block that starts at `p`, which then is free; at most `most_bytes` in all. The
  // bytes that have to leave for it are added to `left_bytes`. False: not possible, nothing has
  // changed.
  bool put(const void* p, size_t most_bytes, size_t& left_bytes) {
    const auto most_pages = static_cast<uint32_t>(most_bytes >> layout::kSpanPageShift);
    const uint32_t pages = zone_.pages_of_live(p);
    if (pages == 0 || pages > most_pages / 2 || pages > kMostSpanBytes >> layout::kSpanPageShift) {
      return false;
    }
    while (list_.count == List::kMost || (list_.count != 0 && list_.pages + pages > most_pages)) {
      left_bytes += give_back(list_.count / 2 + 1);
    }
    base::racy_store(list_.uses, list_.uses + 1);
    list_.spans[list_.count] = {zone_.enter_cache(p), pages};
    std::atomic_signal_fence(std::memory_order_release);
    base::racy_store(list_.count, list_.count + 1);
    base::racy_store(list_.pages, list_.pages + pages);
    return true;
  }

  // The `count` oldest go back to the zone. Returns their bytes.
  size_t give_back(uint32_t count) {
    if (count > list_.count) count = list_.count;
    if (count == 0) return 0;
    const uint32_t before = list_.pages;
    layout::CachedSpan leaving[List::kMost];
    for (uint32_t i = 0; i < count; ++i) leaving[i] = list_.spans[i];
    take_out(0, count);
    zone_.release_cached(leaving, count);
    return size_t{before - list_.pages} << layout::kSpanPageShift;
  }

  void drain() { give_back(list_.count); }

 private:
  void take_out(uint32_t first, uint32_t count) {
    const uint32_t left = list_.count - count;
    uint32_t pages = 0;
    for (uint32_t i = first; i < first + count; ++i) pages += list_.spans[i].pages;
    // A fork in here finds an empty list: spans are lost there, never doubled.
    base::racy_store(list_.count, 0u);
    std::atomic_signal_fence(std::memory_order_release);
    for (uint32_t i = first; i < left; ++i) list_.spans[i] = list_.spans[i + count];
    std::atomic_signal_fence(std::memory_order_release);
    base::racy_store(list_.pages, list_.pages - pages);
    base::racy_store(list_.count, left);
  }

  LargeZone<Vm>& zone_;
  List& list_;
};

}  // namespace tide::heap
