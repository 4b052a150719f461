#include "inspect/word_reader.h"

#include <algorithm>

namespace tide::inspect {
namespace {

// Large enough for few calls, small enough to stay in the cache until its words are read.
constexpr uint64_t kViewBytes = 256 << 10;
constexpr uint64_t kPageBytes = 4096;

}  // namespace

uint64_t WordReader::look_at(uint64_t at, uint64_t end) {
  // Nothing leads on from zeros.
  const uint64_t touched = target_.next_touched(at, end);
  if (touched != at) return touched;
  const std::span<const std::byte> view = target_.view(at, kViewBytes, buffer_);
  view_ = view.data();
  view_start_ = at;
  view_bytes_ = std::min<uint64_t>(view.size(), kViewBytes) & ~uint64_t{sizeof(uint64_t) - 1};
  if (view_bytes_ != 0) return at;
  // Nothing, or less than a word before a cut. What a segment lacks, it lacks up to its end.
  uint64_t next = (at | (kPageBytes - 1)) + 1;
  const walk::Segment* const segment = target_.segment_of(at);
  if (segment != nullptr && !segment->is_file() && at - segment->start >= segment->present) {
    next = segment->end;
  }
  if (next <= at || next > end) next = end;
  missing_bytes_ += next - at;
  return next;
}

}  // namespace tide::inspect
