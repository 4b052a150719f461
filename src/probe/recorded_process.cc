#include "probe/recorded_process.h"

#include <cstring>
#include <new>

#include "base/racy.h"
#include "ds/lock.h"
#include "probe/module_notes.h"
#include "probe/packets.h"
#include "probe/recorder.h"
#include "sys/process.h"
#include "sys/shared_memory.h"
#include "sys/thread.h"

namespace tide::probe {

namespace {

using format::ProcessSlot;
using format::ProcessState;

using StreamLock = ds::Lock<ds::Rank::kTrace>;
using Guard = ds::LockGuard<StreamLock>;

// In memory that reads as zero in a forked child.
struct OwnProcess {
  StreamLock lock;  // of all that follows, but for reading `slot`
  std::atomic<ProcessSlot*> slot;
  std::atomic<bool> is_introduced;
  int32_t pid;
  ThreadStream* idle;    // of nobody
  ThreadStream* ending;  // of threads that are about to end, or have
  char* fresh;           // memory for more
  size_t fresh_bytes;
};

constexpr size_t kStreamsAtOnce = 8;

OwnProcess* g_process = nullptr;
bool g_wiped = true;

ProcessSlot* find_slot(format::TraceArena& arena, int32_t pid, uint64_t pid_namespace) {
  ProcessSlot* const slots = slots_of(arena);
  ProcessSlot* found = nullptr;
  for (uint32_t i = 0; i < arena.process_count; ++i) {
    ProcessState state = slots[i].state.load(std::memory_order_acquire);
    // A program before us in this very process, or in one before it that had the same number.
    if (state == ProcessState::kLive && slots[i].pid == pid &&
        slots[i].pid_namespace == pid_namespace) {
      slots[i].state.compare_exchange_strong(state, ProcessState::kEnded);
    }
    if (found == nullptr && state == ProcessState::kFree &&
        slots[i].state.compare_exchange_strong(state, ProcessState::kClaimed)) {
      found = &slots[i];
    }
  }
  return found;
}

void fill_in(format::TraceArena& arena, ProcessSlot& slot, int32_t pid, uint64_t pid_namespace) {
  slot.pid = pid;
  slot.pid_namespace = pid_namespace;
  slot.parent = sys::parent_process_id();
  slot.number = arena.next_process.fetch_add(1) + 1;
  slot.first_tick = now();
  slot.next_thread.store(0, std::memory_order_relaxed);
  slot.packets.store(0, std::memory_order_relaxed);
  slot.lost.store(0, std::memory_order_relaxed);
  slot.requests.store(0, std::memory_order_relaxed);
  slot.answers.store(0, std::memory_order_relaxed);
  slot.state.store(ProcessState::kLive, std::memory_order_release);
}

size_t stream_bytes() { return sizeof(ThreadStream) + g_recording.stack_table_bytes; }

void clear(ThreadStream* stream) {
  // The table of stacks is emptied by who begins one.
  const uint32_t table_bytes = stream->table_bytes;
  *stream = ThreadStream{};
  stream->table_bytes = table_bytes;
}

// Of those that nobody uses, one that has room for a table of stacks if that is needed.
ThreadStream* take_idle() TIDE_REQUIRES(g_process->lock) {
  for (ThreadStream** link = &g_process->idle; *link != nullptr; link = &(*link)->next) {
    ThreadStream* const stream = *link;
    if (stream->table_bytes < g_recording.stack_table_bytes) continue;
    *link = stream->next;
    clear(stream);
    return stream;
  }
  return nullptr;
}

// Where the kernel does not do it.
void wipe_in_child() {
  new (g_process) OwnProcess{};
  forget_module_notes();
  if (t_stream->busy != kClosed) clear(t_stream);
}

void push(ThreadStream*& list, ThreadStream* stream) {
  stream->next = list;
  list = stream;
}

}  // namespace

bool join_arena(format::TraceArena* arena, int32_t slot_of, uint32_t slot) {
  if (g_process == nullptr) {
    g_process = static_cast<OwnProcess*>(sys::map_wiped_on_fork(sizeof(OwnProcess), &g_wiped));
    if (g_process == nullptr) return false;
    if (!g_wiped) sys::run_in_forked_child(wipe_in_child);
  }
  const Guard guard(g_process->lock);
  OwnProcess& process = *g_process;
  // Their packets were in the arena before.
  for (ThreadStream* stream = process.ending; stream != nullptr; stream = stream->next) {
    forget_packet(*stream);
  }
  process.is_introduced.store(false);
  process.pid = sys::process_id();
  process.slot.store(process.pid == slot_of ? &slots_of(*arena)[slot] : nullptr,
                     std::memory_order_release);
  g_recording.arena = arena;
  return true;
}

ProcessSlot* own_slot() {
  ProcessSlot* slot = g_process->slot.load(std::memory_order_acquire);
  if (slot != nullptr) return slot;
  const Guard guard(g_process->lock);
  slot = g_process->slot.load(std::memory_order_relaxed);
  if (slot != nullptr) return slot;
  const int32_t pid = sys::process_id();
  const uint64_t pid_namespace = sys::pid_namespace();
  slot = find_slot(*g_recording.arena, pid, pid_namespace);
  if (slot == nullptr) return nullptr;
  fill_in(*g_recording.arena, *slot, pid, pid_namespace);
  g_process->pid = pid;
  g_process->slot.store(slot, std::memory_order_release);
  return slot;
}

ProcessSlot* known_slot() {
  return g_process == nullptr ? nullptr : g_process->slot.load(std::memory_order_acquire);
}

bool is_own_process() { return known_slot() != nullptr && g_process->pid == sys::process_id(); }

bool is_first_to_introduce() { return !g_process->is_introduced.exchange(true); }

bool register_thread(ThreadStream& stream) {
  ProcessSlot* const slot = own_slot();
  if (slot == nullptr) return false;
  stream.tid = sys::thread_number();
  stream.number = slot->next_thread.fetch_add(1, std::memory_order_relaxed) + 1;
  stream.stacks_before = 0;
  stream.stacks_here = 0;
  stream.sequence = 0;
  return true;
}

ThreadStream* take_stream() {
  const Guard guard(g_process->lock);
  OwnProcess& process = *g_process;
  if (ThreadStream* const stream = take_idle()) return stream;
  const size_t bytes = stream_bytes();
  if (process.fresh_bytes < bytes) {
    constexpr size_t kPage = 4096;
    const size_t wanted = (kStreamsAtOnce * bytes + kPage - 1) / kPage * kPage;
    bool wiped;
    process.fresh = static_cast<char*>(sys::map_wiped_on_fork(wanted, &wiped));
    process.fresh_bytes = process.fresh == nullptr ? 0 : wanted;
    if (process.fresh == nullptr) return nullptr;
  }
  void* const memory = process.fresh;
  process.fresh += bytes;
  process.fresh_bytes -= bytes;
  auto* const stream = new (memory) ThreadStream{};
  stream->table_bytes = g_recording.stack_table_bytes;
  return stream;
}

ThreadStream* renew_stream(ThreadStream* stream) {
  if (stream->table_bytes >= g_recording.stack_table_bytes) {
    clear(stream);
    return stream;
  }
  forget_packet(*stream);
  give_back(stream);
  return take_stream();
}

void give_back(ThreadStream* stream) {
  const Guard guard(g_process->lock);
  push(g_process->idle, stream);
}

void thread_ends(ThreadStream& stream) {
  const Guard guard(g_process->lock);
  push(g_process->ending, &stream);
}

void reap_ended_threads() {
  const int32_t own = sys::thread_number();
  const Guard guard(g_process->lock);
  ThreadStream** link = &g_process->ending;
  while (ThreadStream* const stream = *link) {
    const bool is_mine = stream == t_stream;
    if (is_mine || (stream->tid != own && !sys::thread_is_gone(stream->tid))) {
      link = &stream->next;
      continue;
    }
    *link = stream->next;
    // Its thread's last word (thread_ended()).
    static_cast<void>(base::published_load(stream->busy));
    hand_in(*g_recording.arena, *stream);
    push(g_process->idle, stream);
  }
}

}  // namespace tide::probe
