// What a collector knows of a program in a process, and the files of it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "format/record_reader.h"
#include "format/trace_arena.h"
#include "host/file_descriptor.h"
#include "host/mapped_files.h"

namespace tide::trace {

struct Module {
  uint64_t address;
  uint64_t bytes;
  std::string build_id;
  std::string path;
};

// A thread's stream as far as it was taken.
struct TracedThread {
  uint32_t next_sequence = 0;
  // When the first packet was seen that is not taken yet.
  std::chrono::steady_clock::time_point waits_since;
  bool waits = false;
};

class TracedProcess {
 public:
  enum class End { kNot, kGone, kExecuted, kLeft };

  // Of a slot that is live. What is not to be seen any more is left empty.
  // `pid`: its number here; 0: it ended before it was seen.
  TracedProcess(uint32_t slot_index, const format::ProcessSlot& slot, int32_t pid);

  uint32_t slot_index() const { return slot_index_; }
  uint32_t number() const { return number_; }
  int32_t pid() const { return pid_; }
  // In its own PID namespace.
  int32_t number_inside() const { return number_inside_; }
  // As it is shown: its number here, as far as that is known.
  int32_t shown_pid() const { return pid_ != 0 ? pid_ : number_inside_; }
  // Whether it is the one with that number in that namespace.
  bool is(int32_t number_inside, uint64_t pid_namespace) const {
    return number_inside_ == number_inside && pid_namespace_ == pid_namespace;
  }
  void set_parent(int32_t pid) { parent_ = pid; }
  uint64_t first_tick() const { return first_tick_; }

  // Whether all its threads are gone.
  bool is_gone() const;

  // Sees the records that are not about blocks.
  void watch(const format::Record& record);
  void count(uint64_t events, uint64_t record_bytes, uint64_t stored_bytes);
  // What the process says of itself: what was seen from outside may have come after it.
  void set_executable(const std::string& path);
  void set_status(int wait_status);
  void set_end(End end) { end_ = end; }

  // The program that took this one's place without being recorded; empty: none did.
  std::string unrecorded_program() const;
  // Processes that it has started anew, and their programs.
  const std::vector<std::pair<uint64_t, std::string>>& spawned() const { return spawned_; }

  // Where its files are. Call it when the executable is as well known as it will be.
  const std::string& folder();
  bool has_folder() const { return !folder_.empty(); }

  std::map<uint32_t, TracedThread>& threads() { return threads_; }
  const std::vector<Module>& modules() const { return modules_; }
  // What its paths are under, where that is not what this process sees.
  void set_root(std::shared_ptr<const host::ProcessRoot> root) { root_ = std::move(root); }
  // Where the files of its modules can be opened now, in their order; empty: nowhere.
  std::vector<std::string> module_files() const;
  const std::unordered_set<uint64_t>& addresses() const { return addresses_; }
  uint32_t next_note() { return notes_++; }
  // Of the next note: `tick`, unless one before it has a later one.
  uint64_t note_tick(uint64_t tick) { return last_note_tick_ = std::max(last_note_tick_, tick); }
  uint64_t events() const { return events_; }

  nlohmann::ordered_json describe(uint64_t lost) const;

 private:
  void watch_process(const format::Record& record);

  uint32_t slot_index_;
  uint32_t number_;
  int32_t pid_;
  int32_t number_inside_;
  uint64_t pid_namespace_;
  int32_t parent_;
  uint64_t first_tick_;
  host::FileDescriptor process_;
  std::string executable_;
  std::vector<std::string> command_line_;
  std::string folder_;
  std::string allocator_;
  std::map<uint32_t, TracedThread> threads_;
  std::vector<Module> modules_;
  std::shared_ptr<const host::ProcessRoot> root_;
  mutable std::unique_ptr<host::MappedFiles> files_;  // module_files() may lead to what it holds
  std::unordered_set<uint64_t> addresses_;
  uint32_t notes_ = 0;
  uint64_t last_note_tick_ = 0;
  uint64_t events_ = 0;
  uint64_t record_bytes_ = 0;
  uint64_t stored_bytes_ = 0;
  End end_ = End::kNot;
  uint64_t last_tick_ = 0;
  std::string executed_;  // and when that was
  uint64_t executed_tick_ = 0;
  std::vector<std::pair<uint64_t, std::string>> spawned_;
  bool has_status_ = false;
  int status_ = 0;
  int signal_ = 0;
};

}  // namespace tide::trace
