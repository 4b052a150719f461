// Allocates and frees at random from several threads, and knows every block that it holds: in a
// table in a shared mapping of a file, which outlives the process. What the walker lists must be
// that, and nothing else but what the C library had before.
//
//   holder TABLE SEED STEPS MODE
//
// MODE: `wait` stops when all threads rest, prints "ready" and sleeps; `abort` aborts at rest;
// `crash` aborts while the threads are at it. The table's head tells what tide_visit_blocks shows
// at rest, where the process has it.
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tide/tide.h"

enum { kThreads = 4, kSlots = 3000, kMostOthers = 4096 };

// What a thread does with a slot, so that a crash in the middle of a call can be judged.
enum { kEmpty, kAllocating, kHeld, kFreeing, kResizing };

struct Slot {
  _Atomic uint64_t state;
  uint64_t address;
  uint64_t bytes;
};

struct Table {
  uint64_t slots;
  uint64_t others;   // blocks that are not the threads': before they began
  uint64_t visited;  // at rest, by tide_visit_blocks
  uint64_t visited_bytes;
  uint64_t other[kMostOthers];
  struct Slot slot[kThreads * kSlots];
};

#ifndef HOLDER_IS_LINKED  // to Tide; else it may be preloaded
extern int tide_visit_blocks(tide_block_visitor visit, void* argument) __attribute__((weak));
extern tide_heap_t* tide_heap_create(size_t limit) __attribute__((weak));
extern void* tide_heap_malloc(tide_heap_t* heap, size_t size) __attribute__((weak));
#endif

static struct Table* table;
static pthread_barrier_t barrier;  // of the threads and, but in `crash`, of main
static pthread_barrier_t begun;    // of all: main looks at what is there between two of them
static long steps;
static int mode;
static uint64_t seed;
static tide_heap_t* own_heap;

static uint64_t next_random(uint64_t* state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static size_t random_size(uint64_t* state) {
  const uint64_t kind = next_random(state) % 4000;
  if (kind < 2800) return next_random(state) % 512;
  if (kind < 3800) return next_random(state) % 20000;
  if (kind < 3980) return next_random(state) % 100000;
  if (kind < 3999) return 65536 + next_random(state) % 2000000;
  return 33000000 + next_random(state) % 4000000;
}

static void* allocate(uint64_t* random, size_t size) {
  switch (next_random(random) % 12) {
    case 0:
      return calloc(1, size);
    case 1:
      return aligned_alloc(64, (size + 63) / 64 * 64);
    case 2: {
      void* block = NULL;
      const size_t alignment = (size_t)16 << next_random(random) % 10;
      return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
    }
    case 3:
      return own_heap != NULL ? tide_heap_malloc(own_heap, size) : malloc(size);
    default:
      return malloc(size);
  }
}

static void fill(struct Slot* slot, uint64_t* random) {
  const size_t size = random_size(random);
  atomic_store(&slot->state, kAllocating);
  void* const block = allocate(random, size);
  if (block == NULL) _exit(3);
  memset(block, 0x5a, size < 64 ? size : 64);
  slot->address = (uint64_t)(uintptr_t)block;
  slot->bytes = malloc_usable_size(block);
  atomic_store(&slot->state, kHeld);
}

static void empty(struct Slot* slot) {
  atomic_store(&slot->state, kFreeing);
  free((void*)(uintptr_t)slot->address);
  atomic_store(&slot->state, kEmpty);
}

static void resize(struct Slot* slot, uint64_t* random) {
  const size_t size = random_size(random) + 1;
  atomic_store(&slot->state, kResizing);
  void* const block = realloc((void*)(uintptr_t)slot->address, size);
  if (block == NULL) _exit(3);
  slot->address = (uint64_t)(uintptr_t)block;
  slot->bytes = malloc_usable_size(block);
  atomic_store(&slot->state, kHeld);
}

// Threads take turns with the slots: in each round a thread has another's, and frees its blocks.
static void* work(void* argument) {
  const long self = (long)argument;
  uint64_t random = seed * 1000003 + (uint64_t)self;
  // What a thread's first calls bring with them, in the C library, is there before it counts.
  void* first[500];
  for (int i = 0; i < 500; ++i) first[i] = malloc(100);
  for (int i = 0; i < 500; ++i) free(first[i]);
  pthread_barrier_wait(&begun);
  pthread_barrier_wait(&begun);
  for (long round = 0; round < 4 || mode == 2; ++round) {
    struct Slot* const mine = table->slot + (self + round) % kThreads * kSlots;
    for (long step = 0; step < steps; ++step) {
      struct Slot* const slot = &mine[next_random(&random) % kSlots];
      if (slot->state == kEmpty) {
        fill(slot, &random);
      } else if (next_random(&random) % 8 == 0) {
        resize(slot, &random);
      } else if (next_random(&random) % 4 != 0) {
        empty(slot);
      }
      if (mode == 2 && self == 0 && round > 3 && step == (long)(seed * 7919 % 1000)) abort();
    }
    pthread_barrier_wait(&barrier);
  }
  pthread_barrier_wait(&barrier);
  for (;;) pause();
}

static int note_other(const struct tide_block* block, void* argument) {
  (void)argument;
  if (table->others < kMostOthers)
    table->other[table->others++] = (uint64_t)(uintptr_t)block->address;
  return 1;
}

static int count_block(const struct tide_block* block, void* argument) {
  (void)argument;
  ++table->visited;
  table->visited_bytes += block->usable_bytes;
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ftruncate(file, sizeof(struct Table)) != 0) return 2;
  table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (table == MAP_FAILED) return 2;
  close(file);
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  seed = strtoull(argv[2], NULL, 10);
  steps = strtol(argv[3], NULL, 10);
  mode = argv[4][0] == 'w' ? 0 : argv[4][0] == 'a' ? 1 : 2;
  table->slots = kThreads * kSlots;
  if (tide_heap_create != NULL && seed % 2 == 0) own_heap = tide_heap_create(0);
  pthread_barrier_init(&begun, NULL, kThreads + 1);
  pthread_barrier_init(&barrier, NULL, kThreads + (mode == 2 ? 0 : 1));
  for (long i = 0; i < kThreads; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void*)i) != 0) return 2;
  }
  pthread_barrier_wait(&begun);
  if (tide_visit_blocks != NULL) tide_visit_blocks(note_other, NULL);
  pthread_barrier_wait(&begun);
  if (mode == 2) {
    for (;;) pause();
  }
  for (int round = 0; round < 5; ++round) pthread_barrier_wait(&barrier);
  if (tide_visit_blocks != NULL) tide_visit_blocks(count_block, NULL);
  if (mode == 1) abort();
  if (write(1, "ready\n", 6) != 6) return 2;
  for (;;) pause();
}
