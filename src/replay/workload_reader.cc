#include "replay/workload_reader.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>

#include "host/error.h"

namespace tide::replay {

using format::WorkloadBlock;
using format::WorkloadHead;
using format::WorkloadOperation;
using format::WorkloadThread;

namespace {

uint32_t crc_of(const void* data, size_t bytes) {
  return static_cast<uint32_t>(
      crc32(0, static_cast<const uint8_t*>(data), static_cast<uInt>(bytes)));
}

}  // namespace

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
    throw host::Error(fmt::format("'{}' is of version {} of the format, and this tide reads {}",
                                  path, head_.version, format::kWorkloadVersion));
  }
  if (head_.head_bytes != sizeof head_ ||
      head_.head_crc != crc_of(&head_, offsetof(WorkloadHead, head_crc))) {
    file_.fail(0, "the checksum of the head is wrong");
  }
  read_index();
}

void WorkloadReader::read_index() {
  const uint64_t threads_bytes = head_.threads * uint64_t{sizeof(WorkloadThread)};
  if (head_.index > file_.bytes() || head_.index_bytes > file_.bytes() - head_.index ||
      head_.index_bytes < threads_bytes ||
      (head_.index_bytes - threads_bytes) % sizeof(WorkloadBlock) != 0) {
    file_.fail(head_.index, "there is no index here");
  }
  std::vector<uint8_t> index(head_.index_bytes);
  file_.read(head_.index, index.data(), index.size());
  if (crc_of(index.data(), index.size()) != head_.index_crc) {
    file_.fail(head_.index, "the checksum of the index is wrong");
  }
  threads_.resize(head_.threads);
  memcpy(threads_.data(), index.data(), threads_bytes);
  blocks_.resize((index.size() - threads_bytes) / sizeof(WorkloadBlock));
  memcpy(blocks_.data(), index.data() + threads_bytes, index.size() - threads_bytes);

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
      decompressor_(std::make_unique<Decompressor>()) {}
WorkloadReader::Operations::~Operations() = default;
WorkloadReader::Operations::Operations(Operations&&) noexcept = default;

bool WorkloadReader::Operations::next_block() {
  if (block_.left() != 0) {
    workload_.file_.fail(workload_.blocks_[next_ - 1].offset,
                         "what stands in the block is no operation");
  }
  if (next_ == end_) return false;
  const WorkloadBlock& block = workload_.blocks_[next_++];
  std::vector<uint8_t>& stored = decompressor_->stored;
  std::vector<uint8_t>& plain = decompressor_->plain;
  stored.resize(block.stored_bytes);
  workload_.file_.read(block.offset, stored.data(), stored.size());
  if (crc_of(stored.data(), stored.size()) != block.crc) {
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
