// One function per way to misuse a block that only hardened mode, or a sampled guard, can notice;
// `hardened CASE SIZE` runs it and is expected to die with one line of the allocator. A case that
// survives exits with 3. run.py has the table of what each must print, and under which options.
//
// What is done here is undefined by every standard; pointers pass through opaque() so that the
// compiler neither warns nor takes advantage of it.
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tide/tide.h>

#include "tests/hardened/large.h"
#include "tests/misuse/case_table.h"

#pragma weak tide_heap_create
#pragma weak tide_heap_destroy
#pragma weak tide_heap_malloc
#pragma weak tide_heap_realloc
#pragma weak tide_heap_of
#pragma weak tide_heap_walk

// operator new, new[], delete, delete[] and delete with a size, by their names in the C++ ABI.
void* _Znwm(size_t bytes);
void* _Znam(size_t bytes);
void _ZdlPv(void* p);
void _ZdaPv(void* p);
void _ZdlPvm(void* p, size_t bytes);

static volatile unsigned char g_sink;

size_t g_size;

unsigned char* block(void) {
  unsigned char* p = malloc(g_size);
  if (p == NULL) exit(4);
  memset(p, 1, g_size);
  return opaque(p);
}

// Enough of the same size to take everything out of a cache or a quarantine.
static void churn(void) {
  const size_t rounds = g_size > 65536 ? 400 : 30000;
  for (size_t i = 0; i < rounds; ++i) free(opaque(malloc(g_size)));
}

// ---- past the end

static void overflow(size_t by) {
  unsigned char* p = block();
  p[g_size + by - 1] ^= 0x5a;  // whatever was there
  free(p);
}
static void overflow_by_1(void) { overflow(1); }
static void overflow_by_8(void) { overflow(8); }
static void overflow_with_zero(void) {
  unsigned char* p = block();
  p[g_size] = 0;
  free(p);
}
static void overflow_all_the_way(void) {
  unsigned char* p = block();
  memset(p, 0, malloc_usable_size(p) + 24);
  free(p);
}
static void overflow_then_realloc(void) {
  unsigned char* p = block();
  p[g_size] = 0x5a;
  p = realloc(p, g_size * 3);
}
static void overflow_then_usable_size(void) {
  unsigned char* p = block();
  p[g_size] = 0x5a;
  if (malloc_usable_size(p) == 12345678) exit(5);
}
static void overflow_of_calloc(void) {
  unsigned char* p = opaque(calloc(1, g_size));
  p[g_size] = 0x5a;
  free(p);
}
static void overflow_of_aligned(void) {
  void* p = NULL;
  if (posix_memalign(&p, 64, g_size) != 0) exit(4);
  ((unsigned char*)opaque(p))[g_size] = 0x5a;
  free(p);
}
static void overflow_of_shrunk(void) {
  unsigned char* p = block();
  p = realloc(p, g_size - 3);
  p[g_size - 3] = 0x5a;
  free(p);
}
// Grown where it is, a little at a time; what is written then ends behind the block.
static unsigned char* grown_in_place(void) {
  unsigned char* p = block();
  for (size_t more = 1; more <= 40; ++more) {
    unsigned char* const next = realloc(p, g_size + more);
    if (next != p) exit(4);
    p[g_size + more - 1] = 0x5a;
  }
  return p;
}
static void overflow_of_grown(void) {
  unsigned char* p = grown_in_place();
  p[g_size + 40] = 0x5a;
  free(p);
}
static void overflow_then_growth(void) {
  unsigned char* p = grown_in_place();
  p[g_size + 40] = 0x5a;
  p = opaque(realloc(p, g_size + 41));
}
// Far behind the end: the next realloc does not look there, free does.
static void overflow_far_behind_grown(void) {
  unsigned char* p = grown_in_place();
  p[g_size + 200] = 0x5a;
  free(opaque(realloc(p, g_size + 41)));
}
static void* run_free(void* p) {
  free(p);
  return NULL;
}
static void overflow_freed_by_another(void) {
  unsigned char* p = block();
  p[g_size] = 0x5a;
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_free, p) != 0) exit(4);
  pthread_join(thread, NULL);
}
// To the page behind the one in which the block ends.
static void overflow_to_next_page(void) {
  unsigned char* p = block();
  const uintptr_t end = ((uintptr_t)p + g_size + 8 + 4095) / 4096 * 4096;
  *(volatile unsigned char*)end = 1;
}
static void read_next_page(void) {
  unsigned char* p = block();
  const uintptr_t end = ((uintptr_t)p + g_size + 8 + 4095) / 4096 * 4096;
  g_sink = *(volatile unsigned char*)end;
}
// Never freed: only a look at all blocks can tell.
static void overflow_unfreed(void) {
  unsigned char* p = block();
  p[g_size] = 0x5a;
  g_size = 48;
  for (int i = 0; i < 200000; ++i) free(opaque(malloc(g_size)));
}

