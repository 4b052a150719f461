// Which parts of a zone are left out of cores, in steps of half a MiB. The zone's lock protects it.
//
// What is left out follows the free memory as closely as that, for a range costs no more mappings
// by it; what comes back does so in groups of steps, for each time costs a call.
//
// Only who gives memory back leaves steps out, one thread at a time, and only while nobody can be
// given anything on them; who takes something there brings the step back. No system call is made
// under the lock, so a step goes through these states:
//
//   kDumped -> kLeaving -> kLeftOut -> kWanted -> kComing -> kDumped
//
// A step that is in use is kDumped, or on its way there. What says "left out" of a step that no
// longer is costs a call and nothing else; the other way round a core would lack live blocks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/align.h"
#include "base/compiler.h"
#include "base/racy.h"
#include "ds/lock.h"
#include "sys/vm.h"

namespace tide::heap {

class DumpSteps {
 public:
  enum class State : uint8_t { kDumped, kLeaving, kLeftOut, kWanted, kComing };

  static constexpr size_t kStepBytes = size_t{512} << 10;
  // Aligned groups of so many steps come back together.
  static constexpr uint32_t kGroupSteps = 4;
  static constexpr size_t kGroupBytes = kGroupSteps * kStepBytes;
  // What lies behind the first 64 GiB of a zone is in every core.
  static constexpr uint32_t kSteps = 32768 * kGroupSteps;
  // Apart from the rest, which every process touches.
  struct Table {
    State states[kSteps];
  };

  // A smaller zone is not worth a mapping.
  static constexpr size_t kLeastZone = size_t{4} << 20;
  // Most steps of one call: what is claimed meanwhile nobody can have.
  static constexpr uint32_t kMostAtOnce = 64;
  // Ranges of so many steps come before shorter ones, for there may not be many.
  static constexpr uint32_t kLeastSteps[] = {32, 12, 4, 1};
  // Less free memory than this is not worth a look while the program works, and while it rests.
  static constexpr size_t kLeastWorking = kGroupBytes;
  static constexpr size_t kLeastResting = kStepBytes;

  struct Range {
    uint32_t first;
    uint32_t end;

    bool is_empty() const { return first == end; }
    size_t offset() const { return first * kStepBytes; }
    size_t bytes() const { return (end - first) * kStepBytes; }
  };

  constexpr DumpSteps() = default;

  // Before anything is left out; without it nothing is.
  void start(Table& table) { states_ = table.states; }
  bool is_started() const { return states_ != nullptr; }

  // The steps that bytes [begin, end) of the zone cover whole.
  static Range whole(size_t begin, size_t end) {
    const auto first = static_cast<uint32_t>((begin + kStepBytes - 1) / kStepBytes);
    const size_t last = end / kStepBytes;
    const uint32_t bounded = last < kSteps ? static_cast<uint32_t>(last) : kSteps;
    return first < bounded ? Range{first, bounded} : Range{0, 0};
  }

  // Whether there is any step that is not dumped; without the lock a moment's look.
  bool any() const { return base::racy_load(ranges_) != 0; }
  bool is_dumped(uint32_t step) const { return states_[step] == State::kDumped; }
  // Whether cores have the step at `offset` for sure.
  bool is_in_cores(size_t offset) const {
    return !any() || offset / kStepBytes >= kSteps ||
           is_dumped(static_cast<uint32_t>(offset / kStepBytes));
  }
  bool is_left_out(size_t offset) const {
    return any() && offset / kStepBytes < kSteps && states_[offset / kStepBytes] == State::kLeftOut;
  }
  size_t left_out_bytes() const { return base::racy_load(left_out_) * kStepBytes; }
  uint32_t ranges() const { return ranges_; }

  // A range in the middle of a zone is two mappings more: so they are one for 32 MiB, and 24, or
  // fewer where the zone is small.
  static uint32_t most_ranges(size_t zone_bytes) {
    const size_t first = zone_bytes / kGroupBytes < 12 ? zone_bytes / kGroupBytes : 12;
    const size_t most = first + zone_bytes / (size_t{64} << 20);
    return most < 128 ? static_cast<uint32_t>(most) : 128;
  }
  // Where a zone that grows to so many bytes should end, so that no step is cut.
  static size_t rounded_end(size_t zone_bytes) {
    return zone_bytes < kLeastZone ? zone_bytes : base::align_up(zone_bytes, kGroupBytes);
  }

