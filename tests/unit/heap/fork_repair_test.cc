// fork() while another thread is in the engine, holding a lock: the child, in which that thread
// does not exist, puts everything right and goes on.
//
// The other thread is parked inside a call to the system, that is, with every lock held that the
// engine holds at that place.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <functional>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

#include "tests/unit/engine_client.h"
#include "tests/unit/heap/held_blocks.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

class ForkRepair : public testing::Test {
 protected:
  static constexpr int kLive = 400;

  void SetUp() override {
    if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer does not support this kind of fork";
    for (int i = 0; i < kLive; ++i) {
      const size_t bytes = i % 40 == 0 ? 100'000 : 1 + i * 53 % 4000;
      blocks.push_back(static_cast<unsigned char*>(box.client.allocate(bytes)));
      memset(blocks.back(), i | 1, bytes);
    }
  }

  // Runs `act` in another thread until it makes the `nth` call of kind `at`; forks there; the child
  // checks itself. Then lets `act` finish.
  void fork_inside(VmCall at, int nth, const std::function<void()>& act) {
    fork_inside([at](const FakeOs::Event& event) { return event.call == at; }, nth, act);
  }
  // The same for calls of which `is_one` is true. `check` runs in the repaired child first.
  void fork_inside(const std::function<bool(const FakeOs::Event&)>& is_one, int nth,
                   const std::function<void()>& act, const std::function<bool()>& check = {}) {
    std::binary_semaphore inside{0};
    std::binary_semaphore go_on{0};
    int left = nth;
    box.os.set_hook([&](const FakeOs::Event& event) {
      if (!is_one(event) || --left != 0) return;
      inside.release();
      go_on.acquire();
    });
    std::thread other([&] {
      act();
      if (left > 0) inside.release();  // never came by
    });
    inside.acquire();
    EXPECT_LE(left, 0) << "the operation makes no such call";
    const pid_t child = fork();
    if (child == 0) {
      box.os.set_hook(nullptr);
      run_child(check);
    }
    go_on.release();
    other.join();
    box.os.set_hook(nullptr);  // the other thread was inside of it
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "the child died of signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    box.engine->verify();
  }

