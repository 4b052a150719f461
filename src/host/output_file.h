// A file that is being written: errors name it, and what is not whole does not stay.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace tide::host {

class OutputFile {
 public:
  // Throws Error when it can't be made.
  explicit OutputFile(const std::string& path);
  // Removes the file unless close() has been called.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Over what was written; goes on at the end afterwards.
  void write_at(uint64_t offset, const void* data, size_t bytes);
  uint64_t offset() const { return offset_; }
  void close();

 private:
  [[noreturn]] void fail();

  std::string path_;
  std::FILE* file_;
  uint64_t offset_ = 0;
  bool is_regular_ = true;
};

// Before work whose result is to go there: throws Error, as OutputFile would. Nothing is made.
void require_writable(const std::string& path);

}  // namespace tide::host
