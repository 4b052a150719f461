// The operations of one thread of the workload, a batch at a time: unpacked into memory that is
// small enough to stay in the processor's cache, apart from the calls themselves.
#pragma once

#include <cstddef>
#include <cstdint>

#include "format/workload.h"
#include "format/workload_block.h"
#include "player/session.h"

typedef struct ZSTD_DCtx_s ZSTD_DCtx;  // NOLINT(modernize-use-using): C's

namespace tide::player {

// An operation. What few have stands in a list of its own, in order.
struct Operation {
  enum Flag : uint8_t { kWaits = 1, kOldBlock = 2, kHasSize = 4, kTouched = 8 };

  uint64_t time;  // recorded, since the start
  uint64_t size;
  uint32_t slot;  // WorkloadOperation::kNone: a null pointer
  format::Call call;
  uint8_t flags;
  uint8_t form;           // NewForm
  uint8_t alignment_log;  // 0: none
};
static_assert(sizeof(Operation) == 24);

struct Wait {
  uint32_t thread;
  uint64_t operations;
};

inline constexpr size_t kBatchOperations = 512;

struct Batch {
  Operation operations[kBatchOperations];
  Wait waits[kBatchOperations];
  uint64_t counts[kBatchOperations];   // of calloc and reallocarray
  uint64_t touched[kBatchOperations];  // bytes, where that is known
  size_t length;
};

// The index of the workload, which the replayer has checked.
class WorkloadIndex {
 public:
  void read(Session& session);

  const format::WorkloadThread& thread(uint32_t index) const { return threads_[index]; }
  const format::WorkloadBlock* first_block(uint32_t thread) const;
  format::WorkloadTouchReader touches(uint32_t thread) const;

 private:
  const format::WorkloadThread* threads_ = nullptr;
  const format::WorkloadBlock* blocks_ = nullptr;
  const uint8_t* touches_ = nullptr;
  uint64_t* first_blocks_ = nullptr;   // by thread, and one more
  uint64_t* first_touches_ = nullptr;  // the same, in bytes
  bool has_touches_ = false;
};

// What a running thread needs to unpack. Used again by later threads.
struct Place {
  uint32_t index;
  Place* next;  // in the list of free ones
  uint8_t* stored;
  uint8_t* plain;
  uint64_t stored_used;  // bytes that are resident
  uint64_t plain_used;
  ZSTD_DCtx* decompressor;
  Batch batch;
};

// The bytes of a Place's memory behind it.
Place* make_place(Session& session, uint32_t index);

class Operations {
 public:
  Operations(Session& session, const WorkloadIndex& index, uint32_t thread, Place& place);

  // The next batch; of length 0 at the end.
  const Batch& next();

 private:
  bool next_block();

  Session& session_;
  Place& place_;
  const format::WorkloadBlock* block_;
  const format::WorkloadBlock* end_;
  format::WorkloadBlockReader reader_;
  format::WorkloadTouchReader touches_;
  uint64_t number_ = 0;
  uint64_t time_ = 0;
};

}  // namespace tide::player
