// Threads that come, hand blocks to each other, and go: short ones by the thousand, destructors of
// thread-specific data, the smallest stacks, blocks that outlive their thread.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void run_threads(size_t count, void* (*run)(void*), const pthread_attr_t* attributes) {
  pthread_t threads[64];
  for (size_t i = 0; i < count; ++i) {
    const int error = pthread_create(&threads[i], attributes, run, (void*)i);
    CHECK(error == 0, "pthread_create: %s", strerror(error));
  }
  for (size_t i = 0; i < count; ++i) pthread_join(threads[i], NULL);
}

static void check_growth(size_t before, size_t limit_kib, const char* what) {
  const size_t after = resident_kib();
  CHECK(after <= before + limit_kib, "%s: RSS grew from %zu to %zu KiB", what, before, after);
}

static void* short_life(void* argument) {
  void* blocks[30];
  for (size_t i = 0; i < COUNT_OF(blocks); ++i) {
    const size_t size = i * i * 11 + (uintptr_t)argument;
    memset(blocks[i] = malloc(size + 1), 1, size + 1);
  }
  for (size_t i = 0; i < COUNT_OF(blocks); ++i) free(blocks[i]);
  return NULL;
}

static void short_threads(void) {
  run_threads(16, short_life, NULL);
  run_threads(16, short_life, NULL);
  const size_t before = resident_kib();
  for (int i = 0; i < 1250; ++i) run_threads(16, short_life, NULL);
  check_growth(before, 4 * 1024, "20,000 threads");
}

// Destructors of thread-specific data run when an allocator's own state of the thread may be gone.
// Each round sets the key again, so that this goes on as long as the C library allows.
static pthread_key_t g_keys[3];

static void late_destructor(void* value) {
  free(value);
  for (size_t i = 0; i < COUNT_OF(g_keys); ++i) {
    if (pthread_getspecific(g_keys[i]) != NULL) continue;
    char* p = malloc(500 + i * 3000);
    p[0] = 1;
    p = realloc(p, 9000);
    p[8999] = 1;
    pthread_setspecific(g_keys[i], p);
    free(calloc(3, 1000));
    return;
  }
}

// The last round's values are not destroyed any more: that is the program's leak, not the
// allocator's, so the last rounds must free without setting anew.
static _Thread_local int t_round;
static void bounded_destructor(void* value) {
  if (++t_round < PTHREAD_DESTRUCTOR_ITERATIONS * 2) {
    late_destructor(value);
  } else {
    free(value);
    void* p = malloc(70000);
    memset(p, 1, 70000);
    free(p);
    for (size_t i = 0; i < COUNT_OF(g_keys); ++i) {
      free(pthread_getspecific(g_keys[i]));
      pthread_setspecific(g_keys[i], NULL);
    }
  }
}

// All threads of a round hold a cache at once, whatever their turns: else the first rounds may need
// fewer than a later one.
enum { kAtOnce = 8 };
static pthread_barrier_t g_all_hold_one;
static void* set_keys(void* argument) {
  for (size_t i = 0; i < COUNT_OF(g_keys); ++i) pthread_setspecific(g_keys[i], malloc(100 + i));
  pthread_barrier_wait(&g_all_hold_one);
  return argument;
}

static void tsd_destructors(void) {
  for (size_t i = 0; i < COUNT_OF(g_keys); ++i) pthread_key_create(&g_keys[i], bounded_destructor);
  pthread_barrier_init(&g_all_hold_one, NULL, kAtOnce);
  for (int i = 0; i < 50; ++i) run_threads(kAtOnce, set_keys, NULL);
  const size_t before = resident_kib();
  for (int i = 0; i < 625; ++i) run_threads(kAtOnce, set_keys, NULL);
  check_growth(before, 1024, "5,000 threads with late destructors");
}

// A thread that never allocates but in its destructors, or only frees.
static void only_destructor(void* value) {
  (void)value;
  void* p = malloc(3000);
  memset(p, 1, 3000);
  free(p);
}
static void* only_set(void* argument) {
  static char mark;
  pthread_setspecific(g_keys[0], &mark);
  return argument;
}
static void tsd_destructors_only(void) {
  pthread_key_create(&g_keys[0], only_destructor);
  for (int i = 0; i < 50; ++i) run_threads(8, only_set, NULL);
  const size_t before = resident_kib();
  for (int i = 0; i < 625; ++i) run_threads(8, only_set, NULL);
  check_growth(before, 1024, "5,000 threads that allocate in a destructor only");
}

