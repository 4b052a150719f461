// Turns events into a workload, see format/workload.h. Memory: 16 bytes a live block beside those
// of the source, 16 for each large block that was touched in part, and a block of operations for
// each thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "format/workload.h"
#include "host/output_file.h"
#include "trace/exporter.h"
#include "trace/memory_samples.h"
#include "trace/workload_slots.h"

namespace tide::trace {

class WorkloadWriter : public Exporter {
 public:
  explicit WorkloadWriter(const std::string& path);
  ~WorkloadWriter() override;

  // Beside the operations: what is recorded of the program's memory.
  void add(const Event& event) override;
  void finish(const EventSource& source) override;

  // As they are in the file, after finish().
  const format::WorkloadHead& head() const { return head_; }

 private:
  // A live block: its slot, and the operation that made it.
  struct Made {
    uint32_t slot;
    uint32_t thread : 31;    // index
    uint32_t is_unseen : 1;  // large, live, and nobody has said what of it was touched
    uint64_t operation;
  };
  static_assert(sizeof(Made) == 16);
  struct Thread;
  struct Compressor;

  Thread& thread_of(const Event& event, uint32_t& index);
  void allocate(const Event& event, bool is_realloc);
  void release(const Event& event, Call call);
  // Ends with the operation's kind, slot and times; extras and sizes are the caller's.
  void begin(Thread& thread, const Event& event, Call call, uint8_t flags, uint32_t slot);
  void wait(Thread& thread, uint32_t on, uint64_t operations, uint64_t& counter, uint8_t& flags);
  void extras(Thread& thread, const Event& event, Call call);
  void end(Thread& thread);
  void write_block(Thread& thread);
  void note(const Event& event);
  void look(const Event& event);
  // The block goes.
  void forget(Made& block);
  void finish_touches();
  static std::vector<uint8_t> touches_of(const Thread& thread);
  void write_index();
  Made& made(uint32_t live_slot);

  host::OutputFile file_;
  format::WorkloadHead head_{};
  WorkloadSlots slots_;
  MemorySamples samples_;
  std::string allocator_;
  std::string program_;
  std::vector<Made> made_;  // by slot of the live table
  std::vector<std::unique_ptr<Thread>> threads_;
  std::unordered_map<uint32_t, uint32_t> indices_;  // of threads, by their numbers
  uint32_t block_operations_;                       // at most, in a block
  Thread* last_ = nullptr;                          // whose event was the last one, in threads_
  uint32_t last_number_ = 0;
  uint32_t last_index_ = 0;
  std::unique_ptr<Compressor> compressor_;
};

}  // namespace tide::trace