// ---- after free

static void write_after_free(void) {
  unsigned char* p = block();
  free(p);
  ((volatile unsigned char*)opaque(p))[5] = 0x5a;
  churn();
}
static void write_last_after_free(void) {
  unsigned char* p = block();
  free(p);
  ((volatile unsigned char*)opaque(p))[g_size - 1] = 0x5a;
  churn();
}
static void read_after_free(void) {
  unsigned char* p = block();
  free(p);
  g_sink = ((volatile unsigned char*)opaque(p))[5];
}
// No line: what is read there is not what was written.
static void secret_after_free(void) {
  unsigned char* p = block();
  free(p);
  exit(((volatile unsigned char*)opaque(p))[g_size / 2] == 1 ? 3 : 0);
}
// A few bytes here and there; where nothing was written may be no memory at all.
static void scattered_after_free(void) {
  for (size_t step = 1; step < g_size; step = step * 3 + 1) {
    unsigned char* p = opaque(malloc(g_size));
    for (size_t at = step / 2; at < g_size; at += step) p[at] = 1;
    free(p);
    // The last bytes of a block keep the seal while it is free.
    for (size_t at = 0; at + 8 < g_size; ++at) {
      if (((volatile unsigned char*)opaque(p))[at] != 0) exit(3);
    }
  }
  exit(0);
}
static void not_reused_at_once(void) {
  void* p = block();
  free(p);
  for (int i = 0; i < 20; ++i) {
    if (opaque(malloc(g_size)) == opaque(p)) exit(3);
  }
  exit(0);
}
// The same program twice must not see the same order.
static void order(void) {
  void* blocks[64];
  for (int i = 0; i < 64; ++i) blocks[i] = block();
  int rising = 0;
  for (int i = 1; i < 64; ++i) rising += blocks[i] > blocks[i - 1];
  exit(rising > 55 || rising < 8 ? 3 : 0);
}

// ---- families and sizes

static void new_then_free(void) { free(opaque(_Znwm(g_size))); }
static void malloc_then_delete(void) { _ZdlPv(block()); }
static void new_array_then_delete(void) { _ZdlPv(opaque(_Znam(g_size))); }
static void new_then_delete_array(void) { _ZdaPv(opaque(_Znwm(g_size))); }
static void delete_of_other_size(void) { _ZdlPvm(opaque(_Znwm(g_size)), g_size + 1); }
static void delete_of_less_than_half(void) { _ZdlPvm(opaque(_Znwm(g_size)), g_size / 2 - 1); }
static void delete_of_smaller_size(void) { _ZdlPvm(opaque(_Znwm(g_size)), g_size - 1); }

// ---- guards

