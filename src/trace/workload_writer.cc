#include "trace/workload_writer.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "format/trace_record.h"
#include "format/workload_block.h"
#include "host/crc.h"
#include "host/error.h"
#include "trace/chunk_columns.h"
#include "trace/workload_columns.h"

namespace tide::trace {

using format::WorkloadBlock;
using format::WorkloadHead;
using format::WorkloadOperation;

namespace {

constexpr uint32_t kBlockOperations = 1 << 15;
constexpr uint32_t kBlockOperationsOfMany = 1 << 12;
constexpr size_t kManyThreads = 256;
constexpr int kBlockLevel = 1;  // higher ones save little: what is alike stands together already

constexpr bool has_extras(Call call) {
  return call == Call::kCalloc || call == Call::kNewForm || call == Call::kDeleteForm ||
         format::has_alignment(call);
}

}  // namespace

struct WorkloadWriter::Thread {
  format::WorkloadThread entry{};
  std::vector<WorkloadBlock> blocks;
  WorkloadColumns columns;
  uint32_t last_slot = 0;
  std::unordered_map<uint32_t, uint64_t> waited;  // operations, by the thread's index
  // Allocations of large blocks that were not touched as a whole, in the order in which that was
  // seen; the last word about one counts.
  struct Touch {
    uint64_t operation;
    uint64_t bytes;
  };
  std::vector<Touch> touches;
};

struct WorkloadWriter::Compressor {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::vector<uint8_t> plain;
  std::vector<uint8_t> stored;
  ~Compressor() { ZSTD_freeCCtx(context); }
};

WorkloadWriter::WorkloadWriter(const std::string& path)
    : file_(path),
      block_operations_(kBlockOperations),
      compressor_(std::make_unique<Compressor>()) {
  file_.write(&head_, sizeof head_);
}

WorkloadWriter::~WorkloadWriter() = default;

WorkloadWriter::Thread& WorkloadWriter::thread_of(const Event& event, uint32_t& index) {
  if (event.thread == last_number_ && last_ != nullptr) {
    index = last_index_;
    return *last_;
  }
  const auto [found, is_new] =
      indices_.try_emplace(event.thread, static_cast<uint32_t>(threads_.size()));
  if (is_new) {
    threads_.push_back(std::make_unique<Thread>());
    threads_.back()->entry.number = event.thread;
    threads_.back()->entry.tid = event.tid;
    threads_.back()->entry.begin_ns = event.time_ns;
    if (threads_.size() == kManyThreads) block_operations_ = kBlockOperationsOfMany;
  }
  last_number_ = event.thread;
  last_index_ = index = found->second;
  last_ = threads_[index].get();
  return *last_;
}

WorkloadWriter::Made& WorkloadWriter::made(uint32_t live_slot) {
  if (live_slot >= made_.size()) made_.resize(size_t{live_slot} + 1 + made_.size() / 2);
  return made_[live_slot];
}

void WorkloadWriter::add(const Event& event) {
  if (event.call == Call::kNone) return release(event, Call::kFree);
  if (format::releases(event.call)) {
    if (event.pointer != 0 && !event.gone.is_known) {
      ++head_.left_out;
    } else {
      release(event, event.call);
    }
  } else if (event.call == Call::kReallocDone) {
    if (event.pointer != 0) {
      allocate(event, true);
    } else if (event.gone.is_known) {
      release(event, Call::kFree);
    } else {
      ++head_.left_out;
    }
  } else if (came(event)) {
    allocate(event, false);
  } else if (format::allocates(event.call)) {
    ++head_.left_out;
  } else if (event.call == Call::kNote) {
    note(event);
  }
}

void WorkloadWriter::note(const Event& event) {
  samples_.add(event);
  if (is_note(event, format::Note::kAllocator)) allocator_ = event.text;
  if (is_note(event, format::Note::kTouched) && event.gone.is_known) look(event);
}

void WorkloadWriter::look(const Event& event) {
  head_.flags |= format::kTouchesRecorded;
  if (event.gone.size < format::kTouchedFrom) return;
  Made& block = made(event.gone.slot);
  const bool is_whole = event.size >= event.gone.size;
  if (!is_whole || block.is_unseen == 0) {
    threads_[block.thread]->touches.push_back({block.operation, event.size});
  }
  block.is_unseen = 0;
}

void WorkloadWriter::forget(Made& block) {
  if (block.is_unseen == 0) return;
  threads_[block.thread]->touches.push_back({block.operation, WorkloadOperation::kNotKnown});
  block.is_unseen = 0;
}

// What is live at the end, and the order of operations. Without any word about touches there is
// nothing to say.
void WorkloadWriter::finish_touches() {
  for (Made& block : made_) forget(block);
  const bool are_recorded = (head_.flags & format::kTouchesRecorded) != 0;
  for (const auto& thread : threads_) {
    std::vector<Thread::Touch>& touches = thread->touches;
    if (!are_recorded) touches.clear();
    std::stable_sort(touches.begin(), touches.end(),
                     [](const auto& a, const auto& b) { return a.operation < b.operation; });
    // The last word comes first.
    std::reverse(touches.begin(), touches.end());
    const auto same = [](const auto& a, const auto& b) { return a.operation == b.operation; };
    touches.erase(std::unique(touches.begin(), touches.end(), same), touches.end());
    std::reverse(touches.begin(), touches.end());
  }
}

[[gnu::noinline]] void WorkloadWriter::wait(Thread& thread, uint32_t on, uint64_t operations,
                                            uint64_t& counter, uint8_t& flags) {
  uint64_t& waited = thread.waited[on];
  if (waited >= operations) return;
  waited = operations;
  ++counter;
  flags |= format::kWaits;
  thread.columns.number(format::kWaitsFor, on);
  thread.columns.number(format::kWaitsFor, operations);
}

void WorkloadWriter::begin(Thread& thread, const Event& event, Call call, uint8_t flags,
                           uint32_t slot) {
  thread.columns.byte(format::kKinds, static_cast<size_t>(call) | flags);
  const uint64_t now = std::max(event.time_ns, thread.entry.end_ns);
  thread.columns.number(format::kTimes, now - thread.entry.end_ns);
  thread.entry.end_ns = now;
  if (slot == format::WorkloadOperation::kNone) return;
  thread.columns.number(format::kSlots, format::zigzag(uint64_t{slot} - thread.last_slot));
  thread.last_slot = slot;
}

void WorkloadWriter::extras(Thread& thread, const Event& event, Call call) {
  if (!has_extras(call)) return;
  const auto put = [&](uint64_t value) { thread.columns.number(format::kExtras, value); };
  const auto power = [](uint64_t alignment) {
    return static_cast<uint64_t>(std::bit_width(std::max<uint64_t>(alignment, 1)) - 1);
  };
  if (call == Call::kCalloc) {
    put(event.extras[0]);
  } else if (format::has_alignment(call)) {
    put(power(event.extras[0]));
  } else {
    put(event.extras[0] & 0xf);
    if ((event.extras[0] & format::kFormAligned) != 0) put(power(event.extras[1]));
  }
}

// In one function, as release(): its parts are shorter than the way to them.
[[gnu::flatten]] void WorkloadWriter::allocate(const Event& event, bool is_realloc) {
  uint32_t index;
  Thread& thread = thread_of(event, index);
  thread.columns.begin_operation();
  uint8_t flags = 0;
  uint32_t slot;
  if (is_realloc && event.gone.is_known) {
    Made& old = made(event.gone.slot);
    forget(old);
    slot = old.slot;
    if (old.thread != index) {
      wait(thread, old.thread, old.operation + 1, head_.handed_over, flags);
    }
    --head_.live_blocks;
    head_.live_bytes -= event.gone.size;
  } else {
    if (is_realloc) flags |= format::kNoSlot;
    const WorkloadSlots::Taken taken = slots_.take(index, thread.entry.operations);
    slot = taken.slot;
    if (taken.thread != WorkloadSlots::kNobody) {
      wait(thread, taken.thread, taken.operations, head_.slots_taken, flags);
    }
  }
  const Call call = is_realloc                  ? Call::kRealloc
                    : event.call == Call::kNote ? Call::kMalloc
                                                : event.call;
  begin(thread, event, call, flags, slot);
  thread.columns.number(format::kSizes, event.size);
  thread.columns.small_number(format::kSlacks,
                              event.usable > event.size ? event.usable - event.size : uint64_t{0});
  extras(thread, event, call);
  made(event.slot) = {slot, index & INT32_MAX, event.size >= format::kTouchedFrom ? 1u : 0u,
                      thread.entry.operations};
  ++head_.allocations;
  head_.live_bytes += event.size;
  head_.peak_bytes = std::max(head_.peak_bytes, head_.live_bytes);
  head_.peak_blocks = std::max(head_.peak_blocks, ++head_.live_blocks);
  end(thread);
}

[[gnu::flatten]] void WorkloadWriter::release(const Event& event, Call call) {
  uint32_t index;
  Thread& thread = thread_of(event, index);
  thread.columns.begin_operation();
  uint8_t flags = event.has_size && format::releases(event.call) ? format::kHasSize : 0;
  if (call == Call::kFreeSized || call == Call::kFreeAlignedSized) flags |= format::kHasSize;
  if (!event.gone.is_known) {
    begin(thread, event, call, flags | format::kNoSlot, format::WorkloadOperation::kNone);
  } else {
    Made& block = made(event.gone.slot);
    forget(block);
    if (block.thread != index) {
      wait(thread, block.thread, block.operation + 1, head_.handed_over, flags);
    }
    begin(thread, event, call, flags, block.slot);
    slots_.give(index, block.slot, thread.entry.operations);
    ++head_.releases;
    --head_.live_blocks;
    head_.live_bytes -= event.gone.size;
  }
  if ((flags & format::kHasSize) != 0) thread.columns.number(format::kSizes, event.size);
  extras(thread, event, call);
  end(thread);
}

void WorkloadWriter::end(Thread& thread) {
  ++thread.entry.operations;
  if (thread.columns.operations() >= block_operations_) write_block(thread);
}

[[gnu::noinline]] void WorkloadWriter::write_block(Thread& thread) {
  const uint32_t operations = thread.columns.operations();
  if (operations == 0) return;
  std::vector<uint8_t>& plain = compressor_->plain;
  plain.resize(sizeof(uint32_t) * format::kWorkloadColumns);
  for (size_t i = 0; i < format::kWorkloadColumns; ++i) {
    const std::span<const uint8_t> bytes =
        thread.columns.bytes(static_cast<format::WorkloadColumn>(i));
    const auto length = static_cast<uint32_t>(bytes.size());
    memcpy(plain.data() + i * sizeof length, &length, sizeof length);
    plain.insert(plain.end(), bytes.begin(), bytes.end());
  }
  thread.columns.clear();
  std::vector<uint8_t>& stored = compressor_->stored;
  stored.resize(ZSTD_compressBound(plain.size()));
  const size_t bytes = ZSTD_compressCCtx(compressor_->context, stored.data(), stored.size(),
                                         plain.data(), plain.size(), kBlockLevel);
  if (ZSTD_isError(bytes) != 0) {
    throw host::Error(fmt::format("zstd cannot compress: {}", ZSTD_getErrorName(bytes)));
  }
  thread.blocks.push_back({file_.offset(), static_cast<uint32_t>(bytes),
                           static_cast<uint32_t>(plain.size()), operations,
                           host::crc_of(stored.data(), bytes)});
  file_.write(stored.data(), bytes);
  thread.last_slot = 0;
}

std::vector<uint8_t> WorkloadWriter::touches_of(const Thread& thread) {
  ColumnWriter column;
  uint64_t after = 0;
  for (const Thread::Touch& touch : thread.touches) {
    column.number(touch.operation - after);
    column.number(touch.bytes + 1);
    after = touch.operation + 1;
  }
  const std::span<const uint8_t> bytes = column.bytes();
  return {bytes.begin(), bytes.end()};
}

void WorkloadWriter::write_index() {
  std::vector<uint8_t> index;
  const auto append = [&](const auto& structure) {
    const auto* const bytes = reinterpret_cast<const uint8_t*>(&structure);
    index.insert(index.end(), bytes, bytes + sizeof structure);
  };
  std::vector<std::vector<uint8_t>> all_touches;
  for (const auto& thread : threads_) {
    all_touches.push_back(touches_of(*thread));
    thread->entry.touch_bytes = static_cast<uint32_t>(all_touches.back().size());
    thread->entry.blocks = static_cast<uint32_t>(thread->blocks.size());
    head_.operations += thread->entry.operations;
    head_.duration_ns = std::max(head_.duration_ns, thread->entry.end_ns);
    append(thread->entry);
  }
  for (const auto& thread : threads_) {
    for (const WorkloadBlock& block : thread->blocks) append(block);
    head_.blocks += thread->blocks.size();
  }
  for (const MemorySamples::Sample& sample : samples_.all()) {
    append(format::WorkloadSample{sample.time_ns, sample.rss, sample.anonymous, sample.vm,
                                  sample.cpu_ns});
  }
  for (const std::vector<uint8_t>& touches : all_touches) {
    index.insert(index.end(), touches.begin(), touches.end());
  }
  for (const std::string* const text : {&allocator_, &program_}) {
    index.insert(index.end(), text->begin(), text->end());
  }
  head_.index = file_.offset();
  head_.index_bytes = index.size();
  head_.index_crc = host::crc_of(index.data(), index.size());
  file_.write(index.data(), index.size());
}

void WorkloadWriter::finish(const EventSource& source) {
  for (const auto& thread : threads_) write_block(*thread);
  program_ = source.process().program;
  finish_touches();
  write_index();
  memcpy(head_.magic, format::kWorkloadMagic, sizeof head_.magic);
  head_.version = format::kWorkloadVersion;
  head_.head_bytes = sizeof head_;
  head_.threads = static_cast<uint32_t>(threads_.size());
  head_.slots = slots_.count();
  head_.rss_max_bytes = samples_.rss_max();
  head_.cpu_ns = samples_.cpu_ns();
  head_.sampled_ns = samples_.span_ns();
  head_.samples = static_cast<uint32_t>(samples_.all().size());
  head_.allocator_bytes = static_cast<uint32_t>(allocator_.size());
  head_.program_bytes = static_cast<uint32_t>(program_.size());
  head_.lost_events = source.process().lost_events;
  head_.head_crc = host::crc_of(&head_, offsetof(WorkloadHead, head_crc));
  file_.write_at(0, &head_, sizeof head_);
  file_.close();
}

}  // namespace tide::trace
