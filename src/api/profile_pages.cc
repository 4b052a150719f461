#include "api/profile_pages.h"

#include "api/allocate.h"
#include "base/racy.h"
#include "sys/residency.h"

namespace tide::api {
namespace {

using heap::PointerInfo;

// The bytes that [a, a + bytes) and [b, b + more) have in common.
size_t common_bytes(uintptr_t a, size_t bytes, uintptr_t b, size_t more) {
  const uintptr_t begin = a > b ? a : b;
  const uintptr_t end = a + bytes < b + more ? a + bytes : b + more;
  return begin < end ? end - begin : 0;
}

size_t resident_part(uintptr_t address, size_t bytes) {
  size_t resident = 0;
  return sys::resident_bytes(reinterpret_cast<const void*>(address), bytes, &resident) ? resident
                                                                                       : 0;
}

// Of a page's bytes those of live blocks, which are in a slab with `sample`.
size_t live_bytes(const PointerInfo& sample, uintptr_t page, size_t page_bytes) {
  const size_t step = sample.block_bytes;
  uintptr_t block = sample.block;
  while (block > page) block -= step;
  size_t live = 0;
  for (; block < page + page_bytes; block += step) {
    const PointerInfo info = g_engine.describe(reinterpret_cast<const void*>(block));
    // Beyond the slab's ends there is another.
    if (info.kind != PointerInfo::Kind::kLive || info.size_class != sample.size_class) continue;
    live += common_bytes(block, step, page, page_bytes);
  }
  return live;
}

double pinned_bytes(const PointerInfo& sample, size_t page_bytes) {
  double pinned = 0;
  const uintptr_t end = sample.block + sample.block_bytes;
  for (uintptr_t page = sample.block & ~(page_bytes - 1); page < end; page += page_bytes) {
    const size_t own = common_bytes(sample.block, sample.block_bytes, page, page_bytes);
    // What other threads do meanwhile may leave anything there.
    size_t live = live_bytes(sample, page, page_bytes);
    if (live < own) live = own;
    if (resident_part(page, page_bytes) == 0) continue;
    pinned += static_cast<double>(page_bytes - live) * static_cast<double>(own) /
              static_cast<double>(live);
  }
  return pinned;
}

}  // namespace

layout::SampledPages pages_of_sample(const layout::SampledBlock& sample, size_t page_bytes) {
  const uint64_t address = base::racy_load(sample.address);
  const uint64_t bytes = base::racy_load(sample.bytes);
  layout::SampledPages pages{address, 0, 0, 0};
  const PointerInfo info = g_engine.describe(reinterpret_cast<const void*>(address));
  if (!info.live) return pages;
  if (info.size_class != 0) pages.pinned = pinned_bytes(info, page_bytes);
  // Pages that are only partly its own count by what it has of them.
  const size_t to_next = page_bytes - address % page_bytes;
  const size_t first = bytes < to_next ? bytes : to_next;
  const size_t last = (bytes - first) % page_bytes;
  pages.resident = resident_part(address, first);
  pages.resident += resident_part(address + first, bytes - first - last);
  pages.resident += resident_part(address + bytes - last, last);
  return pages;
}

}  // namespace tide::api
