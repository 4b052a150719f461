// Random histories of programs that allocate in several threads, hand blocks over and reallocate,
// with what a reader of their trace has to find.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "format/trace_call.h"

namespace tide::trace {

// A record, before it is written.
struct Happening {
  uint32_t thread = 1;
  uint64_t tick = 0;
  format::Call call = format::Call::kNone;
  uint64_t pointer = 0;
  uint64_t size = 0;
  uint64_t slack = 0;
  uint64_t detail = 0;
  std::vector<uint64_t> extras = {};
};

class HistoryMaker {
 public:
  struct Options {
    uint64_t seed = 1;
    uint32_t threads = 4;
    size_t most_live = 1000;
    uint64_t ticks_between = 50;
    uint32_t foreign_percent = 20;  // releases of others' blocks
    bool with_reallocs = true;
  };
  struct Count {
    std::map<format::Call, uint64_t> calls;
    uint64_t live_bytes = 0;
    uint64_t live_blocks = 0;
    uint64_t peak_bytes = 0;
    uint64_t allocated_bytes = 0;
    uint64_t allocations = 0;
    uint64_t foreign_releases = 0;
    uint64_t moved = 0;
    uint64_t in_place = 0;
  };

  explicit HistoryMaker(const Options& options) : options_(options), random_(options.seed) {}

  // The next step, in the order in which it happened: give(Happening).
  template <class Give>
  void step(Give give) {
    const auto thread = static_cast<uint32_t>(1 + random_() % options_.threads);
    tick_ += random_() % (2 * options_.ticks_between);
    const bool full = live_.size() >= options_.most_live;
    const uint64_t dice = random_() % 100;
    if (live_.empty() || (!full && dice < 55)) {
      allocate(thread, give);
    } else if (options_.with_reallocs && dice % 10 == 0) {
      reallocate(thread, give);
    } else {
      release(thread, give);
    }
  }

  // The rest is released, but for `kept` blocks.
  template <class Give>
  void finish(size_t kept, Give give) {
    while (live_.size() > kept) {
      tick_ += 10;
      release(1, give);
    }
  }

  const Count& count() const { return count_; }
  uint64_t tick() const { return tick_; }

 private:
  using Call = format::Call;
  struct Live {
    uint64_t pointer;
    uint64_t size;
    uint64_t room;
    uint32_t thread;
  };

  static uint64_t room_of(uint64_t size) { return (size + 23) / 16 * 16; }
  uint64_t new_size() {
    const uint64_t dice = random_() % 100;
    return dice < 80 ? random_() % 300 : dice < 99 ? random_() % 10'000 : random_() % 500'000;
  }
  // The address that was freed last comes first: as close to a mistake as can be.
  uint64_t new_pointer(uint64_t room) {
    std::vector<uint64_t>& free = free_[room];
    if (!free.empty()) {
      const uint64_t pointer = free.back();
      free.pop_back();
      return pointer;
    }
    return bump_ += room + 16;
  }
  void came(const Live& block) {
    count_.live_bytes += block.size;
    ++count_.live_blocks;
    ++count_.allocations;
    count_.allocated_bytes += block.size;
    count_.peak_bytes = std::max(count_.peak_bytes, count_.live_bytes);
    live_.push_back(block);
  }

  template <class Give>
  void allocate(uint32_t thread, Give give) {
    Happening event{.thread = thread, .tick = tick_};
    uint64_t size = new_size();
    switch (random_() % 8) {
      case 0:
        event.call = Call::kCalloc;
        event.extras = {1 + random_() % 5};
        event.size = size;
        size *= event.extras[0];
        break;
      case 1:
        event.call = Call::kPosixMemalign;
        event.extras = {uint64_t{16} << random_() % 4, 0};
        event.size = size;
        break;
      case 2:
        event.call = Call::kNew;
        event.size = size;
        break;
      case 3:
        event.call = Call::kNewForm;
        event.extras = {format::kFormNothrow | format::kFormArray};
        event.size = size;
        break;
      default:
        event.call = Call::kMalloc;
        event.size = size;
        break;
    }
    const uint64_t room = room_of(size);
    event.pointer = new_pointer(room);
    event.slack = room - event.size;
    const bool is_form = event.call == Call::kNewForm;
    ++count_.calls[is_form ? Call::kNewArray : event.call];
    came({event.pointer, size, room, thread});
    give(event);
  }

  size_t choose(uint32_t thread) {
    size_t at = random_() % live_.size();
    if (random_() % 100 >= options_.foreign_percent) {
      for (size_t i = 0; i < 8 && live_[at].thread != thread; ++i) at = random_() % live_.size();
    }
    return at;
  }
  void go(size_t at) {
    count_.live_bytes -= live_[at].size;
    --count_.live_blocks;
    free_[live_[at].room].push_back(live_[at].pointer);
    live_[at] = live_.back();
    live_.pop_back();
  }

  template <class Give>
  void release(uint32_t thread, Give give) {
    const size_t at = choose(thread);
    const Call call = random_() % 4 == 0 ? Call::kDelete : Call::kFree;
    const Happening event{
        .thread = thread, .tick = tick_, .call = call, .pointer = live_[at].pointer};
    ++count_.calls[call];
    count_.foreign_releases += live_[at].thread != thread ? 1 : 0;
    go(at);
    give(event);
  }

  template <class Give>
  void reallocate(uint32_t thread, Give give) {
    const size_t at = choose(thread);
    const Live old = live_[at];
    const uint64_t size = 1 + new_size();
    const uint64_t room = room_of(size);
    ++count_.calls[Call::kRealloc];
    give(Happening{.thread = thread,
                   .tick = tick_,
                   .call = Call::kRealloc,
                   .pointer = old.pointer,
                   .size = size});
    go(at);
    tick_ += random_() % 5;
    const uint64_t pointer = new_pointer(room);
    ++(pointer == old.pointer ? count_.in_place : count_.moved);
    came({pointer, size, room, thread});
    give(Happening{.thread = thread,
                   .tick = tick_,
                   .call = Call::kReallocDone,
                   .pointer = pointer,
                   .slack = room - size});
  }

  Options options_;
  std::mt19937_64 random_;
  Count count_;
  uint64_t tick_ = 1000;
  uint64_t bump_ = uint64_t{0x55} << 40;
  std::vector<Live> live_;
  std::map<uint64_t, std::vector<uint64_t>> free_;
};

}  // namespace tide::trace
