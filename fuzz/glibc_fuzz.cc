// A walk through a heap of glibc's malloc that somebody has written over: a shell's that waits,
// with the input's bytes laid over its arena, its chunks and what leads to them. Whatever they say,
// the walk ends and touches nothing of its own.
#include <sys/prctl.h>
#include <unistd.h>
#include <csignal>

#include <memory>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/patched_target.h"
#include "inspect/block_index.h"
#include "walk/glibc_heap.h"

namespace {

using fuzz::PatchedTarget;
using namespace tide;

// Starts a shell with some thousand chunks, many of them freed; it waits until its standard input
// closes, which is when this process ends.
int start_shell() {
  int in[2];
  int out[2];
  fuzz::require(pipe(in) == 0 && pipe(out) == 0);
  const int child = fork();
  fuzz::require(child >= 0);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in[0], 0);
    dup2(out[1], 1);
    char name[] = "bash";
    char option[] = "-c";
    char script[] = "a=({1..2000}); b=({1..900}); unset a; c=({1..300}); echo; read x";
    char* const arguments[] = {name, option, script, nullptr};
    char* const environment[] = {nullptr};
    execve("/bin/bash", arguments, environment);
    _exit(127);
  }
  char ready = 0;
  fuzz::require(read(out[0], &ready, 1) == 1);
  return child;
}

class World {
 public:
  World() : target_(start_shell(), true) {
    const auto heap = walk::find_glibc_heap(target_);
    fuzz::require(heap != nullptr);
    for (const walk::Range& range : heap->records()) regions_.push_back(range);
    addresses_ = heap->ranges();
    for (const walk::Range& range : addresses_) regions_.push_back(range);
    // The arena, the parameters and the threads' pointers to them lie in the library's data.
    for (const walk::Segment& segment : target_.segments()) {
      if (segment.is_writable && segment.file.find("libc") != std::string::npos) {
        regions_.push_back({segment.start, segment.end});
      }
    }
  }
  const walk::LiveTarget& target() const { return target_; }
  const walk::Range& region(size_t number) const { return regions_[number % regions_.size()]; }
  const std::vector<walk::Range>& addresses() const { return addresses_; }

 private:
  walk::LiveTarget target_;
  std::vector<walk::Range> regions_;
  std::vector<walk::Range> addresses_;
};

void ask_everything(const PatchedTarget& target, const World& world) {
  std::vector<std::unique_ptr<walk::Heap>> heaps;
  heaps.push_back(walk::find_glibc_heap(target));
  if (heaps[0] == nullptr) return;
  const walk::Heap& heap = *heaps[0];
  heap.summary();
  heap.threads();
  heap.check(5);
  heap.for_each_span([](const walk::Span&) { return true; });
  for (const walk::Range& range : world.addresses()) heap.find(range.start + 4096);
  const inspect::BlockIndex index(heaps);
  fuzz::require(index.count() < 10'000'000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  fuzz::ask_damaged(world, data, size,
                    [](const PatchedTarget& target) { ask_everything(target, world); });
  return 0;
}
