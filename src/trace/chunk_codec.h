// What stands in a chunk of events.tide: records of one thread, cut into columns and compressed.
// Both directions, and nothing but chunk_*.h and .cc knows how; the layout is in
// docs/formats.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "format/record_reader.h"
#include "format/trace_file.h"
#include "trace/plain_record.h"

namespace tide::trace {

// The records of a packet as the program wrote them. The memory is the caller's.
struct PacketView {
  uint64_t first_tick;
  std::span<const uint8_t> records;
};

// Makes chunks. One for each thread that compresses; not thread-safe.
class ChunkEncoder {
 public:
  ChunkEncoder();
  ~ChunkEncoder();

  // Appends the payload of a chunk with these packets, in their order, to `stored`, and fills in
  // `head`: stored_bytes, plain_bytes, packets, records, record_bytes, first_tick, last_tick,
  // payload_crc. A packet that breaks off in the middle of a record is taken up to there. `watch`
  // sees the records that are not about blocks, if it is not empty.
  using Watch = std::function<void(const format::Record&)>;
  void encode(std::span<const PacketView> packets, std::vector<uint8_t>& stored,
              format::ChunkHead& head, const Watch& watch = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads chunks back, record by record. Every byte may be hostile.
class ChunkDecoder {
 public:
  ChunkDecoder();
  ~ChunkDecoder();

  // Throws host::Error, which says what is wrong with the payload but not where the file is. The
  // memory of `stored` is not needed afterwards.
  void open(const format::ChunkHead& head, std::span<const uint8_t> stored);

  // The next record of the chunk; false at its end. Texts and frames stay until the next open().
  // Throws host::Error.
  bool next(format::Record& record);

  // The next records, until there is no room in `run` or the chunk is at its end: fewer than fit
  // are the last ones. Throws host::Error; then those before the fault are in `run`.
  void read(RecordRun& run);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tide::trace
