// A folder with the batches that the database does not have yet, a file each. What is in it
// survives the agent and the machine; it is full at a number of bytes, and takes nothing more then:
// the oldest is what nobody could measure again.
//
// One agent at a time has a spool. Its functions may be called from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/batch.h"
#include "host/file_descriptor.h"

namespace tide::fleet {

// Writes a file; its content is on the disk when this returns. Throws host::Error.
void write_durably(const std::string& path, std::string_view content);

class Spool {
 public:
  // Makes the folder where it is missing. Throws host::Error: another agent has it, not writable.
  Spool(const std::string& folder, uint64_t most_bytes);

  // Puts a batch in: when this returns true it is on the disk. False: the spool is full.
  // Throws host::Error when it can't be written.
  bool put(const Batch& batch);

  // The same with a file that holds an encoded batch, on the same disk; it is gone afterwards.
  bool adopt(const std::string& path);

  // The oldest; nothing when there is none. What is damaged is set aside as NAME.bad, and `say` is
  // told so.
  struct Entry {
    std::string name;
    Batch batch;
  };
  std::optional<Entry> oldest(std::vector<std::string>& complaints);
  // The database has it.
  void remove(const std::string& name);

  // A file for somebody to write a batch to.
  std::string unfinished_path(const std::string& name) const;

  struct Content {
    uint64_t batches = 0;
    uint64_t bytes = 0;
  };
  Content content() const;
  const std::string& folder() const { return folder_; }
  uint64_t most_bytes() const { return most_bytes_; }

 private:
  std::vector<std::string> names() const;  // oldest first
  std::string next_name(const std::string& end);

  const std::string folder_;
  const uint64_t most_bytes_;
  host::FileDescriptor lock_;
  mutable std::mutex mutex_;
  uint64_t last_number_ = 0;
};

}  // namespace tide::fleet
