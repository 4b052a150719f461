// Where a trace goes: a folder here, or a collector elsewhere (network_output.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "host/file_descriptor.h"

namespace tide::trace {

using Bytes = std::span<const uint8_t>;

// Names are relative to the trace's folder. Errors are host::Error.
class TraceOutput {
 public:
  virtual ~TraceOutput() = default;

  // The file's whole content, in the place of what it was.
  virtual void put(const std::string& name, std::string_view content) = 0;
  // Behind what the file has: all of it, or on an error nothing.
  virtual void append(const std::string& name, Bytes first, Bytes second) = 0;
  // Nothing more is appended to the file.
  virtual void close(const std::string& name) = 0;
  // The trace is whole.
  virtual void finish() = 0;

  // Appended in all.
  uint64_t bytes() const { return bytes_; }

 protected:
  void count(size_t bytes) { bytes_ += bytes; }

 private:
  uint64_t bytes_ = 0;
};

class FolderOutput : public TraceOutput {
 public:
  // Makes the folder, which has to be empty if it is there.
  explicit FolderOutput(const std::string& folder);

  void put(const std::string& name, std::string_view content) override;
  void append(const std::string& name, Bytes first, Bytes second) override;
  void close(const std::string& name) override { files_.erase(name); }
  void finish() override { files_.clear(); }

 private:
  struct File {
    File(int fd, uint64_t length) : descriptor(fd), bytes(length) {}
    host::FileDescriptor descriptor;
    uint64_t bytes;
  };
  std::string path_of(const std::string& name);
  [[noreturn]] void fail(const std::string& path);

  std::string folder_;
  std::map<std::string, std::unique_ptr<File>> files_;
};

}  // namespace tide::trace
