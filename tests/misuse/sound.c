// Misuse that nobody can notice in time: writes to freed blocks and past the ends of blocks. The
// allocator must stay sound: whatever it hands out afterwards is memory that nobody else has.
// `sound CASE BYTES` exits with 0 then, with 6 when a block overlaps another or loses its bytes.
// In hardened mode the writes are found, and end the process: run.py knows.
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/misuse/case_table.h"

enum { kBlocks = 2000, kMostBytes = 64 << 20 };

static size_t g_size;
static size_t g_count;
static unsigned char* g_blocks[kBlocks];
static char g_not_heap[4096];

static unsigned char* block(void) {
  unsigned char* p = malloc(g_size);
  if (p == NULL) exit(4);
  memset(p, 1, g_size);
  return opaque(p);
}

// ---- afterwards: many blocks, each with its own bytes, none over another or over our variables

static void fill(size_t i) {
  memset(g_blocks[i], (int)(i % 251), g_size);
  memcpy(g_blocks[i], &i, sizeof i);
}
static void check(size_t i) {
  size_t number;
  memcpy(&number, g_blocks[i], sizeof number);
  if (number != i) exit(6);
  for (size_t k = sizeof i; k < g_size; ++k) {
    if (g_blocks[i][k] != i % 251) exit(6);
  }
}
static void allocate_all(void) {
  for (size_t i = 0; i < g_count; ++i) {
    g_blocks[i] = block();
    if (malloc_usable_size(g_blocks[i]) < g_size) exit(6);
    fill(i);
  }
}
static void expect_sound(void) {
  const size_t counts[] = {kBlocks, kMostBytes / g_size};
  g_count = counts[0] < counts[1] ? counts[0] : counts[1];
  if (g_count < 4) g_count = 4;
  allocate_all();
  for (size_t i = 0; i < g_count; ++i) check(i);
  for (size_t i = 0; i < g_count; i += 2) {
    free(g_blocks[i]);
    g_blocks[i] = block();
    fill(i);
  }
  malloc_trim(0);
  for (size_t i = 0; i < g_count; ++i) check(i);
  for (size_t i = 0; i < g_count; ++i) free(g_blocks[i]);
  for (size_t i = 0; i < sizeof g_not_heap; ++i) {
    if (g_not_heap[i] != 0) exit(6);
  }
  exit(0);
}

// ---- writes after free

static void write_16(void) {
  unsigned char* p = block();
  free(p);
  memset(opaque(p), 0x41, 16);
}
static void write_zeros(void) {
  unsigned char* p = block();
  free(p);
  memset(opaque(p), 0, 16);
}
static void write_all(void) {
  unsigned char* p = block();
  free(p);
  memset(opaque(p), 0xff, g_size);
}
// What poisons a list of free blocks: the address of something else as its next.
static void write_address(void) {
  unsigned char* p = block();
  free(p);
  void* const target[2] = {opaque(g_not_heap + 64), opaque(g_not_heap + 64)};
  memcpy(opaque(p), target, sizeof target);
}
static void write_address_of_live(void) {
  unsigned char* live = block();
  unsigned char* p = block();
  free(p);
  memcpy(opaque(p), &live, sizeof live);
  // One of the blocks to come must not be this one.
  g_count = 4;
  for (size_t i = 0; i < 40; ++i) {
    if (block() == live) exit(6);
  }
}
static void write_many(void) {
  for (size_t i = 0; i < 40; ++i) g_blocks[i] = block();
  for (size_t i = 0; i < 40; ++i) free(g_blocks[i]);
  for (size_t i = 0; i < 40; ++i) memset(opaque(g_blocks[i]), 0x42, 16);
}
static void write_after_trim(void) {
  unsigned char* other = block();
  unsigned char* p = block();
  free(p);
  malloc_trim(0);
  memset(opaque(p), 0x41, 16);
  free(other);
}
static void* run_write(void* p) {
  memset(p, 0x43, 16);
  return NULL;
}
static void write_by_another(void) {
  unsigned char* p = block();
  free(p);
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_write, opaque(p)) != 0) exit(4);
  pthread_join(thread, NULL);
}
static void write_after_realloc(void) {
  unsigned char* p = block();
  unsigned char* moved = realloc(p, g_size * 4 + 100);
  if (opaque(moved) != opaque(p)) memset(opaque(p), 0x44, 16);
  free(moved);
}

// ---- outside of live blocks, whose neighbours are free or live

static void past_end(size_t bytes, int frees_next) {
  unsigned char* few[3] = {block(), block(), block()};
  unsigned char* low = few[0] < few[1] ? few[0] : few[1];
  if (frees_next) free(low == few[0] ? few[1] : few[0]);
  memset(opaque(low + malloc_usable_size(low)), 0x45, bytes);
}
static void past_end_1(void) { past_end(1, 0); }
static void past_end_16(void) { past_end(16, 0); }
static void past_end_into_free(void) { past_end(16, 1); }
static void past_end_freed(void) {
  unsigned char* few[3] = {block(), block(), block()};
  unsigned char* low = few[0] < few[1] ? few[0] : few[1];
  memset(opaque(low + malloc_usable_size(low)), 0x45, 16);
  for (size_t i = 0; i < 3; ++i) free(few[i]);
}
static void before_start(void) {
  unsigned char* few[3] = {block(), block(), block()};
  unsigned char* high = few[0] < few[1] ? few[1] : few[0];
  memset(opaque(high - 16), 0x46, 16);
  for (size_t i = 0; i < 3; ++i) free(few[i]);
}

static const struct Case kCases[] = {
    CASE(write_16),         CASE(write_zeros),      CASE(write_all),
    CASE(write_address),    CASE(write_many),       CASE(write_address_of_live),
    CASE(write_after_trim), CASE(write_by_another), CASE(write_after_realloc),
    CASE(past_end_1),       CASE(past_end_16),      CASE(past_end_into_free),
    CASE(past_end_freed),   CASE(before_start),
};

int main(int argc, char** argv) {
  void (*run)(void) = argc == 3 ? FIND_CASE(kCases, argv[1]) : NULL;
  if (run == NULL) {
    fprintf(stderr, "usage: sound CASE BYTES; run.py knows them\n");
    return 2;
  }
  g_size = strtoul(argv[2], NULL, 10);
  run();
  expect_sound();
}
