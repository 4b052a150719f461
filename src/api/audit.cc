// How an audit keeps everybody out: it shuts the door, makes every thread of the process pass a
// barrier, and waits until nobody is in there; who comes after that sees the door. It gives up when
// somebody stays: a thread may have been interrupted there, by a signal handler that never returns.
// So there is no false alarm and no hang.
#include "api/audit.h"

#include "api/hardened.h"
#include "api/hardened_fast.h"
#include "heap/block_bytes.h"
#include "heap/cache_contents.h"
#include "heap/waiting.h"
#include "sys/clock.h"
#include "sys/futex.h"
#include "sys/thread.h"

namespace tide::api {

bool g_audits = false;
bool g_audits_fence = false;
std::atomic<uint32_t> g_audit_door{0};

namespace {

constexpr uint64_t kShare = 16;  // of the time, at most, goes into audits
constexpr uint64_t kPatienceNs = 5'000'000;
constexpr uint32_t kCounters = 16;

struct alignas(64) Counter {
  std::atomic<int32_t> active;
};

Counter g_counters[kCounters];
// After a fork in the middle of such a thing, blocks without a seal stay for ever.
std::atomic<bool> g_forked_in_flight{false};
std::atomic<uint64_t> g_next_audit_ns{0};

struct Patience {
  uint64_t end;
  bool lost;

  // until(is_out) or until the time is up.
  template <class IsOut>
  void wait(IsOut is_out) {
    while (!lost && !is_out()) {
      lost = sys::monotonic_ns() > end;
      sys::spin_pause();
    }
  }
};

bool all_are_out() {
  if (g_audits_fence && !sys::fence_all_threads()) return false;
  Patience patience{sys::monotonic_ns() + kPatienceNs, false};
  for (const Counter& counter : g_counters) {
    patience.wait([&] { return counter.active.load() <= 0; });
  }
  g_engine.for_each_cache(
      [](heap::ThreadCache& cache, void* left) {
        static_cast<Patience*>(left)->wait(
            [&] { return base::published_load(cache.in_flight) <= 0; });
      },
      &patience);
  return !patience.lost;
}

bool check_one(const heap::BlockInfo& info, void* /*unused*/) {
  if (info.size_class == 0 && in_quarantine(info.address)) return true;
  hardened_bytes("check", info.address, info.usable_bytes);
  return true;
}

// Who waits has been cleared, and nobody writes to it.
void check_free(uintptr_t block) {
  auto* const p = reinterpret_cast<void*>(block);
  check_untouched(p, heap::block_of_class(g_engine.space(), p).bytes());
}
void check_waiting(heap::ThreadCache& cache, void* /*unused*/) {
  heap::for_each_waiting(cache.waiting, check_free);
}

// With all threads out: what is live, and what was freed and lies in caches.
void check_all() {
  g_engine.visit_blocks(check_one, nullptr);
  g_engine.for_each_cache(
      [](heap::ThreadCache& cache, void*) {
        check_waiting(cache, nullptr);
        heap::for_each_cached_block(cache, check_free);
      },
      nullptr);
}

void open_door() {
  g_audit_door.store(0);
  sys::futex_wake_all(&g_audit_door);
}

void wait_at_door() {
  sys::finish_fork();  // whoever shut it may have stayed behind in the parent
  sys::futex_wait(&g_audit_door, 1);
}

}  // namespace

void start_audits() {
  g_audits_fence = sys::fence_all_threads();
  g_audits = true;
}

void SealInFlight::wait_outside() {
  do {
    base::published_store(cache_->in_flight, cache_->in_flight - 1);
    wait_at_door();
    base::racy_store(cache_->in_flight, cache_->in_flight + 1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } while (g_audit_door.load(std::memory_order_relaxed) != 0);
}

void SealInFlight::enter_counted() {
  counter_ = &g_counters[(sys::thread_token() >> 12) * 0x9e3779b97f4a7c15 >> 60].active;
  for (;;) {
    counter_->fetch_add(1);
    if (g_audit_door.load() == 0) return;
    counter_->fetch_sub(1);
    wait_at_door();
  }
}

void audit_if_time() {
  if (g_forked_in_flight.load(std::memory_order_relaxed)) return;
  const uint64_t begin = sys::monotonic_ns();
  if (begin < g_next_audit_ns.load(std::memory_order_relaxed)) return;
  uint32_t open = 0;
  if (!g_audit_door.compare_exchange_strong(open, 1)) return;
  if (all_are_out()) check_all();
  const uint64_t end = sys::monotonic_ns();
  g_next_audit_ns.store(end + (kShare - 1) * (end - begin));
  open_door();
}

void audit_at_exit() {
  if (g_harden < 2 || g_forked_in_flight.load(std::memory_order_relaxed)) return;
  if (!g_audits) {
    // Another thread could be given a block while we look at it.
    if (sys::is_single_threaded()) g_engine.for_each_cache(check_waiting, nullptr);
    return;
  }
  uint32_t open = 0;
  if (!g_audit_door.compare_exchange_strong(open, 1)) return;
  if (all_are_out()) check_all();
  open_door();
}

void repair_audit_in_child() {
  if (!g_audits) return;
  // Of the threads that are gone. The one that forked may be in there itself, out of a signal
  // handler; then its count ends below zero, which counts as nobody.
  for (Counter& counter : g_counters) {
    if (counter.active.exchange(0) != 0) g_forked_in_flight.store(true);
  }
  g_engine.for_each_cache(
      [](heap::ThreadCache& cache, void*) {
        if (cache.in_flight == 0) return;
        cache.in_flight = 0;
        g_forked_in_flight.store(true);
      },
      nullptr);
  open_door();
}

}  // namespace tide::api
