// A file that is read by seeking, from any thread: errors name it and the offset in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "host/file_descriptor.h"

namespace tide::host {

class InputFile {
 public:
  // Throws Error when it can't be opened.
  explicit InputFile(const std::string& path);

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

  // Exactly `bytes`, or throws Error.
  void read(uint64_t offset, void* to, size_t bytes) const;

  // Throws Error: "'PATH' is damaged at offset N: WHAT". For what its reader finds wrong in it.
  [[noreturn]] void fail(uint64_t offset, const std::string& what) const;

 private:
  std::string path_;
  FileDescriptor file_;
  uint64_t bytes_ = 0;
};

}  // namespace tide::host