  // Exit status 0: all is well.
  [[noreturn]] void run_child(const std::function<bool()>& check = {}) {
    alarm(100);  // a lock that stays locked
    FakeEngine& engine = *box.engine;
    engine.repair_in_child(box.client.cache());
    engine.verify();
    if (check && !check()) _exit(8);
    for (int i = 0; i < kLive; ++i) {
      if (blocks[static_cast<size_t>(i)][0] != static_cast<unsigned char>(i | 1)) _exit(2);
      if (i % 2 == 0 &&
          box.client.release(blocks[static_cast<size_t>(i)]) != heap::Released::kDone) {
        _exit(3);
      }
    }
    Client next(engine);
    std::vector<void*> held;
    for (int round = 0; round < 3; ++round) {
      for (uint32_t c = 1; c < layout::kClassCount; ++c) {
        for (int i = 0; i < 30; ++i) {
          void* const block = (i % 2 == 0 ? box.client : next).allocate(layout::class_bytes(c));
          if (block == nullptr) _exit(4);
          memset(block, 1, layout::class_bytes(c));
          held.push_back(block);
        }
      }
      for (const size_t bytes : {size_t{100'000}, size_t{5'000'000}, size_t{40'000'000}}) {
        void* const block = next.allocate(bytes);
        if (block == nullptr) _exit(5);
        held.push_back(block);
      }
      FakeHeap* const heap = engine.heap_create(SIZE_MAX);
      if (heap == nullptr || engine.heap_allocate(heap, 100, 0, false) == nullptr) _exit(6);
      engine.heap_destroy(heap);
      for (void* block : held) {
        if (next.release(block) != heap::Released::kDone) _exit(7);
      }
      held.clear();
      engine.verify();
      next.purge();
      engine.verify();
    }
    _exit(0);
  }

  StartedBox box;
  std::vector<unsigned char*> blocks;
  std::vector<std::unique_ptr<Client>> others;
};

TEST_F(ForkRepair, NobodyElse) {
  const pid_t child = fork();
  if (child == 0) run_child();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(ForkRepair, InsideTheGrowthOfTheSmallZone) {
  fork_inside(VmCall::kMapAt, 1, [&] {
    Client other(*box.engine, false);
    for (int i = 0; i < 5000; ++i) other.allocate(1000);
  });
}

TEST_F(ForkRepair, InsideTheGrowthOfTheMidZoneAtEachOfItsMappings) {
  for (int nth = 1; nth <= 3; ++nth) {
    fork_inside(VmCall::kMapAt, nth, [&] {
      Client other(*box.engine, false);
      for (int i = 0; i < 400; ++i) other.allocate(60'000);
    });
  }
}

TEST_F(ForkRepair, InsideTheGrowthOfTheLargeZone) {
  for (int nth = 1; nth <= 3; ++nth) {
    fork_inside(VmCall::kMapAt, nth, [&] {
      Client other(*box.engine, false);
      for (int i = 0; i < 12; ++i) other.allocate(3'000'000);
    });
  }
}

TEST_F(ForkRepair, InsideAHugeAllocationAndResize) {
  fork_inside(VmCall::kMap, 1, [&] {
    Client other(*box.engine, false);
    other.allocate(50'000'000);
  });
  Client here(*box.engine, false);
  void* block = here.allocate(50'000'000);
  fork_inside(VmCall::kRemap, 1, [&] {
    Client other(*box.engine, false);
    block = other.reallocate(block, 60'000'000);
  });
  fork_inside(VmCall::kDetach, 1, [&] {
    Client other(*box.engine, false);
    void* const large = other.allocate(10'000'000);
    other.allocate(100'000);
    other.release(other.reallocate(large, 30'000'000));
  });
  here.release(block);
}

// Of one zone after another was emptied; by more each time, or it is no growth.
struct Growth {
  size_t from;
  size_t to;
  size_t bytes;
};
constexpr Growth kGrowths[] = {
    {200, 4000, 20 * kMiB}, {4000, 700'000, 40 * kMiB}, {700'000, 200, 80 * kMiB}};

TEST_F(ForkRepair, InsideAMoveOfPages) {
  for (const Growth& one : kGrowths) {
    const auto act = [&] {
      Client other(*box.engine);
      release_all(other, fill(other, one.from, one.bytes));
      release_all(other, fill(other, one.to, one.bytes));
    };
    // What has come is not zero: it must not be taken for what was there before.
    const auto zeroed_are_zero = [&] {
      box.engine->config().purge = false;  // no more of them
      for (size_t total = 0; total < one.bytes + 20 * kMiB; total += one.to) {
        const auto* const block = static_cast<unsigned char*>(box.client.allocate_zeroed(one.to));
        for (size_t i = 0; i < one.to; ++i) {
          if (block[i] != 0) return false;
        }
      }
      return true;
    };
    const auto is_done = [](const FakeOs::Event& event) {
      return event.call == VmCall::kMovePages && event.bytes == 0;
    };
    fork_inside(is_done, 1, act, zeroed_are_zero);
  }
}

// The system has unmapped the destination before it refused, and somebody else is there now.
class ForkInARefusedMove : public ForkRepair, public testing::WithParamInterface<Growth> {};

TEST_P(ForkInARefusedMove, LosesNothingToOthers) {
  const Growth& growth = GetParam();
  box.os.fail_kind(VmCall::kMovePages);
  fork_inside(
      [](const FakeOs::Event& event) {
        return event.call == VmCall::kMovePages && event.bytes == 0;
      },
      2,
      [&] {
        Client other(*box.engine);
        release_all(other, fill(other, growth.from, growth.bytes));
        release_all(other, fill(other, growth.to, growth.bytes));
      },
      [&] {
        box.engine->config().purge = false;  // no more of them
        fill(box.client, growth.to, growth.bytes + 20 * kMiB);
        return true;
      });
}

INSTANTIATE_TEST_SUITE_P(OfAnyZone, ForkInARefusedMove, testing::ValuesIn(kGrowths));

// A signal handler forks that interrupted a call of its own thread, locks and all, while another
// thread is in the engine, too. The interrupted call goes on in the child.
TEST_F(ForkRepair, OutOfAHandlerThatInterruptedAnotherCall) {
  std::binary_semaphore inside{0};
  std::binary_semaphore go_on{0};
  const auto here = std::this_thread::get_id();
  bool first_of_other = true;
  pid_t child = -1;
  box.os.set_hook([&](const FakeOs::Event& event) {
    if (event.call != VmCall::kMapAt || child == 0) return;
    if (std::this_thread::get_id() != here) {
      if (!first_of_other) return;
      first_of_other = false;
      inside.release();
      go_on.acquire();
    } else if (child == -1) {
      child = fork();
      if (child != 0) return;
      alarm(100);
      box.engine->repair_in_child(box.client.cache());
    }
  });
  std::thread other([&] {
    Client mid(*box.engine, false);
    for (int i = 0; i < 400; ++i) mid.allocate(60'000);
  });
  inside.acquire();
  for (int i = 0; i < 5000 && child == -1; ++i) box.client.allocate(1000);
  if (child == 0) run_child();
  go_on.release();
  other.join();
  box.os.set_hook(nullptr);
  ASSERT_GT(child, 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "14: waits for a lock of its own";
}

TEST_F(ForkRepair, InsideTheMakingOfAThreadCache) {
  fork_inside(VmCall::kMap, 1, [&] {
    // One of them needs new memory.
    for (int i = 0; i < 4; ++i) others.push_back(std::make_unique<Client>(*box.engine));
  });
}

TEST_F(ForkRepair, InsideTheMakingOfAHeap) {
  fork_inside(VmCall::kMap, 1, [&] {
    for (int i = 0; i < 300; ++i) box.engine->heap_create(SIZE_MAX);
  });
}

TEST_F(ForkRepair, InsideAnAllocationOfAHeap) {
  FakeHeap* const heap = box.engine->heap_create(SIZE_MAX);
  fork_inside(VmCall::kMapAt, 1, [&] {
    for (int i = 0; i < 3000; ++i) box.engine->heap_allocate(heap, 1000, 0, false);
  });
}

TEST_F(ForkRepair, InsideAPurge) {
  for (size_t i = 1; i < blocks.size(); i += 2) {
    // Holes for the purge, where the child does not look.
    void* const block = box.client.allocate(3000);
    memset(block, 1, 3000);
    box.client.release(block);
  }
  std::vector<void*> dead;
  for (int i = 0; i < 2000; ++i) dead.push_back(box.client.allocate(900));
  void* const large = box.client.allocate(1'000'000);
  for (void* block : dead) box.client.release(block);
  box.client.release(large);
  for (int nth = 1; nth <= 3; ++nth) {
    fork_inside(VmCall::kPurge, nth, [&] {
      box.engine->purge(nullptr);
      Client other(*box.engine, false);
      for (int i = 0; i < 300; ++i) dead.push_back(other.allocate(900));
      for (void* block : dead) other.release(block);
      dead.clear();
      void* const again = other.allocate(1'000'000);
      memset(again, 1, 1'000'000);
      other.release(again);
      box.engine->purge(nullptr);
    });
  }
}

// What is on its way back when the process forks is the child's to use and to give back: nothing is
// lost with the thread that had it in hand.
TEST_F(ForkRepair, WhatIsInHandInAPurgeIsNotLost) {
  for (const size_t bytes : {size_t{20'000'000}, size_t{50'000'000}}) {
    Client here(*box.engine, false);
    void* const block = here.allocate(bytes);
    memset(block, 1, bytes);
    const uintptr_t begin = base::address_of(block);
    ASSERT_EQ(here.release(block), heap::Released::kDone);
    const auto is_in_block = [=](const FakeOs::Event& event) {
      return event.call == VmCall::kPurge && event.address - begin < bytes;
    };
    for (const int nth : {1, 2, 5}) {
      fork_inside(
          is_in_block, nth,
          [&] {
            box.engine->purge(nullptr);
            // For the next round, where it was or elsewhere.
            void* const again = Client(*box.engine, false).allocate(bytes);
            memset(again, 1, bytes);
            Client(*box.engine, false).release(again);
          },
          [&] {
            // What had gone and what had not are apart.
            if (bytes <= layout::kLargeMaxBytes) box.engine->purge(nullptr);
            const size_t mapped = box.os.mapped_bytes();
            Client child(*box.engine, false);
            void* const again = child.allocate(bytes);
            const bool is_same = box.os.mapped_bytes() == mapped;
            child.release(again);
            heap::Stats stats;
            box.engine->purge(nullptr);
            box.engine->collect_stats(stats);
            return is_same && stats.free_dirty_bytes < 1'000'000 && stats.huge_cached_bytes == 0;
          });
      if (HasFailure() || bytes > layout::kLargeMaxBytes) break;  // its mapping has gone
    }
  }
}

// Not at chosen places but wherever the others happen to be.
TEST_F(ForkRepair, WhileOthersAreBusy) {
  std::atomic<bool> stop{false};
  std::counting_semaphore started{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      Client client(*box.engine, t != 2);
      std::mt19937 random(t);
      // From now on none of them is in the system's malloc, whose locks a child of a program with
      // AddressSanitizer may find locked.
      std::vector<void*> held;
      held.reserve(size_t{1} << 20);
      started.release();
      while (!stop.load(std::memory_order_relaxed)) {
        if (held.size() < 200 || (random() % 2 == 0 && held.size() < held.capacity())) {
          held.push_back(client.allocate(1 + random() % (random() % 50 == 0 ? 200'000 : 3000)));
        } else {
          std::swap(held[random() % held.size()], held.back());
          client.release(held.back());
          held.pop_back();
        }
        if (random() % 5000 == 0) client.purge();
      }
      for (void* block : held) client.release(block);
      client.park();
    });
  }
  for (size_t t = 0; t < threads.size(); ++t) started.acquire();
  for (int i = 0; i < 60; ++i) {
    usleep(500);
    // FakeOs's own lock must not be the one that stays locked in the child.
    const pid_t child = box.os.fork_unlocked();
    if (child == 0) run_child();
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status)) << "the child died of signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  box.engine->verify();
}

}  // namespace
}  // namespace tide::tests
