// fork() at every single instruction of another thread that is in the engine: the child, in which
// that thread does not exist, puts everything right and goes on.
//
// The other thread runs with the processor's trap flag; at each trap it waits until the main thread
// has forked and the child has checked itself. Where the instructions are many only some are
// taken, evenly spread.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <functional>
#include <semaphore>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <ucontext.h>
#endif

#include "base/racy.h"
#include "tests/unit/engine_client.h"

namespace tide::tests {
namespace {

#if defined(__x86_64__)

// The thread that is being stepped through, and who forks.
struct Stepper {
  FakeOs& os;
  unsigned each;  // forks at every so many instructions
  unsigned steps = 0;
  bool is_done = false;
  std::binary_semaphore asked{0};
  std::binary_semaphore answered{0};

  void wait_for_fork() {
    // What FakeOs holds is not the engine's to repair.
    if (os.is_busy() || steps++ % each != 0) return;
    asked.release();
    answered.acquire();
  }
};
Stepper* g_stepper = nullptr;

constexpr greg_t kTrapFlag = 0x100;

void set_trap_flag(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] ^= kTrapFlag;
}
void on_trap(int, siginfo_t*, void*) { g_stepper->wait_for_fork(); }

void handle(int signal, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO;
  sigaction(signal, &action, nullptr);
}

class ForkStep : public testing::Test {
 protected:
  static constexpr size_t kBytes = 1000;

  void SetUp() override {
    if (base::kKnowsEveryThread) GTEST_SKIP() << "a sanitizer's own locks would be held";
    handle(SIGTRAP, on_trap);
    handle(SIGUSR1, set_trap_flag);
    for (int i = 0; i < 50; ++i) {
      live.push_back(static_cast<unsigned char*>(box.client.allocate(kBytes)));
      memset(live.back(), i | 1, kBytes);
    }
  }

  // Forks at every `each`th instruction of `act`, which must not call malloc: fork() takes its
  // locks.
  void fork_within(unsigned each, const std::function<void()>& act) {
    Stepper stepper{box.os, each};
    g_stepper = &stepper;
    std::thread other([&] {
      raise(SIGUSR1);
      act();
      raise(SIGUSR1);
      stepper.is_done = true;
      stepper.asked.release();
    });
    unsigned failures = 0;
    for (;; stepper.answered.release()) {
      stepper.asked.acquire();
      if (stepper.is_done) break;
      const pid_t child = fork();
      if (child == 0) run_child();
      int status = 0;
      waitpid(child, &status, 0);
      if (status != 0 && ++failures <= 5) {
        ADD_FAILURE() << "instruction " << stepper.steps << ": the child ended with status "
                      << status;
      }
    }
    other.join();
    EXPECT_EQ(failures, 0u) << "of " << stepper.steps << " instructions";
    EXPECT_GT(stepper.steps, 100u);
    box.engine->verify();
  }

  [[noreturn]] void run_child() {
    alarm(100);  // a lock that stays locked
    FakeEngine& engine = *box.engine;
    engine.repair_in_child(box.client.cache());
    engine.verify();
    Client next(engine);
    std::vector<void*> held;
    for (const size_t bytes :
         {size_t{100}, kBytes, size_t{3000}, size_t{20'000}, size_t{100'000}}) {
      for (size_t i = 0; i < 200'000 / bytes; ++i) {
        void* const block = (i % 2 == 0 ? box.client : next).allocate(bytes);
        if (block == nullptr) _exit(2);
        memset(block, 0, bytes);
        held.push_back(block);
      }
    }
    FakeHeap* const heap = engine.heap_create(SIZE_MAX);
    if (heap == nullptr) _exit(3);
    for (const size_t bytes : {kBytes, size_t{20'000}, size_t{300'000}}) {
      for (int i = 0; i < 60; ++i) {
        if (engine.heap_allocate(heap, bytes, 0, false) == nullptr) _exit(3);
      }
    }
    engine.verify();
    for (size_t i = 0; i < live.size(); ++i) {
      for (size_t at = 0; at < kBytes; ++at) {
        if (live[i][at] != static_cast<unsigned char>(i | 1)) _exit(4);
      }
    }
    engine.heap_destroy(heap);
    for (void* const block : held) {
      if (next.release(block) != heap::Released::kDone) _exit(5);
    }
    next.purge();
    engine.verify();
    _exit(0);
  }

