// Many threads, all kinds of calls, every block's contents checked when it goes.
//
//   stress [--threads N] [--ops N | --seconds N] [--seed N] [--no-fork] [--may-fail] [--drift]
//
// --ops: calls of each thread slot. What a seed decides is what each thread does, not in which
// order threads run. Threads come and go and leave blocks behind; blocks are handed from thread to
// thread, released elsewhere, resized; heaps come and go; memory is purged and surveyed meanwhile;
// now and then the process forks, and the child checks what it has and goes on allocating. Every
// few seconds all threads end and the engine checks its heap (Engine::verify). A second in each
// sanitizer finds gross mistakes; --seconds 300 with several seeds is what a change to caches,
// depots, purge or fork repair deserves. --may-fail: memory may be refused, as at a hard limit;
// there has to be some in the end. --drift: all threads together go through small, middle and large
// sizes, again and again, so that memory has to change zones.
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/stress/calls.h"

namespace tide::stress {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool kCanFork = false;
#else
constexpr bool kCanFork = true;
#endif

[[noreturn]] void fail(const char* what, const void* p, size_t bytes) {
  fprintf(stderr, "stress: %s: block %p of %zu bytes\n", what, p, bytes);
  abort();
}

struct Block {
  unsigned char* p;
  size_t bytes;
  uint32_t value;

