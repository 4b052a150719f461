// What recording costs: pairs of free and malloc of small blocks, with so much other work between
// them and from so deep a call stack as is said.
//
// usage: traced PAIRS THREADS WORK DEPTH      prints ns of CPU time per call, the median thread's
#include <pthread.h>
#include <time.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

long g_pairs, g_work, g_depth;

struct Worker {
  pthread_t handle;
  unsigned random;
  double ns;
};

double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Frames that the compiler keeps.
__attribute__((noinline)) void exchange(long depth, void** slot, unsigned random) {
  if (depth == 0) {
    free(*slot);
    *slot = malloc(16 + random % 240);
    *static_cast<volatile char*>(*slot) = 1;
  } else {
    exchange(depth - 1, slot, random);
  }
  __asm__ volatile("");
}

void* run(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  void* slots[256] = {};
  unsigned random = worker.random;
  const double before = cpu_ns();
  for (long i = 0; i < g_pairs; ++i) {
    random = random * 1664525u + 1013904223u;
    exchange(g_depth, &slots[random >> 24], random >> 8);
    for (long work = 0; work < g_work; ++work) __asm__ volatile("");
  }
  worker.ns = cpu_ns() - before;
  for (void* slot : slots) free(slot);
  return nullptr;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return 2;
  g_pairs = atol(arguments[1]);
  g_work = atol(arguments[3]);
  g_depth = atol(arguments[4]);
  std::vector<Worker> workers(static_cast<size_t>(atoi(arguments[2])));
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].random = static_cast<unsigned>(i) * 7919 + 1;
    pthread_create(&workers[i].handle, nullptr, run, &workers[i]);
  }
  for (Worker& worker : workers) pthread_join(worker.handle, nullptr);
  std::sort(workers.begin(), workers.end(), [](auto& a, auto& b) { return a.ns < b.ns; });
  printf("%.3f\n", workers[workers.size() / 2].ns / (2.0 * static_cast<double>(g_pairs)));
  return 0;
}
