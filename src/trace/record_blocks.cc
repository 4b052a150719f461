#include "trace/record_blocks.h"

#include <utility>

namespace tide::trace {

RecordBlocks::RecordBlocks(const EventsFile& file, std::vector<const EventsFile::Chunk*> chunks,
                           const TickScale& scale, size_t records, ReadAhead* ahead)
    : file_(file), chunks_(std::move(chunks)), scale_(scale), most_(records), ahead_(ahead) {}

RecordBlocks::~RecordBlocks() {
  if (has_begun_) ahead_->cancel(*this);
}

void RecordBlocks::next(RecordBlock& block) {
  if (ahead_ == nullptr) {
    read(block);
    return;
  }
  if (has_begun_) {
    ahead_->end(*this);
  } else {
    work();
  }
  has_begun_ = false;
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  std::swap(block, next_);
  if (block.chunk == nullptr) return;
  has_begun_ = true;
  ahead_->begin(*this);
}

void RecordBlocks::work() noexcept {
  try {
    read(next_);
  } catch (...) {
    failure_ = std::current_exception();
  }
}

// False: there is no chunk any more, or a fault in this one.
bool RecordBlocks::open_next(RecordBlock& block) {
  if (next_chunk_ == chunks_.size()) {
    block.chunk = nullptr;
    block.run = {};
    decoder_.reset();
    stored_ = {};
    return false;
  }
  block.chunk = chunks_[next_chunk_++];
  block.begins_chunk = true;
  try {
    file_.read(*block.chunk, stored_);
    if (!decoder_) decoder_ = std::make_unique<ChunkDecoder>();
    decoder_->open(block.chunk->head, stored_);
  } catch (const host::Error& error) {
    block.fault = error;
    return false;
  }
  chunk_ = block.chunk;
  return true;
}

void RecordBlocks::read(RecordBlock& block) {
  RecordRun& run = block.run;
  run.count = 0;
  run.whole.clear();
  block.texts.clear();
  block.fault.reset();
  block.begins_chunk = false;
  block.chunk = chunk_;
  while (run.count == 0) {
    if (chunk_ == nullptr && !open_next(block)) return;
    run.plain.resize(most_);
    try {
      decoder_->read(run);
      if (run.count < most_) chunk_ = nullptr;
    } catch (const host::Error& error) {
      block.fault = error;
      chunk_ = nullptr;
      break;
    }
  }
  for (size_t i = 0; i < run.count; ++i) run.plain[i].time = scale_.ns(run.plain[i].time);
  keep_texts(block);
}

// The decoder may be in another chunk by the time when somebody reads them.
void RecordBlocks::keep_texts(RecordBlock& block) {
  for (format::Record& record : block.run.whole) {
    for (std::string_view* text : {&record.text, &record.frames}) {
      if (!text->empty()) *text = block.texts.emplace_back(*text);
    }
  }
}

}  // namespace tide::trace
