// The lines of a text file that may be compressed, with zstd or gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/file_descriptor.h"

namespace tide::trace {

class TextLines {
 public:
  // Throws host::Error when the file can't be opened.
  explicit TextLines(const std::string& path);
  ~TextLines();

  // False at the end. The text is there until the next call. Throws host::Error for what can't be
  // unpacked or is longer than a line can be.
  bool next(std::string_view& line);
  uint64_t number() const { return number_; }
  double progress() const;
  // "'PATH' is damaged at line N: WHAT".
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Unpacker;
  bool fill();

  std::string path_;
  host::FileDescriptor file_;
  uint64_t bytes_ = 0;
  uint64_t read_ = 0;
  std::vector<char> buffer_;
  size_t at_ = 0;
  size_t end_ = 0;
  uint64_t number_ = 0;
  std::unique_ptr<Unpacker> unpacker_;
};

}  // namespace tide::trace
