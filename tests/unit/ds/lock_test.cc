#include "ds/lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <thread>
#include <vector>

namespace tide::ds {
namespace {

TEST(Lock, TryLockTellsWhetherItIsHeld) {
  Lock<Rank::kZone> lock;
  ASSERT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock());
  lock.unlock();
  ASSERT_TRUE(lock.try_lock());
  lock.unlock();
}

TEST(Lock, OneAtATimeUnderContention) {
  constexpr int kThreads = 8;
  constexpr int kTurns = 20'000;
  Lock<Rank::kZone> lock;
  uint64_t plain = 0;  // torn or lost updates show here, and in ThreadSanitizer
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int turn = 0; turn < kTurns; ++turn) {
        if (t % 2 == 0 && turn % 3 == 0) {
          while (!lock.try_lock()) std::this_thread::yield();
        } else {
          lock.lock();
        }
        ASSERT_EQ(inside.fetch_add(1), 0);
        ++plain;
        // Sometimes long enough that the others go to sleep.
        if (turn % 1000 == 0) usleep(100);
        inside.fetch_sub(1);
        lock.unlock();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(plain, uint64_t{kThreads} * kTurns);
}

TEST(Lock, SleeperIsWokenByUnlock) {
  Lock<Rank::kZone> lock;
  for (int round = 0; round < 20; ++round) {
    lock.lock();
    std::thread waiter([&] { const LockGuard guard(lock); });
    usleep(2000);
    lock.unlock();
    waiter.join();
  }
}

// What release_in_child() says in the child of a process where `holder` held the lock.
enum class Holder : uint8_t { kNobody, kForker, kOther };

bool half_changed_in_child(Holder holder) {
  Lock<Rank::kZone> lock;
  std::atomic<bool> held{false};
  std::atomic<bool> done{false};
  std::thread other([&] {
    if (holder == Holder::kOther) lock.lock();
    held = true;
    while (!done) usleep(1000);
    if (holder == Holder::kOther) lock.unlock();
  });
  while (!held) usleep(100);
  if (holder == Holder::kForker) lock.lock();
  const pid_t child = fork();
  if (child == 0) {
    const bool half = lock.release_in_child();
    if (holder == Holder::kForker) {
      lock.unlock();  // the forking thread still owns it
    }
    if (!lock.try_lock()) _exit(2);
    _exit(half ? 1 : 0);
  }
  if (holder == Holder::kForker) lock.unlock();
  done = true;
  other.join();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_NE(WEXITSTATUS(status), 2) << "the lock is not free in the child";
  return WEXITSTATUS(status) == 1;
}

TEST(Lock, ChildTellsItsOwnFromThoseOfVanishedThreads) {
  EXPECT_FALSE(half_changed_in_child(Holder::kNobody));
  EXPECT_FALSE(half_changed_in_child(Holder::kForker));
  EXPECT_TRUE(half_changed_in_child(Holder::kOther));
}

#if TIDE_CHECK >= 1
TEST(LockOrderDeathTest, DownwardsIsFine) {
  Lock<Rank::kPurge> purge;
  Lock<Rank::kSlabs> slabs;
  Lock<Rank::kZone> zone;
  for (int round = 0; round < 2; ++round) {
    const LockGuard first(purge);
    const LockGuard second(slabs);
    const LockGuard third(zone);
  }
  ASSERT_TRUE(zone.try_lock());
  EXPECT_TRUE(purge.try_lock()) << "a lock that nobody waits for may be out of order";
  purge.unlock();
  zone.unlock();
  const LockGuard again(purge);
}

TEST(LockOrderDeathTest, UpwardsEndsTheProcess) {
  Lock<Rank::kSlabs> slabs;
  Lock<Rank::kZone> zone;
  const LockGuard guard(zone);
  EXPECT_DEATH(slabs.lock(),
               "tide: lock order: the lock \"slabs\" is taken while \"zone\" is held");
}

TEST(LockOrderDeathTest, TwoOfARankEndTheProcess) {
  Lock<Rank::kSlabs> one;
  Lock<Rank::kSlabs> other;
  const LockGuard guard(one);
  EXPECT_DEATH(other.lock(),
               "tide: lock order: the lock \"slabs\" is taken while \"slabs\" is held");
}
#endif

}  // namespace
}  // namespace tide::ds