  StartedBox box;
  std::vector<unsigned char*> live;
};

// The class has more slabs, so an empty one goes to the zone's pool.
TEST_F(ForkStep, WhileASlabsLastBlockIsFreed) {
  Client other(*box.engine, false);
  std::vector<void*> blocks;
  for (int i = 0; i < 300; ++i) blocks.push_back(other.allocate(kBytes));
  const auto slab_of = [](void* p) { return base::address_of(p) >> 16; };
  for (size_t i = 0; i + 1 < blocks.size(); ++i) {
    if (slab_of(blocks[i]) != slab_of(blocks[150])) continue;
    if (i != 150) other.release(blocks[i]);
  }
  fork_within(4, [&] { other.release(blocks[150]); });
}

TEST_F(ForkStep, WhileASlabIsTaken) {
  Client other(*box.engine, false);
  fork_within(7, [&] { other.allocate(2000); });
  fork_within(5, [&] { other.allocate(40'000); });
}

TEST_F(ForkStep, WhileACacheIsFilledAndEmptied) {
  void* blocks[40];
  Client other(*box.engine);
  fork_within(37, [&] {
    for (void*& block : blocks) block = other.allocate(3000);
    for (void* const block : blocks) other.release(block);
  });
}

TEST_F(ForkStep, WhileAHeapLives) {
  Client other(*box.engine, false);
  fork_within(127, [&] {
    FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
    void* const block = box.engine->heap_allocate(heap, kBytes, 0, false);
    box.engine->heap_allocate(heap, 3000, 0, false);
    other.release(block);
    box.engine->heap_destroy(heap);
  });
}

TEST_F(ForkStep, WhileLargeBlocksComeAndGo) {
  Client other(*box.engine);
  fork_within(53, [&] {
    void* const large = other.allocate(100'000);
    void* const larger = other.reallocate(other.allocate(3'000'000), 2'000'000);
    void* const huge = other.allocate(40'000'000);
    for (void* const block : {large, larger, huge, other.allocate(1'000'000)}) other.release(block);
  });
}

// By another thread, which looks for what lies idle.
TEST_F(ForkStep, WhileCachesAreDrained) {
  for (const size_t bytes : {size_t{100}, size_t{3000}, size_t{100'000}}) {
    std::vector<void*> blocks;
    for (int i = 0; i < 40; ++i) blocks.push_back(box.client.allocate(bytes));
    for (void* const block : blocks) box.client.release(block);
  }
  fork_within(601, [&] {
    for (int i = 0; i < 16; ++i) box.engine->look();
  });
}

TEST_F(ForkStep, WhileThreadsComeAndGo) {
  fork_within(61, [&] {
    Client other(*box.engine);
    Client third(*box.engine);
    void* const block = other.allocate(kBytes);
    third.release(block);
    other.park();
    third.park();
  });
}

TEST_F(ForkStep, WhileItIsPurged) {
  Client other(*box.engine, false);
  std::vector<void*> blocks;
  for (int i = 0; i < 200; ++i) blocks.push_back(other.allocate(2000));
  for (int i = 0; i < 100; ++i) blocks.push_back(other.allocate(20'000));
  blocks.push_back(other.allocate(1'000'000));
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i % 20 != 0) other.release(blocks[i]);
  }
  fork_within(401, [&] { box.engine->purge(nullptr); });
}

#endif

}  // namespace
}  // namespace tide::tests
