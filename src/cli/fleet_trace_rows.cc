#include "cli/fleet_trace_rows.h"

#include <algorithm>

#include "cli/fleet_rows.h"
#include "trace/call_counts.h"
#include "trace/histogram.h"
#include "trace/stack_table.h"
#include "trace/top_stacks.h"

namespace tide::cli {
namespace {

using fleet::Cell;
using fleet::TableId;
using trace::Call;
using trace::Event;

// Numbers of threads are small, unless a file says otherwise.
constexpr uint32_t kMostThreads = 1 << 22;

enum EventKind : int64_t { kOther, kAllocation, kRelease, kRealloc, kMissed };

int64_t bin_of(uint64_t value) { return static_cast<int64_t>(trace::Histogram::bin_of(value)); }
int64_t whole(uint64_t value) { return static_cast<int64_t>(value); }

}  // namespace

// What of a row follows from what was before.
struct TraceRows::Effect {
  int64_t kind = kOther;
  int64_t is_own = 1;
  int64_t came = 0;
  int64_t gone = 0;
  int64_t is_foreign = 0;
  int64_t is_temporary = 0;
  int64_t failed = 0;
  int64_t resized = 0;
  int64_t lifetime_bin = -1;
  int64_t chain = 0;
};

TraceRows::Thread& TraceRows::thread_of(const Event& event) {
  const uint32_t number = event.thread < kMostThreads ? event.thread : 0;
  if (number >= threads_.size()) threads_.resize(number + 1);
  threads_[number].tid = event.tid;
  return threads_[number];
}

void TraceRows::note_stack(uint32_t stack) {
  if (stack >= stacks_.size()) stacks_.resize(size_t{stack} + 1);
  stacks_[stack] = true;
}

void TraceRows::set_came(const Event& event, Thread& thread, uint32_t chain, Effect& effect) {
  effect.came = 1;
  ++allocations_;
  allocated_bytes_ += whole(event.size);
  thread.last_pointer = event.pointer;
  if (chain != 0 && event.slot >= chains_.size()) chains_.resize(size_t{event.slot} + 1);
  if (event.slot < chains_.size()) chains_[event.slot] = chain;
}

void TraceRows::set_gone(const Event& event, uint64_t pointer, const Thread& thread,
                         Effect& effect) {
  effect.gone = 1;
  effect.lifetime_bin = bin_of(event.time_ns - std::min(event.time_ns, event.gone.time_ns));
  effect.is_foreign = event.gone.thread != event.thread ? 1 : 0;
  effect.is_temporary = effect.is_foreign == 0 && thread.last_pointer == pointer ? 1 : 0;
}

// A realloc's second half.
void TraceRows::set_moved(const Event& event, Thread& thread, Effect& effect) {
  effect.kind = kRealloc;
  if (event.pointer == 0) {
    if (event.gone.is_known) return set_gone(event, event.old_pointer, thread, effect);
    effect.failed = 1;
    return;
  }
  uint32_t chain = 0;
  if (event.gone.is_known) {
    effect.gone = 1;
    effect.resized = event.pointer == event.old_pointer ? 1 : 2;
    if (event.gone.slot < chains_.size()) chain = chains_[event.gone.slot];
    ++chain;
    effect.chain = chain;
  }
  set_came(event, thread, chain, effect);
}

void TraceRows::set_note(const Event& event, Thread& thread, Effect& effect) {
  if (event.call == Call::kThread) {
    const bool is_end = event.extras[0] == static_cast<uint64_t>(format::ThreadNote::kExit);
    if (!is_end && !event.text.empty()) thread.name = event.text;
    return;
  }
  if (event.call != Call::kNote) return;
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
      effect.is_own = 0;
      memory_.push_back(
          {event.time_ns, std::string(event.text), whole(event.extras[1]), whole(event.extras[2])});
      break;
    case format::Note::kTouched:
      effect.is_own = 0;
      break;
    case format::Note::kLive:
      if (trace::came(event)) effect.came = 2;
      break;
    default:
      break;
  }
}

