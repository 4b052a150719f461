// What a short-lived process pays: start, a few first allocations, exit.
//
// Runs itself --times times one after the other (children inherit the preload). One operation is
// one child. Own figure: child_rss_kib, the RSS of a child that has touched a few blocks.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "harness.h"

namespace bench = tide::bench;

namespace {

char child_flag[] = "--child";  // posix_spawn wants it writable

int be_child() {
  for (size_t bytes = 16; bytes <= 65536; bytes *= 2) {
    bench::touch_block(bench::must(std::malloc(bytes)), bytes, bench::Touch::kEnds);
  }
  const auto mine = static_cast<unsigned long long>(bench::rss_kib());
  char text[32];
  const int length = std::snprintf(text, sizeof text, "%llu\n", mine);
  return write(STDOUT_FILENO, text, static_cast<size_t>(length)) == length ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], child_flag) == 0) return be_child();
  bench::Options options(argc, argv, "start --times 300", "The cost of starting a process.");
  const uint64_t times = options.number("times", "300", "processes, one after the other");
  options.seed();
  options.finish();

  uint64_t child_rss = 0;
  bench::Meter meter("start");
  rusage before{};
  rusage after{};
  getrusage(RUSAGE_CHILDREN, &before);
  meter.start();
  for (uint64_t i = 0; i < times; ++i) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) bench::fail("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    char* const words[] = {argv[0], child_flag, nullptr};
    pid_t child = -1;  // spawn does not copy this process's page tables as fork would
    posix_spawn(&child, "/proc/self/exe", &actions, nullptr, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char text[32] = {};
    const ssize_t got = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || got <= 0) {
      bench::fail("a child process failed");
    }
    child_rss += std::strtoull(text, nullptr, 10);
  }
  meter.stop();
  getrusage(RUSAGE_CHILDREN, &after);
  meter.add_children(before, after);
  meter.add("child_rss_kib", static_cast<double>(child_rss) / static_cast<double>(times));
  meter.report(times);
  return 0;
}
