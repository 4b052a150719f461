// Looking for what is not zero, with the widest vectors that the processor has.
#pragma once

#include <cstddef>

namespace tide::sys {

inline constexpr size_t kZeroPieceBytes = 512;

// How many bytes from `p` on read as zero, in whole pieces, of which each is looked at whole; at
// most `bytes`, a multiple of a piece. `p` is aligned to 16.
size_t zero_pieces(const void* p, size_t bytes);

// Asks the processor what it has. Before, and without it, vectors are those that all have.
void choose_vectors();

}  // namespace tide::sys
