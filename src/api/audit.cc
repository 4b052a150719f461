// Hardened level 3: every now and then all live blocks are checked, while no other thread is in the
// middle of making or freeing one.
//
// Such a thread says so in one of a few counters. The audit shuts the door, waits for the counters
// to reach zero, and gives up when they don't soon: a thread may have been interrupted there, by a
// signal handler that never returns. So there is no false alarm and no hang.
#include "api/hardened.h"
#include "api/seal.h"
#include "sys/clock.h"
#include "sys/futex.h"
#include "sys/thread.h"

namespace tide::api {

namespace {

constexpr uint64_t kLeastFrees = 1 << 16;  // between two audits
constexpr uint64_t kPatienceNs = 5'000'000;
constexpr uint32_t kCounters = 16;

struct alignas(64) Counter {
  std::atomic<int32_t> active;
};

Counter g_counters[kCounters];
std::atomic<uint32_t> g_door{0};  // 1: an audit is going on
std::atomic<uint64_t> g_frees{0};
// After a fork in the middle of such a thing, blocks without a seal stay for ever.
std::atomic<bool> g_forked_in_flight{false};
std::atomic<uint64_t> g_next_audit{kLeastFrees};

bool all_are_out() {
  const uint64_t end = sys::monotonic_ns() + kPatienceNs;
  for (const Counter& counter : g_counters) {
    while (counter.active.load() > 0) {
      if (sys::monotonic_ns() > end) return false;
      sys::spin_pause();
    }
  }
  return true;
}

bool check_one(const heap::BlockInfo& info, void* count) {
  ++*static_cast<uint64_t*>(count);
  if (info.size_class == 0 && in_quarantine(info.address)) return true;
  hardened_bytes("check", info.address, info.usable_bytes);
  return true;
}

void open_door() {
  g_door.store(0);
  sys::futex_wake_all(&g_door);
}

}  // namespace

SealInFlight::SealInFlight() : active_(nullptr) {
  if (g_harden < 3) return;
  active_ = &g_counters[(sys::thread_token() >> 12) * 0x9e3779b97f4a7c15 >> 60].active;
  for (;;) {
    active_->fetch_add(1);
    if (g_door.load() == 0) return;
    active_->fetch_sub(1);
    sys::finish_fork();  // whoever shut it may have stayed behind in the parent
    sys::futex_wait(&g_door, 1);
  }
}

SealInFlight::~SealInFlight() {
  if (active_ != nullptr) active_->fetch_sub(1);
}

void audit_if_due() {
  const uint64_t frees = g_frees.fetch_add(1, std::memory_order_relaxed);
  if (frees < g_next_audit.load(std::memory_order_relaxed)) return;
  if (g_forked_in_flight.load(std::memory_order_relaxed)) return;
  uint32_t open = 0;
  if (!g_door.compare_exchange_strong(open, 1)) return;
  uint64_t blocks = 0;
  if (all_are_out()) g_engine.visit_blocks(check_one, &blocks);
  // Half of the time at most, whatever the heap's size.
  g_next_audit.store(frees + (blocks > kLeastFrees ? blocks : kLeastFrees));
  open_door();
}

void repair_audit_in_child() {
  // Of the threads that are gone. The one that forked may be in there itself, out of a signal
  // handler; then its counter ends below zero, which counts as nobody.
  for (Counter& counter : g_counters) {
    if (counter.active.exchange(0) != 0) g_forked_in_flight.store(true);
  }
  open_door();
}

}  // namespace tide::api