// Many threads at once whose state is gone allocate and free: no block is handed out twice.
static void busy_destructor(void* value) {
  const uintptr_t round = (uintptr_t)value;
  if (round < PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
    pthread_setspecific(g_keys[0], (void*)(round + 1));
    return;
  }
  const size_t sizes[] = {20, 700, 3000, 9000, 40000};
  for (size_t i = 0; i < 400; ++i) {
    uint32_t* p[COUNT_OF(sizes)];
    const uint32_t mark = (uint32_t)(uintptr_t)&p ^ (uint32_t)i;
    for (size_t k = 0; k < COUNT_OF(sizes); ++k) {
      p[k] = malloc(sizes[k]);
      *p[k] = mark;
    }
    for (size_t k = 0; k < COUNT_OF(sizes); ++k) {
      CHECK(*p[k] == mark, "a block of %zu bytes was handed out twice", sizes[k]);
      free(p[k]);
    }
  }
}
static void* busy_set(void* argument) {
  pthread_setspecific(g_keys[0], (void*)(uintptr_t)1);
  free(malloc(100));
  return argument;
}
static void tsd_destructors_busy(void) {
  pthread_key_create(&g_keys[0], busy_destructor);
  for (int i = 0; i < 40; ++i) run_threads(8, busy_set, NULL);
}

enum { kLeft = 4000 };
static void* g_left[kLeft];
static size_t left_size(size_t i) { return 10 + i * 7 % 6000; }
static void* leave_blocks(void* argument) {
  for (size_t i = 0; i < kLeft; ++i) {
    g_left[i] = malloc(left_size(i));
    fill(g_left[i], left_size(i), (uint32_t)i);
  }
  return argument;
}
static void* take_blocks(void* argument) {
  for (size_t i = 0; i < kLeft; ++i) {
    CHECK(is_filled(g_left[i], left_size(i), (uint32_t)i), "a block of a dead thread changed");
    free(g_left[i]);
  }
  return argument;
}

static void blocks_outlive_threads(void) {
  size_t before = 0;
  for (int round = 0; round < 100; ++round) {
    if (round == 10) before = resident_kib();
    run_threads(1, leave_blocks, NULL);
    if (round % 2 == 0) {
      run_threads(1, take_blocks, NULL);
    } else {
      take_blocks(NULL);
    }
  }
  check_growth(before, 20 * 1024, "100 threads that leave 12 MiB to others");
}

// Rings through which each thread passes blocks to the next.
enum { kRing = 256, kPassers = 4, kPasses = 150000 };
struct Parcel {
  uint32_t bytes, seed;
};
static _Atomic(struct Parcel*) g_ring[kPassers][kRing];

static void* pass_on(void* argument) {
  const size_t self = (uintptr_t)argument;
  uint32_t random = 1000 + (uint32_t)self;
  for (int i = 0; i < kPasses; ++i) {
    const uint32_t pick = next_random(&random);
    const uint32_t bytes = (uint32_t)sizeof(struct Parcel) + (pick % 1000 == 0 ? pick % 200000
                                                              : pick % 30 == 0 ? pick % 30000
                                                                               : pick % 400);
    struct Parcel* parcel = pick % 5 == 0 ? aligned_alloc(64, bytes) : malloc(bytes);
    parcel->bytes = bytes;
    parcel->seed = pick;
    fill(parcel + 1, bytes - sizeof(*parcel), pick);
    struct Parcel* got =
        atomic_exchange(&g_ring[(self + pick) % kPassers][pick / 16 % kRing], parcel);
    if (got == NULL) continue;
    CHECK(is_filled(got + 1, got->bytes - sizeof(*got), got->seed),
          "a block of %u bytes changed on its way", got->bytes);
    if (pick % 16 == 1) {
      got = realloc(got, got->bytes + 300);
      CHECK(is_filled(got + 1, got->bytes - sizeof(*got), got->seed),
            "a realloc of another's block lost bytes");
    }
    free(got);
  }
  return NULL;
}

static void blocks_change_hands(void) {
  run_threads(kPassers, pass_on, NULL);
  for (size_t i = 0; i < kPassers; ++i) {
    for (size_t j = 0; j < kRing; ++j) {
      struct Parcel* p = g_ring[i][j];
      CHECK(p == NULL || is_filled(p + 1, p->bytes - sizeof(*p), p->seed),
            "a block changed on its way");
      free(p);
    }
  }
}

