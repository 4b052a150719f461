#include "walk/glibc_chain.h"

#include <algorithm>

namespace tide::walk::glibc {
namespace {

// So many in a row are no accident, wherever they lead.
constexpr uint64_t kConvincing = 4096;
// And so many where a row may be expected.
constexpr uint64_t kSomeInARow = 16;

}  // namespace

bool is_fence(const Memory& memory, uint64_t at, const Head& head, const Bounds& bounds) {
  if (head.bytes() == 0) return !bounds.is_main && bounds.end - at == kFenceChunk;
  if (head.bytes() != kFenceChunk || (head.word & (kIsMapped | kNotMain)) != 0) return false;
  const auto second = memory.word(at + kFenceChunk + 8);
  return second.has_value() && *second == (bounds.is_main ? kFenceChunk | kPrevInUse : kPrevInUse);
}

ChainFinder::Outcome ChainFinder::follow(uint64_t at, const Bounds& bounds, const ChunkSet* known,
                                         uint64_t most) {
  auto head = memory_.load<Head>(at);
  if (!head.has_value() || !can_be_chunk(*head, at, bounds)) return {false, at, 0};
  uint64_t count = 0;
  for (; count < most && steps_left_ != 0; ++count, --steps_left_) {
    const uint64_t next = at + head->bytes();
    if (at == bounds.top) return {true, next, count};
    if (bounds.ends_with_top && next == bounds.end) return {true, next, count};
    if (next >= bounds.end) return {false, next, count};
    const uint64_t bytes = head->bytes();
    head = memory_.load<Head>(next);
    if (!head.has_value() || !fits_behind(*head, bytes)) return {false, next, count};
    if (is_fence(memory_, next, *head, bounds)) {
      return {true, std::min(next + 2 * kFenceChunk, bounds.end), count};
    }
    if (!can_be_chunk(*head, next, bounds)) return {false, next, count};
    if (known != nullptr && known->contains(next)) return {true, next, count};
    at = next;
  }
  return {steps_left_ != 0, at, count};
}

std::optional<uint64_t> ChainFinder::find(uint64_t from, uint64_t end, uint64_t step,
                                          const Bounds& bounds, const ChunkSet* known) {
  for (uint64_t at = from; at + kLeastChunk <= end && steps_left_ != 0; --steps_left_) {
    if (!memory_.word(at).has_value()) {
      at = memory_.next_there(at);
      continue;
    }
    if (follow(at, bounds, known, kConvincing).is_good) return at;
    at += step;
  }
  return std::nullopt;
}

std::optional<uint64_t> ChainFinder::end_of_row(uint64_t at, const Bounds& bounds) {
  for (uint64_t row = at; steps_left_ != 0;) {
    const Outcome outcome = follow(row, bounds, nullptr, UINT64_MAX);
    if (outcome.is_good) return outcome.end;
    if (row == at && outcome.count < kSomeInARow) return std::nullopt;
    const auto next = find(outcome.end + kAlignment, bounds.end, kAlignment, bounds, nullptr);
    if (!next.has_value()) return std::nullopt;
    row = *next;
  }
  return std::nullopt;
}

}  // namespace tide::walk::glibc
