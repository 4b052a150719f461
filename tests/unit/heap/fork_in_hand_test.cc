// A signal handler forks that interrupted a call which has free memory in hand, on its way back to
// the system or to another zone: in no list, while another thread holds the locks of lists. Child
// and parent both go on with the call.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <functional>
#include <semaphore>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "base/racy.h"
#include "tests/unit/engine_client.h"
#include "tests/unit/heap/held_blocks.h"
#include "tests/unit/sizes.h"

namespace tide::tests {
namespace {

class ForkWithMemoryInHand : public testing::Test {
 protected:
  void SetUp() override {
    if (base::kThreadSanitizer)
      GTEST_SKIP() << "ThreadSanitizer does not support this kind of fork";
  }

  // Runs `act`, and forks in its first call of the kind while another thread allocates blocks of
  // `others_bytes` and holds the locks for it. Child and parent go on; the child checks that no
  // memory is given out twice.
  void fork_in(VmCall call, size_t others_bytes, const std::function<void()>& act) {
    std::binary_semaphore inside{0};
    std::binary_semaphore go_on{0};
    const auto here = std::this_thread::get_id();
    std::vector<std::thread> threads;
    std::atomic<pid_t> child = -1;
    box.os.set_hook([&](const FakeOs::Event& event) {
      if (child == 0) return;
      if (std::this_thread::get_id() != here) {
        if (event.call != VmCall::kMapAt || child != -1) return;
        inside.release();
        go_on.acquire();
        return;
      }
      if (event.call != call || child != -1) return;
      threads.emplace_back([&, others_bytes] {
        Client other(*box.engine, false);
        while (child == -1) other.allocate(others_bytes);
      });
      inside.acquire();
      child = fork();
      if (child != 0) return go_on.release();
      alarm(100);
      box.engine->repair_in_child(box.client.cache());
    });
    act();
    if (child == 0) run_on();
    for (std::thread& thread : threads) thread.join();
    box.os.set_hook(nullptr);
    ASSERT_GT(child, 0) << "no such call";
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    box.engine->verify();
  }

  [[noreturn]] void run_on() {
    box.engine->verify();
    std::vector<std::pair<uintptr_t*, size_t>> held;
    for (const size_t bytes : {size_t{200}, size_t{4000}, size_t{700'000}}) {
      for (size_t total = 0; total < 24 * kMiB; total += bytes) {
        auto* const block = static_cast<uintptr_t*>(box.client.allocate(bytes));
        if (block == nullptr) _exit(1);
        for (size_t i = 0; i < bytes / sizeof *block; ++i) block[i] = base::address_of(block);
        held.emplace_back(block, bytes);
      }
    }
    box.engine->verify();
    for (const auto& [block, bytes] : held) {
      for (size_t i = 0; i < bytes / sizeof *block; ++i) {
        if (block[i] != base::address_of(block)) _exit(2);
      }
      if (box.client.release(block) != heap::Released::kDone) _exit(3);
    }
    box.client.purge();
    box.engine->verify();
    _exit(0);
  }

  StartedBox box;
};

using Sizes = std::pair<size_t, size_t>;
constexpr Sizes kSizes[] = {{200, 4000}, {4000, 700'000}, {700'000, 200}};

class ForkOutOfAMove : public ForkWithMemoryInHand,
                       public testing::WithParamInterface<std::tuple<Sizes, size_t>> {};

TEST_P(ForkOutOfAMove, GivesNothingOutTwice) {
  const auto& [sizes, others_bytes] = GetParam();
  fork_in(VmCall::kMovePages, others_bytes, [&] {
    release_all(box.client, fill(box.client, sizes.first, 40 * kMiB));
    release_all(box.client, fill(box.client, sizes.second, 40 * kMiB));
  });
}

class ForkOutOfAPurge : public ForkWithMemoryInHand,
                        public testing::WithParamInterface<std::tuple<size_t, size_t>> {};

TEST_P(ForkOutOfAPurge, GivesNothingOutTwice) {
  const auto& [bytes, others_bytes] = GetParam();
  release_all(box.client, fill(box.client, bytes, 20 * kMiB));
  fork_in(VmCall::kPurge, others_bytes, [&] { box.client.purge(); });
}

constexpr size_t kOfEachZone[] = {1000, 60'000, 3'000'000};
INSTANTIATE_TEST_SUITE_P(OfAnyZone, ForkOutOfAMove,
                         testing::Combine(testing::ValuesIn(kSizes),
                                          testing::ValuesIn(kOfEachZone)));
INSTANTIATE_TEST_SUITE_P(OfAnyZone, ForkOutOfAPurge,
                         testing::Combine(testing::ValuesIn(kOfEachZone),
                                          testing::ValuesIn(kOfEachZone)));

}  // namespace
}  // namespace tide::tests
