// The ELF note by which a reader finds the heap's root in a file that was stripped, without a
// search: in libtide.so, and in every program that libtide.a is linked into. It lies on the first
// page of its file, which every core has.
#pragma once

#include <cstdint>

namespace tide::layout {

// Written as text too, in api/heap_root.cc.
inline constexpr char kNoteOwner[] = "Tide";
inline constexpr uint32_t kNoteType = 1;
inline constexpr uint32_t kNoteVersion = 1;
// Likewise in libtide-trace.so, of the samples that it takes: to a ProfileRoot.
inline constexpr uint32_t kProfileNoteType = 2;

// The descriptor, aligned to 4 bytes only; new fields go to the end.
struct HeapNoteAt {
  uint32_t root;     // int64: from the descriptor's address to the root
  uint32_t version;  // uint32
  uint32_t bytes;    // of all of it, at least
};
inline constexpr HeapNoteAt kNoteAt = {0, 8, 12};

}  // namespace tide::layout