static void double_free(void) {
  void* p = block();
  free(p);
  free(opaque(p));
}
static void free_inside(void) { free(block() + 16); }
static void realloc_freed(void) {
  void* p = block();
  free(p);
  if (realloc(opaque(p), 100) == p) exit(5);
}
// Some blocks lie against the guard page before them, most against the one behind.
static void underflow(void) {
  for (int i = 0; i < 40; ++i) {
    unsigned char* p = block();
    if ((uintptr_t)p % 4096 == 0) g_sink = *(volatile unsigned char*)opaque(p - 1);
  }
}
static void write_before(void) {
  for (int i = 0; i < 40; ++i) {
    unsigned char* p = block();
    if ((uintptr_t)p % 4096 == 0) continue;
    p[-1] = 0x5a;
    free(p);
  }
}
static void read_behind(void) {
  for (int i = 0; i < 40; ++i) {
    unsigned char* p = block();
    if (((uintptr_t)p + g_size) % 4096 == 0) g_sink = ((volatile unsigned char*)opaque(p))[g_size];
  }
}

// ---- in order: blocks of no bytes are as good as any, and one byte long

static void nothing_asked(void) {
  void* p = opaque(malloc(0));
  if (malloc_usable_size(p) < 1) exit(5);
  *(char*)p = 1;
  free(p);
  p = opaque(_Znwm(0));
  _ZdlPvm(opaque(p), 0);
  p = opaque(calloc(0, 8));
  if (malloc_usable_size(p) < 1) exit(5);
  p = opaque(realloc(p, 100));
  free(p);
  p = opaque(aligned_alloc(64, 0));
  free(p);
  tide_heap_t* heap = tide_heap_create(0);
  tide_heap_t* other = tide_heap_create(0);
  p = opaque(tide_heap_malloc(heap, 0));
  if (tide_heap_of(p) != heap || tide_heap_realloc(other, p, 10) != NULL) exit(5);
  free(p);
  tide_heap_destroy(heap);
  tide_heap_destroy(other);
  exit(0);
}

// Heaps come and go, and all their blocks with them, while another thread's frees have all live
// blocks checked.
static atomic_bool g_ended;
static void* free_many(void* unused) {
  for (int i = 0; i < 3000000; ++i) free(opaque(malloc(48)));
  atomic_store(&g_ended, true);
  return unused;
}
static void heaps_end(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, free_many, NULL) != 0) exit(4);
  while (!atomic_load(&g_ended)) {
    tide_heap_t* heap = tide_heap_create(0);
    for (int i = 0; i < 2000; ++i) {
      void* p = tide_heap_malloc(heap, i % 100 == 0 ? 100000 : g_size);
      if (p == NULL) exit(4);
    }
    tide_heap_destroy(heap);
  }
  pthread_join(thread, NULL);
  exit(0);
}

// tide_heap_walk() shows what is live, with its usable size, and nothing that was freed.
enum { kVisited = 300 };
static unsigned char* g_blocks[kVisited];
static size_t g_usable[kVisited];
static int g_times_seen[kVisited];
static int see(const struct tide_block* seen, void* unused) {
  (void)unused;
  for (int i = 0; i < kVisited; ++i) {
    if (g_blocks[i] != seen->address) continue;
    if (i % 3 == 0) exit(6);
    if (g_usable[i] != seen->usable_bytes) exit(7);
    ++g_times_seen[i];
  }
  return 1;
}
static int g_visited_others;
static int see_other(const struct tide_block* seen, void* unused) {
  (void)seen;
  (void)unused;
  ++g_visited_others;
  return 0;
}
static void blocks_visited(void) {
  for (int i = 0; i < kVisited; ++i) {
    const size_t bytes = i % 50 == 0 ? 100000 : i % 61 == 0 ? 40000000 : (size_t)i * i % 5000;
    g_blocks[i] = malloc(bytes);
    if (g_blocks[i] == NULL) exit(4);
    g_usable[i] = malloc_usable_size(g_blocks[i]);
  }
  for (int i = 0; i < kVisited; i += 3) free(g_blocks[i]);
  if (tide_heap_walk(see, NULL) != 1) exit(5);
  for (int i = 0; i < kVisited; ++i) {
    if (g_times_seen[i] != (i % 3 != 0)) exit(8);
  }
  if (tide_heap_walk(see_other, NULL) != 0 || g_visited_others != 1) exit(9);
  exit(0);
}

