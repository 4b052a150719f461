/* exact FOLDER SEED THREADS PHASES OPERATIONS FORKS: allocates at random in threads that hand
   blocks to each other, and then in forked children; each process writes to FOLDER/PID what it has
   called, and the bytes that were live at the end of each phase. There it sets a marker, "p0" and
   so on. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int tide_trace_marker(const char* name) __attribute__((weak));

enum { kMalloc, kCalloc, kRealloc, kFree, kAligned, kPosix, kArray, kCalls };
static const char* const kNames[kCalls] = {"malloc",        "calloc",         "realloc",     "free",
                                           "aligned_alloc", "posix_memalign", "reallocarray"};
enum { kOwn = 300, kShared = 256, kMostPhases = 64 };

struct block {
  void* p;
  size_t bytes;
};
static atomic_long g_calls[kCalls];
static atomic_long g_live;
static long g_curve[kMostPhases];
static int g_threads, g_phases, g_operations;
static unsigned long g_seed;
static pthread_barrier_t g_barrier;
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block g_shared[kShared];
static __thread struct block t_own[kOwn];

static void marker(const char* name) {
  if (tide_trace_marker != NULL) tide_trace_marker(name);
}

static unsigned long next(unsigned long* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state >> 11;
}

static size_t next_size(unsigned long* state) {
  static const size_t kMost[20] = {200, 200, 200, 200, 200,  200,  200,  200,  200,    200,
                                   200, 200, 200, 200, 5000, 5000, 5000, 5000, 100000, 700000};
  return 1 + next(state) % kMost[next(state) % 20];
}

static struct block make(unsigned long* state) {
  struct block b = {NULL, next_size(state)};
  const size_t alignment = (size_t)16 << next(state) % 6;
  switch (next(state) % 6) {
    case 0:
      b.p = calloc(b.bytes, 1);
      ++g_calls[kCalloc];
      break;
    case 1:
      b.bytes = (b.bytes + alignment - 1) / alignment * alignment;
      b.p = aligned_alloc(alignment, b.bytes);
      ++g_calls[kAligned];
      break;
    case 2:
      if (posix_memalign(&b.p, alignment, b.bytes) != 0) abort();
      ++g_calls[kPosix];
      break;
    default:
      b.p = malloc(b.bytes);
      ++g_calls[kMalloc];
  }
  if (b.p == NULL) abort();
  memset(b.p, 1, b.bytes < 64 ? b.bytes : 64);
  g_live += (long)b.bytes;
  return b;
}

static void drop(struct block* b) {
  g_live -= (long)b->bytes;
  free(b->p);
  b->p = NULL;
  ++g_calls[kFree];
}

static void resize(struct block* b, unsigned long* state) {
  size_t bytes = next_size(state);
  if (next(state) % 3 != 0) {
    b->p = realloc(b->p, bytes);
    ++g_calls[kRealloc];
  } else {
    bytes = (bytes + 7) / 8 * 8;
    b->p = reallocarray(b->p, bytes / 8, 8);
    ++g_calls[kArray];
  }
  if (b->p == NULL) abort();
  g_live += (long)bytes - (long)b->bytes;
  b->bytes = bytes;
}

static void hand_over(struct block* own, unsigned long* state) {
  struct block* const shared = &g_shared[next(state) % kShared];
  pthread_mutex_lock(&g_lock);
  const struct block other = *shared;
  *shared = *own;
  pthread_mutex_unlock(&g_lock);
  *own = other;
}

static void do_phase(long thread, int phase) {
  unsigned long state = g_seed * 1000003 + (unsigned long)thread * 7919 +
                        (unsigned long)phase * 104729 + 88172645463325252ul;
  for (int i = 0; i < g_operations; ++i) {
    struct block* const own = &t_own[next(&state) % kOwn];
    const unsigned long what = next(&state) % 10;
    if (what < 2) {
      hand_over(own, &state);
    } else if (own->p == NULL) {
      *own = make(&state);
    } else if (what < 5) {
      resize(own, &state);
    } else {
      drop(own);
    }
  }
}

static void* run_thread(void* number) {
  const long thread = (long)number;
  for (int phase = 0; phase < g_phases; ++phase) {
    do_phase(thread, phase);
    pthread_barrier_wait(&g_barrier);
    if (thread == 0) {
      char name[16];
      g_curve[phase] = g_live;
      snprintf(name, sizeof name, "p%d", phase);
      marker(name);
    }
    pthread_barrier_wait(&g_barrier);
  }
  return NULL;
}

static void run(void) {
  pthread_t threads[16];
  marker("begin");
  pthread_barrier_init(&g_barrier, NULL, (unsigned)g_threads);
  for (long i = 1; i < g_threads; ++i) {
    if (pthread_create(&threads[i], NULL, run_thread, (void*)i) != 0) abort();
  }
  run_thread(NULL);
  for (int i = 1; i < g_threads; ++i) pthread_join(threads[i], NULL);
  marker("end");
}

/* `before`: the calls of the parent. Nothing here allocates. */
static void report(const char* folder, const long* before) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
  const int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
  if (file < 0) abort();
  dprintf(file, "{\"calls\": {");
  for (int i = 0; i < kCalls; ++i) {
    dprintf(file, "%s\"%s\": %ld", i == 0 ? "" : ", ", kNames[i], g_calls[i] - before[i]);
  }
  dprintf(file, "}, \"curve\": [");
  for (int i = 0; i < g_phases; ++i) dprintf(file, "%s%ld", i == 0 ? "" : ", ", g_curve[i]);
  dprintf(file, "]}\n");
  close(file);
}

int main(int count, char** arguments) {
  if (count != 7) return 2;
  g_seed = strtoul(arguments[2], NULL, 10);
  g_threads = atoi(arguments[3]);
  g_phases = atoi(arguments[4]);
  g_operations = atoi(arguments[5]);
  const int forks = atoi(arguments[6]);
  long before[kCalls] = {0};
  run();
  report(arguments[1], before);
  for (int i = 0; i < kCalls; ++i) before[i] = g_calls[i];
  for (int k = 1; k <= forks; ++k) {
    const pid_t child = fork();
    if (child == 0) {
      g_seed += (unsigned long)k;
      run();
      report(arguments[1], before);
      _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) abort();
  }
  return 0;
}
