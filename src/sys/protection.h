// Access to pages of ours: taken away so that a stray access faults, and given again. Both
// functions keep errno; addresses and sizes are multiples of the page size.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::sys {

// Reserves `bytes` of addresses that may not be touched; null when there are none.
void* reserve(size_t bytes);

// False: nothing has changed. Each stretch with other access than its neighbours is a mapping, of
// which a process has vm.max_map_count.
bool deny_access(uintptr_t address, size_t bytes);
bool allow_access(uintptr_t address, size_t bytes);

}  // namespace tide::sys
