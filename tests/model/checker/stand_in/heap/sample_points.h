// In place of src/heap/sample_points.h: nobody samples, no slot is marked.
#pragma once

#include "layout/thread_cache.h"

namespace tide::heap {

inline void open_stack(layout::ThreadCache&, uint32_t) {}
inline void renew_marks(layout::ThreadCache&, uint32_t) {}
inline void close_stack(layout::ThreadCache&, uint32_t) {}

}  // namespace tide::heap
