// Leads the calls of a process that runs on Tide to their recording twins, and back: the outside of
// layout/recording_root.h. All functions are about a process whose threads stand (LiveTarget with
// `stop`), and throw host::Error.
#pragma once

#include <cstdint>
#include <string>

#include "layout/recording_root.h"
#include "walk/live_target.h"

namespace tide::walk {

class Redirection {
 public:
  // Throws when the process does not run on a Tide with a recorder that we know.
  explicit Redirection(const LiveTarget& target);

  const layout::Attachment& attachment() const { return root_.attachment; }
  // Where its number lies, and one of the functions.
  uint64_t number_at() const;
  uint64_t entry() const;

  // A file of memory, made by the process: its descriptor there.
  int make_memory();
  void close_memory(int descriptor);
  // Maps `bytes` of it, and closes it there. Returns the address there.
  uint64_t map_memory(int descriptor, uint64_t bytes);

  // Begins a recording: `attachment` with number and what belongs to the entries filled in here.
  void begin(layout::Attachment attachment);

  // Puts the entries back. Threads may still be in twins.
  void restore();
  // Whether one is.
  bool is_anyone_inside() const;
  // When none is: ends the recording, and unmaps its memory.
  void end();

 private:
  struct Stream {
    uint64_t address;
    uint64_t busy;
    uint64_t stack_pointer;
  };

  void choose(const std::vector<uint64_t>& roots);
  void load();
  std::vector<uint64_t> rows() const;
  uint64_t field(size_t offset) const { return address_ + offset; }
  void write_attachment(const layout::Attachment& attachment);
  bool is_closed(const Thread& thread, Stream& stream) const;
  void close_streams();
  uint64_t room() const;

  const LiveTarget& target_;
  uint64_t address_ = 0;  // of the RecordingRoot
  layout::RecordingRoot root_{};
};

}  // namespace tide::walk
