// The tables that the unwinder reads lie in the files of programs and libraries. Whoever reads one
// makes pages around it resident that nobody else needs: 64 KiB for each.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tide::sys {

// Of those that are loaded now the tables may be released later: none of them will be unloaded. To
// be called before the program can have loaded anything itself.
void note_objects_at_start();

// Lets go of the resident pages of the tables for the object whose code is at `address`; who needs
// them gets them from the file again. Pages that somebody has written stay, as do those of an
// object whose tables do not lie apart from its code, and of one that was loaded later: it may be
// unloaded meanwhile, and other memory lie there. No lock is waited for, and nothing is
// allocated. Keeps errno.
void release_unwind_tables(uintptr_t address);

}  // namespace tide::sys
