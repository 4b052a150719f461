// What nearly every record of a trace is: a call, its time and a block. In half the memory of
// format::Record, which the others are kept in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/record_reader.h"

namespace tide::trace {

struct PlainRecord {
  // A tick as the chunk has it; RecordBlocks makes it nanoseconds since the recording began.
  uint64_t time;
  uint64_t pointer;
  uint64_t size;
  uint64_t usable;
  uint64_t stack;  // number in its thread, 0: none
  uint32_t whole;  // all of it is Record `whole - 1` beside these; 0: there is no more
  format::Call call;
  format::Path path;
  bool has_size;
};

// Records in their order; those that are more than plain ones have their rest in `whole`.
struct RecordRun {
  std::vector<PlainRecord> plain;
  size_t count = 0;  // of `plain`; the others are room
  std::vector<format::Record> whole;
};

}  // namespace tide::trace
