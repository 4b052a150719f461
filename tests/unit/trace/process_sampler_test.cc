// Samples of the memory of processes, taken from outside.
#include "trace/process_sampler.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "trace/process_memory.h"

namespace tide::trace {
namespace {

constexpr size_t kMebibyte = 1 << 20;

// A child that takes so much memory when it is told to, and waits then.
class Child {
 public:
  explicit Child(size_t bytes) {
    EXPECT_EQ(pipe(to_), 0);
    EXPECT_EQ(pipe(from_), 0);
    pid_ = fork();
    if (pid_ != 0) return;
    char word;
    while (read(to_[0], &word, 1) == 1) {
      void* const memory =
          mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      memset(memory, 1, bytes);
      if (write(from_[1], &word, 1) != 1) break;
    }
    _exit(0);
  }
  ~Child() {
    end();
    for (const int i : {to_[0], to_[1], from_[0], from_[1]}) close(i);
  }

  int pid() const { return pid_; }
  void take_memory() {
    char word = 'm';
    EXPECT_EQ(write(to_[1], &word, 1), 1);
    EXPECT_EQ(read(from_[0], &word, 1), 1);
  }
  void end() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  int to_[2];
  int from_[2];
  int pid_ = 0;
};

using Samples = std::vector<ProcessSampler::Sample>;

// All samples from now on, until they are enough.
Samples take_until(ProcessSampler& sampler, uint32_t number,
                   const std::function<bool(const Samples&)>& is_enough) {
  Samples all;
  while (!is_enough(all)) {
    const Samples more = sampler.take(number);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

TEST(ProcessSampler, SeesMemoryComeInTheOrderOfTime) {
  Child child(64 * kMebibyte);
  ArenaOwner arena({.bytes = 4 * kMebibyte});
  arena.give_slot(child.pid(), getpid());
  ProcessSampler sampler(arena);
  Samples all = take_until(sampler, 1, [](const Samples& s) { return s.size() >= 3; });
  const uint64_t before = all.back().memory.rss;
  EXPECT_GT(before, 0u);
  EXPECT_GE(all.front().memory.vm, all.front().memory.rss);
  child.take_memory();
  const Samples after = take_until(sampler, 1, [&](const Samples& s) {
    return !s.empty() && s.back().memory.rss >= before + 63 * kMebibyte;
  });
  all.insert(all.end(), after.begin(), after.end());
  for (size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i].tick, all[i - 1].tick);
  EXPECT_LT(all.back().memory.rss, before + 80 * kMebibyte);
  EXPECT_GE(all.back().memory.cpu_ns, all.front().memory.cpu_ns);
}

TEST(ProcessSampler, KeepsProcessesApart) {
  Child small(kMebibyte);
  Child large(48 * kMebibyte);
  ArenaOwner arena({.bytes = 4 * kMebibyte});
  arena.give_slot(small.pid(), getpid());
  arena.give_slot(large.pid(), getpid());
  small.take_memory();
  large.take_memory();
  ProcessSampler sampler(arena);
  const auto any = [](const Samples& s) { return !s.empty(); };
  const uint64_t of_small = take_until(sampler, 1, any).back().memory.rss;
  const uint64_t of_large = take_until(sampler, 2, any).back().memory.rss;
  EXPECT_GT(of_large, of_small + 40 * kMebibyte);
}

TEST(ProcessSampler, HasNothingMoreOfAProcessThatIsOver) {
  Child child(kMebibyte);
  ArenaOwner arena({.bytes = 4 * kMebibyte});
  arena.give_slot(child.pid(), getpid());
  ProcessSampler sampler(arena);
  take_until(sampler, 1, [](const Samples& s) { return s.size() >= 2; });
  child.end();
  sampler.finish(1);
  EXPECT_TRUE(sampler.take(1).empty());
  EXPECT_TRUE(sampler.finish(1).empty());
  EXPECT_TRUE(sampler.take(99).empty());
}

TEST(ProcessMemory, LeavesTheArenaOut) {
  constexpr std::string_view kStatus =
      "Name:\tprogram\nVmPeak:\t  400000 kB\nVmSize:\t  300000 kB\nVmHWM:\t   90000 kB\n"
      "VmRSS:\t   70000 kB\nRssAnon:\t   40000 kB\nRssFile:\t   10000 kB\nRssShmem:\t   20000 kB\n";
  uint64_t high_water = 0;
  format::MemorySample sample{};
  ASSERT_TRUE(sample_of_status(kStatus, 100'000'000, high_water, sample));
  EXPECT_EQ(sample.rss, uint64_t{50000} << 10);
  EXPECT_EQ(sample.anonymous, uint64_t{40000} << 10);
  EXPECT_EQ(sample.vm, (uint64_t{300000} << 10) - 100'000'000);
  EXPECT_FALSE(sample_of_status("Name:\tzombie\nState:\tZ (zombie)\n", 0, high_water, sample));
}

}  // namespace
}  // namespace tide::trace
