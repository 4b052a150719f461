// The files of a dump: one for each size of blocks, and an index.
#pragma once

#include <cstdint>
#include <cstdio>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "walk/target.h"

namespace tide::cli {

// Throws host::Error whenever something cannot be written.
class DumpFiles {
 public:
  // Makes the folder. It must be empty or not be there, unless `may_replace`.
  DumpFiles(const std::string& folder, bool may_replace);

  // The block's bytes to the end of its size's file, a line to the index. What cannot be read is
  // zeros in the file. Returns how many bytes that were.
  uint64_t add(const walk::Target& target, uint64_t address, uint64_t bytes);
  // All of it to the disk.
  void finish();

  size_t count() const { return sizes_.size(); }

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<std::FILE, Closer>;
  struct OpenFile {
    uint64_t bytes;
    File file;
  };
  static constexpr size_t kMostOpen = 64;

  std::string path_of(uint64_t bytes) const;
  std::FILE* file_of(uint64_t bytes);
  void write(std::FILE* file, const std::string& path, const void* bytes, size_t count);
  void close(File file, const std::string& path);

  std::string folder_;
  File index_;
  std::list<OpenFile> open_;            // used last first
  std::map<uint64_t, uint64_t> sizes_;  // bytes so far in each size's file
  walk::Buffer buffer_;
};

}  // namespace tide::cli
