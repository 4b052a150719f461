#include "api/background.h"

#include <atomic>

#include "api/allocate.h"
#include "api/options.h"
#include "api/surroundings.h"
#include "heap/decay.h"
#include "sys/background.h"
#include "sys/clock.h"
#include "sys/thread.h"

namespace tide::api {

namespace {

std::atomic<bool> g_runs{false};
std::atomic<uint32_t> g_wishes{0};
std::atomic<uint64_t> g_next_look{0};

uint64_t look_ns() { return options().number(OptionId::purge_delay) / heap::Decay::kWindowLooks; }

// As long as there is something to give back, or anything happens.
void run() {
  for (;;) {
    const uint32_t wishes = g_wishes.load(std::memory_order_relaxed);
    sys::sleep_for(look_ns());
    if (g_engine.look()) continue;
    g_runs.store(false);
    // Somebody may have seen it running a moment ago.
    if (g_wishes.load() == wishes || g_runs.exchange(true)) return;
  }
}

void look_now_and_then() {
  const uint64_t now = sys::monotonic_ns();
  uint64_t next = g_next_look.load(std::memory_order_relaxed);
  if (now < next || !g_next_look.compare_exchange_strong(next, now + look_ns())) return;
  g_engine.look();
}

}  // namespace

void wake_background() {
  g_wishes.fetch_add(1);
  watch_surroundings();
  notice_huge_pages();
  // Not relaxed: on ARM that could look before the wish is to be seen, when run() has not seen it.
  if (g_runs.load() || !options().is_on(OptionId::purge)) return;
  // In a forked child whose handlers have yet to run, a helper would be forgotten by ours, and
  // another one be started on its stack.
  sys::finish_fork();
  if (options().is_on(OptionId::background) && !g_runs.exchange(true)) {
    if (sys::start_background(run)) return;
    g_runs.store(false);
  }
  if (!g_runs.load(std::memory_order_relaxed)) look_now_and_then();
}

void forget_background() {
  if (!g_runs.load()) return;
  g_runs.store(false);
  sys::forget_background();
}

}  // namespace tide::api
