// The records of one thread of a recorded process, some hundred at a time, the next ones while the
// last ones are looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/record_reader.h"
#include "host/error.h"
#include "trace/chunk_codec.h"
#include "trace/events_file.h"
#include "trace/plain_record.h"
#include "trace/read_ahead.h"
#include "trace/tick_scale.h"

namespace tide::trace {

// All of one chunk. Texts and frames of the records are its own.
struct RecordBlock {
  const EventsFile::Chunk* chunk = nullptr;  // null: there is none, all chunks are read
  bool begins_chunk = false;
  RecordRun run;  // times in nanoseconds
  std::deque<std::string> texts;
  std::optional<host::Error> fault;  // of the chunk, behind these records: it has no more
};

class RecordBlocks : private ReadAhead::Task {
 public:
  // `chunks` of one thread, in the order of the file. Blocks of `records`. `ahead`: null for who
  // reads when asked only.
  RecordBlocks(const EventsFile& file, std::vector<const EventsFile::Chunk*> chunks,
               const TickScale& scale, size_t records, ReadAhead* ahead);
  ~RecordBlocks() override;

  uint64_t first_tick() const { return chunks_.empty() ? 0 : chunks_.front()->head.first_tick; }
  // The next block instead of what is in `block`, whose memory is used again.
  void next(RecordBlock& block);

 private:
  void work() noexcept override;
  void read(RecordBlock& block);
  bool open_next(RecordBlock& block);
  static void keep_texts(RecordBlock& block);

  const EventsFile& file_;
  const std::vector<const EventsFile::Chunk*> chunks_;
  const TickScale& scale_;
  const size_t most_;
  ReadAhead* const ahead_;
  bool has_begun_ = false;
  size_t next_chunk_ = 0;
  const EventsFile::Chunk* chunk_ = nullptr;  // that the decoder is in
  std::unique_ptr<ChunkDecoder> decoder_;
  std::vector<uint8_t> stored_;
  RecordBlock next_;
  std::exception_ptr failure_;  // what is no fault of the file
};

}  // namespace tide::trace
