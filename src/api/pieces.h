// Passes over a block in pieces of 16 bytes that may overlap, with as few branches as can be that
// depend on its length: where lengths are random the processor foretells them wrongly, which takes
// longer than the pass over a short block.
#pragma once

#include <cstddef>

#include "base/compiler.h"

namespace tide::api {

inline constexpr size_t kPieceBytes = 16;
inline constexpr size_t kLineBytes = 64;
// What is visited without a branch. More would cost blocks of a few bytes more than it saves.
inline constexpr size_t kFewLines = 2;

// Calls visit(at) for pieces that together are the `bytes` from `p` on, kPieceBytes to kFewLines *
// kLineBytes of them: as many calls whatever their number is.
template <class Byte, class Visit>
TIDE_INLINE void visit_few_lines(Byte* p, size_t bytes, Visit visit) {
  // Where pieces begin in a line, and lines in the block, if there is no end before.
  const size_t last = bytes - kPieceBytes;
  const size_t second = last < 16 ? last : 16;
  const size_t third = last < 32 ? last : 32;
  const size_t fourth = last < 48 ? last : 48;
  const auto visit_line = [&](Byte* line) {
    visit(line);
    visit(line + second);
    visit(line + third);
    visit(line + fourth);
  };
  static_assert(kFewLines == 2);  // compilers leave short loops as they are
  visit_line(p);
  size_t last_line = bytes > kLineBytes ? bytes - kLineBytes : 0;
  TIDE_PIN(last_line);  // or it becomes a branch
  visit_line(p + last_line);
}

// The same of at least kLineBytes, line by line.
template <class Byte, class Visit>
TIDE_INLINE void visit_lines(Byte* p, size_t bytes, Visit visit) {
  const auto visit_line = [&](Byte* line) {
    visit(line);
    visit(line + 16);
    visit(line + 32);
    visit(line + 48);
  };
  Byte* const last_line = p + bytes - kLineBytes;
  while (p < last_line) {
    visit_line(p);
    p += kLineBytes;
    TIDE_PIN(p);  // or what writes becomes a call of memset
  }
  visit_line(last_line);
}

// Either of them: at least kPieceBytes.
template <class Byte, class Visit>
TIDE_INLINE void visit_pieces(Byte* p, size_t bytes, Visit visit) {
  if (TIDE_LIKELY(bytes <= kFewLines * kLineBytes)) {
    visit_few_lines(p, bytes, visit);
  } else {
    visit_lines(p, bytes, visit);
  }
}

}  // namespace tide::api