// One thread only allocates, one only frees: memory must not pile up with either.
static atomic_bool g_done;
static void* allocate_only(void* argument) {
  for (int i = 0; i < 400000; ++i) {
    char* p = malloc(64 + (size_t)(i % 32) * 16);
    p[0] = 1;
    const size_t slot = (size_t)i % kRing;
    struct Parcel* empty = NULL;
    while (!atomic_compare_exchange_weak(&g_ring[0][slot], &empty, (struct Parcel*)p)) {
      empty = NULL;
      sched_yield();
    }
  }
  g_done = true;
  return argument;
}
static void* free_only(void* argument) {
  for (size_t slot = 0;; slot = (slot + 1) % kRing) {
    void* p = atomic_exchange(&g_ring[0][slot], NULL);
    free(p);
    if (p == NULL && g_done) break;
  }
  return argument;
}
static void* one_of_both(void* argument) {
  return (uintptr_t)argument == 0 ? allocate_only(argument) : free_only(argument);
}
static void one_way(void) {
  const size_t before = resident_kib();
  run_threads(2, one_of_both, NULL);
  for (size_t i = 0; i < kRing; ++i) free(g_ring[0][i]);
  check_growth(before, 16 * 1024, "400,000 blocks from one thread to another");
}

// A huge block that realloc moves leaves an address range that another thread's mapping may get at
// once: neither may see the other's bytes.
static void* huge_reallocs(void* argument) {
  const uint32_t seed = (uint32_t)(uintptr_t)argument + 1;
  enum { kLow = 33 << 20, kStep = 3 << 20, kPage = 4096 };
  for (int round = 0; round < 60; ++round) {
    size_t size = kLow;
    char* p = malloc(size);
    CHECK(p != NULL, "malloc(%zu) gave NULL", size);
    for (size_t at = 0; at < size; at += 64 * kPage) fill(p + at, 64, seed);
    for (int step = 0; step < 8; ++step) {
      const size_t larger = size + kStep;
      p = realloc(p, larger);
      CHECK(p != NULL, "realloc(%zu) gave NULL", larger);
      for (size_t at = 0; at < size; at += 64 * kPage) {
        CHECK(is_filled(p + at, 64, seed), "a huge realloc lost the page at %zu", at);
      }
      const size_t first_new = (size + 64 * kPage - 1) / (64 * kPage) * (64 * kPage);
      for (size_t at = first_new; at < larger; at += 64 * kPage) fill(p + at, 64, seed);
      size = larger;
      char* other = mmap(NULL, kStep, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      CHECK(other != MAP_FAILED, "mmap failed");
      CHECK(is_zero(other, kPage), "a fresh mapping is not zero");
      fill(other, kPage, seed + 7);
      if (step % 3 == 0) sched_yield();
      CHECK(is_filled(other, kPage, seed + 7), "a mapping of the program changed");
      munmap(other, kStep);
    }
    free(p);
  }
  return NULL;
}
static void huge_reallocs_race(void) { run_threads(4, huge_reallocs, NULL); }

static void* all_sizes(void* argument) {
  for (size_t size = 1; size < (100u << 20); size = size * 5 / 4 + 1) {
    char* p = malloc(size);
    CHECK(p != NULL, "malloc(%zu) gave NULL", size);
    p[0] = p[size - 1] = 1;
    p = realloc(p, size / 2 + 1);
    void* q = aligned_alloc(1024, size);
    void* z = calloc(1, size);
    free(p);
    free(q);
    free(z);
  }
  return argument;
}

static void* nothing(void* argument) { return argument; }

static void smallest_stack(void) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0,
        "setstacksize");
  for (int i = 0; i < 10; ++i) run_threads(8, all_sizes, &attributes);
}

// How much of its stack a thread needs that allocates, also when all is due that seldom is, such as
// a look at the limits of the control group. The dynamic linker, which binds what is called for the
// first time, may need more: the least of some threads counts.
static void little_stack(void) {
  enum { kStack = 128 * 1024, kMost = 5 * 1024, kUntouched = 0x5a };
  unsigned char* const stack =
      mmap(NULL, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(stack != MAP_FAILED, "mmap failed");
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstack(&attributes, stack, kStack) == 0, "setstack");
  run_threads(1, all_sizes, &attributes);
  size_t without = 0;
  size_t least = kStack;
  for (int round = 0; round < 4; ++round) {
    memset(stack, kUntouched, kStack);
    if (round != 0) usleep(300 * 1000);
    run_threads(1, round == 0 ? nothing : all_sizes, &attributes);
    size_t used = kStack;
    while (used > 0 && stack[kStack - used] == kUntouched) --used;
    if (round == 0) without = used;
    if (round != 0 && used < least) least = used;
  }
  CHECK(least <= without + kMost, "malloc and free take %zu bytes of stack", least - without);
  munmap(stack, kStack);
}

