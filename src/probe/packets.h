// How threads take packets and hand them in.
#pragma once

#include "format/trace_arena.h"
#include "probe/thread_stream.h"

namespace tide::probe {

inline format::ProcessSlot* slots_of(const format::TraceArena& arena) {
  return reinterpret_cast<format::ProcessSlot*>(reinterpret_cast<uintptr_t>(&arena) +
                                                arena.processes);
}

inline std::atomic<format::PacketState>* states_of(const format::TraceArena& arena) {
  return reinterpret_cast<std::atomic<format::PacketState>*>(reinterpret_cast<uintptr_t>(&arena) +
                                                             arena.packet_states);
}

inline format::PacketHead* packet_at(const format::TraceArena& arena, uint32_t index) {
  return reinterpret_cast<format::PacketHead*>(reinterpret_cast<uintptr_t>(&arena) + arena.packets +
                                               uint64_t{index} * arena.packet_bytes);
}

// Gives the stream an empty packet, and the collector the one before it. Waits for the collector
// where the arena says so. False: none is to be had; the stream has no packet then.
bool next_packet(format::TraceArena& arena, format::ProcessSlot& slot, ThreadStream& stream,
                 uint64_t now);

// Gives the packet to the collector as it is; the stream has none then.
void hand_in(format::TraceArena& arena, ThreadStream& stream);

// Leaves the packet to whoever has its arena.
void forget_packet(ThreadStream& stream);

void wake_collector(format::TraceArena& arena);

}  // namespace tide::probe
