/* The loops whose instructions tools/check_fastpath.py counts: hot_pair ROW ROUNDS.
 *
 * Knows nothing of Tide: the allocator comes by LD_PRELOAD. Each row does ROUNDS pairs, so that the
 * difference of two runs is a number of pairs and start-up drops out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* operator new(size_t), operator delete(void*), operator delete(void*, size_t) */
extern void* _Znwm(size_t);
extern void _ZdlPv(void*);
extern void _ZdlPvm(void*, size_t);

enum { kBatch = 256 };
static void* blocks[kBatch];

/* A program uses what it gets: one store, which also keeps the compiler from dropping the pair. */
static void* touch(void* block) {
  *(volatile char*)block = 1;
  return block;
}

static void pair(size_t bytes, long rounds) {
  for (long i = 0; i < rounds; i++) free(touch(malloc(bytes)));
}

static void batch(size_t bytes, long rounds) {
  for (long i = 0; i < rounds; i += kBatch) {
    for (int j = 0; j < kBatch; j++) blocks[j] = touch(malloc(bytes));
    for (int j = 0; j < kBatch; j++) free(blocks[j]);
  }
}

static void new_delete(size_t bytes, long rounds) {
  for (long i = 0; i < rounds; i++) _ZdlPv(touch(_Znwm(bytes)));
}

static void new_sized_delete(size_t bytes, long rounds) {
  for (long i = 0; i < rounds; i++) _ZdlPvm(touch(_Znwm(bytes)), bytes);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(size_t, long);
    size_t bytes;
  } rows[] = {
      {"pair_64", pair, 64},
      {"pair_1024", pair, 1024},
      {"pair_16k", pair, 16384},
      {"batch_64", batch, 64},
      {"new_delete_64", new_delete, 64},
      {"new_sized_delete_64", new_sized_delete, 64},
  };
  if (argc == 3) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
      if (strcmp(rows[i].name, argv[1]) == 0) {
        /* One more live block of the class: allocators that retire an empty page would otherwise be
         * measured doing that. */
        void* keep = touch(malloc(rows[i].bytes));
        rows[i].run(rows[i].bytes, atol(argv[2]));
        free(keep);
        return 0;
      }
    }
  }
  fprintf(stderr, "usage: hot_pair ROW ROUNDS\n");
  return 2;
}
