// Plays a program with the recorder in it: as many mallocs as it is told, in an arena that
// TIDE_TRACE_ARENA leads to, from one thread. What it does wrong is what it is told:
//
//   fake_recorder EVENTS [die|partial|garbage|wait]
// Addresses are random, so that chunks are not small.
//
// die: it kills itself with a packet in its hands; partial: the last record is not whole; garbage:
// its last packet says that it is longer than a packet can be, and has nonsense in it; wait: it
// reads a line before it goes on with as many events again.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "format/trace_arena.h"
#include "format/trace_record.h"

using namespace tide::format;

namespace {

template <typename T>
T* at(TraceArena* arena, uint64_t offset) {
  return reinterpret_cast<T*>(reinterpret_cast<char*>(arena) + offset);
}

TraceArena* map_arena() {
  const char* variable = getenv(kArenaVariable);
  if (variable == nullptr) return nullptr;
  const std::string text = variable;
  const size_t last = text.rfind(':'), middle = text.rfind(':', last - 1);
  const int file = atoi(text.c_str() + middle + 1);
  struct stat info;
  if (fstat(file, &info) != 0) return nullptr;
  if (std::to_string((uint64_t{info.st_dev} << 40) ^ uint64_t{info.st_ino} ^ 1) !=
      text.substr(last + 1)) {
    return nullptr;
  }
  void* const memory =
      mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<TraceArena*>(memory);
}

struct Writer {
  TraceArena* arena;
  ProcessSlot* slot;
  PacketHead* head = nullptr;
  uint32_t index = 0;
  uint32_t sequence = 0;
  uint64_t tick = 1'000'000;
  RecordCursor cursor{};

  void hand_in() {
    if (head == nullptr) return;
    at<std::atomic<PacketState>>(arena, arena->packet_states)[index].store(PacketState::kFull);
    arena->filled.fetch_add(1);
  }

  void take() {
    hand_in();
    for (;; index = (index + 1) % arena->packet_count) {
      auto& state = at<std::atomic<PacketState>>(arena, arena->packet_states)[index];
      PacketState expected = PacketState::kFree;
      if (state.compare_exchange_strong(expected, PacketState::kOwned)) break;
    }
    head = at<PacketHead>(arena, arena->packets + uint64_t{index} * arena->packet_bytes);
    slot->packets.fetch_add(1);
    head->process = 0;
    head->thread = 1;
    head->tid = getpid();
    head->sequence = sequence++;
    head->first_tick = tick;
    head->process_number = slot->number;
    cursor = {reinterpret_cast<uint8_t*>(head + 1), tick, 0};
  }

  void put(uint64_t number) {
    if (arena->control.load() == Control::kStop) return;
    const uint8_t* const end = reinterpret_cast<uint8_t*>(head) + arena->packet_bytes;
    if (head == nullptr || cursor.at + kMostPlainRecord > end) take();
    tick += 3;
    put_record(cursor, Call::kMalloc, tick, (number * number * 0x9e3779b97f4a7c15 >> 30) << 4, 40,
               8, 0);
    publish();
  }

  void publish() {
    head->committed.store(static_cast<uint32_t>(cursor.at - reinterpret_cast<uint8_t*>(head + 1)));
  }
};

ProcessSlot* join(TraceArena* arena) {
  ProcessSlot* const slots = at<ProcessSlot>(arena, arena->processes);
  for (uint32_t i = 0; i < arena->process_count; ++i) {
    ProcessState state = ProcessState::kFree;
    if (!slots[i].state.compare_exchange_strong(state, ProcessState::kClaimed)) continue;
    slots[i].pid = getpid();
    slots[i].parent = getppid();
    slots[i].number = arena->next_process.fetch_add(1) + 1;
    slots[i].state.store(ProcessState::kLive);
    return &slots[i];
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  TraceArena* const arena = map_arena();
  if (arena == nullptr || argc < 2) return 3;
  const uint64_t events = strtoull(argv[1], nullptr, 10);
  const std::string fault = argc > 2 ? argv[2] : "";
  Writer writer{arena, join(arena)};
  for (uint64_t i = 0; i < events; ++i) writer.put(i);
  if (fault == "wait") {
    printf("ready\n");
    fflush(stdout);
    getchar();
    for (uint64_t i = 0; i < events; ++i) writer.put(events + i);
  }
  if (fault == "partial") {
    writer.cursor.at[0] = static_cast<uint8_t>(Call::kCalloc);
    writer.cursor.at[1] = 0xff;
    writer.cursor.at += 3;
    writer.publish();
  }
  if (fault == "garbage") {
    writer.take();
    memset(writer.cursor.at, 0xee, 4096);
    writer.head->committed.store(UINT32_MAX);
  }
  if (fault == "die" || fault == "partial" || fault == "garbage") raise(SIGKILL);
  writer.hand_in();
  return 7;
}
