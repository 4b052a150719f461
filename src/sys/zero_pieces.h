// Looking for what is not zero, with the widest vectors that the processor has.
#pragma once

#include <cstddef>

namespace tide::sys {

inline constexpr size_t kZeroPieceBytes = 512;

// How many bytes from `p` on read as zero, in whole pieces, of which each is looked at whole; at
// most `bytes`, a multiple of a piece. `p` is aligned to 8.
size_t zero_pieces(const void* p, size_t bytes);

// Whether all of `bytes`, at least kLeastIsZeroBytes, from `p` on are zero; both multiples of 8.
inline constexpr size_t kLeastIsZeroBytes = 128;
bool is_zero(const void* p, size_t bytes);

enum class Vectors { kOfAll, kWide, kWidest };

// Asks the processor what it has; `most` are for tests. Before, and without it, vectors are those
// that all have.
void choose_vectors(Vectors most = Vectors::kWidest);

}  // namespace tide::sys
