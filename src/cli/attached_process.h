// A process on Tide that runs already: its calls are led to the recorder in its libtide.so, and
// back. All functions throw host::Error, one line, and leave the process as it was then.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "trace/collector.h"

namespace tide::cli {

class AttachedProcess {
 public:
  // Finds out whether it can be done, and what a recorder that was killed has left is put right.
  explicit AttachedProcess(int pid);

  // Memory that the process has made for the records: not ours, so that neither its user nor its
  // view of the file system matters.
  std::unique_ptr<trace::ArenaOwner> make_arena(const trace::ArenaSettings& settings);
  // Begins the recording. Returns the blocks that the process has, if they are wanted.
  std::vector<trace::KnownBlock> attach(trace::ArenaOwner& arena, bool lists_blocks);

  // Whether a process that was recorded runs another program now.
  bool runs_another(int process) const;

  // Ends the recording in the process and in those that it has made. `report`: a line for the user
  // about each that could not be left alone.
  void detach(const std::function<void(const std::string&)>& report);

  const std::vector<std::string>& command() const { return command_; }

 private:
  int pid_;
  int descriptor_ = -1;  // of the memory, in the process
  uint64_t inode_ = 0;
  uint64_t number_ = 0;  // of the recording
  uint64_t number_at_ = 0;
  std::vector<std::string> command_;
};

// Ends what a recorder that was killed has left in the process and in those that it has made.
// Returns how many there were.
size_t repair_recorded(int pid, const std::function<void(const std::string&)>& report);

}  // namespace tide::cli
