/* Allocates at random in several threads, which hand blocks over to each other, and in forked
   children; counts its own calls and live bytes and writes them to FOLDER/<pid>, as JSON. What
   it counts lies between the markers "begin" and "end".

   usage: workload FOLDER SEED THREADS OPERATIONS FORKS */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Null in a process that is not recorded. */
int tide_trace_marker(const char* name) __attribute__((weak));
static void marker(const char* name) {
  if (tide_trace_marker != NULL) tide_trace_marker(name);
}

enum {
  MALLOC,
  CALLOC,
  REALLOC,
  REALLOCARRAY,
  ALIGNED,
  POSIX,
  MEMALIGN,
  VALLOC,
  PVALLOC,
  FREE,
  KINDS
};
static const char* const kNames[KINDS] = {
    "malloc",         "calloc",   "realloc", "reallocarray", "aligned_alloc",
    "posix_memalign", "memalign", "valloc",  "pvalloc",      "free"};

enum { SLOTS = 512, MOST_THREADS = 16 };

struct block {
  void* p;
  size_t size;
};

/* A block that any thread may take or leave; the pointer to the pair is exchanged. */
static _Atomic(struct block*) g_shared[SLOTS];
static struct block g_pairs[MOST_THREADS][SLOTS];

struct thread {
  uint64_t random;
  long operations;
  long calls[KINDS];
  long long live; /* bytes that came less bytes that went */
  int number;
  pthread_barrier_t* barrier;
};

static uint64_t next(struct thread* t) {
  t->random ^= t->random << 13;
  t->random ^= t->random >> 7;
  t->random ^= t->random << 17;
  return t->random;
}

static size_t any_size(struct thread* t) {
  const uint64_t r = next(t);
  return r % 64 == 0 ? r / 64 % 300000 : r / 64 % 600;
}

static void allocate(struct thread* t, struct block* b) {
  const int kind = next(t) % 4 != 0 ? MALLOC : (int)(next(t) % 10);
  const size_t alignment = (size_t)16 << next(t) % 8;
  b->size = any_size(t);
  switch (kind) {
    case CALLOC:
      b->size = b->size / 8 * 8;
      b->p = calloc(b->size / 8, 8);
      break;
    case REALLOC:
      b->size++;
      b->p = realloc(NULL, b->size);
      break;
    case REALLOCARRAY:
      b->size = b->size / 4 * 4 + 4;
      b->p = reallocarray(NULL, b->size / 4, 4);
      break;
    case ALIGNED:
      b->size = (b->size + alignment - 1) / alignment * alignment;
      b->p = aligned_alloc(alignment, b->size);
      break;
    case POSIX:
      if (posix_memalign(&b->p, alignment, b->size) != 0) abort();
      break;
    case MEMALIGN:
      b->p = memalign(alignment, b->size);
      break;
    case VALLOC:
      b->p = valloc(b->size);
      break;
    case PVALLOC: /* not all allocators have it */
    default:
      t->calls[MALLOC]++;
      t->calls[kind]--;
      b->p = malloc(b->size);
  }
  t->calls[kind]++;
  if (b->p == NULL) abort();
  memset(b->p, 1, b->size < 64 ? b->size : 64);
  t->live += (long long)b->size;
}

static void release(struct thread* t, struct block* b) {
  t->calls[FREE]++;
  t->live -= (long long)b->size;
  free(b->p);
  b->p = NULL;
}

static void resize(struct thread* t, struct block* b) {
  const size_t size = any_size(t) + 1;
  t->live += (long long)size - (long long)b->size;
  b->p = realloc(b->p, size);
  b->size = size;
  t->calls[REALLOC]++;
}

static void* work(void* argument) {
  struct thread* t = argument;
  struct block mine[64] = {{0}};
  struct block* empty = NULL; /* what the last exchange brought, if nothing is in it */
  size_t fresh = 0;
  pthread_barrier_wait(t->barrier);
  for (long i = 0; i < t->operations; ++i) {
    struct block* const b = &mine[next(t) % 64];
    if (b->p == NULL) {
      allocate(t, b);
      if (next(t) % 16 == 0) free(NULL), t->calls[FREE]++;
    } else if (next(t) % 4 == 0) {
      resize(t, b);
    } else if (next(t) % 2 == 0) {
      /* Hand over, and take what is there. */
      if (empty == NULL && fresh == SLOTS) continue;
      struct block* const pair = empty != NULL ? empty : &g_pairs[t->number][fresh++];
      empty = NULL;
      *pair = *b;
      b->p = NULL;
      struct block* const got = atomic_exchange(&g_shared[next(t) % SLOTS], pair);
      if (got != NULL) {
        *b = *got;
        empty = got;
      }
    } else {
      release(t, b);
    }
  }
  for (size_t i = 0; i < 32; ++i) {
    if (mine[i].p != NULL) release(t, &mine[i]);
  }
  pthread_barrier_wait(t->barrier);
  /* The end of a thread frees, too: after the marker. */
  pthread_barrier_wait(t->barrier);
  return NULL;
}

/* Without stdio, which allocates. */
static void report(const char* folder, const struct thread* threads, int count) {
  char text[4096];
  int length = snprintf(text, sizeof text, "{\"calls\": {");
  long long live = 0;
  for (int kind = 0; kind < KINDS; ++kind) {
    long calls = 0;
    for (int i = 0; i < count; ++i) calls += threads[i].calls[kind];
    length += snprintf(text + length, sizeof text - (size_t)length, "%s\"%s\": %ld",
                       kind == 0 ? "" : ", ", kNames[kind], calls);
  }
  for (int i = 0; i < count; ++i) live += threads[i].live;
  length +=
      snprintf(text + length, sizeof text - (size_t)length, "}, \"live_bytes\": %lld}\n", live);
  char path[512];
  snprintf(path, sizeof path, "%s/%d", folder, getpid());
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0 || write(file, text, (size_t)length) != length) abort();
  close(file);
}

static void run(uint64_t seed, int count, long operations, const char* folder) {
  pthread_t handles[MOST_THREADS];
  static struct thread threads[MOST_THREADS];
  pthread_barrier_t barrier;
  memset(threads, 0, sizeof threads);
  memset(g_shared, 0, sizeof g_shared);
  pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
  for (int i = 0; i < count; ++i) {
    threads[i].random = seed * 1000003 + (uint64_t)i * 7919 + 1;
    threads[i].operations = operations;
    threads[i].number = i;
    threads[i].barrier = &barrier;
    if (pthread_create(&handles[i], NULL, work, &threads[i]) != 0) abort();
  }
  marker("begin");
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  marker("end");
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < count; ++i) pthread_join(handles[i], NULL);
  report(folder, threads, count);
}

int main(int count, char** arguments) {
  if (count != 6) return 2;
  const uint64_t seed = strtoull(arguments[2], NULL, 10);
  const int threads = atoi(arguments[3]);
  const long operations = atol(arguments[4]);
  /* Children fork while nobody else runs: which locks they find is not the subject here. */
  for (int i = 0; i < atoi(arguments[5]); ++i) {
    if (fork() == 0) {
      run(seed + 100 + (uint64_t)i, threads, operations / 4, arguments[1]);
      _exit(0);
    }
  }
  run(seed, threads, operations, arguments[1]);
  while (wait(NULL) > 0) {
  }
  return 0;
}
