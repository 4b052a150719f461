// events.tide: a FileHead, then chunks. Written by appending, read by seeking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "format/trace_file.h"
#include "host/input_file.h"

namespace tide::trace {

// Fills in what all chunks have alike, and the head's checksum: the last thing to do to it.
void seal(format::ChunkHead& head);

// Reads the file. Errors are host::Error and name the file and the offset in it.
class EventsFile {
 public:
  enum class Mode {
    kStrict,
    kSalvage,  // what can't be read is passed over, see faults()
  };
  struct Chunk {
    format::ChunkHead head;
    uint64_t offset;  // of its head
  };
  // Bytes that were passed over.
  struct Fault {
    uint64_t offset;
    uint64_t bytes;
    std::string what;
  };

  // Reads all chunks' heads, but no chunk.
  EventsFile(const std::string& path, Mode mode);

  const std::string& path() const { return file_.path(); }
  const format::FileHead& head() const { return head_; }
  const std::vector<Chunk>& chunks() const { return chunks_; }
  const std::vector<Fault>& faults() const { return faults_; }

  // The payload of one, its checksum compared; an error of it names neither file nor chunk. Any
  // thread.
  void read(const Chunk& chunk, std::vector<uint8_t>& stored) const;

  // Throws: "'PATH' is damaged at offset N: WHAT". For what its reader finds wrong in a chunk.
  [[noreturn]] void fail(uint64_t offset, const std::string& what) const {
    file_.fail(offset, what);
  }

 private:
  void read_file_head();
  bool read_chunk_head(uint64_t offset, format::ChunkHead& head, std::string& fault) const;
  uint64_t next_chunk(uint64_t offset) const;

  host::InputFile file_;
  format::FileHead head_{};
  std::vector<Chunk> chunks_;
  std::vector<Fault> faults_;
};

}  // namespace tide::trace
