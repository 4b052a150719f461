// The events of one thread of a recorded process, in its own order: a chunk at a time is in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "host/error.h"

#include "trace/chunk_codec.h"
#include "trace/event.h"
#include "trace/events_file.h"
#include "trace/live_table.h"
#include "trace/merge.h"
#include "trace/stack_table.h"

namespace tide::trace {

// Ticks of the recording's clock as nanoseconds since it began: a line through what the collector
// saw of both clocks.
class TickScale {
 public:
  explicit TickScale(const EventsFile& file);

  uint64_t ns(uint64_t tick) const {
    return tick <= first_tick_
               ? 0
               : static_cast<uint64_t>(static_cast<double>(tick - first_tick_) * ns_per_tick_);
  }

 private:
  uint64_t first_tick_;
  double ns_per_tick_;
};

class ThreadEvents : public ThreadStream {
 public:
  // `chunks` of that thread, in the order of the file. In salvage mode chunks that can't be read
  // are left out, and counted in `*damaged`. `live`: whoever gets the events will look their blocks
  // up there.
  ThreadEvents(const EventsFile& file, std::vector<const EventsFile::Chunk*> chunks,
               const TickScale& scale, StackTable& stacks, const LiveTable& live,
               uint64_t* damaged);

  bool next(Event& event) override;
  uint64_t first_time_ns() const override;

  uint64_t records_read() const { return records_read_; }

 private:
  // How many records are read at once: meanwhile the memory that holds their blocks comes.
  static constexpr size_t kAtOnce = 32;

  bool open_next();
  bool read_more();
  void damage(const host::Error& error);
  static void take_product(Event& event);
  static void take_note(Event& event);
  void define_stack(const format::Record& record);

  const EventsFile& file_;
  std::vector<const EventsFile::Chunk*> chunks_;
  const TickScale& scale_;
  StackTable& stacks_;
  const LiveTable& live_;
  uint64_t* damaged_;  // null: errors are thrown
  size_t next_chunk_ = 0;
  const EventsFile::Chunk* chunk_ = nullptr;
  std::unique_ptr<ChunkDecoder> decoder_;
  std::vector<uint8_t> stored_;
  uint32_t next_sequence_ = 0;
  bool has_all_stacks_ = true;
  uint64_t records_read_ = 0;
  std::vector<format::Record> records_;  // while there is a chunk
  size_t at_ = 0;
  size_t count_ = 0;
  std::optional<host::Error> fault_;        // behind these records
  std::vector<uint32_t> stack_numbers_{0};  // by the thread's own numbers
  std::vector<uint64_t> frames_;
};

}  // namespace tide::trace