  // --- leaving out ------------------------------------------------------------------------------

  // Of free steps [from, end): the next that are dumped, kMostAtOnce at most.
  Range next_dumped(uint32_t from, uint32_t end) const {
    while (from < end && !is_dumped(from)) ++from;
    Range range{from, from};
    while (range.end < end && range.end - from < kMostAtOnce && is_dumped(range.end)) ++range.end;
    return range;
  }
  // Whether they may be left out: as part of a range that is there, or as a new one.
  bool may_leave(const Range& range, uint32_t least_steps, size_t zone_bytes) const {
    if (range.is_empty()) return false;
    if (has_neighbour(range)) return true;
    return range.end - range.first >= least_steps && ranges_ < most_ranges(zone_bytes);
  }
  // They are dumped, free, and nobody can be given anything there until finish_leaving().
  void start_leaving(const Range& range) {
    if (range.end > end_) end_ = range.end;
    set_all(range, State::kLeaving);
  }
  void finish_leaving(const Range& range, bool are_left_out) {
    for (uint32_t i = range.first; i != range.end; ++i) {
      if (states_[i] == State::kLeaving) {
        set(i, are_left_out ? State::kLeftOut : State::kDumped);
      }
    }
  }

  // --- bringing back ----------------------------------------------------------------------------

  // Bytes [begin, end) of the zone are about to be used.
  void want(size_t begin, size_t end) {
    if (!any()) return;
    for (size_t i = begin / kStepBytes; i < end_ && i * kStepBytes < end; ++i) {
      if (states_[i] == State::kLeftOut) set(static_cast<uint32_t>(i), State::kWanted);
    }
  }
  // A moment's look without the lock; whoever wanted a step sees it.
  bool has_wanted() const { return base::racy_load(wanted_) != 0; }
  // The next wanted steps and the rest of their groups, and those beside them that must come as
  // well, or there would be too many ranges. Empty: none. They are the caller's until
  // finish_coming().
  Range start_coming(size_t zone_bytes) {
    if (wanted_ == 0) return {0, 0};
    while (!is(wanted_from_, State::kWanted)) ++wanted_from_;
    Range range{wanted_from_, wanted_from_};
    while (is(range.end, State::kWanted)) ++range.end;
    const auto is_absent = [this](uint32_t step) {
      return is(step, State::kLeftOut) || is(step, State::kWanted);
    };
    while (range.first % kGroupSteps != 0 && is_absent(range.first - 1)) --range.first;
    while (range.end % kGroupSteps != 0 && is_absent(range.end)) ++range.end;
    if (ranges_ >= most_ranges(zone_bytes)) {
      Range below = range;
      Range above = range;
      while (is_absent(below.first - 1)) --below.first;
      while (is_absent(above.end)) ++above.end;
      const bool is_split = below.first != range.first && above.end != range.end;
      if (is_split) range = below.bytes() < above.bytes() ? below : above;
    }
    set_all(range, State::kComing);
    return range;
  }
  // With all left-out steps beside them: the ends of a mapping, which needs no splitting.
  Range widen(Range range) {
    while (is(range.first - 1, State::kLeftOut)) set(--range.first, State::kComing);
    while (is(range.end, State::kLeftOut)) set(range.end++, State::kComing);
    return range;
  }
  void finish_coming(const Range& range, bool are_dumped) {
    for (uint32_t i = range.first; i != range.end; ++i) {
      if (states_[i] == State::kComing) set(i, are_dumped ? State::kDumped : State::kWanted);
    }
  }

