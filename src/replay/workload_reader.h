// Reads workloads: the head and the index at once, each thread's operations in its own order. Any
// number of threads of ours may read one each. Every byte may be hostile; errors are host::Error
// and name file and offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "format/workload.h"
#include "format/workload_block.h"
#include "host/input_file.h"

namespace tide::replay {

class WorkloadReader {
 public:
  explicit WorkloadReader(const std::string& path);

  const format::WorkloadHead& head() const { return head_; }
  const std::vector<format::WorkloadThread>& threads() const { return threads_; }
  // What the program's memory was while it was recorded, in the order of time; empty: not known.
  const std::vector<format::WorkloadSample>& samples() const { return samples_; }
  // Paths; empty: not known.
  const std::string& allocator() const { return allocator_; }
  const std::string& program() const { return program_; }
  // Of a thread.
  format::WorkloadTouchReader touches(size_t thread) const;
  const std::vector<format::WorkloadBlock>& blocks() const { return blocks_; }
  const std::string& path() const { return file_.path(); }

  // The operations of one thread.
  class Operations {
   public:
    Operations(const WorkloadReader& workload, size_t thread);
    ~Operations();
    Operations(Operations&&) noexcept;

    // False: there are no more.
    bool next(format::WorkloadOperation& operation) {
      if (block_.next(operation)) return check(operation);
      return next_block() && next_in_block(operation);
    }

   private:
    struct Decompressor;
    bool check(format::WorkloadOperation& operation) {
      if (operation.wait_thread != format::WorkloadOperation::kNone) check_wait(operation);
      if (!format::releases(operation.call)) {
        operation.touched = touches_.touched(number_, operation.size);
      }
      ++number_;
      return true;
    }
    void check_wait(const format::WorkloadOperation& operation) const;
    bool next_block();
    bool next_in_block(format::WorkloadOperation& operation);

    const WorkloadReader& workload_;
    size_t thread_;
    size_t next_;
    size_t end_;
    uint64_t number_ = 0;  // of the next operation
    format::WorkloadTouchReader touches_;
    format::WorkloadBlockReader block_;
    std::unique_ptr<Decompressor> decompressor_;
  };
  Operations operations(size_t thread) const { return {*this, thread}; }

 private:
  void read_index();
  void check_blocks();

  host::InputFile file_;
  format::WorkloadHead head_{};
  std::vector<format::WorkloadThread> threads_;
  std::vector<size_t> first_blocks_;  // by thread, and one more
  std::vector<format::WorkloadBlock> blocks_;
  std::vector<format::WorkloadSample> samples_;
  std::vector<uint8_t> touches_;
  std::vector<size_t> first_touches_;  // by thread: where in touches_, and one more
  std::string allocator_;
  std::string program_;
};

}  // namespace tide::replay
