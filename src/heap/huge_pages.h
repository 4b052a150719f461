// Huge pages of the system's own making (transparent huge pages set to `always`) that are not worth
// breaking: a page of 2 MiB that loses some KiB is 512 entries of the processor's tables instead of
// one, for good.
//
// So what goes by itself is either something whole - an empty slab, a free span of 64 KiB or more,
// a mapping: a thirty-second part of the page at least - or lies in a huge page of which half or
// more is free. At half the page is as much waste as use, and its end is near. What is asked for,
// and what a limit wants, goes whatever it breaks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/racy.h"
#include "heap/zone.h"

namespace tide::heap {

// A free span of fewer bytes does not break a huge page.
inline constexpr size_t kFewBytes = size_t{64} << 10;

// The answer for slabs in ascending order; each huge page's records are read once.
template <sys::VmSource Vm>
class SparseHugePages {
 public:
  explicit SparseHugePages(const Zone<Vm>& zone) : zone_(zone) {}

  // Whether at least half of the huge page that the slab lies on is free. As good as a moment's
  // look can tell.
  bool has(uint32_t slab) {
    const auto slabs = static_cast<uint32_t>(kHugePageBytes / zone_.slab_bytes());
    const uint32_t first = slab / slabs * slabs;
    if (first != first_) {
      first_ = first;
      is_sparse_ = used_bytes(first, first + slabs) <= kHugePageBytes / 2;
    }
    return is_sparse_;
  }

 private:
  size_t used_bytes(uint32_t first, uint32_t end) const {
    const uint32_t seen = zone_.slabs_seen();
    size_t total = 0;
    for (uint32_t i = first; i < end && i < seen; ++i) {
      const layout::Slab& slab = zone_.slab(i);
      if (base::published_load(slab.size_class) == 0) continue;
      total += (size_t{base::racy_load(slab.used)} * slab.granules) << zone_.shift();
    }
    return total;
  }

  const Zone<Vm>& zone_;
  uint32_t first_ = UINT32_MAX;
  bool is_sparse_ = false;
};

}  // namespace tide::heap
