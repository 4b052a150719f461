#include "trace/arena_owner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstring>
#include <ctime>
#include <fstream>
#include <new>

#include "host/byte_text.h"
#include "host/error.h"
#include "host/proc.h"
#include "sys/ticks.h"

namespace tide::trace {

using format::Clock;
using format::PacketHead;
using format::PacketState;
using format::ProcessSlot;
using format::TraceArena;

namespace {

constexpr uint32_t kProcesses = 1024;
constexpr uint32_t kLeastPackets = 16;
constexpr uint32_t kMostPackets = 1 << 24;
// A tick is about that: a byte holds most times between two calls, and no two orders of magnitude
// of what a call takes are the same tick.
constexpr double kTickNs = 32;
// Programs expect the low numbers to be theirs.
constexpr int kFirstDescriptor = 400;

uint64_t ns_of(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

// The processor's counter is only worth something where the kernel trusts it too.
Clock best_clock() {
  if (!sys::has_steady_ticks()) return Clock::kMonotonic;
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string name;
  file >> name;
  return name == "tsc" || name == "arch_sys_counter" ? Clock::kTsc : Clock::kMonotonic;
}

uint64_t units_of(Clock clock) {
  return clock == Clock::kTsc ? sys::processor_ticks() : ns_of(CLOCK_MONOTONIC);
}

uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

template <typename T>
T* at_offset(TraceArena* arena, uint64_t offset) {
  return reinterpret_cast<T*>(reinterpret_cast<char*>(arena) + offset);
}

// What may still be taken before the system, or the control group, has to end processes.
uint64_t available_bytes() {
  constexpr uint64_t kKilo = 1024;
  uint64_t available = UINT64_MAX;
  std::ifstream system("/proc/meminfo");
  std::string field;
  for (uint64_t kilobytes; system >> field;) {
    if (field == "MemAvailable:" && system >> kilobytes) available = kilobytes * kKilo;
  }
  std::ifstream membership("/proc/self/cgroup");
  for (std::string line; std::getline(membership, line);) {
    if (!line.starts_with("0::")) continue;
    const std::string group = "/sys/fs/cgroup" + line.substr(3);
    uint64_t most, used;
    if (std::ifstream(group + "/memory.max") >> most &&
        std::ifstream(group + "/memory.current") >> used) {
      available = std::min(available, most > used ? most - used : 0);
    }
  }
  return available;
}

pthread_mutex_t* mutex_at(std::atomic<uint32_t>& word) {
  static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0 &&
                sizeof(pthread_mutex_t) <= sizeof word + sizeof(TraceArena::rest_of_collector));
  return reinterpret_cast<pthread_mutex_t*>(&word);
}

void hold(std::atomic<uint32_t>& word) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(mutex_at(word), &attributes);
  pthread_mutexattr_destroy(&attributes);
  pthread_mutex_lock(mutex_at(word));
}

void futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* time) {
  syscall(SYS_futex, &word, operation, value, time, nullptr, 0);
}

}  // namespace

host::FileDescriptor ArenaOwner::own_memory() {
  host::FileDescriptor file(memfd_create("tide-trace", 0));
  if (file.get() < 0) return file;
  host::FileDescriptor high(fcntl(file.get(), F_DUPFD, kFirstDescriptor));
  return high.get() < 0 ? std::move(file) : std::move(high);
}

ArenaOwner::ArenaOwner(const ArenaSettings& settings, host::FileDescriptor file)
    : file_(std::move(file)) {
  const auto fail = [&](const char* what) {
    throw host::Error(fmt::format("cannot have {} of shared memory ({}: {}); give less by --buffer",
                                  host::byte_text(bytes_), what, std::strerror(errno)));
  };
  constexpr uint64_t kLine = 4096;
  const uint64_t processes = round_up(sizeof(TraceArena), kLine);
  const uint64_t states = round_up(processes + kProcesses * sizeof(ProcessSlot), kLine);
  const auto count = static_cast<uint32_t>(
      std::clamp<uint64_t>(settings.bytes / format::kPacketBytes, kLeastPackets, kMostPackets));
  const uint64_t packets = round_up(states + count * sizeof(std::atomic<PacketState>), kLine);
  bytes_ = packets + uint64_t{count} * format::kPacketBytes;
  // The kernel would rather end other processes than refuse.
  const uint64_t available = available_bytes();
  if (bytes_ > available / 2) {
    throw host::Error(
        fmt::format("a buffer of {} is more than half of the memory that is free ({}); "
                    "give less by --buffer",
                    host::byte_text(bytes_), host::byte_text(available)));
  }
  if (file_.get() < 0) fail("memfd_create");
  if (ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) fail("ftruncate");
  // All of it now: a program that writes to memory that can't be had is killed.
  if (fallocate(file_.get(), 0, 0, static_cast<off_t>(bytes_)) != 0) fail("fallocate");
  void* const memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (memory == MAP_FAILED) fail("mmap");

  arena_ = new (memory) TraceArena{};
  arena_->version = format::kArenaVersion;
  arena_->flags = (settings.drops_when_full ? format::kDropWhenFull : 0u) |
                  (settings.has_system_calls ? format::kWithSystemCalls : 0u) |
                  (settings.has_usable_sizes ? format::kWithUsableSizes : 0u);
  arena_->bytes = bytes_;
  arena_->packet_bytes = format::kPacketBytes;
  arena_->packet_count = count;
  arena_->process_count = kProcesses;
  arena_->stacks = settings.stacks;
  arena_->stack_depth = settings.stack_depth;
  arena_->processes = processes;
  arena_->packet_states = states;
  arena_->packets = packets;
  calibrate();
  hold(arena_->collector);
  // Last: with it the arena is whole.
  arena_->magic = format::kArenaMagic;
}

