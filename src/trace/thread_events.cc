#include "trace/thread_events.h"

#include <algorithm>

#include "host/error.h"

namespace tide::trace {

using format::Record;

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

ThreadEvents::ThreadEvents(const EventsFile& file, std::vector<const EventsFile::Chunk*> chunks,
                           const TickScale& scale, StackTable& stacks, const LiveTable& live,
                           ReadAhead* ahead, uint64_t* damaged)
    : file_(file),
      scale_(scale),
      stacks_(stacks),
      live_(live),
      damaged_(damaged),
      blocks_(file, std::move(chunks), ahead == nullptr ? kAtOnce : kBlock, ahead) {}

uint64_t ThreadEvents::first_time_ns() const { return scale_.ns(blocks_.first_tick()); }

void ThreadEvents::damage(const host::Error& error) {
  if (damaged_ == nullptr) {
    file_.fail(block_.chunk->offset,
               std::string(error.what()) + "; --salvage reads what is intact");
  }
  ++*damaged_;
  has_all_stacks_ = false;
}

// False: there are no more.
bool ThreadEvents::read_more() {
  do {
    if (block_.fault) damage(*block_.fault);
    blocks_.next(block_);
    if (block_.chunk == nullptr) return false;
    if (block_.begins_chunk) {
      const format::ChunkHead& head = block_.chunk->head;
      // After a gap the numbers of call stacks are no longer known.
      if (head.sequence != next_sequence_) has_all_stacks_ = false;
      next_sequence_ = head.sequence + head.packets;
    }
  } while (block_.count == 0);
  at_ = 0;
  for (size_t i = 0; i < std::min(kAtOnce, block_.count); ++i) {
    live_.prefetch(block_.records[i].pointer);
  }
  return true;
}

// The entries of the next records' blocks were asked for a while ago; now for the blocks
// themselves, and for the entries of those behind them.
void ThreadEvents::look_ahead() {
  const size_t end = std::min(at_ + kAtOnce, block_.count);
  for (size_t i = at_; i < end; ++i) live_.prefetch_block(block_.records[i].pointer);
  for (size_t i = end; i < std::min(end + kAtOnce, block_.count); ++i) {
    live_.prefetch(block_.records[i].pointer);
  }
}

void ThreadEvents::define_stack(const Record& record) {
  frames_.clear();
  std::string_view rest = record.frames;
  uint64_t frame = 0;
  while (format::next_frame(rest, &frame)) frames_.push_back(frame);
  stack_numbers_.push_back(stacks_.add(frames_));
}

// The size is that of one element; what does not fit into 64 bits was not served.
void ThreadEvents::take_product(Event& event) {
  if (__builtin_mul_overflow(event.size, event.extras[0], &event.size)) event.size = UINT64_MAX;
  event.usable = std::max(event.usable, event.size);
}

// Notes about blocks.
void ThreadEvents::take_note(Event& event) {
  const auto note = static_cast<format::Note>(event.extras[0]);
  if (note != format::Note::kLive && note != format::Note::kTouched) return;
  event.pointer = event.extras[1];
  event.size = event.usable = event.extras[2];
}

bool ThreadEvents::next(Event& event) {
  do {
    if (at_ == block_.count && !read_more()) return false;
    if (at_ % kAtOnce == 0) look_ahead();
    if (block_.records[at_].call == Call::kStack) define_stack(block_.records[at_]);
    ++at_;
  } while (block_.records[at_ - 1].call == Call::kStack ||
           block_.records[at_ - 1].call == Call::kNone);
  const Record& record = block_.records[at_ - 1];
  event.call = record.call;
  event.path = record.path;
  event.has_size = record.has_size;
  event.thread = block_.chunk->head.thread;
  event.tid = block_.chunk->head.tid;
  event.stack =
      has_all_stacks_ && record.stack < stack_numbers_.size() ? stack_numbers_[record.stack] : 0;
  event.time_ns = scale_.ns(record.tick);
  event.pointer = record.pointer;
  event.size = record.size;
  event.usable = record.usable;
  for (size_t i = 0; i < 4; ++i) event.extras[i] = record.extras[i];
  if (record.call == Call::kNote) take_note(event);
  if (record.call == Call::kCalloc || record.call == Call::kReallocarray) take_product(event);
  event.text = record.text;
  return true;
}

}  // namespace tide::trace
