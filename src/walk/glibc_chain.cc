#include "walk/glibc_chain.h"

#include <algorithm>

namespace tide::walk::glibc {
namespace {

// So many in a row are no accident.
constexpr uint64_t kConvincing = 4096;

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
  if (!head.has_value() || !can_be_chunk(*head, at, bounds)) return {false, at};
  for (uint64_t count = 0; count < most && steps_left_ != 0; ++count, --steps_left_) {
    const uint64_t next = at + head->bytes();
    if (at == bounds.top) return {true, next};
    if (next >= bounds.end) return {false, next};
    const uint64_t bytes = head->bytes();
    head = memory_.load<Head>(next);
    if (!head.has_value() || !fits_behind(*head, bytes)) return {false, next};
    if (is_fence(memory_, next, *head, bounds)) {
      return {true, std::min(next + 2 * kFenceChunk, bounds.end)};
    }
    if (!can_be_chunk(*head, next, bounds)) return {false, next};
    if (known != nullptr && known->contains(next)) return {true, next};
    at = next;
  }
  return {steps_left_ != 0, at};
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
  const Outcome outcome = follow(at, bounds, nullptr, UINT64_MAX);
  return outcome.is_good ? std::optional(outcome.end) : std::nullopt;
}

}  // namespace tide::walk::glibc
