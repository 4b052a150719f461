#include "player/session.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/futex.h"

namespace tide::player {

using format::ReplayFault;
using format::ReplayState;

namespace {

// Nobody can be told more: the replayer sees the exit status.
constexpr int kExitNoSession = 3;
constexpr int kExitEnded = 4;

[[noreturn]] void end(Session& session, ReplayState state) {
  session.head->state.store(state, std::memory_order_release);
  sys::futex_wake_shared(&session.head->go);
  _exit(kExitEnded);
}

// Before Linux 5.14 by hand.
void populate(void* memory, size_t bytes) {
  if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return;
  auto* const pages = static_cast<volatile uint8_t*>(memory);
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t at = 0; at < bytes; at += page) pages[at] = pages[at];
}

}  // namespace

Session Session::map(int descriptor) {
  struct stat file;
  if (fstat(descriptor, &file) != 0) _exit(kExitNoSession);
  const auto bytes = static_cast<size_t>(file.st_size);
  // Resident at once what is no table of latencies: nothing of it becomes so while it is played.
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) _exit(kExitNoSession);
  auto* const base = static_cast<uint8_t*>(memory);
  auto* const head = static_cast<ReplaySession*>(memory);
  if (head->magic != format::kReplaySessionMagic) _exit(kExitNoSession);
  const format::ReplayLayout layout(*head, static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
  if (layout.bytes > bytes) _exit(kExitNoSession);
  populate(memory, layout.latencies_at);
  head->harness_bytes.fetch_add(layout.latencies_at);
  head->harness_vm_bytes.fetch_add(bytes);
  head->session_address = reinterpret_cast<uint64_t>(memory);
  return {head,
          reinterpret_cast<ReplayThread*>(base + layout.threads_at),
          reinterpret_cast<const uint32_t*>(base + layout.order_at),
          reinterpret_cast<format::ReplayWindow*>(base + layout.windows_at),
          reinterpret_cast<format::ReplaySlot*>(base + layout.slots_at),
          head->is_timed != 0 ? reinterpret_cast<format::LatencyTable*>(base + layout.latencies_at)
                              : nullptr,
          head->threads * head->copies};
}

void* reserve_harness(Session& session, size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail(session, ReplayFault::kMemory);
  session.head->harness_vm_bytes.fetch_add(bytes, std::memory_order_relaxed);
  return memory;
}

void count_harness(Session& session, size_t bytes) {
  session.head->harness_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

void* map_harness(Session& session, size_t bytes) {
  void* const memory = reserve_harness(session, bytes);
  populate(memory, bytes);
  count_harness(session, bytes);
  return memory;
}

void fail(Session& session, ReplayFault fault) {
  session.head->fault.store(fault);
  end(session, ReplayState::kFailed);
}

void end_without_memory(Session& session, format::Call call, uint64_t size) {
  session.head->failed_call.store(static_cast<uint32_t>(call));
  session.head->failed_size.store(size);
  end(session, ReplayState::kNoMemory);
}

}  // namespace tide::player
