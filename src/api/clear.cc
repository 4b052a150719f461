#include "api/clear.h"

namespace tide::api {

namespace {

constexpr size_t kPieceBytes = 512;

using Line = uint64_t __attribute__((vector_size(16)));

bool is_zero(const Line& line) { return (line[0] | line[1]) == 0; }

// Whether all of a piece reads as zero.
TIDE_INLINE bool is_zero_piece(const char* piece) {
  const auto* line = reinterpret_cast<const Line*>(piece);
  const Line* const end = line + kPieceBytes / sizeof *line;
  if (!is_zero(*line)) return false;
  Line a{};
  Line b{};
  Line c{};
  Line d{};
  for (; line != end; line += 8) {
    a |= line[0] | line[4];
    b |= line[1] | line[5];
    c |= line[2] | line[6];
    d |= line[3] | line[7];
  }
  return is_zero((a | b) | (c | d));
}

}  // namespace

void clear_written(void* p, size_t bytes) {
  auto* at = static_cast<char*>(p);
  char* const pieces_end = at + bytes / kPieceBytes * kPieceBytes;
  while (at != pieces_end) {
    if (is_zero_piece(at)) {
      at += kPieceBytes;
      continue;
    }
    // What begins with something was written, and most likely what follows as well.
    char* end = at;
    do {
      end += kPieceBytes;
    } while (end != pieces_end && !is_zero(*reinterpret_cast<const Line*>(end)));
    memset(at, 0, static_cast<size_t>(end - at));
    at = end;
  }
  memset(at, 0, bytes % kPieceBytes);
}

}  // namespace tide::api
