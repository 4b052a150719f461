#include "walk/sampled_stack.h"

#include <algorithm>
#include <optional>

#include "layout/profile_table.h"

namespace tide::walk {
namespace {

// More than the library keeps (probe/sample_table.h).
constexpr uint32_t kMostSlots = uint32_t{1} << 26;
constexpr uint32_t kMostFrames = 256;

// Slots are hashed by a function of the library's own; there are few enough to look at each.
std::optional<layout::SampledBlock> find_sample(const Target& target,
                                                const layout::ProfileTable& table, uint64_t block) {
  constexpr uint32_t kAtOnce = 1024;
  std::vector<layout::SampledBlock> slots(kAtOnce);
  const uint32_t end = std::min(table.block_slots, kMostSlots);
  for (uint32_t i = 0; i < end; i += kAtOnce) {
    const uint32_t count = std::min(kAtOnce, end - i);
    const uint64_t at = table.blocks + uint64_t{i} * sizeof slots[0];
    if (!target.try_read(at, slots.data(), count * sizeof slots[0])) return std::nullopt;
    const auto last = slots.begin() + count;
    const auto found = std::find_if(slots.begin(), last, [&](const layout::SampledBlock& sample) {
      return sample.address == block;
    });
    if (found != last) return *found;
  }
  return std::nullopt;
}

}  // namespace

CallStack sampled_stack(const Target& target, uint64_t table_address, uint64_t block) {
  CallStack stack;
  const auto table = target.load<layout::ProfileTable>(table_address);
  if (!table.has_value() || table->version != layout::kProfileVersion || table->live_count == 0) {
    return stack;
  }
  const auto sample = find_sample(target, *table, block);
  if (!sample.has_value() || sample->stack >= table->stack_count) return stack;
  const auto sampled = target.load<layout::SampledStack>(
      table->stacks + sample->stack * sizeof(layout::SampledStack));
  if (!sampled.has_value() || sampled->first_frame > table->frame_count) return stack;
  stack.frames.resize(
      std::min({sampled->frame_count, table->frame_count - sampled->first_frame, kMostFrames}));
  if (!target.try_read(table->frames + sampled->first_frame * sizeof(uint64_t), stack.frames.data(),
                       stack.frames.size() * sizeof(uint64_t))) {
    stack.frames.clear();
  }
  stack.thread = target.thread_here(sample->thread);
  return stack;
}

}  // namespace tide::walk
