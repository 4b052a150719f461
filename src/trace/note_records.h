// Notes as a packet of records, for the collector's own stream in a process.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "format/trace_call.h"
#include "trace/chunk_codec.h"

namespace tide::trace {

class NoteRecords {
 public:
  // In the order of ticks.
  void add(uint64_t tick, format::Note note, uint64_t number, uint64_t second,
           std::string_view text);

  bool empty() const { return bytes_.empty(); }
  // Until the next add().
  PacketView view() const { return {first_tick_, bytes_}; }
  void clear() { bytes_.clear(); }

 private:
  std::vector<uint8_t> bytes_;
  uint64_t first_tick_ = 0;
  uint64_t last_tick_ = 0;
};

}  // namespace tide::trace