void TraceRows::add(const Event& event, fleet::Rows& rows) {
  Thread& thread = thread_of(event);
  if (events_++ == 0) begin_ns_ = event.time_ns;
  end_ns_ = event.time_ns;
  const Call call = counted_as(event);
  Effect effect;
  const bool is_release = format::releases(event.call);
  if (is_release) {
    effect.kind = kRelease;
    if (event.gone.is_known) set_gone(event, event.pointer, thread, effect);
  } else if (event.call == Call::kReallocDone) {
    set_moved(event, thread, effect);
  } else if (format::allocates(event.call)) {
    effect.kind = kAllocation;
    if (event.pointer == 0) {
      effect.failed = 1;
    } else {
      set_came(event, thread, 0, effect);
    }
  } else if (event.call == Call::kNone) {
    effect.kind = kMissed;
    effect.gone = 1;
  } else {
    set_note(event, thread, effect);
  }
  if (effect.came != 0) {
    live_bytes_ += whole(event.size);
    note_stack(event.stack);
  }
  if (effect.gone != 0) {
    live_bytes_ -= whole(event.gone.size);
    note_stack(event.gone.stack);
  }
  if (effect.came != 0) peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  own_events_ += effect.is_own;
  const auto path = static_cast<int64_t>(event.path);
  const bool has_size =
      effect.came != 0 || effect.failed != 0 || call == Call::kMmap || call == Call::kMunmap;
  const int64_t cells[] = {trace_,
                           process_,
                           events_,
                           whole(event.time_ns),
                           int64_t{event.thread},
                           static_cast<int64_t>(call),
                           effect.kind,
                           effect.is_own,
                           effect.came,
                           effect.gone,
                           effect.is_foreign,
                           effect.is_temporary,
                           is_release && event.pointer == 0 ? 1 : 0,
                           effect.failed,
                           effect.came == 1 ? path : -1,
                           effect.resized,
                           effect.came != 0 ? bin_of(event.size) : -1,
                           effect.gone != 0 ? bin_of(event.gone.size) : -1,
                           effect.lifetime_bin,
                           has_size ? whole(event.size) : 0,
                           effect.came != 0 ? whole(event.usable) : 0,
                           effect.came != 0 ? int64_t{event.stack} : 0,
                           effect.gone != 0 ? whole(event.gone.size) : 0,
                           effect.gone != 0 ? int64_t{event.gone.stack} : 0,
                           effect.chain,
                           whole(event.pointer),
                           live_bytes_};
  for (size_t i = 0; i < std::size(cells); ++i) rows.numbers(i).push_back(cells[i]);
}

void TraceRows::finish(const trace::EventSource& source, fleet::Batch& batch) {
  const int64_t process = process_;
  for (size_t number = 0; number < threads_.size(); ++number) {
    const Thread& thread = threads_[number];
    if (thread.tid == 0 && thread.name.empty() && thread.last_pointer == 0) continue;
    batch.rows(TableId::kTraceThreads)
        .add({trace_, process, whole(number), int64_t{thread.tid}, thread.name, time_ns_});
  }
  for (size_t i = 0; i < memory_.size(); ++i) {
    batch.rows(TableId::kTraceMemory)
        .add({trace_, process, whole(i + 1), whole(memory_[i].at_ns), memory_[i].rss, memory_[i].vm,
              memory_[i].text, time_ns_});
  }
  for (size_t i = 0; i < markers_.size(); ++i) {
    batch.rows(TableId::kTraceMarkers)
        .add({trace_, process, whole(i + 1), whole(markers_[i].at_ns), markers_[i].text, time_ns_});
  }
  for (uint32_t number = 1; number < stacks_.size(); ++number) {
    if (!stacks_[number]) continue;
    batch.rows(TableId::kTraceStacks)
        .add({trace_, process, int64_t{number},
              add_stack(trace::stack_names(source, number), batch), time_ns_});
  }
  const trace::ProcessIdentity& identity = source.process();
  const trace::Oddities odd = source.oddities();
  batch.rows(TableId::kTraceProcesses)
      .add({trace_,
            process,
            identity.pid,
            identity.parent,
            identity.program,
            identity.ended,
            allocator_,
            whole(begin_ns_),
            whole(end_ns_),
            whole(std::max(noted_losses_, identity.lost_events)),
            whole(odd.unknown_releases),
            whole(odd.missed_releases),
            whole(odd.reordered),
            whole(odd.damaged_chunks),
            own_events_,
            allocations_,
            allocated_bytes_,
            peak_bytes_,
            live_bytes_,
            time_ns_});
}

void add_call_names(fleet::Batch& batch) {
  for (size_t i = 1; i < format::kCallCount; ++i) {
    batch.rows(TableId::kTraceCalls)
        .add({whole(i), std::string(format::call_name(static_cast<Call>(i)))});
  }
}

}  // namespace tide::cli