  // In a forked child: nobody is leaving steps out or bringing them back any more. The counts are
  // made anew, a vanished thread may have been at them.
  void settle_in_child() {
    if (end_ == 0) return;
    ranges_ = left_out_ = wanted_ = wanted_from_ = 0;
    for (uint32_t i = 0; i != end_; ++i) {
      if (states_[i] == State::kLeaving) states_[i] = State::kLeftOut;
      if (states_[i] == State::kComing) states_[i] = State::kWanted;
      left_out_ += static_cast<uint32_t>(states_[i] == State::kLeftOut);
      wanted_ += static_cast<uint32_t>(states_[i] == State::kWanted);
      ranges_ += static_cast<uint32_t>(is_in_range(i) && !is_in_range(i - 1));
    }
  }
  // All that is left out is wanted: its addresses may soon be somebody else's.
  void want_all() { want(0, SIZE_MAX); }

 private:
  // Also of steps beyond the first and the last.
  bool is(uint32_t step, State state) const { return step < kSteps && states_[step] == state; }
  bool is_in_range(uint32_t step) const { return step < kSteps && !is_dumped(step); }
  bool has_neighbour(const Range& range) const {
    return any() && (is_in_range(range.first - 1) || is_in_range(range.end));
  }

  void set_all(const Range& range, State state) {
    for (uint32_t i = range.first; i != range.end; ++i) set(i, state);
  }
  void set(uint32_t step, State state) {
    const State before = states_[step];
    states_[step] = state;
    if (state == State::kWanted && (wanted_ == 0 || step < wanted_from_)) wanted_from_ = step;
    count(left_out_, before == State::kLeftOut, state == State::kLeftOut);
    count(wanted_, before == State::kWanted, state == State::kWanted);
    if ((before == State::kDumped) == (state == State::kDumped)) return;
    const uint32_t joined =
        static_cast<uint32_t>(is_in_range(step - 1)) + static_cast<uint32_t>(is_in_range(step + 1));
    const uint32_t more = state == State::kDumped ? joined - 1 : 1 - joined;
    base::racy_store(ranges_, ranges_ + more);
  }
  static void count(uint32_t& steps, bool before, bool now) {
    if (before != now) base::racy_store(steps, now ? steps + 1 : steps - 1);
  }

  State* states_ = nullptr;
  uint32_t ranges_ = 0;       // of steps that are not dumped
  uint32_t left_out_ = 0;     // steps
  uint32_t wanted_ = 0;       // steps
  uint32_t wanted_from_ = 0;  // no wanted step is before this one
  uint32_t end_ = 0;          // steps from this one on were never left out
};

// Brings wanted steps of the zone at `base` back into cores; its lock is not held meanwhile.
template <sys::VmSource Vm, class AnyLock>
TIDE_COLD void bring_steps_back(Vm& vm, AnyLock& lock, DumpSteps& steps, uintptr_t base,
                                size_t zone_bytes) {
  const auto bring = [&](const DumpSteps::Range& range) {
    return vm.set_dumped(reinterpret_cast<void*>(base + range.offset()), range.bytes(), true);
  };
  for (bool done = true; done;) {
    DumpSteps::Range range{};
    {
      const ds::LockGuard guard(lock);
      range = steps.start_coming(zone_bytes);
    }
    if (range.is_empty()) return;
    done = bring(range);
    if (!done) {
      // There may be too many mappings to split one.
      {
        const ds::LockGuard guard(lock);
        range = steps.widen(range);
      }
      done = bring(range);
    }
    const ds::LockGuard guard(lock);
    steps.finish_coming(range, done);
  }
}

// Before addresses of the zone are given up: nothing stays left out. The zone's lock is held.
// False: the system refuses, and the addresses must be kept.
template <sys::VmSource Vm>
bool bring_all_steps_back(Vm& vm, DumpSteps& steps, uintptr_t base, size_t zone_bytes) {
  steps.want_all();
  for (bool done = true; done;) {
    const DumpSteps::Range range = steps.start_coming(zone_bytes);
    if (range.is_empty()) return true;
    done = vm.set_dumped(reinterpret_cast<void*>(base + range.offset()), range.bytes(), true);
    steps.finish_coming(range, done);
  }
  return false;
}

}  // namespace tide::heap
