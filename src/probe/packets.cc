#include "probe/packets.h"

#include "sys/futex.h"
#include "sys/process.h"

namespace tide::probe {

namespace {

using format::PacketState;
using format::TraceArena;

constexpr uint64_t kWaitNs = 100'000'000;
constexpr uint32_t kNone = UINT32_MAX;

// The index of a packet that is this thread's from now on, or kNone. `*is_worth_waiting`: the
// collector has some in its hands.
uint32_t claim(TraceArena& arena, uint32_t first, bool* is_worth_waiting) {
  std::atomic<PacketState>* const states = states_of(arena);
  *is_worth_waiting = false;
  for (uint32_t i = 0; i < arena.packet_count; ++i) {
    uint32_t index = first + i;
    if (index >= arena.packet_count) index -= arena.packet_count;
    PacketState state = states[index].load(std::memory_order_relaxed);
    // Acquire: the collector has read all of it.
    if (state == PacketState::kFree &&
        states[index].compare_exchange_strong(state, PacketState::kOwned, std::memory_order_acquire,
                                              std::memory_order_relaxed)) {
      return index;
    }
    if (state == PacketState::kFull) *is_worth_waiting = true;
  }
  return kNone;
}

// Until a packet is free, unless nobody will make one free.
uint32_t claim_or_wait(TraceArena& arena, uint32_t first, uint32_t* freed) {
  for (;;) {
    *freed = arena.freed.load(std::memory_order_acquire);
    bool is_worth_waiting;
    const uint32_t found = claim(arena, first, &is_worth_waiting);
    if (found != kNone || !is_worth_waiting || (arena.flags & format::kDropWhenFull) != 0) {
      return found;
    }
    wake_collector(arena);
    arena.threads_wait.fetch_add(1);
    sys::futex_wait_shared(&arena.freed, *freed, kWaitNs);
    arena.threads_wait.fetch_sub(1);
    if (arena.freed.load(std::memory_order_acquire) != *freed) continue;
    if (arena.control.load(std::memory_order_relaxed) == format::Control::kStop) return kNone;
    if (!format::is_collected(arena.collector.load())) {
      // Nobody will ever read what is recorded.
      arena.control.store(format::Control::kStop);
      return kNone;
    }
  }
}

}  // namespace

void wake_collector(TraceArena& arena) {
  arena.filled.fetch_add(1);
  if (arena.collector_waits.load() != 0) sys::futex_wake_shared(&arena.filled);
}

void hand_in(TraceArena& arena, ThreadStream& stream) {
  if (stream.head == nullptr) return;
  // Release: the collector sees the records.
  states_of(arena)[stream.packet].store(PacketState::kFull, std::memory_order_release);
  forget_packet(stream);
  wake_collector(arena);
}

void forget_packet(ThreadStream& stream) {
  stream.head = nullptr;
  stream.cursor = {};
  stream.limit = stream.end = nullptr;
}

bool next_packet(TraceArena& arena, format::ProcessSlot& slot, ThreadStream& stream, uint64_t now) {
  hand_in(arena, stream);
  // Nothing has become free since the last time, so there is no need to look.
  if (stream.is_full && arena.freed.load(std::memory_order_acquire) == stream.full_since) {
    return false;
  }
  const uint32_t first = (stream.packet + 1 + (stream.sequence == 0 ? stream.number * 7 : 0));
  const uint32_t index = claim_or_wait(arena, first % arena.packet_count, &stream.full_since);
  stream.is_full = index == kNone;
  if (stream.is_full) return false;
  slot.packets.fetch_add(1, std::memory_order_relaxed);
  format::PacketHead* const head = packet_at(arena, index);
  head->committed.store(0, std::memory_order_relaxed);
  head->process = static_cast<uint32_t>(&slot - slots_of(arena));
  head->thread = stream.number;
  head->tid = stream.tid;
  head->sequence = stream.sequence++;
  head->first_tick = now;
  // Last, and atomic: a process that is killed before leaves a packet that is nobody's.
  __atomic_store_n(&head->process_number, slot.number, __ATOMIC_RELEASE);
  stream.packet = index;
  stream.head = head;
  stream.end = reinterpret_cast<uint8_t*>(head) + arena.packet_bytes;
  stream.cursor = {records_of(head), now, 0};
  return true;
}

}  // namespace tide::probe