// A pointer into the guard pages around a sampled block.
static void free_behind_guarded(void) {
  for (int i = 0; i < 40; ++i) {
    unsigned char* p = block();
    if ((uintptr_t)p % 4096 != 0) free(opaque((void*)(((uintptr_t)p | 4095) + 1 + 64)));
  }
}
static void free_before_guarded(void) {
  unsigned char* p = block();
  free(opaque((void*)(((uintptr_t)p & ~(uintptr_t)4095) - 64)));
}
static void realloc_behind_guarded(void) {
  unsigned char* p = block();
  opaque(realloc(opaque((void*)(((uintptr_t)p | 4095) + 1 + 64)), 100));
}
// Into the guard page behind a large block.
static void free_in_guard(void) {
  unsigned char* p = block();
  free(opaque(p + malloc_usable_size(p) + 4096));
}

// Nothing happens afterwards but the program's end.
static void write_after_free_at_end(void) {
  unsigned char* p = block();
  free(opaque(p));
  ((unsigned char*)opaque(p))[8] = 1;
  exit(0);
}
static void* hold(void* p) {
  free(p);
  return NULL;
}
static void write_after_free_by_ended_thread(void) {
  unsigned char* p = block();
  pthread_t thread;
  if (pthread_create(&thread, NULL, hold, p) != 0) exit(4);
  pthread_join(thread, NULL);
  ((unsigned char*)opaque(p))[8] = 1;
  exit(0);
}
// The first of its kind, with nothing below it.
static void write_below_first(void) {
  unsigned char* p = block();
  for (uintptr_t page = (uintptr_t)p & ~(uintptr_t)4095;; page -= 4096) {
    *(volatile unsigned char*)opaque((void*)(page - 8)) = 1;
  }
}

static const struct Case kCases[] = {
    CASE(overflow_by_1),
    CASE(overflow_by_8),
    CASE(overflow_with_zero),
    CASE(overflow_all_the_way),
    CASE(overflow_then_realloc),
    CASE(overflow_of_grown),
    CASE(overflow_then_growth),
    CASE(overflow_far_behind_grown),
    CASE(overflow_then_usable_size),
    CASE(overflow_of_calloc),
    CASE(overflow_of_aligned),
    CASE(overflow_of_shrunk),
    CASE(overflow_freed_by_another),
    CASE(overflow_to_next_page),
    CASE(read_next_page),
    CASE(overflow_unfreed),
    CASE(write_after_free),
    CASE(write_last_after_free),
    CASE(write_after_free_at_end),
    CASE(write_after_free_by_ended_thread),
    CASE(write_below_first),
    CASE(read_after_free),
    CASE(secret_after_free),
    CASE(scattered_after_free),
    CASE(not_reused_at_once),
    CASE(order),
    CASE(new_then_free),
    CASE(malloc_then_delete),
    CASE(new_array_then_delete),
    CASE(new_then_delete_array),
    CASE(delete_of_other_size),
    CASE(delete_of_smaller_size),
    CASE(delete_of_less_than_half),
    CASE(double_free),
    CASE(free_inside),
    CASE(realloc_freed),
    CASE(underflow),
    CASE(write_before),
    CASE(read_behind),
    CASE(nothing_asked),
    CASE(heaps_end),
    CASE(blocks_visited),
    CASE(free_behind_guarded),
    CASE(free_before_guarded),
    CASE(realloc_behind_guarded),
    CASE(free_in_guard),
};

int main(int argc, char** argv) {
  void (*run)(void) = argc == 3 ? FIND_CASE(kCases, argv[1]) : NULL;
  if (run == NULL && argc == 3) run = find_large_case(argv[1]);
  if (run == NULL) {
    fprintf(stderr, "usage: hardened CASE BYTES; run.py knows them\n");
    return 2;
  }
  g_size = strtoul(argv[2], NULL, 10);
  run();
  return 3;
}
