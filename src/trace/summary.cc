#include "trace/summary.h"

#include <algorithm>

namespace tide::trace {
namespace {

// Numbers of threads are small, unless a file says otherwise.
constexpr uint32_t kMostThreads = 1 << 22;

}  // namespace

void Totals::add(const Totals& other) {
  calls.add(other.calls);
  events += other.events;
  allocations += other.allocations;
  allocated_bytes += other.allocated_bytes;
  releases += other.releases;
  failed_allocations += other.failed_allocations;
  null_releases += other.null_releases;
  temporary += other.temporary;
  foreign_releases += other.foreign_releases;
  initial_blocks += other.initial_blocks;
  initial_bytes += other.initial_bytes;
  for (size_t i = 0; i < format::kPathCount; ++i) paths[i] += other.paths[i];
  mapped_bytes += other.mapped_bytes;
  unmapped_bytes += other.unmapped_bytes;
  lost_events += other.lost_events;
  leaked_blocks += other.leaked_blocks;
  leaked_bytes += other.leaked_bytes;
  sizes.add(other.sizes);
  lifetimes.add(other.lifetimes);
  reallocs.moved += other.reallocs.moved;
  reallocs.in_place += other.reallocs.in_place;
  reallocs.moved_bytes += other.reallocs.moved_bytes;
  reallocs.grown += other.reallocs.grown;
  reallocs.shrunk += other.reallocs.shrunk;
  reallocs.failed += other.reallocs.failed;
  reallocs.longest_chain = std::max(reallocs.longest_chain, other.reallocs.longest_chain);
  oddities.unknown_releases += other.oddities.unknown_releases;
  oddities.missed_releases += other.oddities.missed_releases;
  oddities.reordered += other.oddities.reordered;
  oddities.damaged_chunks += other.oddities.damaged_chunks;
}

Summary::Thread& Summary::change_thread(const Event& event) {
  if (threads_.empty()) begin_ns_ = event.time_ns;
  last_thread_ = event.thread;
  number_ = event.thread < kMostThreads ? event.thread : 0;
  if (number_ >= threads_.size()) threads_.resize(number_ + 1);
  return threads_[number_];
}

// In one function: its parts are shorter than the way to them.
[[gnu::flatten]] void Summary::add(const Event& event) {
  Thread& thread = event.thread == last_thread_ ? threads_[number_] : change_thread(event);
  thread.figures.tid = event.tid;
  end_ns_ = event.time_ns;
  ++totals_.events;
  const Call call = counted_as(event);
  if (call != Call::kNone) {
    totals_.calls.add(call);
    ++thread.figures.calls;
  }
  if (format::releases(event.call)) {
    if (event.pointer == 0) ++totals_.null_releases;
    ++totals_.releases;
    ++thread.figures.releases;
    if (event.gone.is_known) gone(event, thread, event.pointer);
  } else if (event.call == Call::kReallocDone) {
    moved(event, thread);
  } else if (format::allocates(event.call)) {
    if (event.pointer == 0) {
      ++totals_.failed_allocations;
    } else {
      came(event, thread, 0);
    }
  } else if (event.call == Call::kNone) {
    peak_.gone(event.gone.size, event.gone.stack);
  } else {
    note(event, thread);
  }
  timeline_.add(event.time_ns, call != Call::kNone, peak_.live_bytes());
}

inline void Summary::came(const Event& event, Thread& thread, uint64_t chain) {
  ++totals_.allocations;
  totals_.allocated_bytes += event.size;
  if (const auto path = static_cast<size_t>(event.path); path < format::kPathCount) {
    ++totals_.paths[path];
  }
  totals_.sizes.add(event.size);
  ++thread.figures.allocations;
  thread.figures.allocated_bytes += event.size;
  thread.last_pointer = event.pointer;
  peak_.came(event.time_ns, event.size, event.stack);
  if (event.stack != 0) {
    if (event.stack >= stacks_.size()) stacks_.resize(size_t{event.stack} + 1);
    ++stacks_[event.stack].allocations;
    stacks_[event.stack].allocated_bytes += event.size;
  }
  if (chain != 0 && event.slot >= chains_.size()) chains_.resize(size_t{event.slot} + 1);
  if (event.slot < chains_.size()) chains_[event.slot] = static_cast<uint32_t>(chain);
}

inline void Summary::gone(const Event& event, Thread& thread, uint64_t pointer) {
  const GoneBlock& block = event.gone;
  peak_.gone(block.size, block.stack);
  totals_.lifetimes.add(event.time_ns - std::min(event.time_ns, block.time_ns));
  if (block.thread != event.thread) {
    ++totals_.foreign_releases;
    ++thread.figures.foreign_releases;
  } else if (thread.last_pointer == pointer) {
    ++totals_.temporary;
    if (block.stack != 0 && block.stack < stacks_.size()) ++stacks_[block.stack].temporary;
  }
}

// A realloc's second half.
[[gnu::noinline]] void Summary::moved(const Event& event, Thread& thread) {
  ReallocFigures& reallocs = totals_.reallocs;
  if (event.pointer == 0 && !event.gone.is_known) {
    ++reallocs.failed;
    ++totals_.failed_allocations;
    return;
  }
  if (event.pointer == 0) return gone(event, thread, event.old_pointer);
  uint64_t chain = 0;
  if (event.gone.is_known) {
    const GoneBlock& old = event.gone;
    if (old.slot < chains_.size()) chain = chains_[old.slot];
    ++chain;
    reallocs.longest_chain = std::max(reallocs.longest_chain, chain);
    if (event.pointer == event.old_pointer) {
      ++reallocs.in_place;
    } else {
      ++reallocs.moved;
      reallocs.moved_bytes += std::min(old.size, event.size);
    }
    ++(event.size >= old.size ? reallocs.grown : reallocs.shrunk);
    // Neither a temporary block nor the end of one: its content lives on.
    peak_.gone(old.size, old.stack);
  }
  came(event, thread, chain);
}

[[gnu::noinline]] void Summary::note(const Event& event, Thread& thread) {
  switch (event.call) {
    case Call::kMmap:
      if (event.pointer != 0) totals_.mapped_bytes += event.size;
      break;
    case Call::kMunmap:
      totals_.unmapped_bytes += event.size;
      break;
    case Call::kThread:
      if (event.extras[0] == static_cast<uint64_t>(format::ThreadNote::kExit)) break;
      if (!event.text.empty()) thread.figures.name = event.text;
      break;
    case Call::kNote:
      switch (static_cast<format::Note>(event.extras[0])) {
        case format::Note::kMarker:
          markers_.push_back({event.time_ns, std::string(event.text)});
          break;
        case format::Note::kLost:
          noted_losses_ += event.extras[1];
          break;
        case format::Note::kAllocator:
          allocator_ = event.text;
          break;
        case format::Note::kMemory:
          memory_.add(event);
          --totals_.events;  // nothing that the program did
          break;
        case format::Note::kTouched:
          --totals_.events;
          break;
        case format::Note::kLive:
          if (!trace::came(event)) break;
          ++totals_.initial_blocks;
          totals_.initial_bytes += event.size;
          peak_.came(event.time_ns, event.size, event.stack);
          break;
        default:
          break;
      }
      break;
    default:
      break;
  }
}

void Summary::finish(const EventSource& source) {
  totals_.oddities = source.oddities();
  totals_.lost_events = std::max(noted_losses_, source.process().lost_events);
  totals_.leaked_blocks = peak_.live_blocks();
  totals_.leaked_bytes = peak_.live_bytes();
  for (uint32_t number = 0; number < threads_.size(); ++number) {
    const ThreadFigures& figures = threads_[number].figures;
    if (figures.calls != 0 || !figures.name.empty()) shown_threads_.emplace(number, figures);
  }
}

}  // namespace tide::trace