ArenaOwner::~ArenaOwner() {
  if (arena_ == nullptr) return;
  pthread_mutex_unlock(mutex_at(arena_->collector));
  munmap(arena_, bytes_);
}

void ArenaOwner::calibrate() {
  constexpr uint64_t kMeasureNs = 5'000'000;
  const Clock clock = best_clock();
  const uint64_t begin_ns = ns_of(CLOCK_MONOTONIC), begin = units_of(clock);
  while (ns_of(CLOCK_MONOTONIC) - begin_ns < kMeasureNs) continue;
  const uint64_t end_ns = ns_of(CLOCK_MONOTONIC), end = units_of(clock);
  const double ns_per_unit =
      end > begin ? static_cast<double>(end_ns - begin_ns) / static_cast<double>(end - begin) : 1;
  const double shift = std::clamp(std::round(std::log2(kTickNs / ns_per_unit)), 0.0, 16.0);
  arena_->clock = clock;
  arena_->tick_shift = static_cast<uint32_t>(shift);
  ns_per_tick_ = std::ldexp(ns_per_unit, static_cast<int>(shift));
  first_ = read_clock();
  first_realtime_ns_ = ns_of(CLOCK_REALTIME);
}

ClockReading ArenaOwner::read_clock() const {
  return {units_of(arena_->clock) >> arena_->tick_shift, ns_of(CLOCK_MONOTONIC)};
}

uint32_t ArenaOwner::give_slot(int32_t process, int32_t parent) {
  const uint32_t index = arena_->next_process.load();
  ProcessSlot& given = slot(index);
  const host::Proc proc;
  given.pid = proc.number_inside(process);
  given.pid_namespace = proc.pid_namespace(process);
  given.parent = parent;
  given.number = arena_->next_process.fetch_add(1) + 1;
  {
    const std::lock_guard lock(mutex_);
    processes_[given.number] = process;
  }
  given.first_tick = read_clock().tick;
  given.state.store(format::ProcessState::kLive, std::memory_order_release);
  return index;
}

int32_t ArenaOwner::process_of(const ProcessSlot& slot) {
  const std::lock_guard lock(mutex_);
  const auto [at, is_new] = processes_.try_emplace(slot.number, slot.pid);
  if (is_new && slot.pid_namespace != 0) {
    const host::Proc proc;
    const bool is_here = slot.pid_namespace == proc.pid_namespace(getpid());
    if (!is_here) at->second = proc.find(slot.pid_namespace, slot.pid);
  }
  return at->second;
}

uint64_t ArenaOwner::inode() const {
  struct stat info {};
  fstat(file_.get(), &info);
  return info.st_ino;
}

// See probe/arena_map.h for what the parts mean.
std::string ArenaOwner::address() const {
  struct stat info {};
  fstat(file_.get(), &info);
  return fmt::format("/proc/{}/fd/{}:{}:{}", getpid(), file_.get(), file_.get(),
                     (uint64_t{info.st_dev} << 40) ^ uint64_t{info.st_ino} ^ 1);
}

ProcessSlot& ArenaOwner::slot(uint32_t index) {
  return at_offset<ProcessSlot>(arena_, arena_->processes)[index];
}

std::atomic<PacketState>& ArenaOwner::packet_state(uint32_t index) {
  return at_offset<std::atomic<PacketState>>(arena_, arena_->packet_states)[index];
}

PacketHead& ArenaOwner::packet(uint32_t index) {
  return *at_offset<PacketHead>(arena_, arena_->packets + uint64_t{index} * format::kPacketBytes);
}

void ArenaOwner::free_packet(uint32_t index) {
  PacketHead& head = packet(index);
  head.committed.store(0, std::memory_order_relaxed);
  // Until a thread has put its process's here, the packet is nobody's.
  __atomic_store_n(&head.process_number, 0, __ATOMIC_RELAXED);
  packet_state(index).store(PacketState::kFree, std::memory_order_release);
}

void ArenaOwner::announce_free() {
  arena_->freed.fetch_add(1);
  if (arena_->threads_wait.load() != 0) futex(arena_->freed, FUTEX_WAKE, INT_MAX, nullptr);
}

void ArenaOwner::wait(uint32_t filled, uint64_t nanoseconds, bool is_urgent) {
  const timespec time{static_cast<time_t>(nanoseconds / 1'000'000'000),
                      static_cast<long>(nanoseconds % 1'000'000'000)};
  if (is_urgent) arena_->collector_waits.store(1);
  futex(arena_->filled, FUTEX_WAIT, filled, &time);
  arena_->collector_waits.store(0);
}

void ArenaOwner::wake() {
  arena_->filled.fetch_add(1);
  futex(arena_->filled, FUTEX_WAKE, 1, nullptr);
}

void ArenaOwner::set_control(format::Control control) {
  arena_->control.store(control);
  announce_free();
}

}  // namespace tide::trace
