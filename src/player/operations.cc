#include "player/operations.h"

#include <unistd.h>

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_initStaticDCtx()
#include <zstd.h>

#include <bit>

#include "base/align.h"

namespace tide::player {

using format::ReplayFault;
using format::WorkloadBlock;
using format::WorkloadHead;
using format::WorkloadOperation;
using format::WorkloadSample;
using format::WorkloadThread;

namespace {

constexpr uint64_t kPage = 4096;

void read_file(Session& session, uint64_t offset, void* to, size_t bytes) {
  auto* at = static_cast<uint8_t*>(to);
  while (bytes != 0) {
    const ssize_t got =
        pread(format::kReplayWorkloadDescriptor, at, bytes, static_cast<off_t>(offset));
    if (got <= 0) fail(session, ReplayFault::kWorkload);
    at += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
}

// What has become resident of a buffer, now that `bytes` of it are in use.
void note_use(Session& session, uint64_t& used, uint64_t bytes) {
  bytes = base::align_up(bytes, kPage);
  if (bytes <= used) return;
  count_harness(session, bytes - used);
  used = bytes;
}

}  // namespace

void WorkloadIndex::read(Session& session) {
  WorkloadHead head;
  read_file(session, 0, &head, sizeof head);
  auto* const index = static_cast<uint8_t*>(map_harness(session, head.index_bytes + 1));
  read_file(session, head.index, index, head.index_bytes);
  threads_ = reinterpret_cast<const WorkloadThread*>(index);
  blocks_ = reinterpret_cast<const WorkloadBlock*>(threads_ + head.threads);
  const auto* const samples = reinterpret_cast<const WorkloadSample*>(blocks_ + head.blocks);
  touches_ = reinterpret_cast<const uint8_t*>(samples + head.samples);
  has_touches_ = (head.flags & format::kTouchesRecorded) != 0;
  const size_t table_bytes = (head.threads + uint64_t{1}) * sizeof *first_blocks_;
  first_blocks_ = static_cast<uint64_t*>(map_harness(session, 2 * table_bytes));
  first_touches_ = first_blocks_ + head.threads + 1;
  for (uint32_t i = 0; i < head.threads; ++i) {
    first_blocks_[i + 1] = first_blocks_[i] + threads_[i].blocks;
    first_touches_[i + 1] = first_touches_[i] + threads_[i].touch_bytes;
  }
}

const WorkloadBlock* WorkloadIndex::first_block(uint32_t thread) const {
  return blocks_ + first_blocks_[thread];
}

format::WorkloadTouchReader WorkloadIndex::touches(uint32_t thread) const {
  return {touches_ + first_touches_[thread], first_touches_[thread + 1] - first_touches_[thread],
          has_touches_};
}

Place* make_place(Session& session, uint32_t index) {
  const size_t place_bytes = base::align_up(sizeof(Place), kPage);
  const size_t decompressor_bytes = base::align_up(ZSTD_estimateDCtxSize(), kPage);
  const size_t stored_bytes = base::align_up(session.head->most_stored_bytes, kPage);
  const size_t plain_bytes = base::align_up(session.head->most_plain_bytes, kPage);
  auto* const memory =
      static_cast<uint8_t*>(map_harness(session, place_bytes + decompressor_bytes));
  auto* const place = reinterpret_cast<Place*>(memory);
  place->index = index;
  place->decompressor = ZSTD_initStaticDCtx(memory + place_bytes, decompressor_bytes);
  if (place->decompressor == nullptr) fail(session, ReplayFault::kMemory);
  place->stored = static_cast<uint8_t*>(reserve_harness(session, stored_bytes + plain_bytes));
  place->plain = place->stored + stored_bytes;
  return place;
}

Operations::Operations(Session& session, const WorkloadIndex& index, uint32_t thread, Place& place)
    : session_(session),
      place_(place),
      block_(index.first_block(thread)),
      end_(index.first_block(thread + 1)),
      touches_(index.touches(thread)) {}

bool Operations::next_block() {
  if (reader_.left() != 0) fail(session_, ReplayFault::kWorkload);
  if (block_ == end_) return false;
  const WorkloadBlock& block = *block_++;
  if (block.stored_bytes > session_.head->most_stored_bytes ||
      block.plain_bytes > session_.head->most_plain_bytes) {
    fail(session_, ReplayFault::kWorkload);
  }
  read_file(session_, block.offset, place_.stored, block.stored_bytes);
  note_use(session_, place_.stored_used, block.stored_bytes);
  const size_t bytes = ZSTD_decompressDCtx(place_.decompressor, place_.plain, block.plain_bytes,
                                           place_.stored, block.stored_bytes);
  note_use(session_, place_.plain_used, block.plain_bytes);
  if (ZSTD_isError(bytes) != 0 || bytes != block.plain_bytes ||
      !reader_.open(place_.plain, bytes, block.operations, session_.head->slots)) {
    fail(session_, ReplayFault::kWorkload);
  }
  return true;
}

// In one function: what a call has not is not written and read again.
[[gnu::flatten]] const Batch& Operations::next() {
  Batch& batch = place_.batch;
  batch.length = 0;
  if (reader_.left() == 0 && !next_block()) return batch;
  size_t waits = 0;
  size_t counts = 0;
  size_t touched = 0;
  WorkloadOperation from;
  while (batch.length < kBatchOperations && reader_.next(from)) {
    Operation& to = batch.operations[batch.length++];
    time_ += from.delta_ns;
    to.time = time_;
    to.size = from.size;
    to.slot = from.slot;
    to.call = from.call;
    to.flags = static_cast<uint8_t>((from.has_old_block ? Operation::kOldBlock : 0) |
                                    (from.has_size ? Operation::kHasSize : 0));
    to.form = from.form;
    to.alignment_log = static_cast<uint8_t>(std::countr_zero(from.alignment) & 63);
    if (from.call == format::Call::kCalloc || from.call == format::Call::kReallocarray) {
      batch.counts[counts++] = from.count;
    }
    if (!format::releases(from.call)) {
      const uint64_t bytes = touches_.touched(number_, from.size);
      if (bytes != WorkloadOperation::kNotKnown) {
        to.flags |= Operation::kTouched;
        batch.touched[touched++] = bytes;
      }
    }
    ++number_;
    if (from.wait_thread != WorkloadOperation::kNone) {
      to.flags |= Operation::kWaits;
      batch.waits[waits++] = {from.wait_thread, from.wait_operations};
    }
  }
  if (batch.length == 0) fail(session_, ReplayFault::kWorkload);
  return batch;
}

}  // namespace tide::player
