#include "trace/merge.h"

#include <algorithm>

namespace tide::trace {

namespace {

GoneBlock gone(uint32_t slot, const Block& block) {
  return {true, slot, block.thread, block.stack, block.time_ns, block.size, block.usable};
}

}  // namespace

// A thread, with its next event.
struct Merge::Thread {
  std::unique_ptr<ThreadStream> stream;
  Event event{};
  bool is_open = false;     // `event` is one; else only its time is right
  bool has_waited = false;  // long enough
  bool has_extras = false;  // in `event`, or something left over from one
  // The first half of a realloc or mremap whose result is to come.
  bool is_moving = false;
  uint64_t old_pointer = 0;
  uint64_t new_size = 0;
  uint64_t slack_from = 0;
  uint64_t slack = 0;
  bool has_slack = false;
  uint64_t extras[4] = {};
  uint32_t stack = 0;
  uint32_t slot = LiveTable::kNoSlot;  // of `moving`, if the old block is known
  Block moving;
};

bool Merge::Later::operator()(const Thread* a, const Thread* b) const {
  return a->event.time_ns > b->event.time_ns;
}

Merge::Merge() = default;
Merge::~Merge() = default;

void Merge::add(std::unique_ptr<ThreadStream> stream) {
  auto thread = std::make_unique<Thread>();
  thread->event.time_ns = stream->first_time_ns();
  thread->stream = std::move(stream);
  push(thread.get());
  threads_.push_back(std::move(thread));
}

void Merge::push(Thread* thread) {
  heap_.push_back(thread);
  std::push_heap(heap_.begin(), heap_.end(), Later{});
}

// The thread goes into the heap, and the earliest there comes out.
Merge::Thread* Merge::exchange(Thread* thread) {
  Thread* const earliest = heap_.front();
  size_t hole = 0;
  for (size_t child = 1; child < heap_.size(); child = 2 * hole + 1) {
    if (child + 1 < heap_.size() && Later{}(heap_[child], heap_[child + 1])) ++child;
    if (!Later{}(thread, heap_[child])) break;
    heap_[hole] = heap_[child];
    hole = child;
  }
  heap_[hole] = thread;
  return earliest;
}

// Reads the thread's next event. At its end the thread goes away, with its memory.
bool Merge::advance(Thread& thread) {
  thread.is_open = thread.stream->next(thread.event);
  thread.has_waited = false;
  thread.has_extras = true;
  if (thread.is_open) return true;
  if (thread.is_moving) put_back(thread);
  thread.stream.reset();
  return false;
}

// The thread with the earliest event; it is not in the heap then. Null: all are at their end.
Merge::Thread* Merge::pick() {
  for (;;) {
    if (current_ != nullptr) {
      Thread* const thread = current_;
      current_ = nullptr;
      if (advance(*thread)) {
        if (heap_.empty() || thread->event.time_ns <= heap_.front()->event.time_ns) return thread;
        Thread* const earliest = exchange(thread);
        if (earliest->is_open) return earliest;
        current_ = earliest;
        continue;
      }
    }
    if (heap_.empty()) {
      if (patience_.empty()) return nullptr;
      lose_patience(patience_.begin()->second);
    }
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    Thread* const thread = heap_.back();
    heap_.pop_back();
    if (thread->is_open) return thread;
    current_ = thread;
  }
}

// What nearly every event is: the thread that had the last one goes on, and a block comes or goes
// that nobody waits for. Null: it is something else, and nothing is taken.
inline const Event* Merge::next_plain() {
  Thread* const thread = current_;
  if (thread == nullptr || !patience_.empty()) return nullptr;
  ThreadStream::Ready& ready = thread->stream->ready();
  if (ready.at == ready.end) return nullptr;
  const PlainRecord& plain = *ready.at;
  if (plain.whole != 0 || plain.call == Call::kReallocDone) return nullptr;
  if (!heap_.empty() && plain.time > heap_.front()->event.time_ns) return nullptr;
  Event& event = thread->event;
  const uint64_t time_ns = std::max(last_ns_, plain.time);
  if (format::releases(plain.call)) {
    event.gone.is_known = false;
    if (plain.pointer != 0) {
      Block block;
      const uint32_t slot = live_.take(plain.pointer, block);
      if (slot == LiveTable::kNoSlot) return nullptr;
      event.gone = gone(slot, block);
    }
    take_plain(plain, ready.stacks, event);
  } else if (format::allocates(plain.call)) {
    take_plain(plain, ready.stacks, event);
    event.gone.is_known = false;
    if (plain.pointer != 0) {
      event.slot = live_.add(
          {plain.pointer, plain.time, plain.size, plain.usable, event.thread, event.stack});
      if (event.slot == LiveTable::kNoSlot) return nullptr;
    }
  } else {
    return nullptr;
  }
  if (thread->has_extras) {
    thread->has_extras = false;
    std::fill_n(event.extras, 4, 0);
    event.text = {};
  }
  event.time_ns = last_ns_ = time_ns;
  ++ready.at;
  return &event;
}

// In one function: its parts are shorter than the way to them. The rest is another one, which has
// more to keep.
[[gnu::flatten]] const Event* Merge::next() {
  const Event* const event = next_plain();
  return event != nullptr ? event : next_any();
}

[[gnu::flatten, gnu::noinline]] const Event* Merge::next_any() {
  for (;;) {
    Thread* thread = after_vanished_ != nullptr ? after_vanished_ : pick();
    after_vanished_ = nullptr;
    if (thread == nullptr) return nullptr;
    if (!patience_.empty() && patience_.begin()->first < thread->event.time_ns) {
      lose_patience(patience_.begin()->second);
      push(thread);
      continue;
    }
    if (!apply(*thread)) {
      if (after_vanished_ != nullptr) return &vanished_;
      wait(*thread);
      continue;
    }
    Event& event = thread->event;
    event.time_ns = last_ns_ = std::max(last_ns_, event.time_ns);
    current_ = thread;
    return &event;
  }
}

bool Merge::apply(Thread& thread) {
  Event& event = thread.event;
  event.gone.is_known = false;
  switch (event.call) {
    case Call::kRealloc:
    case Call::kReallocarray:
    case Call::kMremap:
      return begin_move(thread);
    case Call::kReallocDone:
    case Call::kMremapDone:
      return end_move(thread);
    case Call::kNote:
      if (is_note(event, format::Note::kTouched)) return look(thread);
      return !came(event) || come(thread, LiveTable::kNoSlot);
    default:
      if (format::releases(event.call)) return go(thread);
      return !came(event) || come(thread, LiveTable::kNoSlot);
  }
}

// The block that the event brings, at that slot (kNoSlot: at a new one).
bool Merge::come(Thread& thread, uint32_t slot) {
  Event& event = thread.event;
  event.slot = live_.attach(
      slot, {event.pointer, event.time_ns, event.size, event.usable, event.thread, event.stack});
  if (event.slot == LiveTable::kNoSlot) {
    if (event.call == Call::kNote) return event.pointer = 0, true;  // it is known already
    if (!may_wait(thread)) vanish(thread);
    return false;
  }
  if (!waiting_.empty()) wake(event.pointer);
  return true;
}

// The block at the event's pointer must have gone.
void Merge::vanish(Thread& thread) {
  const Event& event = thread.event;
  Block old;
  const uint32_t slot = live_.take(event.pointer, old);
  ++oddities_.missed_releases;
  vanished_ = {};
  vanished_.call = Call::kNone;
  vanished_.thread = event.thread;
  vanished_.tid = event.tid;
  vanished_.time_ns = last_ns_ = std::max(last_ns_, event.time_ns);
  vanished_.pointer = event.pointer;
  vanished_.gone = gone(slot, old);
  after_vanished_ = &thread;
}

bool Merge::go(Thread& thread) {
  Event& event = thread.event;
  if (event.pointer == 0) return true;
  Block block;
  const uint32_t slot = live_.take(event.pointer, block);
  if (slot == LiveTable::kNoSlot) {
    if (may_wait(thread)) return false;
    ++oddities_.unknown_releases;
    return true;
  }
  event.gone = gone(slot, block);
  if (!waiting_.empty()) wake(event.pointer);
  return true;
}

// A note about a block that stays.
bool Merge::look(Thread& thread) {
  Block block;
  const uint32_t slot = live_.look(thread.event.pointer, block);
  if (slot != LiveTable::kNoSlot) return thread.event.gone = gone(slot, block), true;
  return !may_wait(thread);
}

// From here on another thread may be given the address.
bool Merge::begin_move(Thread& thread) {
  Event& event = thread.event;
  if (thread.is_moving) put_back(thread);
  if (event.call != Call::kMremap && event.pointer != 0) {
    thread.slot = live_.detach(event.pointer, thread.moving);
    if (thread.slot == LiveTable::kNoSlot) {
      if (may_wait(thread)) return false;
      ++oddities_.unknown_releases;
    } else {
      event.gone = gone(thread.slot, thread.moving);
      if (!waiting_.empty()) wake(event.pointer);
    }
  }
  thread.is_moving = true;
  thread.stack = event.stack;
  thread.old_pointer = event.pointer;
  thread.new_size = event.size;
  // What the slack is counted from: of reallocarray one element.
  const bool is_array = event.call == Call::kReallocarray && event.extras[0] != 0;
  thread.slack_from = is_array ? event.size / event.extras[0] : event.size;
  thread.has_slack = false;
  std::copy_n(event.extras, 4, thread.extras);
  return true;
}

bool Merge::end_move(Thread& thread) {
  Event& event = thread.event;
  event.old_pointer = 0;
  if (thread.is_moving) {
    if (!thread.has_slack) thread.slack = event.usable - event.size;
    thread.has_slack = true;  // it may have to wait, and comes here once more
    event.old_pointer = thread.old_pointer;
    event.size = thread.new_size;
    event.usable = std::max(event.size, thread.slack_from + thread.slack);
    std::copy_n(thread.extras, 4, event.extras);
    if (event.stack == 0) event.stack = thread.stack;
  }
  if (event.call == Call::kMremapDone) return thread.is_moving = false, true;
  // What asks for nothing and gets nothing is a release, not a failure.
  const bool is_release = event.pointer == 0 && event.size == 0 && event.old_pointer != 0;
  if (event.pointer == 0 && !is_release) return put_back(thread), true;
  if (event.pointer != 0 && !come(thread, thread.slot)) return false;
  if (thread.slot != LiveTable::kNoSlot) {
    event.gone = gone(thread.slot, thread.moving);
    if (is_release) live_.release(thread.slot);
  }
  thread.slot = LiveTable::kNoSlot;
  thread.is_moving = false;
  return true;
}

// The block is where it was.
void Merge::put_back(Thread& thread) {
  if (thread.slot != LiveTable::kNoSlot &&
      live_.attach(thread.slot, thread.moving) == LiveTable::kNoSlot) {
    live_.release(thread.slot);
    ++oddities_.missed_releases;
  }
  thread.slot = LiveTable::kNoSlot;
  thread.is_moving = false;
}

bool Merge::may_wait(const Thread& thread) const {
  return !thread.has_waited && !(heap_.empty() && patience_.empty());
}

void Merge::wait(Thread& thread) {
  waiting_.emplace(thread.event.pointer, &thread);
  patience_.emplace(thread.event.time_ns + kPatienceNs, &thread);
}

void Merge::wake(uint64_t pointer) {
  for (;;) {
    const auto found = waiting_.find(pointer);
    if (found == waiting_.end()) return;
    ++oddities_.reordered;
    stop_waiting(found);
  }
}

void Merge::stop_waiting(Waiting::iterator found) {
  Thread* const thread = found->second;
  waiting_.erase(found);
  auto until = patience_.lower_bound(thread->event.time_ns + kPatienceNs);
  while (until->second != thread) ++until;
  patience_.erase(until);
  push(thread);
}

void Merge::lose_patience(Thread* thread) {
  const auto [begin, end] = waiting_.equal_range(thread->event.pointer);
  thread->has_waited = true;
  stop_waiting(std::find_if(begin, end, [&](const auto& entry) { return entry.second == thread; }));
}

}  // namespace tide::trace
