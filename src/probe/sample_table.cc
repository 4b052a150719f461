#include "probe/sample_table.h"

#include <cstring>

#include "base/mix.h"
#include "base/racy.h"
#include "sys/clock.h"
#include "sys/frames.h"
#include "sys/vm.h"

namespace tide::probe {

namespace {

using layout::SampledBlock;
using layout::SampledStack;
using layout::SampledSum;

constexpr uint32_t kFirstSlots = 64;  // a page
constexpr uint32_t kFirstStacks = 16;
constexpr uint32_t kFirstFrames = 512;
// The peak is noted when the whole has grown by so much.
constexpr double kNewPeak = 1.05;

void add_to(SampledSum& sum, double weight, double bytes) {
  sum.count += weight;
  sum.bytes += weight * bytes;
  sum.count_variance += weight * (weight - 1);
  sum.bytes_variance += weight * (weight - 1) * bytes * bytes;
}

void take_from(SampledSum& sum, double weight, double bytes) {
  sum.count -= weight;
  sum.bytes -= weight * bytes;
  sum.count_variance -= weight * (weight - 1);
  sum.bytes_variance -= weight * (weight - 1) * bytes * bytes;
}

void change_in(SampledSum& sum, double weight, double from, double to) {
  sum.bytes += weight * (to - from);
  sum.bytes_variance += weight * (weight - 1) * (to * to - from * from);
}

// A larger copy; the old memory stays where `keep` says that somebody may be reading it.
template <class T>
T* grown(T* old, size_t count, size_t new_count, bool keep) {
  sys::LinuxVm vm;
  auto* const memory = static_cast<T*>(vm.map(new_count * sizeof(T)));
  if (memory == nullptr || old == nullptr) return memory;
  memcpy(memory, old, count * sizeof(T));
  if (!keep) vm.unmap(old, count * sizeof(T));
  return memory;
}

}  // namespace

// For readers from outside, who look at the number before and after.
struct SampleTable::Change {
  layout::ProfileTable& table;
  explicit Change(layout::ProfileTable& changed) : table(changed) {
    base::racy_store(table.changes, table.changes + 1);
    base::fence_for_outsiders();
  }
  ~Change() { base::published_store(table.changes, table.changes + 1); }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
};

void SampleTable::start(uint64_t gap_bytes, bool counts_calls) {
  if (table_.start_ns == 0) table_.start_ns = sys::monotonic_ns();
  if (began_ns_ == 0) began_ns_ = table_.start_ns;
  __atomic_store_n(&table_.gap_bytes, gap_bytes, __ATOMIC_RELAXED);
  const ds::LockGuard guard(lock_);
  const bool has_others =
      table_.stack_count != 0 && layout::sampling_mode(mode()) != layout::kSamplesEveryCall;
  const uint32_t wanted = !counts_calls ? layout::kSamplesPlaces
                          : has_others  ? layout::kSamplesEveryCallNow
                                        : layout::kSamplesEveryCall;
  __atomic_store_n(&table_.is_on, wanted, __ATOMIC_RELEASE);
}

void SampleTable::look_at_end() {
  uint32_t now = mode();
  const uint64_t end_s = layout::counting_end_s(now);
  if (end_s == 0 || sys::monotonic_ns() < end_s * 1'000'000'000) return;
  // Somebody may have set another end meanwhile.
  const uint32_t places = layout::kSamplesPlaces;
  __atomic_compare_exchange_n(&table_.is_on, &now, places, false, __ATOMIC_RELAXED,
                              __ATOMIC_RELAXED);
}

// At most three quarters of the slots are in use, so every search ends.
bool SampleTable::make_room_for_block() {
  Blocks* const old = blocks_.load(std::memory_order_relaxed);
  const uint32_t slots = old == nullptr ? 0 : static_cast<uint32_t>(old->mask + 1);
  if (used_slots_ < slots / 4 * 3) return true;
  const uint32_t live = live_count_.load(std::memory_order_relaxed);
  uint32_t wanted = slots == 0 ? kFirstSlots : slots;
  while (live >= wanted / 2) wanted *= 2;
  sys::LinuxVm vm;
  auto* const blocks = static_cast<Blocks*>(vm.map(sizeof(Blocks) + wanted * sizeof(SampledBlock)));
  if (blocks == nullptr) return false;
  blocks->mask = wanted - 1;
  blocks->slots = reinterpret_cast<SampledBlock*>(blocks + 1);
  for (uint32_t i = 0; i < slots; ++i) {
    const SampledBlock& block = old->slots[i];
    if (block.address <= kGone) continue;
    size_t at = first_slot(block.address, blocks->mask);
    while (blocks->slots[at].address != 0) at = (at + 1) & blocks->mask;
    blocks->slots[at] = block;
  }
  used_slots_ = live;
  // The old one stays: a thread may be looking at it. All of them together are as large as this.
  table_.blocks = reinterpret_cast<uint64_t>(blocks->slots);
  table_.block_slots = wanted;
  blocks_.store(blocks, std::memory_order_release);
  return true;
}

bool SampleTable::make_room_for_stack(size_t frames) {
  if (table_.frame_count + frames > frame_room_) {
    const uint32_t room = frame_room_ == 0 ? kFirstFrames : frame_room_ * 2;
    auto* const now = grown(reinterpret_cast<uintptr_t*>(table_.frames), frame_room_, room, false);
    if (now == nullptr) return false;
    table_.frames = reinterpret_cast<uint64_t>(now);
    frame_room_ = room;
  }
  if (table_.stack_count < stack_room_) return true;
  const uint32_t room = stack_room_ == 0 ? kFirstStacks : stack_room_ * 2;
  sys::LinuxVm vm;
  auto* const index = static_cast<uint32_t*>(vm.map(size_t{room} * 2 * sizeof(uint32_t)));
  if (index == nullptr) return false;
  SampledStack* const now = grown(stacks(), stack_room_, room, false);
  if (now == nullptr) {
    vm.unmap(index, size_t{room} * 2 * sizeof(uint32_t));
    return false;
  }
  table_.stacks = reinterpret_cast<uint64_t>(now);
  for (uint32_t i = 0; i < table_.stack_count; ++i) {
    size_t at = now[i].hash & (2 * room - 1);
    while (index[at] != 0) at = (at + 1) & (2 * room - 1);
    index[at] = i + 1;
  }
  if (stack_index_ != nullptr) vm.unmap(stack_index_, size_t{stack_room_} * 2 * sizeof(uint32_t));
  stack_index_ = index;
  stack_room_ = room;
  return true;
}

uint32_t SampleTable::add_stack(const Sample& sample, uint64_t hash) {
  if (!make_room_for_stack(sample.frame_count)) return UINT32_MAX;
  const uint32_t number = table_.stack_count;
  auto* const frames = reinterpret_cast<uintptr_t*>(table_.frames) + table_.frame_count;
  memcpy(frames, sample.frames, sample.frame_count * sizeof *frames);
  SampledStack& stack = stacks()[number];
  stack = {};
  stack.hash = hash;
  stack.first_frame = table_.frame_count;
  stack.frame_count = static_cast<uint32_t>(sample.frame_count);
  stack.shortest_ns = UINT64_MAX;
  table_.frame_count += stack.frame_count;
  ++table_.stack_count;
  size_t at = hash & (2 * stack_room_ - 1);
  while (stack_index_[at] != 0) at = (at + 1) & (2 * stack_room_ - 1);
  stack_index_[at] = number + 1;
  return number;
}

uint32_t SampleTable::stack_of(const Sample& sample, uint64_t hash) {
  if (stack_room_ != 0) {
    const auto* const frames = reinterpret_cast<const uintptr_t*>(table_.frames);
    const size_t mask = 2 * stack_room_ - 1;
    for (size_t at = hash & mask; stack_index_[at] != 0; at = (at + 1) & mask) {
      const SampledStack& stack = stacks()[stack_index_[at] - 1];
      if (stack.hash == hash && stack.frame_count == sample.frame_count &&
          memcmp(frames + stack.first_frame, sample.frames, sample.frame_count * sizeof *frames) ==
              0) {
        return stack_index_[at] - 1;
      }
    }
  }
  return add_stack(sample, hash);
}

void SampleTable::note_peak(uint64_t now) {
  if (table_.live.bytes < table_.peak.bytes * kNewPeak) return;
  table_.peak = table_.live;
  table_.peak_ns = now;
  for (uint32_t i = 0; i < table_.stack_count; ++i) stacks()[i].peak = stacks()[i].live;
}

void SampleTable::add(const Sample& sample) {
  uint64_t hash = 0;
  for (size_t i = 0; i < sample.frame_count; ++i) hash = sys::hash_frame(hash, sample.frames[i]);
  hash = base::mix(hash);
  const uint64_t now = sys::monotonic_ns();
  if (lock_.is_mine()) {
    __atomic_fetch_add(&table_.missed, 1, __ATOMIC_RELAXED);
    return;
  }
  const ds::LockGuard guard(lock_);
  const Change change(table_);
  take_latecomers();
  const uint32_t number = make_room_for_block() ? stack_of(sample, hash) : UINT32_MAX;
  if (number == UINT32_MAX) {
    __atomic_fetch_add(&table_.missed, 1, __ATOMIC_RELAXED);
    return;
  }
  const double weight = 1 / sample.chance;
  const auto bytes = static_cast<double>(sample.bytes);
  SampledStack& stack = stacks()[number];
  add_to(stack.allocated, weight, bytes);
  // Samples of one draw are right or wrong together.
  stack.allocated.count_variance += 2 * weight * sample.same;
  stack.allocated.bytes_variance += 2 * weight * sample.same * bytes * bytes;
  add_to(stack.live, weight, bytes);
  add_to(table_.live, weight, bytes);
  ++stack.samples;
  ++stack.live_samples;
  Blocks& blocks = *blocks_.load(std::memory_order_relaxed);
  const auto address = reinterpret_cast<uint64_t>(sample.block);
  size_t at = first_slot(address, blocks.mask);
  while (blocks.slots[at].address > kGone) at = (at + 1) & blocks.mask;
  SampledBlock& block = blocks.slots[at];
  if (block.address == 0) ++used_slots_;
  block.bytes = sample.bytes;
  block.time_ns = now;
  block.weight = weight;
  block.stack = number;
  block.thread = sample.thread;
  base::published_store(block.address, address);
  live_count_.store(live_count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  table_.live_count = live_count_.load(std::memory_order_relaxed);
  note_peak(now);
}

void SampleTable::remove_locked(uint64_t address) {
  Blocks* const blocks = blocks_.load(std::memory_order_relaxed);
  if (blocks == nullptr) return;
  size_t at = first_slot(address, blocks->mask);
  for (; blocks->slots[at].address != address; at = (at + 1) & blocks->mask) {
    if (blocks->slots[at].address == 0) return;
  }
  SampledBlock& block = blocks->slots[at];
  const uint64_t age = sys::monotonic_ns() - block.time_ns;
  const auto bytes = static_cast<double>(block.bytes);
  SampledStack& stack = stacks()[block.stack];
  take_from(stack.live, block.weight, bytes);
  take_from(table_.live, block.weight, bytes);
  if (--stack.live_samples == 0) stack.live = {};  // and not what rounding has left
  add_to(stack.freed, block.weight, bytes);
  stack.lifetime_ns += block.weight * static_cast<double>(age);
  if (age < stack.shortest_ns) stack.shortest_ns = age;
  if (age > stack.longest_ns) stack.longest_ns = age;
  base::racy_store(block.address, kGone);
  live_count_.store(live_count_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  table_.live_count = live_count_.load(std::memory_order_relaxed);
  if (table_.live_count == 0) table_.live = {};
}

void SampleTable::take_latecomers() {
  if (TIDE_LIKELY(!has_latecomers_.load(std::memory_order_relaxed))) return;
  has_latecomers_.store(false, std::memory_order_relaxed);
  for (std::atomic<uint64_t>& late : latecomers_) {
    if (late.load(std::memory_order_relaxed) == 0) continue;
    if (const uint64_t address = late.exchange(0)) remove_locked(address);
  }
}

void SampleTable::remove_known(const void* block) {
  const auto address = reinterpret_cast<uint64_t>(block);
  if (lock_.is_mine()) {
    for (std::atomic<uint64_t>& late : latecomers_) {
      uint64_t none = 0;
      if (late.compare_exchange_strong(none, address)) break;
    }
    has_latecomers_.store(true, std::memory_order_relaxed);
    return;
  }
  const ds::LockGuard guard(lock_);
  const Change change(table_);
  take_latecomers();
  remove_locked(address);
}

void SampleTable::note_size(uint64_t address, size_t bytes) {
  if (lock_.is_mine()) return;
  const ds::LockGuard guard(lock_);
  const Change noted(table_);
  // The table may be another one by now.
  auto* const slot = const_cast<SampledBlock*>(find(reinterpret_cast<const void*>(address)));
  if (slot == nullptr) return;
  const auto from = static_cast<double>(slot->bytes);
  const auto to = static_cast<double>(bytes);
  SampledStack& stack = stacks()[slot->stack];
  change_in(stack.allocated, slot->weight, from, to);
  change_in(stack.live, slot->weight, from, to);
  change_in(table_.live, slot->weight, from, to);
  base::racy_store(slot->bytes, bytes);
}

void SampleTable::reset() {
  if (lock_.is_mine()) return;
  const ds::LockGuard guard(lock_);
  const Change change(table_);
  if (Blocks* const blocks = blocks_.load(std::memory_order_relaxed)) {
    for (uint64_t i = 0; i <= blocks->mask; ++i) {
      if (blocks->slots[i].address > kGone) base::racy_store(blocks->slots[i].address, kGone);
    }
  }
  live_count_.store(0, std::memory_order_relaxed);
  if (stack_index_ != nullptr) memset(stack_index_, 0, size_t{stack_room_} * 2 * sizeof(uint32_t));
  table_.stack_count = table_.frame_count = table_.live_count = 0;
  table_.live = table_.peak = {};
  table_.missed = 0;
  table_.start_ns = sys::monotonic_ns();
}

void SampleTable::repair_in_child() {
  const bool was_held = lock_.release_in_child();
  if (!was_held && table_.changes % 2 == 0) return;
  // Somebody was in the middle of a change: what is there can't be trusted.
  table_.changes += table_.changes % 2;
  stack_index_ = nullptr;
  stack_room_ = frame_room_ = used_slots_ = 0;
  blocks_.store(nullptr);
  live_count_.store(0);
  const uint64_t gap = table_.gap_bytes;
  const uint32_t on = table_.is_on;
  table_ = {};
  table_.gap_bytes = gap;
  table_.is_on = on;
  table_.start_ns = sys::monotonic_ns();
}

bool SampleTable::write(Write out, void* argument) {
  if (lock_.is_mine()) return false;
  const ds::LockGuard guard(lock_);
  take_latecomers();
  return out(argument, &table_, sizeof table_) &&
         out(argument, stacks(), table_.stack_count * sizeof(SampledStack)) &&
         out(argument, reinterpret_cast<const void*>(table_.frames),
             table_.frame_count * sizeof(uint64_t)) &&
         out(argument, reinterpret_cast<const void*>(table_.blocks),
             table_.block_slots * sizeof(SampledBlock));
}

bool SampleTable::visit_live(Visit visit, void* argument) const {
  const Blocks* const blocks = blocks_.load(std::memory_order_acquire);
  for (uint64_t i = 0; blocks != nullptr && i <= blocks->mask; ++i) {
    const SampledBlock& slot = blocks->slots[i];
    if (base::racy_load(slot.address) > kGone && !visit(argument, slot)) return false;
  }
  return true;
}

}  // namespace tide::probe
