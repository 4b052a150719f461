#include "probe/large_blocks.h"

#include "base/compiler.h"
#include "base/mix.h"
#include "format/workload.h"
#include "probe/recorder.h"
#include "sys/residency.h"

namespace tide::probe {

static_assert(kLargeBlock == format::kTouchedFrom);

TIDE_LARGE constinit std::atomic<uint8_t> detail::g_granules[kGranules]{};

namespace {

struct Entry {
  std::atomic<uint64_t> block;  // 0: none
  std::atomic<size_t> bytes;    // 0: being put in or taken out
};

constexpr size_t kEntries = 1 << 16;
// Where an entry may be, from where the address's hash says.
constexpr size_t kWindow = 16;
TIDE_LARGE constinit Entry g_entries[kEntries]{};
constinit std::atomic<size_t> g_live{0};

Entry& entry_of(uint64_t block, size_t step) {
  return g_entries[(base::mix(block) + step) % kEntries];
}

Entry* find(uint64_t block) {
  for (size_t i = 0; i < kWindow; ++i) {
    Entry& entry = entry_of(block, i);
    if (entry.block.load(std::memory_order_relaxed) == block) return &entry;
  }
  return nullptr;
}

std::atomic<uint8_t>& granule_of(uint64_t block) {
  return detail::g_granules[(block >> detail::kGranuleShift) % detail::kGranules];
}

void count_in(uint64_t block) {
  std::atomic<uint8_t>& granule = granule_of(block);
  uint8_t count = granule.load(std::memory_order_relaxed);
  while (count != UINT8_MAX && !granule.compare_exchange_weak(count, uint8_t(count + 1))) {
  }
}

// One that has reached the greatest number is not known exactly any more.
void count_out(uint64_t block) {
  std::atomic<uint8_t>& granule = granule_of(block);
  uint8_t count = granule.load(std::memory_order_relaxed);
  while (count != UINT8_MAX && !granule.compare_exchange_weak(count, uint8_t(count - 1))) {
  }
}

void note(ThreadStream& stream, uint64_t block, size_t bytes) {
  size_t resident;
  if (bytes == 0 || !is_recording() ||
      !sys::resident_bytes(reinterpret_cast<const void*>(block), bytes, &resident)) {
    return;
  }
  record_note(stream, format::Note::kTouched, block, resident, {});
}

}  // namespace

TIDE_COLD void detail::large_block_came(uint64_t block, size_t bytes) {
  if (block == 0) return;
  // One of an unrecorded release may still be there.
  if (Entry* const known = find(block)) {
    known->bytes.store(bytes, std::memory_order_relaxed);
    return;
  }
  for (size_t i = 0; i < kWindow; ++i) {
    Entry& entry = entry_of(block, i);
    uint64_t none = 0;
    if (entry.block.load(std::memory_order_relaxed) != 0 ||
        !entry.block.compare_exchange_strong(none, block)) {
      continue;
    }
    entry.bytes.store(bytes, std::memory_order_relaxed);
    count_in(block);
    g_live.fetch_add(1, std::memory_order_relaxed);
    return;
  }
}

TIDE_COLD void detail::large_block_goes(ThreadStream& stream, uint64_t block) {
  Entry* const entry = block == 0 ? nullptr : find(block);
  if (entry == nullptr) return;
  note(stream, block, entry->bytes.exchange(0, std::memory_order_relaxed));
  count_out(block);
  g_live.fetch_sub(1, std::memory_order_relaxed);
  entry->block.store(0, std::memory_order_release);
}

void all_blocks_go(ThreadStream& stream) {
  size_t left = g_live.load(std::memory_order_relaxed);
  for (size_t i = 0; left != 0 && i < kEntries; ++i) {
    const uint64_t block = g_entries[i].block.load(std::memory_order_acquire);
    if (block == 0) continue;
    note(stream, block, g_entries[i].bytes.load(std::memory_order_relaxed));
    --left;
  }
}

}  // namespace tide::probe
