// Which twin belongs to which function of new.cc.
#include "override/entry.h"

TIDE_DECLARE_ENTRY(new_block);
TIDE_DECLARE_ENTRY(new_array);
TIDE_DECLARE_ENTRY(new_nothrow);
TIDE_DECLARE_ENTRY(new_array_nothrow);
TIDE_DECLARE_ENTRY(new_aligned);
TIDE_DECLARE_ENTRY(new_array_aligned);
TIDE_DECLARE_ENTRY(new_aligned_nothrow);
TIDE_DECLARE_ENTRY(new_array_aligned_nothrow);
TIDE_DECLARE_ENTRY(delete_block);
TIDE_DECLARE_ENTRY(delete_array);
TIDE_DECLARE_ENTRY(delete_nothrow);
TIDE_DECLARE_ENTRY(delete_array_nothrow);
TIDE_DECLARE_ENTRY(delete_sized);
TIDE_DECLARE_ENTRY(delete_array_sized);
TIDE_DECLARE_ENTRY(delete_aligned);
TIDE_DECLARE_ENTRY(delete_array_aligned);
TIDE_DECLARE_ENTRY(delete_aligned_nothrow);
TIDE_DECLARE_ENTRY(delete_array_aligned_nothrow);
TIDE_DECLARE_ENTRY(delete_sized_aligned);
TIDE_DECLARE_ENTRY(delete_array_sized_aligned);

extern "C" {
constinit tide::layout::EntryRow tide_new_entries[] = {
    TIDE_ENTRY_ROW(new_block),
    TIDE_ENTRY_ROW(new_array),
    TIDE_ENTRY_ROW(new_nothrow),
    TIDE_ENTRY_ROW(new_array_nothrow),
    TIDE_ENTRY_ROW(new_aligned),
    TIDE_ENTRY_ROW(new_array_aligned),
    TIDE_ENTRY_ROW(new_aligned_nothrow),
    TIDE_ENTRY_ROW(new_array_aligned_nothrow),
    TIDE_ENTRY_ROW(delete_block),
    TIDE_ENTRY_ROW(delete_array),
    TIDE_ENTRY_ROW(delete_nothrow),
    TIDE_ENTRY_ROW(delete_array_nothrow),
    TIDE_ENTRY_ROW(delete_sized),
    TIDE_ENTRY_ROW(delete_array_sized),
    TIDE_ENTRY_ROW(delete_aligned),
    TIDE_ENTRY_ROW(delete_array_aligned),
    TIDE_ENTRY_ROW(delete_aligned_nothrow),
    TIDE_ENTRY_ROW(delete_array_aligned_nothrow),
    TIDE_ENTRY_ROW(delete_sized_aligned),
    TIDE_ENTRY_ROW(delete_array_sized_aligned),
    {},
};
}  // extern "C"