  static size_t stride(size_t bytes) { return bytes <= 4096 ? 1 : bytes <= 262'144 ? 61 : 4093; }
  unsigned char at(size_t i) const { return static_cast<unsigned char>(value + i * 13); }

  void fill() const {
    for (size_t i = 0; i < bytes; i += stride(bytes)) p[i] = at(i);
    if (bytes != 0) p[bytes - 1] = at(bytes - 1);
  }
  // The first `known` bytes are as they were filled in.
  void check(size_t known) const {
    for (size_t i = 0; i < bytes && i < known; i += stride(bytes)) {
      if (p[i] != at(i)) fail("contents changed", p, bytes);
    }
    if (bytes != 0 && known >= bytes && p[bytes - 1] != at(bytes - 1)) {
      fail("the last byte changed", p, bytes);
    }
  }
};

struct Options {
  unsigned threads = 4;
  uint64_t ops = 200'000;
  double seconds = 0;
  uint64_t seed = 1;
  bool forks = kCanFork;
};

// Blocks on their way from one thread to another.
class Mailbox {
 public:
  void put(const Block& block) {
    const std::lock_guard guard(mutex_);
    blocks_.push_back(block);
  }
  bool take(Block& block) {
    const std::lock_guard guard(mutex_);
    if (blocks_.empty()) return false;
    block = blocks_.back();
    blocks_.pop_back();
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

constexpr double kPhaseSeconds = 5;
constexpr unsigned kMailboxes = 16;
Mailbox g_mailboxes[kMailboxes];
bool g_may_fail = false;
bool g_drifts = false;
std::atomic<size_t> g_drifted_bytes{0};  // decide on the size
std::atomic<uint64_t> g_refused{0};

// Whether a call was refused memory, where it may be.
bool is_refused(const void* p, const char* what, size_t bytes) {
  if (p != nullptr) return false;
  if (!g_may_fail) fail(what, p, bytes);
  g_refused.fetch_add(1, std::memory_order_relaxed);
  return true;
}
std::atomic<bool> g_stop{false};

class Worker {
 public:
  explicit Worker(uint64_t seed) : random_(seed) {}

  void run(uint64_t ops) {
    if (g_drifts) {
      run_drifting();
    } else {
      for (uint64_t i = 0; i < ops && !g_stop.load(std::memory_order_relaxed); ++i) step();
    }
    // Some blocks go with the thread, the others are left to the threads that remain.
    for (const Block& block : held_) {
      if (below(g_drifts ? 100 : 2) != 1) {
        drop(block);
      } else {
        g_mailboxes[below(kMailboxes)].put(block);
      }
    }
    held_.clear();
  }

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }

  void run_drifting() {
    constexpr size_t kSizes[] = {900, 6000, 500'000};
    constexpr size_t kBytesOfEach = size_t{96} << 20;
    constexpr size_t kMine = size_t{24} << 20;
    for (size_t total = 0; total < kMine && !g_stop.load(std::memory_order_relaxed);) {
      const size_t middle = kSizes[g_drifted_bytes.load() / kBytesOfEach % 3];
      const size_t bytes = middle / 2 + below(middle);
      allocate_somehow(below(1000), bytes);
      total += bytes;
      g_drifted_bytes.fetch_add(bytes);
      Block block;
      if (below(4) == 0 && g_mailboxes[below(kMailboxes)].take(block)) drop(block);
    }
  }

  size_t some_size() {
    const uint64_t kind = below(1000);
    if (kind < 700) return below(below(4) == 0 ? 2000 : 200);
    if (kind < 950) return below(size_t{1} << (6 + below(11)));
    if (kind < 999) return below(size_t{1} << (16 + below(6)));
    return (size_t{33} << 20) + below(8 << 20);
  }

  void keep(void* p, size_t bytes) {
    if (is_refused(p, "no memory", bytes)) return;
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) fail("not aligned", p, bytes);
    const Block block{static_cast<unsigned char*>(p), bytes, static_cast<uint32_t>(random_())};
    block.fill();
    held_.push_back(block);
  }

  static void drop(const Block& block) {
    block.check(block.bytes);
    release(block.p);
  }

  void step() {
    const uint64_t kind = below(1000);
    const size_t bytes = some_size();
    if (held_.size() < 20 || (kind < 430 && held_.size() < 2000)) {
      allocate_somehow(kind, bytes);
    } else if (kind < 800) {
      drop(take_any());
    } else if (kind < 880) {
      resize_any(bytes);
    } else if (kind < 940) {
      g_mailboxes[below(kMailboxes)].put(take_any());
    } else if (kind < 994) {
      Block block;
      for (int i = 0; i < 3 && g_mailboxes[below(kMailboxes)].take(block); ++i) drop(block);
    } else if (kind < 996) {
      use_heap();
    } else if (kind == 996 && below(10) == 0) {
      purge();
    } else if (kind == 997 && below(10) == 0) {
      look_around();
    }
  }

  void allocate_somehow(uint64_t kind, size_t bytes) {
    if (kind % 10 == 0) {
      auto* const p = static_cast<unsigned char*>(allocate_zeroed(bytes));
      for (size_t i = 0; p != nullptr && i < bytes; i += Block::stride(bytes)) {
        if (p[i] != 0) fail("zeroed, but is not", p, bytes);
      }
      keep(p, bytes);
    } else if (kind % 10 == 1) {
      const size_t alignment = size_t{1} << below(below(10) == 0 ? 22 : 13);
      void* const p = allocate_aligned(alignment, bytes);
      if (reinterpret_cast<uintptr_t>(p) % alignment != 0) fail("alignment", p, alignment);
      keep(p, bytes);
    } else {
      keep(allocate(bytes), bytes);
    }
  }

  Block take_any() {
    std::swap(held_[below(held_.size())], held_.back());
    const Block block = held_.back();
    held_.pop_back();
    return block;
  }

  void resize_any(size_t bytes) {
    const Block block = take_any();
    block.check(block.bytes);
    if (usable_bytes(block.p) < block.bytes) fail("usable size", block.p, block.bytes);
    const size_t wanted = bytes == 0 ? 1 : bytes;
    void* const moved = reallocate(block.p, wanted);
    if (is_refused(moved, "no memory for realloc", wanted)) {
      held_.push_back(block);
      return;
    }
    Block{static_cast<unsigned char*>(moved), block.bytes, block.value}.check(
        wanted < block.bytes ? wanted : block.bytes);
    keep(moved, wanted);
  }

  void use_heap() {
    if (has_heaps()) {
      Heap* const heap = heap_create();
      if (is_refused(heap, "no heap", 0)) return;
      std::vector<Block> blocks;
      for (uint64_t i = below(300); i-- != 0;) {
        const size_t bytes = some_size() % 300'000;
        void* const p = heap_allocate(heap, bytes);
        if (is_refused(p, "no memory in a heap", bytes)) continue;
        blocks.push_back({static_cast<unsigned char*>(p), bytes, static_cast<uint32_t>(i)});
        blocks.back().fill();
      }
      for (size_t i = 0; i < blocks.size(); ++i) {
        blocks[i].check(blocks[i].bytes);
        if (i % 3 == 0) release(blocks[i].p);
      }
      heap_destroy(heap);
    }
  }

  std::mt19937_64 random_;
  std::vector<Block> held_;
};

// Life in a forked child: its memory is as it was, and every call works.
[[noreturn]] void run_child(const std::vector<Block>& known, uint64_t seed) {
  alarm(180);  // a lock that was left locked
  verify();
  for (const Block& block : known) block.check(block.bytes);
  constexpr size_t kMost = 500;
  static Block mine[kMost];  // no containers: their malloc may be a sanitizer's, and locked
  std::minstd_rand random(static_cast<unsigned>(seed));
  for (int round = 0; round < 3; ++round) {
    for (Block& block : mine) {
      const size_t bytes = random() % (random() % 50 == 0 ? 300'000 : 3000);
      block = {static_cast<unsigned char*>(allocate(bytes)), bytes,
               static_cast<uint32_t>(random())};
      if (is_refused(block.p, "no memory in a child", bytes)) block.bytes = 0;
      block.fill();
    }
    for (Block& block : mine) {
      block.check(block.bytes);
      release(block.p);
    }
  }
  for (size_t i = 0; i < known.size(); i += 2) release(known[i].p);
  verify();
  purge();
  verify();
  _exit(0);
}

void fork_once(const std::vector<Block>& known, uint64_t seed) {
  const pid_t child = fork();
  if (child == 0) run_child(known, seed);
  if (child < 0) return;
  int status = 0;
  while (waitpid(child, &status, 0) != child) {
  }
  if (status != 0) {
    fprintf(stderr, "stress: the child of a fork ended with status 0x%x\n", status);
    _exit(1);  // no core over the child's
  }
}

class Clock {
 public:
  double elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// All threads come, work and end, then the heap is checked. What they leave behind is for the next.
void run_phase(const Options& options, uint64_t phase, double until, const Clock& clock,
               const std::vector<Block>& known, uint64_t& forks) {
  g_stop = false;
  // Each slot is one thread after another.
  std::vector<std::thread> slots;
  std::atomic<unsigned> running{options.threads};
  for (unsigned slot = 0; slot < options.threads; ++slot) {
    slots.emplace_back([&, slot] {
      std::mt19937_64 random((options.seed + phase * 7919) * 1000 + slot);
      uint64_t left = options.seconds > 0 ? UINT64_MAX : options.ops;
      while (left != 0 && !g_stop.load(std::memory_order_relaxed)) {
        uint64_t ops = 200 + random() % (random() % 4 == 0 ? 30'000 : 3000);
        if (ops > left) ops = left;
        const uint64_t seed = random();
        std::thread([=] { Worker(seed).run(ops); }).join();
        left -= ops;
      }
      running.fetch_sub(1);
    });
  }
  while (running.load() != 0) {
    usleep(20'000);
    if (options.seconds > 0 && clock.elapsed() > until) g_stop = true;
    if (options.forks) fork_once(known, options.seed + ++forks);
  }
  for (std::thread& slot : slots) slot.join();
  verify();
  if (phase % 2 == 1) {
    purge();
    verify();
  }
}

int run(const Options& options) {
  printf("stress: --seed %lu --threads %u", options.seed, options.threads);
  if (options.seconds > 0) {
    printf(" --seconds %g\n", options.seconds);
  } else {
    printf(" --ops %lu\n", options.ops);
  }
  fflush(stdout);
  const Clock clock;
  std::vector<Block> known;
  for (size_t i = 0; i < 300; ++i) {
    const size_t bytes = i % 30 == 0 ? 100'000 : i * 17;
    void* const p = allocate(bytes);
    if (is_refused(p, "no memory", bytes)) continue;
    known.push_back({static_cast<unsigned char*>(p), bytes, static_cast<uint32_t>(i)});
    known.back().fill();
  }
  uint64_t forks = 0;
  uint64_t phases = 0;
  do {
    const double left = options.seconds - clock.elapsed();
    const double until = clock.elapsed() + (left < 2 * kPhaseSeconds ? left : kPhaseSeconds);
    run_phase(options, phases++, until, clock, known, forks);
  } while (clock.elapsed() < options.seconds);
  for (const Block& block : known) {
    block.check(block.bytes);
    release(block.p);
  }
  Block block;
  for (Mailbox& mailbox : g_mailboxes) {
    while (mailbox.take(block)) {
      block.check(block.bytes);
      release(block.p);
    }
  }
  verify();
  purge();
  verify();
  if (live_blocks() != 0) {
    fprintf(stderr, "stress: %lu blocks are live at the end\n", live_blocks());
    return 1;
  }
  if (void* const again = allocate(1 << 20)) {
    release(again);
  } else {
    fail("no memory although all is free", nullptr, 1 << 20);
  }
  printf("stress: good, %.1f s, %lu phases, %lu forks, %lu refused\n", clock.elapsed(), phases,
         forks, g_refused.load());
  return 0;
}

int usage(const char* argument) {
  fprintf(stderr,
          "stress: bad argument %s; usage: stress [--threads N] [--ops N | --seconds N]\n"
          "  [--seed N] [--no-fork] [--may-fail] [--drift]\n",
          argument);
  return 2;
}

}  // namespace
}  // namespace tide::stress

int main(int argc, char** argv) {
  tide::stress::Options options;
  for (int i = 1; i < argc; ++i) {
    const char* const name = argv[i];
    if (strcmp(name, "--no-fork") == 0) {
      options.forks = false;
      continue;
    }
    if (strcmp(name, "--may-fail") == 0) {
      tide::stress::g_may_fail = true;
      continue;
    }
    if (strcmp(name, "--drift") == 0) {
      tide::stress::g_drifts = true;
      continue;
    }
    if (i + 1 == argc) return tide::stress::usage(name);
    char* end = nullptr;
    const uint64_t value = strtoull(argv[++i], &end, 0);
    if (*end != '\0' || value == 0) return tide::stress::usage(argv[i]);
    if (strcmp(name, "--threads") == 0) {
      options.threads = static_cast<unsigned>(value);
    } else if (strcmp(name, "--ops") == 0) {
      options.ops = value;
    } else if (strcmp(name, "--seconds") == 0) {
      options.seconds = static_cast<double>(value);
    } else if (strcmp(name, "--seed") == 0) {
      options.seed = value;
    } else {
      return tide::stress::usage(name);
    }
  }
  return tide::stress::run(options);
}
