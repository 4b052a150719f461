// A running process as a Target. Its threads are stopped with ptrace for as long as the object
// lives, or not at all; they go on when it ends, also when this command is killed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "host/mapped_files.h"
#include "host/pagemap.h"
#include "host/proc.h"
#include "walk/live_memory.h"
#include "walk/stopped_threads.h"
#include "walk/target.h"

namespace tide::walk {

// Of the text of /proc/PID/maps.
std::vector<Segment> segments_of(std::string_view maps);

// Of a process of this system: where the file that it has mapped at `address` can be opened.
std::string path_of_mapped(const host::MappedFiles& files, const host::Proc& proc, int pid,
                           uint64_t address);

// The threads of a process by their numbers in its own PID namespace.
class ThreadNumbers {
 public:
  ThreadNumbers(const host::Proc& proc, int pid) : proc_(proc), pid_(pid) {}
  // As it is, where no thread has it.
  int here(int number_inside) const;

 private:
  const host::Proc proc_;
  int pid_;
  mutable std::once_flag is_known_;
  mutable std::map<int, int> here_;
};

class LiveTarget : public Target {
 public:
  // With `stop` false the process goes on meanwhile; what is read may not fit together.
  // Throws host::Error: no such process, not permitted.
  LiveTarget(int pid, bool stop);
  ~LiveTarget() override;

  std::string name() const override;
  bool is_core() const override { return false; }
  const std::vector<Segment>& segments() const override { return segments_; }
  const std::vector<Thread>& threads() const override { return threads_; }
  std::string program() const override { return proc_.link_target(pid_, "exe"); }
  std::string path_of(const Segment& segment) const override;
  int thread_here(int number_inside) const override { return numbers_.here(number_inside); }
  void read(const std::vector<Piece>& pieces) const override { memory_.read(pieces); }
  std::span<const std::byte> view(uint64_t address, size_t bytes, Buffer& buffer) const override;
  uint64_t next_touched(uint64_t address, uint64_t end) const override;

  int pid() const { return pid_; }

 private:
  void read_segments();
  void read_threads();

  host::Proc proc_;
  int pid_;
  LiveMemory memory_;
  host::Pagemap pagemap_;
  host::MappedFiles files_;
  ThreadNumbers numbers_;
  std::unique_ptr<StoppedThreads> stopped_;
  std::vector<Segment> segments_;
  std::vector<Thread> threads_;
};

}  // namespace tide::walk