// A program may use every key there is.
static void keys_left_alone(void) {
  static pthread_key_t keys[PTHREAD_KEYS_MAX];
  free(malloc(100));
  run_threads(2, short_life, NULL);
  size_t made = 0;
  while (made < PTHREAD_KEYS_MAX && pthread_key_create(&keys[made], free) == 0) ++made;
  CHECK(made == PTHREAD_KEYS_MAX, "only %zu of %d pthread keys are to be had", made,
        PTHREAD_KEYS_MAX);
  for (size_t i = 0; i < made; ++i) {
    CHECK(pthread_getspecific(keys[i]) == NULL, "a new key has a value");
    CHECK(pthread_setspecific(keys[i], malloc(i)) == 0, "pthread_setspecific failed");
  }
  run_threads(8, short_life, NULL);
}

static void stays_single_threaded(void) {
  for (int round = 0; round < 20; ++round) {
    void* blocks[200];
    for (size_t i = 0; i < COUNT_OF(blocks); ++i)
      memset(blocks[i] = malloc(i * i * 10), 1, i * i * 10);
    for (size_t i = 0; i < COUNT_OF(blocks); ++i) free(blocks[i]);
    malloc_trim(0);
    usleep(20000);
  }
  CHECK(__libc_single_threaded, "the allocator has made the process multi-threaded");
}

static void* cancelled(void* argument) {
  for (size_t i = 1;; ++i) {
    free(malloc(i % 5000));
    if (i % 16 == 0) pthread_testcancel();
  }
  return argument;
}
static void cancellation(void) {
  for (int i = 0; i < 300; ++i) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancelled, NULL) == 0, "no thread");
    if (i % 3 == 0) usleep(200);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
  }
  all_sizes(NULL);
}

// A thread with a cancellation pending must not end inside of a call that is no cancellation point.
void* __libc_malloc(size_t bytes);
static volatile int g_returned;
static void* cancelled_before_calls(void* argument) {
  void* const outsider = __libc_malloc(100);
  void* const moved = __libc_malloc(100);
  pthread_cancel(pthread_self());
  malloc_stats();
  free(malloc(100000));
  malloc_trim(0);
  free(outsider);
  free(realloc(moved, 1000));
  g_returned = 1;
  pthread_testcancel();
  return argument;
}
static void no_cancellation_point(void) {
  const int saved = dup(STDERR_FILENO);
  const int null = open("/dev/null", O_WRONLY);
  CHECK(dup2(null, STDERR_FILENO) == STDERR_FILENO, "no standard error");
  pthread_t thread;
  const int failed = pthread_create(&thread, NULL, cancelled_before_calls, NULL);
  if (failed == 0) pthread_join(thread, NULL);
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(null);
  CHECK(failed == 0, "no thread");
  CHECK(g_returned, "a thread was cancelled inside a call of the allocator");
}

static pthread_t g_main;
static void* outlive_main(void* argument) {
  if ((uintptr_t)argument == 0) pthread_join(g_main, NULL);
  for (int i = 0; i < 5; ++i) all_sizes(NULL);
  return NULL;
}
static void main_ends_first(void) {
  g_main = pthread_self();
  void* kept = malloc(100);
  pthread_t threads[3];
  for (size_t i = 0; i < COUNT_OF(threads); ++i) {
    CHECK(pthread_create(&threads[i], NULL, outlive_main, (void*)i) == 0, "no thread");
    if (i != 0) pthread_detach(threads[i]);
  }
  free(kept);
  pthread_exit(NULL);  // the process ends, with 0, after its last thread
}

static const struct Case kCases[] = {
    {"short_threads", short_threads},
    {"tsd_destructors", tsd_destructors},
    {"tsd_destructors_only", tsd_destructors_only},
    {"tsd_destructors_busy", tsd_destructors_busy},
    {"blocks_outlive_threads", blocks_outlive_threads},
    {"blocks_change_hands", blocks_change_hands},
    {"one_way", one_way},
    {"huge_reallocs_race", huge_reallocs_race},
    {"smallest_stack", smallest_stack},
    {"little_stack", little_stack},
    {"keys_left_alone", keys_left_alone},
    {"stays_single_threaded", stays_single_threaded},
    {"cancellation", cancellation},
    {"no_cancellation_point", no_cancellation_point},
    {"main_ends_first", main_ends_first},
};

int main(int argc, char** argv) { return conformance_main(kCases, COUNT_OF(kCases), argc, argv); }
