// A fork at every single instruction of another thread that is in the quarantine: what the child
// finds has no block twice. The child is a copy of the object, taken at each trap.
#include "api/quarantine.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "base/racy.h"

#if defined(__x86_64__)
#include <ucontext.h>
#endif

namespace tide::api {
namespace {

#if defined(__x86_64__)

constexpr uint64_t kSecret = 12'345;
constexpr size_t kMostBlocks = 256;

Quarantine g_shared;
unsigned g_steps = 0;

// What the child of a fork at each step would find.
struct alignas(Quarantine) Copy {
  unsigned char bytes[sizeof(Quarantine)];
};
constexpr unsigned kMostSteps = 20'000;
std::vector<Copy> g_copies;

// Blocks are numbers from 1 on here; so long is each.
size_t bytes_of(const void* block) { return reinterpret_cast<uintptr_t>(block) * 4096; }

// Everything that is in the copy leaves it, each block once.
bool is_good_in_child(Quarantine& copy) {
  copy.repair_in_child();
  bool seen[kMostBlocks] = {};
  size_t bytes = 0;
  copy.for_each([&](const Quarantine::Entry& entry) { bytes += entry.bytes; });
  if (copy.exceeds(bytes, kMostBlocks, bytes) || (bytes != 0 && !copy.exceeds(bytes - 1, 0, 0))) {
    return false;
  }
  Quarantine::Entry out;
  while (copy.take(out, [](Quarantine::Entry&) { return true; })) {
    const auto number = reinterpret_cast<uintptr_t>(out.block);
    if (number == 0 || number >= kMostBlocks || seen[number]) return false;
    if (out.bytes != bytes_of(out.block) || out.gone) return false;
    seen[number] = true;
  }
  return !copy.exceeds(0, 0, 0);
}

void on_trap(int, siginfo_t*, void*) {
  if (g_steps == kMostSteps) return;
  memcpy(&g_copies[g_steps++], &g_shared, sizeof g_shared);
}

void turn_trap_flag(int, siginfo_t*, void* context) {
  constexpr greg_t kTrapFlag = 0x100;
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] ^= kTrapFlag;
}

void handle(int signal, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  sigaction(signal, &action, nullptr);
}

// The block that left, or 0.
uintptr_t enter(uintptr_t number) {
  void* const block = reinterpret_cast<void*>(number);
  const auto open = [](Quarantine::Entry&) { return true; };
  const auto close = [](const Quarantine::Entry&) {};
  const Quarantine::Entry in{block, bytes_of(block), number % 2 == 0};
  return reinterpret_cast<uintptr_t>(g_shared.exchange(in, kSecret, open, close).block);
}

bool leave() {
  Quarantine::Entry out;
  return g_shared.take(out, [](Quarantine::Entry&) { return true; });
}

// Into places and a queue with room, out of both, into a full queue, and all of it out.
void step_through_the_calls() {
  uintptr_t next = 1;
  for (; next <= 40; ++next) enter(next);
  raise(SIGUSR1);
  for (; next <= 50; ++next) enter(next);
  for (int i = 0; i < 30; ++i) leave();
  raise(SIGUSR1);
  while (next < kMostBlocks - 20 && enter(next) == 0) ++next;
  raise(SIGUSR1);
  for (++next; next < kMostBlocks && g_steps < kMostSteps / 2; ++next) enter(next);
  while (leave()) continue;
  raise(SIGUSR1);
}

TEST(Quarantine, AForkAnywhereInItDoublesNoBlock) {
  if (base::kKnowsEveryThread) GTEST_SKIP() << "a sanitizer's code would be stepped through, too";
  g_copies.resize(kMostSteps);
  handle(SIGTRAP, on_trap);
  handle(SIGUSR1, turn_trap_flag);
  std::thread(step_through_the_calls).join();  // gone in the child, as far as its locks can tell
  EXPECT_GT(g_steps, 1000u);
  EXPECT_LT(g_steps, kMostSteps);
  unsigned failures = 0;
  for (unsigned i = 0; i < g_steps; ++i) {
    if (!is_good_in_child(*std::launder(reinterpret_cast<Quarantine*>(&g_copies[i])))) ++failures;
  }
  EXPECT_EQ(failures, 0u) << "of " << g_steps << " instructions";
}

#endif

}  // namespace
}  // namespace tide::api
