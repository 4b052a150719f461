#include "api/guarded.h"

#include <atomic>

#include "api/hardened.h"
#include "base/mix.h"
#include "sys/report.h"

namespace tide::api {

namespace {

constexpr int64_t kNewThread = INT64_MIN / 2;

uint64_t g_rate = 0;
std::atomic<uint64_t> g_random{0};

// From none to twice the rate, so that no rhythm of the program's can keep out of the way.
int64_t next_turn() {
  if (g_rate == 0) return INT64_MAX;
  const uint64_t x = g_random.fetch_add(base::kGoldenGamma, std::memory_order_relaxed);
  return static_cast<int64_t>((base::mix(x) >> 11) % (2 * g_rate - 1));
}

// Capturing a stack may call malloc, which is not to be guarded.
class Unguarded {
 public:
  Unguarded() : turn_(t_until_guarded) { t_until_guarded = INT64_MAX; }
  ~Unguarded() { t_until_guarded = turn_; }
  Unguarded(const Unguarded&) = delete;
  Unguarded& operator=(const Unguarded&) = delete;

 private:
  const int64_t turn_;
};

[[noreturn]] void misused(const char* what, const void* p) {
  g_guard_pool.report(reinterpret_cast<uintptr_t>(p), what);
  sys::abort_process();
}

}  // namespace

constinit probe::GuardPool g_guard_pool;
constinit thread_local int64_t t_until_guarded = kNewThread;

void start_guards(uint64_t rate) {
  g_random.store(sys::LinuxVm().random_seed());
  g_rate = rate;
}

void* guard_now(size_t bytes, size_t alignment) {
  const bool is_new_thread = t_until_guarded < kNewThread / 2;
  t_until_guarded = next_turn();
  if (is_new_thread && g_rate != 1) return nullptr;
  if (g_rate == 0) return nullptr;
  const Unguarded unguarded;
  void* const block = g_guard_pool.allocate(bytes == 0 ? 1 : bytes, alignment);
  if (block != nullptr) watch_for_faults();
  return block;
}

bool release_guarded(void* p) {
  if (!g_guard_pool.holds(p)) return false;
  const Unguarded unguarded;
  bool written = false;
  switch (g_guard_pool.release(p, written)) {
    case probe::GuardPool::Found::kLive:
      if (written) misused("write outside of the block, found by free", p);
      return true;
    case probe::GuardPool::Found::kFreed:
      misused("double free", p);
    default:
      misused("free", p);
  }
}

size_t guarded_bytes(const char* call, const void* p) {
  size_t bytes = 0;
  switch (g_guard_pool.find(p, bytes)) {
    case probe::GuardPool::Found::kElsewhere:
      return 0;
    case probe::GuardPool::Found::kLive:
      return bytes;
    default:
      misused(call, p);
  }
}

bool visit_guarded(bool (*visit)(void* block, size_t bytes, void* argument), void* argument) {
  uint32_t slot = 0;
  size_t bytes = 0;
  while (void* const block = g_guard_pool.next_live(slot, bytes)) {
    if (!visit(block, bytes, argument)) return false;
  }
  return true;
}

bool explain_guarded_fault(uintptr_t address) { return g_guard_pool.report(address, nullptr); }

void repair_guards_in_child() { g_guard_pool.repair_in_child(); }

}  // namespace tide::api
