// tide-player: a process that does the operations of a workload on whatever malloc it was started
// with. `tide replay` starts it and reads its results from memory that both share; see
// format/replay_session.h. Not for people.
//
// It links the C library and zstd, nothing of C++, and does not allocate for itself: what the
// allocator under test does is for the workload alone.

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "player/calls.h"
#include "player/own_usage.h"
#include "player/places.h"
#include "player/play.h"
#include "player/schedule.h"
#include "player/session.h"
#include "player/system_call_filter.h"
#include "sys/clock.h"
#include "sys/futex.h"
#include "sys/ticks.h"

namespace tide::player {
namespace {

using format::ReplayFault;
using format::ReplayState;

struct Process {
  Session session;
  WorkloadIndex index;
  Places places;
  Schedule* schedule;
  CpuTime begin;
};
Process* g_process;

void place_on_processor(uint32_t thread) {
  const uint32_t per_core = g_process->session.head->threads_per_core;
  if (per_core == 0) return;
  cpu_set_t all;
  if (sched_getaffinity(getpid(), sizeof all, &all) != 0) return;
  const auto cores = static_cast<uint32_t>(CPU_COUNT(&all));
  uint32_t wanted = thread / per_core % (cores == 0 ? 1 : cores);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    if (wanted-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void run_thread(uint32_t thread) {
  Process& process = *g_process;
  Session& session = process.session;
  session.threads[thread].state.store(ReplayThread::kPlaying, std::memory_order_relaxed);
  Place& place = process.places.take(session);
  play(session, *process.schedule, process.index, thread, place);
  process.places.give_back(place);
  if (!process.schedule->end(thread)) return;
  ReplaySession& head = *session.head;
  head.wall_ns = sys::monotonic_ns() - head.begin_monotonic_ns;
  head.end_ticks = sys::processor_ticks();
  const CpuTime now = own_cpu_time();
  head.cpu_ns = now.cpu_ns - process.begin.cpu_ns;
  head.minor_faults = now.minor_faults - process.begin.minor_faults;
  head.major_faults = now.major_faults - process.begin.major_faults;
  head.all_ended.store(1, std::memory_order_release);
}

void* enter(void* argument) {
  const auto thread = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(argument));
  place_on_processor(thread);
  run_thread(thread);
  return nullptr;
}

void start_thread(uint32_t thread) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  Session& session = g_process->session;
  pthread_t id;
  if (pthread_create(&id, &attributes, enter, reinterpret_cast<void*>(uintptr_t{thread})) != 0) {
    fail(session, ReplayFault::kThread);
  }
  pthread_attr_destroy(&attributes);
}

int run() {
  Session session = Session::map(format::kReplaySessionDescriptor);
  auto* const process = static_cast<Process*>(map_harness(session, sizeof(Process)));
  g_process = process;
  process->session = session;
  process->index.read(process->session);
  if (session.head->is_null != 0) {
    NullCalls::memory = static_cast<uint8_t*>(map_harness(session, NullCalls::kBytes));
  }
  if (session.head->is_timed != 0) calibrate_timer(session);
  Schedule schedule(process->session, start_thread);
  process->schedule = &schedule;

  ReplaySession& head = *session.head;
  head.malloc_address = reinterpret_cast<uint64_t>(&malloc);
  head.vm_at_begin = own_vm_bytes() - head.harness_vm_bytes.load();
  head.state.store(ReplayState::kReady, std::memory_order_release);
  sys::futex_wake_shared(&head.go);
  while (head.go.load(std::memory_order_acquire) == 0) {
    sys::futex_wait_shared(&head.go, 0, 1'000'000'000);
  }
  if (head.counts_system_calls != 0 && !install_system_call_filter()) head.counts_system_calls = 0;
  head.state.store(ReplayState::kPlaying, std::memory_order_release);
  process->begin = own_cpu_time();
  head.begin_monotonic_ns = sys::monotonic_ns();
  head.begin_ticks = sys::processor_ticks();
  schedule.begin(head.begin_monotonic_ns);
  // The first thread is the program's own: allocators treat it apart, and a program that has but
  // one remains single-threaded to the C library.
  if (session.thread_count != 0) {
    head.next_start.store(1);
    place_on_processor(session.order[0]);
    run_thread(session.order[0]);
    schedule.start_the_rest();
    while (head.all_ended.load(std::memory_order_acquire) == 0) sched_yield();
  }
  read_own_peaks(head.hwm_bytes, head.peak_bytes);
  head.state.store(ReplayState::kDone, std::memory_order_release);
  sys::futex_wake_shared(&head.go);
  _exit(0);
}

}  // namespace
}  // namespace tide::player

int main() { return tide::player::run(); }
