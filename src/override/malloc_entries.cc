// Which twin belongs to which function of malloc.cc.
#include "override/entry.h"

TIDE_DECLARE_ENTRY(malloc);
TIDE_DECLARE_ENTRY(free);
TIDE_DECLARE_ENTRY(calloc);
TIDE_DECLARE_ENTRY(realloc);
TIDE_DECLARE_ENTRY(reallocarray);
TIDE_DECLARE_ENTRY(free_sized);
TIDE_DECLARE_ENTRY(free_aligned_sized);
TIDE_DECLARE_ENTRY(aligned_alloc);
TIDE_DECLARE_ENTRY(posix_memalign);
TIDE_DECLARE_ENTRY(memalign);
TIDE_DECLARE_ENTRY(valloc);
TIDE_DECLARE_ENTRY(pvalloc);

extern "C" {
constinit tide::layout::EntryRow tide_malloc_entries[] = {
    TIDE_ENTRY_ROW(malloc),
    TIDE_ENTRY_ROW(free),
    TIDE_ENTRY_ROW(calloc),
    TIDE_ENTRY_ROW(realloc),
    TIDE_ENTRY_ROW(reallocarray),
    TIDE_ENTRY_ROW(free_sized),
    TIDE_ENTRY_ROW(free_aligned_sized),
    TIDE_ENTRY_ROW(aligned_alloc),
    TIDE_ENTRY_ROW(posix_memalign),
    TIDE_ENTRY_ROW(memalign),
    TIDE_ENTRY_ROW(valloc),
    TIDE_ENTRY_ROW(pvalloc),
    {},
};
}  // extern "C"
