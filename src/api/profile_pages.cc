#include "api/profile_pages.h"

#include "api/allocate.h"
#include "probe/profile_file.h"
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

bool is_resident(uintptr_t page) {
  size_t resident = 0;
  return sys::resident_bytes(reinterpret_cast<const void*>(page), 1, &resident) && resident != 0;
}

double pinned_bytes(const PointerInfo& sample, size_t page_bytes) {
  double pinned = 0;
  const uintptr_t end = sample.block + sample.block_bytes;
  for (uintptr_t page = sample.block & ~(page_bytes - 1); page < end; page += page_bytes) {
    const size_t own = common_bytes(sample.block, sample.block_bytes, page, page_bytes);
    // What other threads do meanwhile may leave anything there.
    size_t live = live_bytes(sample, page, page_bytes);
    if (live < own) live = own;
    if (!is_resident(page)) continue;
    pinned += static_cast<double>(page_bytes - live) * static_cast<double>(own) /
              static_cast<double>(live);
  }
  return pinned;
}

}  // namespace

layout::SampledPages pages_of_sample(const layout::SampledBlock& sample, size_t page_bytes) {
  layout::SampledPages pages = probe::residency_of_sample(sample, page_bytes);
  const PointerInfo info = g_engine.describe(reinterpret_cast<const void*>(pages.address));
  const bool is_of_slab = info.live && info.size_class != 0;
  pages.pinned = is_of_slab ? pinned_bytes(info, page_bytes) : 0;
  return pages;
}

}  // namespace tide::api
