#include "probe/arena_map.h"

#include <cstring>

#include "base/text.h"
#include "sys/process.h"
#include "sys/shared_memory.h"

namespace tide::probe {

namespace {

using format::TraceArena;

constexpr size_t kMostPath = 512;
constexpr size_t kLeastPacket = 4096;

TraceArena* map_from(int descriptor) {
  void* const head = sys::map_shared(descriptor, sizeof(TraceArena));
  if (head == nullptr) return nullptr;
  const uint64_t bytes = static_cast<const TraceArena*>(head)->bytes;
  const bool sound = is_sound_arena(*static_cast<const TraceArena*>(head), bytes);
  sys::unmap_shared(head, sizeof(TraceArena));
  return sound ? static_cast<TraceArena*>(sys::map_shared(descriptor, bytes)) : nullptr;
}

}  // namespace

bool parse_arena_address(std::string_view value, ArenaAddress* address) {
  const size_t last = value.rfind(':');
  if (last == std::string_view::npos || last == 0) return false;
  const size_t middle = value.rfind(':', last - 1);
  if (middle == std::string_view::npos) return false;
  const char* const text = value.data();
  uint64_t descriptor;
  if (!base::parse_decimal({text + last + 1, value.size() - last - 1}, &address->identity) ||
      !base::parse_decimal({text + middle + 1, last - middle - 1}, &descriptor) ||
      descriptor > INT32_MAX) {
    return false;
  }
  address->path = {text, middle};
  address->descriptor = static_cast<int>(descriptor);
  return address->path.size() < kMostPath;
}

bool is_sound_arena(const TraceArena& arena, uint64_t bytes) {
  const auto holds = [&](uint64_t offset, uint64_t count, uint64_t size) {
    return offset >= sizeof(TraceArena) && offset <= bytes && count <= (bytes - offset) / size;
  };
  return arena.magic == format::kArenaMagic && arena.version == format::kArenaVersion &&
         arena.bytes == bytes && arena.packet_count != 0 && arena.process_count != 0 &&
         arena.packet_bytes >= kLeastPacket && arena.tick_shift < 32 &&
         holds(arena.processes, arena.process_count, sizeof(format::ProcessSlot)) &&
         holds(arena.packet_states, arena.packet_count, sizeof(format::PacketState)) &&
         holds(arena.packets, arena.packet_count, arena.packet_bytes);
}

TraceArena* map_arena() {
  ArenaAddress address;
  if (sys::is_secure_execution() ||
      !parse_arena_address(sys::environment_value(format::kArenaVariable), &address)) {
    return nullptr;
  }
  if (sys::file_identity(address.descriptor) == address.identity) {
    if (TraceArena* const arena = map_from(address.descriptor)) return arena;
  }
  char path[kMostPath];
  memcpy(path, address.path.data(), address.path.size());
  path[address.path.size()] = '\0';
  const int descriptor = sys::open_shared(path);
  if (descriptor < 0) return nullptr;
  TraceArena* const arena =
      sys::file_identity(descriptor) == address.identity ? map_from(descriptor) : nullptr;
  sys::close_descriptor(descriptor);
  return arena;
}

}  // namespace tide::probe
