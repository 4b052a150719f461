#include "trace/thread_events.h"

#include <algorithm>

#include "host/error.h"

namespace tide::trace {

using format::Record;

ThreadEvents::ThreadEvents(const EventsFile& file, std::vector<const EventsFile::Chunk*> chunks,
                           const TickScale& scale, StackTable& stacks, const LiveTable& live,
                           ReadAhead* ahead, uint64_t* damaged)
    : file_(file),
      stacks_(stacks),
      live_(live),
      damaged_(damaged),
      blocks_(file, std::move(chunks), scale, ahead == nullptr ? kAtOnce : kBlock, ahead) {
  first_time_ns_ = scale.ns(blocks_.first_tick());
  ready_.stacks = stack_numbers_;
}

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
  } while (block_.run.count == 0);
  next_at_ = 0;
  ready_.stacks =
      has_all_stacks_ ? std::span<const uint32_t>(stack_numbers_) : std::span<const uint32_t>();
  return true;
}

// The entries of the next records' blocks were asked for a while ago; now for the blocks
// themselves, and for the entries of those behind them. Inline by force, as
// LiveTable::prefetch_block(): else gcc 12 leaves out the call.
TIDE_INLINE void ThreadEvents::look_ahead() {
  if (live_.slots() < kFewBlocks) return;
  const PlainRecord* const records = block_.run.plain.data();
  const size_t end = std::min(next_at_ + kAtOnce, block_.run.count);
  if (next_at_ == 0) {
    for (size_t i = 0; i < end; ++i) live_.prefetch(records[i].pointer);
  }
  for (size_t i = next_at_; i < end; ++i) live_.prefetch_block(records[i].pointer);
  for (size_t i = end; i < std::min(end + kAtOnce, block_.run.count); ++i) {
    live_.prefetch(records[i].pointer);
  }
}

// False: there are no more records.
bool ThreadEvents::make_ready() {
  if (next_at_ == block_.run.count && !read_more()) return false;
  look_ahead();
  ready_.at = block_.run.plain.data() + next_at_;
  next_at_ = std::min(next_at_ + kAtOnce, block_.run.count);
  ready_.end = block_.run.plain.data() + next_at_;
  return true;
}

void ThreadEvents::define_stack(const Record& record) {
  frames_.clear();
  std::string_view rest = record.frames;
  uint64_t frame = 0;
  while (format::next_frame(rest, &frame)) frames_.push_back(frame);
  stack_numbers_.push_back(stacks_.add(frames_));
  if (has_all_stacks_) ready_.stacks = stack_numbers_;
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

// What a plain record has not is nothing.
void ThreadEvents::take_whole(const PlainRecord& plain, Event& event) const {
  if (plain.whole == 0) {
    std::fill_n(event.extras, 4, 0);
    event.text = {};
    return;
  }
  const Record& record = block_.run.whole[plain.whole - 1];
  std::copy_n(record.extras, 4, event.extras);
  event.text = record.text;
  if (record.call == Call::kNote) take_note(event);
  if (record.call == Call::kCalloc || record.call == Call::kReallocarray) take_product(event);
}

bool ThreadEvents::next(Event& event) {
  for (;;) {
    if (ready_.at == ready_.end && !make_ready()) return false;
    const PlainRecord& plain = *ready_.at++;
    if (plain.call == Call::kNone) continue;
    if (plain.call == Call::kStack) {
      define_stack(block_.run.whole[plain.whole - 1]);
      continue;
    }
    event.thread = block_.chunk->head.thread;
    event.tid = block_.chunk->head.tid;
    take_plain(plain, ready_.stacks, event);
    take_whole(plain, event);
    return true;
  }
}

}  // namespace tide::trace
