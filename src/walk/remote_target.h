// A process whose memory somebody else reads for us: a debugger that has it stopped, here or on
// another machine. The other side of the two pipes is gdb/tide-heap.py; what is said on them stands
// in docs/design/07-gdb.md.
#pragma once

#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/mapped_files.h"
#include "walk/live_target.h"
#include "walk/target.h"

namespace tide::walk {

class RemoteTarget : public Target {
 public:
  // Descriptors: answers come from `answers`, questions go to `questions`. Reads the head, throws
  // host::Error when there is none that is understood.
  RemoteTarget(int answers, int questions);

  std::string name() const override { return name_; }
  bool is_core() const override { return false; }
  const std::vector<Segment>& segments() const override { return segments_; }
  const std::vector<Thread>& threads() const override { return threads_; }
  std::string program() const override { return program_; }
  std::string path_of(const Segment& segment) const override;
  int thread_here(int number_inside) const override {
    return numbers_ ? numbers_->here(number_inside) : number_inside;
  }
  std::span<const std::byte> view(uint64_t address, size_t bytes, Buffer& buffer) const override;

 private:
  // Memory that was read ahead: small reads come from here.
  struct Chunk {
    uint64_t start = 0;  // 0: none
    Buffer bytes;
  };
  static constexpr size_t kChunkBytes = size_t{64} << 10;
  static constexpr size_t kChunks = 256;
  static constexpr size_t kMostBytes = size_t{1} << 20;  // of one answer

  void read_head();
  void add_thread(std::string_view text);
  std::string read_line();
  void receive(void* to, size_t bytes) const;
  // As many of `bytes` as are there.
  size_t ask(uint64_t address, size_t bytes, std::byte* to) const;
  const Chunk& chunk_of(uint64_t address, const Segment& segment) const;

  int answers_;
  int questions_;
  std::string name_;
  std::string program_;
  int pid_ = 0;  // of a process of this machine
  std::optional<host::MappedFiles> files_;
  std::optional<ThreadNumbers> numbers_;
  std::vector<Segment> segments_;
  std::vector<Thread> threads_;
  mutable std::mutex mutex_;  // one question at a time
  mutable std::array<Chunk, kChunks> chunks_;
};

}  // namespace tide::walk
