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
                           uint64_t* damaged)
    : file_(file),
      chunks_(std::move(chunks)),
      scale_(scale),
      stacks_(stacks),
      live_(live),
      damaged_(damaged) {}

uint64_t ThreadEvents::first_time_ns() const {
  return chunks_.empty() ? 0 : scale_.ns(chunks_.front()->head.first_tick);
}

bool ThreadEvents::open_next() {
  while (next_chunk_ < chunks_.size()) {
    chunk_ = chunks_[next_chunk_++];
    // After a gap the numbers of call stacks are no longer known.
    if (chunk_->head.sequence != next_sequence_) has_all_stacks_ = false;
    next_sequence_ = chunk_->head.sequence + chunk_->head.packets;
    try {
      file_.read(*chunk_, stored_);
      if (!decoder_) decoder_ = std::make_unique<ChunkDecoder>();
      records_.resize(kAtOnce);
      decoder_->open(chunk_->head, stored_);
      return true;
    } catch (const host::Error& error) {
      damage(error);
    }
  }
  chunk_ = nullptr;
  decoder_.reset();
  stored_ = {};
  records_ = {};
  return false;
}

void ThreadEvents::damage(const host::Error& error) {
  if (damaged_ == nullptr) file_.fail(chunk_->offset, error.what());
  ++*damaged_;
  has_all_stacks_ = false;
}

// False: there are no more.
bool ThreadEvents::read_more() {
  at_ = count_ = 0;
  while (count_ == 0) {
    if (fault_) {
      damage(*fault_);
      fault_.reset();
      chunk_ = nullptr;
    }
    if (chunk_ == nullptr && !open_next()) return false;
    try {
      for (; count_ < kAtOnce && decoder_->next(records_[count_]); ++count_) {
        live_.prefetch(records_[count_].pointer);
      }
      if (count_ == 0) chunk_ = nullptr;
    } catch (const host::Error& error) {
      fault_ = error;
    }
  }
  for (size_t i = 0; i < count_; ++i) live_.prefetch_block(records_[i].pointer);
  return true;
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
    if (at_ == count_ && !read_more()) return false;
    if (records_[at_].call == Call::kStack) define_stack(records_[at_]);
    ++at_;
  } while (records_[at_ - 1].call == Call::kStack || records_[at_ - 1].call == Call::kNone);
  const Record& record = records_[at_ - 1];
  ++records_read_;
  event.call = record.call;
  event.path = record.path;
  event.has_size = record.has_size;
  event.thread = chunk_->head.thread;
  event.tid = chunk_->head.tid;
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
