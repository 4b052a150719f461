// The events of one thread of a recorded process, in its own order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trace/event.h"
#include "trace/events_file.h"
#include "trace/live_table.h"
#include "trace/merge.h"
#include "trace/record_blocks.h"
#include "trace/stack_table.h"
#include "trace/tick_scale.h"

namespace tide::trace {

class ThreadEvents : public ThreadStream {
 public:
  // `chunks` of that thread, in the order of the file; `ahead`: null if there are many threads,
  // which then have little memory each. In salvage mode chunks that can't be read are left out, and
  // counted in `*damaged`. `live`: whoever gets the events will look their blocks up there.
  ThreadEvents(const EventsFile& file, std::vector<const EventsFile::Chunk*> chunks,
               const TickScale& scale, StackTable& stacks, const LiveTable& live, ReadAhead* ahead,
               uint64_t* damaged);

  bool next(Event& event) override;
  uint64_t first_time_ns() const override { return first_time_ns_; }

 private:
  // How far ahead the memory that holds the records' blocks is asked for.
  static constexpr size_t kAtOnce = 32;
  static constexpr size_t kBlock = 4096;
  // A table of fewer blocks than that is near anyway.
  static constexpr size_t kFewBlocks = 1 << 13;

  bool make_ready();
  bool read_more();
  void look_ahead();
  void take_whole(const PlainRecord& plain, Event& event) const;
  void damage(const host::Error& error);
  static void take_product(Event& event);
  static void take_note(Event& event);
  void define_stack(const format::Record& record);

  const EventsFile& file_;
  uint64_t first_time_ns_;
  StackTable& stacks_;
  const LiveTable& live_;
  uint64_t* damaged_;  // null: errors are thrown
  RecordBlocks blocks_;
  RecordBlock block_;
  size_t next_at_ = 0;  // in the block: behind those that are ready
  uint32_t next_sequence_ = 0;
  bool has_all_stacks_ = true;
  std::vector<uint32_t> stack_numbers_{0};  // by the thread's own numbers
  std::vector<uint64_t> frames_;
};

}  // namespace tide::trace
