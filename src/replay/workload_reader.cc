#include "replay/workload_reader.h"

#include <fmt/format.h>
#include <zstd.h>

#include <cstring>

#include "host/crc.h"
#include "host/error.h"

namespace tide::replay {

using format::WorkloadBlock;
using format::WorkloadHead;
using format::WorkloadOperation;
using format::WorkloadThread;

namespace {}  // namespace

WorkloadReader::WorkloadReader(const std::string& path) : file_(path) {
  if (file_.bytes() < sizeof head_) {
    file_.fail(0, fmt::format("it has {} bytes, and the head of a workload {}", file_.bytes(),
                              sizeof head_));
  }
  file_.read(0, &head_, sizeof head_);
  if (memcmp(head_.magic, format::kWorkloadMagic, sizeof head_.magic) != 0) {
    file_.fail(0, "it is no workload, or its writer did not come to the end");
  }
  if (head_.version != format::kWorkloadVersion) {
    throw host::Error(fmt::format(
        "'{}' is of version {} of the format, and this tide reads {}; convert the trace "
        "once more",
        path, head_.version, format::kWorkloadVersion));
  }
  if (head_.head_bytes != sizeof head_ ||
      head_.head_crc != host::crc_of(&head_, offsetof(WorkloadHead, head_crc))) {
    file_.fail(0, "the checksum of the head is wrong");
  }
  read_index();
}

void WorkloadReader::read_index() {
  if (head_.index > file_.bytes() || head_.index_bytes > file_.bytes() - head_.index) {
    file_.fail(head_.index, "there is no index here");
  }
  std::vector<uint8_t> index(head_.index_bytes);
  file_.read(head_.index, index.data(), index.size());
  if (host::crc_of(index.data(), index.size()) != head_.index_crc) {
    file_.fail(head_.index, "the checksum of the index is wrong");
  }
  size_t at = 0;
  const auto take = [&](auto& to, uint64_t count) {
    const size_t one = sizeof *to.data();
    if (count > (index.size() - at) / one) {
      file_.fail(head_.index + at, "the index is shorter than the head says");
    }
    to.resize(count);
    if (count != 0) memcpy(to.data(), index.data() + at, count * one);
    at += count * one;
  };
  take(threads_, head_.threads);
  take(blocks_, head_.blocks);
  take(samples_, head_.samples);
  uint64_t touch_bytes = 0;
  for (const WorkloadThread& thread : threads_) {
    first_touches_.push_back(touch_bytes);
    touch_bytes += thread.touch_bytes;
  }
  first_touches_.push_back(touch_bytes);
  take(touches_, touch_bytes);
  take(allocator_, head_.allocator_bytes);
  take(program_, head_.program_bytes);
  if (at != index.size()) file_.fail(head_.index + at, "the index is longer than the head says");
  check_blocks();
  for (size_t i = 1; i < samples_.size(); ++i) {
    if (samples_[i].time_ns < samples_[i - 1].time_ns) {
      file_.fail(head_.index, "the samples of memory are not in the order of time");
    }
  }
}

void WorkloadReader::check_blocks() {
  size_t block = 0;
  uint64_t operations = 0;
  for (const WorkloadThread& thread : threads_) {
    first_blocks_.push_back(block);
    if (thread.blocks > blocks_.size() - block) file_.fail(head_.index, "the index lacks blocks");
    uint64_t in_blocks = 0;
    for (size_t i = 0; i < thread.blocks; ++i, ++block) {
      const WorkloadBlock& entry = blocks_[block];
      if (entry.offset > file_.bytes() || entry.stored_bytes > file_.bytes() - entry.offset ||
          entry.plain_bytes > format::kMostBlockBytes || entry.operations == 0 ||
          entry.operations > format::kMostBlockOperations) {
        file_.fail(head_.index, fmt::format("block {} can't be as the index says", block));
      }
      in_blocks += entry.operations;
    }
    if (in_blocks != thread.operations) file_.fail(head_.index, "operations and blocks don't fit");
    operations += in_blocks;
  }
  first_blocks_.push_back(block);
  if (block != blocks_.size() || operations != head_.operations) {
    file_.fail(head_.index, "operations and blocks don't fit");
  }
}

format::WorkloadTouchReader WorkloadReader::touches(size_t thread) const {
  const size_t first = first_touches_[thread];
  return {touches_.data() + first, first_touches_[thread + 1] - first,
          (head_.flags & format::kTouchesRecorded) != 0};
}

struct WorkloadReader::Operations::Decompressor {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  std::vector<uint8_t> stored;
  std::vector<uint8_t> plain;
  ~Decompressor() { ZSTD_freeDCtx(context); }
};

WorkloadReader::Operations::Operations(const WorkloadReader& workload, size_t thread)
    : workload_(workload),
      thread_(thread),
      next_(workload.first_blocks_[thread]),
      end_(workload.first_blocks_[thread + 1]),
      touches_(workload.touches(thread)),
      decompressor_(std::make_unique<Decompressor>()) {}
WorkloadReader::Operations::~Operations() = default;
WorkloadReader::Operations::Operations(Operations&&) noexcept = default;

bool WorkloadReader::Operations::next_block() {
  if (block_.left() != 0) {
    workload_.file_.fail(workload_.blocks_[next_ - 1].offset,
                         "what stands in the block is no operation");
  }
  if (next_ == end_) {
    if (touches_.broken()) {
      workload_.file_.fail(workload_.head_.index, "what stands in the touches is none");
    }
    return false;
  }
  const WorkloadBlock& block = workload_.blocks_[next_++];
  std::vector<uint8_t>& stored = decompressor_->stored;
  std::vector<uint8_t>& plain = decompressor_->plain;
  stored.resize(block.stored_bytes);
  workload_.file_.read(block.offset, stored.data(), stored.size());
  if (host::crc_of(stored.data(), stored.size()) != block.crc) {
    workload_.file_.fail(block.offset, "the checksum of the block is wrong");
  }
  plain.resize(block.plain_bytes);
  const size_t bytes = ZSTD_decompressDCtx(decompressor_->context, plain.data(), plain.size(),
                                           stored.data(), stored.size());
  if (ZSTD_isError(bytes) != 0 || bytes != plain.size() ||
      !block_.open(plain.data(), plain.size(), block.operations, workload_.head_.slots)) {
    workload_.file_.fail(block.offset, "the block can't be unpacked");
  }
  return true;
}

bool WorkloadReader::Operations::next_in_block(WorkloadOperation& operation) {
  if (!block_.next(operation)) return next_block();  // throws: a block has operations
  return check(operation);
}

void WorkloadReader::Operations::check_wait(const WorkloadOperation& operation) const {
  if (operation.wait_thread < workload_.threads_.size() && operation.wait_thread != thread_ &&
      operation.wait_operations <= workload_.threads_[operation.wait_thread].operations) {
    return;
  }
  workload_.file_.fail(workload_.blocks_[next_ - 1].offset,
                       "an operation waits for what nobody will ever do");
}

}  // namespace tide::replay
