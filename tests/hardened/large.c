#include "tests/hardened/large.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/misuse/case_table.h"

// At a limit to what may be written, pages that were closed can't be opened again.
static void pages_stay_closed(void) {
  struct rlimit limit;
  char line[128];
  size_t data_kib = 0;
  FILE* file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    sscanf(line, "VmData: %zu", &data_kib);
  }
  getrlimit(RLIMIT_DATA, &limit);
  limit.rlim_cur = (data_kib + (64u << 10)) << 10;
  setrlimit(RLIMIT_DATA, &limit);
  static unsigned char* blocks[10000];
  size_t first_count = 0;
  for (int round = 0; round < 12; ++round) {
    // Every other round of longer blocks.
    const size_t bytes = round % 2 == 0 ? g_size : 2 * g_size;
    size_t count = 0;
    while (count < 10000 && (blocks[count] = malloc(bytes)) != NULL) blocks[count++][0] = 1;
    if (count < 100 && round == 0) exit(5);
    if (round == 0) first_count = count;
    // None is lost for good.
    if (round % 2 == 0 && count < first_count - first_count / 16) exit(6);
    while (count != 0) free(blocks[--count]);
  }
  exit(0);
}
// Of 128 freed large blocks at most 32 wait, and some do.
static void wait_is_bounded(void) {
  enum { kCount = 128, kMostWaiting = 32 };
  unsigned char* old[kCount];
  for (int i = 0; i < kCount; ++i) old[i] = block();
  for (int i = 0; i < kCount; ++i) free(opaque(old[i]));
  int used = 0;
  for (int i = 0; i < kCount; ++i) {
    const unsigned char* const p = opaque(malloc(g_size));
    for (int k = 0; k < kCount; ++k) used += p >= old[k] && p < old[k] + g_size;
  }
  exit(used < kCount - kMostWaiting - 8 || used == kCount ? 3 : 0);
}
// The second block gets the pages of the first, which was longer.
static void overflow_in_longer_span(void) {
  unsigned char* longer = opaque(malloc(g_size + g_size / 10));
  memset(longer, 1, g_size + g_size / 10);
  free(longer);
  unsigned char* p = block();
  if (p != longer) exit(6);
  p[g_size] = 0x5a;
  free(p);
}
// The block has moved with its pages; its old place is a freed block's.
static unsigned char* moved_away(void) {
  unsigned char* p = block();
  unsigned char* const moved = opaque(realloc(p, 4 * g_size));
  if (moved == NULL || moved == p) exit(4);
  for (size_t at = 0; at < g_size; at += 4096) {
    if (moved[at] != 1) exit(6);
  }
  return opaque(p);
}
static void write_after_move(void) { ((volatile unsigned char*)moved_away())[5] = 0x5a; }
static void free_after_move(void) { free(moved_away()); }
// What is between one block's end and the next one's start belongs to neither.
static void write_before_large(void) {
  uintptr_t last = 0;
  for (int i = 0; i < 10; ++i) {
    unsigned char* const p = block();
    const uintptr_t gap = (uintptr_t)p - last;
    if (last != 0 && gap > g_size && gap < 2 * g_size) ((volatile unsigned char*)opaque(p))[-1] = 1;
    last = (uintptr_t)p;
  }
}

static const struct Case kCases[] = {
    CASE(pages_stay_closed), CASE(wait_is_bounded), CASE(overflow_in_longer_span),
    CASE(write_after_move),  CASE(free_after_move), CASE(write_before_large),
};

void (*find_large_case(const char* name))(void) { return FIND_CASE(kCases, name); }
