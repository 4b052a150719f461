#include "trace/tick_scale.h"

#include <algorithm>

namespace tide::trace {
namespace {

// Closer together the two clocks say less than what was measured at the start.
constexpr uint64_t kShortestFitNs = 10'000'000;

}  // namespace

TickScale::TickScale(const EventsFile& file)
    : first_tick_(file.head().first_tick), ns_per_tick_(file.head().ns_per_tick) {
  if (!(ns_per_tick_ > 0 && ns_per_tick_ < 1e9)) ns_per_tick_ = 1;
  if (file.chunks().empty()) return;
  const auto by_tick = [](const EventsFile::Chunk& a, const EventsFile::Chunk& b) {
    return a.head.seen_tick < b.head.seen_tick;
  };
  const auto [first, last] =
      std::minmax_element(file.chunks().begin(), file.chunks().end(), by_tick);
  const uint64_t ticks = last->head.seen_tick - first->head.seen_tick;
  const uint64_t ns = last->head.seen_ns - first->head.seen_ns;
  if (ticks == 0 || last->head.seen_ns < first->head.seen_ns || ns < kShortestFitNs) return;
  const double measured = static_cast<double>(ns) / static_cast<double>(ticks);
  // More than a tenth apart is no drift but a damaged pair.
  if (measured > 0.9 * ns_per_tick_ && measured < 1.1 * ns_per_tick_) ns_per_tick_ = measured;
}

}  // namespace tide::trace
