// A parent with a heap forks children that touch nothing and sleep: which pages does the allocator
// make each of them copy?
//
// A child's own pages are its Private_Dirty in smaps_rollup; as all children sleep at the same
// time, pages that the parent writes meanwhile are still shared by the others and do not count.
// What a child dirties without any allocator's doing is measured by this program itself, started
// once more without a preload and without a heap, and is taken off.
// One operation is one child. Own figures: child_own_kib (Private_Dirty of a child, mean),
// bare_kib (the same without allocator), copied_kib (the difference).
#include <spawn.h>
#include <sys/wait.h>
#include <csignal>

#include "harness.h"
#include "resident.h"

namespace bench = tide::bench;

namespace {

constexpr double kSleep = 0.3;  // seconds that the children live

// Sum of the children's Private_Dirty, in KiB. The meter runs while they are made.
uint64_t fork_children(uint64_t count, bench::Meter& meter) {
  bench::Table<pid_t> children(count);
  meter.start();
  for (uint64_t i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) bench::fail("fork failed");
    if (child == 0) {
      for (;;) pause();
    }
    children.push(child);
  }
  meter.stop();
  bench::sleep_until(bench::seconds_now() + kSleep);
  uint64_t own = 0;
  for (const pid_t child : children) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/smaps_rollup", static_cast<int>(child));
    own += bench::proc_kib(path, "Private_Dirty");
  }
  for (const pid_t child : children) kill(child, SIGKILL);
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  return own;
}

// The figure of this program without a preload and without a heap.
double bare_kib(char** argv, const std::string& count) {
  std::string name = argv[0];
  std::string words[] = {"--heap", "0", "--children", count};
  char* arguments[] = {name.data(),     words[0].data(), words[1].data(),
                       words[2].data(), words[3].data(), nullptr};
  char* variables[] = {nullptr};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) bench::fail("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = -1;
  posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments, variables);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  char text[1024] = {};
  size_t length = 0;
  for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
    length += static_cast<size_t>(got);
  close(ends[0]);
  int status = 0;
  const char* const figure = std::strstr(text, "\"child_own_kib\": ");
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || figure == nullptr)
    bench::fail("the run without a preload failed");
  return std::strtod(std::strchr(figure, ':') + 1, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Options options(argc, argv, "fork_heavy --heap 64M --children 50",
                         "Children of fork that touch nothing.");
  const size_t heap = options.number("heap", "64M", "bytes that are live in the parent");
  const uint64_t children = options.number("children", "50", "children");
  const uint64_t seed = options.seed();
  options.finish();
  if (children == 0) bench::fail("--children at least 1", 2);

  const bench::SizeTable sizes(16, 8192, true, seed);
  bench::Rng rng(seed);
  std::vector<void*> blocks;
  for (size_t total = 0; total < heap;) {
    const size_t bytes = sizes.pick(rng.next() >> 52);
    blocks.push_back(bench::must(std::malloc(bytes)));
    std::memset(blocks.back(), 4, bytes);
    total += bytes;
  }
  const double bare = heap == 0 ? 0 : bare_kib(argv, std::to_string(children));

  bench::Meter meter("fork_heavy");
  const double own =
      static_cast<double>(fork_children(children, meter)) / static_cast<double>(children);
  meter.add("child_own_kib", own);
  meter.add("bare_kib", bare);
  meter.add("copied_kib", own - bare);
  for (void* block : blocks) std::free(block);
  meter.report(children);
  return 0;
}
